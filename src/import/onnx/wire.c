/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c -- see wire.h. */
#include "import/onnx/wire.h"

#include "base/banned.h"

static uint64_t fixed(struct ledge_reader *r, uint32_t wire)
{
    return wire == LEDGE_WIRE_64 ? ledge_reader_u64(r) : ledge_reader_u32(r);
}

bool ledge_wire_next(struct ledge_reader *r, struct ledge_wire_field *field)
{
    if (r->failed || r->at == r->size) {
        return false;
    }
    uint64_t key = ledge_reader_varint(r);
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff) {
        r->failed = true;
        return false;
    }
    *field = (struct ledge_wire_field){.number = (uint32_t)(key >> 3), .wire = key & 7};
    switch (field->wire) {
    case LEDGE_WIRE_VARINT:
        field->value = ledge_reader_varint(r);
        break;
    case LEDGE_WIRE_64:
    case LEDGE_WIRE_32:
        field->value = fixed(r, field->wire);
        break;
    case LEDGE_WIRE_BYTES: {
        uint64_t size = ledge_reader_varint(r);
        if (size > ledge_reader_left(r)) {
            r->failed = true;
            return false;
        }
        field->size = (size_t)size;
        field->bytes = ledge_reader_take(r, field->size);
        break;
    }
    default:
        r->failed = true;
    }
    return !r->failed;
}

bool ledge_wire_element(struct ledge_reader *packed, uint32_t kind, uint64_t *value)
{
    if (packed->failed || packed->at == packed->size) {
        return false;
    }
    uint64_t next = kind == LEDGE_WIRE_VARINT ? ledge_reader_varint(packed) : fixed(packed, kind);
    if (packed->failed) {
        return false;
    }
    *value = next;
    return true;
}

bool ledge_wire_count(const struct ledge_wire_field *field, uint32_t kind, size_t *count)
{
    if (field->wire == kind) {
        *count = 1;
        return true;
    }
    if (field->wire != LEDGE_WIRE_BYTES) {
        return false;
    }
    if (kind != LEDGE_WIRE_VARINT) {
        size_t size = kind == LEDGE_WIRE_64 ? 8 : 4;
        *count = field->size / size;
        return field->size % size == 0;
    }
    /* Every varint ends in exactly one byte below 0x80. */
    size_t n = 0;
    for (size_t i = 0; i < field->size; i++) {
        n += field->bytes[i] < 0x80;
    }
    *count = n;
    return field->size == 0 || field->bytes[field->size - 1] < 0x80;
}
