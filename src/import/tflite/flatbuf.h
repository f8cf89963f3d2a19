/* SPDX-License-Identifier: Apache-2.0 */
/* flatbuf.h -- bounded reader of FlatBuffers with a sticky error: read straight down, check once.
 *
 * Layout (little-endian; source: FlatBuffers internals): the file starts with u32 offset of the
 * root table and a 4-byte identifier. A table starts with i32: its vtable is at table - that. A
 * vtable is u16 bytes of itself, u16 bytes of the table, then a u16 offset from the table's start
 * per field, 0 when the field is absent. A vector or string is u32 count and the elements; strings
 * and sub-tables are reached by u32 offsets relative to the place of the offset.
 *
 * Every access is checked against the file; whatever points outside sets `failed` and reads as
 * absent. Nothing is followed further than the caller asks, so there is no recursion and no cycle
 * to fall into. Bytes are BORROWED.
 */
#ifndef LEDGE_IMPORT_TFLITE_FLATBUF_H
#define LEDGE_IMPORT_TFLITE_FLATBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledge_fb {
    const uint8_t *bytes;
    size_t size;
    bool failed;
};

struct ledge_fb_table {
    size_t at; /* 0: absent, every field reads as its default */
    size_t vtable;
    uint16_t vtable_bytes;
    uint16_t table_bytes;
};

struct ledge_fb_vector {
    const uint8_t *data; /* first element; NULL when absent or empty */
    size_t at;           /* its offset in the file */
    uint32_t n;
};

/* The root table; failed is set when identifier (4 characters at byte 4) is another. */
struct ledge_fb_table ledge_fb_root(struct ledge_fb *fb, const char *identifier);

/* Scalar fields with their default. */
uint8_t ledge_fb_u8(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field,
                    uint8_t fallback);
int32_t ledge_fb_i32(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field,
                     int32_t fallback);
uint64_t ledge_fb_u64(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field,
                      uint64_t fallback);
float ledge_fb_f32(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field,
                   float fallback);

/* A sub-table, also the value of a union. */
struct ledge_fb_table ledge_fb_child(struct ledge_fb *fb, struct ledge_fb_table table,
                                     uint16_t field);

/* A vector of n elements of `size` bytes, all inside the file. Strings are vectors of size 1. */
struct ledge_fb_vector ledge_fb_vector(struct ledge_fb *fb, struct ledge_fb_table table,
                                       uint16_t field, size_t size);

/* Elements of vectors; i must be < n. */
struct ledge_fb_table ledge_fb_item(struct ledge_fb *fb, struct ledge_fb_vector vector, uint32_t i);
struct ledge_fb_vector ledge_fb_item_string(struct ledge_fb *fb, struct ledge_fb_vector vector,
                                            uint32_t i);
int32_t ledge_fb_item_i32(struct ledge_fb_vector vector, uint32_t i);
int64_t ledge_fb_item_i64(struct ledge_fb_vector vector, uint32_t i);
float ledge_fb_item_f32(struct ledge_fb_vector vector, uint32_t i);

#endif
