/* SPDX-License-Identifier: Apache-2.0 */
/* number.h -- one element: JSON value or double <-> any element type.
 *
 * Threads: any. Memory: none. */
#ifndef SERVE_NUMBER_H
#define SERVE_NUMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/tensor.h"

/* Write a JSON number (or true/false) as element number index of an array of dtype. False when it
 * is no number, not whole for an integer type, or out of the type's range. */
bool serve_number_store(const json_t *value, enum ledge_dtype dtype, void *array, int64_t index);

/* Element number index as a double (64-bit integers are rounded). */
double serve_number_load(enum ledge_dtype dtype, const void *array, int64_t index);

/* Append element number index as JSON text; 9 or 17 significant digits, so that it reads back the
 * same. NaN and infinity: null. */
void serve_number_print(enum ledge_dtype dtype, const void *array, int64_t index,
                        struct ledge_buf *out);

/* IEEE 754 binary16 and bfloat16, round half to even. */
uint16_t serve_f16_of(float value);
float serve_f16_to(uint16_t bits);
uint16_t serve_bf16_of(float value);
float serve_bf16_to(uint16_t bits);

#endif
