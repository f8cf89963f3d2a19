/* SPDX-License-Identifier: Apache-2.0 */
/* flexmap.h -- the options of a custom operator: a FlexBuffer whose root is a map from names to
 * numbers.
 *
 * Layout, read from the end: root (1, 2, 4 or 8 bytes), its packed type, its width. A packed type
 * is type << 2 | log2(width). A map is a vector of values, followed by their packed types and
 * preceded by the distance to its vector of keys, the keys' width, and the count. Source: the
 * FlexBuffers format, flatbuffers.dev.
 */
#ifndef LEDGE_IMPORT_TFLITE_FLEXMAP_H
#define LEDGE_IMPORT_TFLITE_FLEXMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledge_flexmap {
    const uint8_t *bytes;
    size_t size;
    size_t values, keys; /* places of the first value and of the first key */
    size_t n;
    size_t width, key_width;
};

/* False when bytes are no such map; an empty one when size is 0. */
bool ledge_flexmap_open(struct ledge_flexmap *map, const uint8_t *bytes, size_t size);

/* The number of this name; the fallback when it is absent, damaged, or no number. */
int64_t ledge_flexmap_int(const struct ledge_flexmap *map, const char *name, int64_t fallback);
float ledge_flexmap_float(const struct ledge_flexmap *map, const char *name, float fallback);

#endif
