/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reader.h"

#include <string.h>

const uint8_t *ledge_reader_take(struct ledge_reader *r, size_t n)
{
    if (r->failed || n > r->size - r->at) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->bytes + r->at;
    r->at += n;
    return p;
}

static uint64_t take_le(struct ledge_reader *r, size_t n)
{
    const uint8_t *p = ledge_reader_take(r, n);
    uint64_t value = 0;
    for (size_t i = 0; p != NULL && i < n; i++) {
        value |= (uint64_t)p[i] << (8 * i);
    }
    return value;
}

uint8_t ledge_reader_u8(struct ledge_reader *r)
{
    return (uint8_t)take_le(r, 1);
}

uint16_t ledge_reader_u16(struct ledge_reader *r)
{
    return (uint16_t)take_le(r, 2);
}

uint32_t ledge_reader_u32(struct ledge_reader *r)
{
    return (uint32_t)take_le(r, 4);
}

uint64_t ledge_reader_u64(struct ledge_reader *r)
{
    return take_le(r, 8);
}

float ledge_reader_f32(struct ledge_reader *r)
{
    uint32_t bits = ledge_reader_u32(r);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t ledge_reader_varint(struct ledge_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = ledge_reader_u8(r);
        if (r->failed) {
            return 0;
        }
        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    r->failed = true;
    return 0;
}

void ledge_reader_seek(struct ledge_reader *r, size_t at)
{
    if (at > r->size) {
        r->failed = true;
        return;
    }
    r->at = at;
}
