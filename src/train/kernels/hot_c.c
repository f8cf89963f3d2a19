/* SPDX-License-Identifier: Apache-2.0 */
/* hot_c.c -- hot.inc for rung c; see CMakeLists.txt for its flags. */
#define HOT_TABLE train_hot_c
#define HOT_NAME  "c"
#define HOT_VEC   4
#define HOT_NV    2
#include "train/kernels/hot.inc"
