/* SPDX-License-Identifier: Apache-2.0 */
/* hot_avx512.c -- hot.inc for rung avx512; see CMakeLists.txt for its flags. */
#define HOT_TABLE train_hot_avx512
#define HOT_NAME  "avx512"
#define HOT_VEC   16
#define HOT_NV    3
#include "train/kernels/hot.inc"
