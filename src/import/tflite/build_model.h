/* SPDX-License-Identifier: Apache-2.0 */
/* build_model.h -- for tests only: write a FlatBuffer front to back. Tables have one 4-byte slot
 * per field (narrower fields use its first bytes); what a field points to is written later and
 * linked. */
#ifndef LEDGE_IMPORT_TFLITE_BUILD_MODEL_H
#define LEDGE_IMPORT_TFLITE_BUILD_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct test_fb {
    uint8_t bytes[8192];
    size_t n;
};

static inline void test_fb_put(struct test_fb *fb, size_t at, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        fb->bytes[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static inline size_t test_fb_room(struct test_fb *fb, size_t size)
{
    size_t at = (fb->n + 3) / 4 * 4;
    fb->n = at + size;
    return at;
}

static inline void test_fb_start(struct test_fb *fb, const char *identifier)
{
    memset(fb, 0, sizeof *fb);
    fb->n = 8;
    memcpy(fb->bytes + 4, identifier, 4);
}

/* A table whose fields of mask are present, all 0; the root when it is the first. */
static inline size_t test_fb_table(struct test_fb *fb, uint32_t n_fields, uint32_t mask)
{
    size_t vtable = test_fb_room(fb, 4 + (size_t)2 * n_fields);
    size_t table = test_fb_room(fb, 4 + (size_t)4 * n_fields);
    test_fb_put(fb, vtable, 4 + 2 * n_fields, 2);
    test_fb_put(fb, vtable + 2, 4 + 4 * n_fields, 2);
    for (uint32_t i = 0; i < n_fields; i++) {
        test_fb_put(fb, vtable + 4 + (size_t)2 * i, (mask & 1u << i) != 0 ? 4 + 4 * i : 0, 2);
    }
    test_fb_put(fb, table, (uint32_t)(table - vtable), 4);
    if (vtable == 8) {
        test_fb_put(fb, 0, (uint32_t)table, 4);
    }
    return table;
}

static inline size_t test_fb_field(size_t table, uint32_t field)
{
    return table + 4 + (size_t)4 * field;
}

static inline void test_fb_set(struct test_fb *fb, size_t table, uint32_t field, uint32_t value)
{
    test_fb_put(fb, test_fb_field(table, field), value, 4);
}

/* Offset stored at `place` leads to `to`. */
static inline void test_fb_link(struct test_fb *fb, size_t place, size_t to)
{
    test_fb_put(fb, place, (uint32_t)(to - place), 4);
}

/* A vector behind a field: count, then bytes; returns the place of its first element. */
static inline size_t test_fb_vector(struct test_fb *fb, size_t table, uint32_t field, uint32_t n,
                                    const void *data, size_t size)
{
    size_t at = test_fb_room(fb, 4 + n * size);
    test_fb_put(fb, at, n, 4);
    if (data != NULL) {
        memcpy(fb->bytes + at + 4, data, n * size);
    }
    test_fb_link(fb, test_fb_field(table, field), at);
    return at + 4;
}

static inline void test_fb_text(struct test_fb *fb, size_t table, uint32_t field, const char *text)
{
    (void)test_fb_vector(fb, table, field, (uint32_t)strlen(text), text, 1);
}

#endif
