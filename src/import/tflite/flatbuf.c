/* SPDX-License-Identifier: Apache-2.0 */
#include "import/tflite/flatbuf.h"

#include <string.h>

#include "base/reader.h"

/* The little-endian number of n bytes at `at`, 0 and failed when it is not all inside. */
static uint64_t number(struct ledge_fb *fb, size_t at, size_t n)
{
    struct ledge_reader r = ledge_reader_make(fb->bytes, fb->size);
    ledge_reader_seek(&r, at);
    const uint8_t *p = ledge_reader_take(&r, n);
    if (p == NULL) {
        fb->failed = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)p[i] << (8 * i);
    }
    return value;
}

/* Follow the u32 offset at `at`; 0 when it leads outside. */
static size_t follow(struct ledge_fb *fb, size_t at)
{
    uint64_t offset = number(fb, at, 4);
    if (fb->failed || offset == 0 || offset > fb->size - at) {
        fb->failed = true;
        return 0;
    }
    return at + (size_t)offset;
}

static struct ledge_fb_table table_at(struct ledge_fb *fb, size_t at)
{
    struct ledge_fb_table none = {0};
    if (at == 0) {
        return none;
    }
    int64_t back = (int32_t)(uint32_t)number(fb, at, 4);
    int64_t vtable = (int64_t)at - back;
    if (fb->failed || vtable < 0 || (uint64_t)vtable > fb->size) {
        fb->failed = true;
        return none;
    }
    struct ledge_fb_table table = {.at = at, .vtable = (size_t)vtable};
    table.vtable_bytes = (uint16_t)number(fb, table.vtable, 2);
    table.table_bytes = (uint16_t)number(fb, table.vtable + 2, 2);
    if (fb->failed || table.vtable_bytes < 4 || table.vtable_bytes > fb->size - table.vtable ||
        table.table_bytes > fb->size - at) {
        fb->failed = true;
        return none;
    }
    return table;
}

struct ledge_fb_table ledge_fb_root(struct ledge_fb *fb, const char *identifier)
{
    struct ledge_fb_table none = {0};
    if (fb->size < 8 || memcmp(fb->bytes + 4, identifier, 4) != 0) {
        fb->failed = true;
        return none;
    }
    return table_at(fb, follow(fb, 0));
}

/* Place of a field of n bytes, 0 when it is absent. */
static size_t field_at(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field, size_t n)
{
    size_t entry = 4 + (size_t)2 * field;
    if (table.at == 0 || entry + 2 > table.vtable_bytes) {
        return 0;
    }
    size_t offset = (size_t)number(fb, table.vtable + entry, 2);
    if (offset == 0) {
        return 0;
    }
    if (offset + n > table.table_bytes) {
        fb->failed = true;
        return 0;
    }
    return table.at + offset;
}

uint8_t ledge_fb_u8(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field,
                    uint8_t fallback)
{
    size_t at = field_at(fb, table, field, 1);
    return at == 0 ? fallback : (uint8_t)number(fb, at, 1);
}

int32_t ledge_fb_i32(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field,
                     int32_t fallback)
{
    size_t at = field_at(fb, table, field, 4);
    return at == 0 ? fallback : (int32_t)(uint32_t)number(fb, at, 4);
}

uint64_t ledge_fb_u64(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field,
                      uint64_t fallback)
{
    size_t at = field_at(fb, table, field, 8);
    return at == 0 ? fallback : number(fb, at, 8);
}

static float as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float ledge_fb_f32(struct ledge_fb *fb, struct ledge_fb_table table, uint16_t field, float fallback)
{
    size_t at = field_at(fb, table, field, 4);
    return at == 0 ? fallback : as_float((uint32_t)number(fb, at, 4));
}

struct ledge_fb_table ledge_fb_child(struct ledge_fb *fb, struct ledge_fb_table table,
                                     uint16_t field)
{
    size_t at = field_at(fb, table, field, 4);
    return table_at(fb, at == 0 ? 0 : follow(fb, at));
}

/* The vector whose count stands at `at`. */
static struct ledge_fb_vector vector_at(struct ledge_fb *fb, size_t at, size_t size)
{
    struct ledge_fb_vector none = {0};
    if (at == 0) {
        return none;
    }
    uint32_t n = (uint32_t)number(fb, at, 4);
    if (fb->failed || n > (fb->size - at - 4) / size) {
        fb->failed = true;
        return none;
    }
    if (n == 0) {
        return none;
    }
    return (struct ledge_fb_vector){.data = fb->bytes + at + 4, .at = at + 4, .n = n};
}

struct ledge_fb_vector ledge_fb_vector(struct ledge_fb *fb, struct ledge_fb_table table,
                                       uint16_t field, size_t size)
{
    size_t at = field_at(fb, table, field, 4);
    return vector_at(fb, at == 0 ? 0 : follow(fb, at), size);
}

struct ledge_fb_table ledge_fb_item(struct ledge_fb *fb, struct ledge_fb_vector vector, uint32_t i)
{
    return table_at(fb, follow(fb, vector.at + (size_t)4 * i));
}

struct ledge_fb_vector ledge_fb_item_string(struct ledge_fb *fb, struct ledge_fb_vector vector,
                                            uint32_t i)
{
    return vector_at(fb, follow(fb, vector.at + (size_t)4 * i), 1);
}

static uint64_t element(struct ledge_fb_vector vector, uint32_t i, size_t size)
{
    uint64_t value = 0;
    for (size_t k = 0; k < size; k++) {
        value |= (uint64_t)vector.data[(size_t)i * size + k] << (8 * k);
    }
    return value;
}

int32_t ledge_fb_item_i32(struct ledge_fb_vector vector, uint32_t i)
{
    return (int32_t)(uint32_t)element(vector, i, 4);
}

int64_t ledge_fb_item_i64(struct ledge_fb_vector vector, uint32_t i)
{
    return (int64_t)element(vector, i, 8);
}

float ledge_fb_item_f32(struct ledge_fb_vector vector, uint32_t i)
{
    return as_float((uint32_t)element(vector, i, 4));
}
