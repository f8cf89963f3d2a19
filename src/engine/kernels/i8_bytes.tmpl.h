/* SPDX-License-Identifier: Apache-2.0 */
/* i8_bytes.tmpl.h -- the 8-bit loops that do not depend on how bytes are multiplied: from sums to
 * bytes, and from bytes to bytes. Part of i8.tmpl.h, or of a file that several of its kind share
 * (i8_avx512_bytes.c). */
#include <string.h>

#include "engine/kernels/i8.h"
#include "engine/kernels/loop_words.h"
#include "engine/port/select.h"

#include "engine/kernels/i8_finish.tmpl.h"

#include "engine/kernels/i8_each.tmpl.h"

#ifndef FEW_LOOPS
#include "engine/kernels/i8_sum.tmpl.h"
#endif
