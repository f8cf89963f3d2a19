/* SPDX-License-Identifier: Apache-2.0 */
/* hot_avx2.c -- hot.inc for rung avx2; see CMakeLists.txt for its flags. */
#define HOT_TABLE train_hot_avx2
#define HOT_NAME  "avx2"
#define HOT_VEC   8
#define HOT_NV    3
#include "train/kernels/hot.inc"
