/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c -- see wire.h. */
#include "export/wire.h"

#include <string.h>

#include "engine/kernels/onnx_tiny.h"

#include "base/banned.h"

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { T_DIMS = 1, T_TYPE = 2, T_NAME = 8, T_RAW = 9 };

void ledge_put_varint(struct ledge_buf *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value != 0);
    (void)ledge_buf_add(out, bytes, n);
}

static void put_key(struct ledge_buf *out, uint32_t field, uint32_t wire)
{
    ledge_put_varint(out, (uint64_t)field << 3 | wire);
}

void ledge_put_int(struct ledge_buf *out, uint32_t field, int64_t value)
{
    put_key(out, field, WIRE_VARINT);
    ledge_put_varint(out, (uint64_t)value);
}

void ledge_put_float(struct ledge_buf *out, uint32_t field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(out, field, WIRE_32);
    (void)ledge_buf_u32(out, bits);
}

void ledge_put_bytes(struct ledge_buf *out, uint32_t field, const void *bytes, size_t size)
{
    put_key(out, field, WIRE_BYTES);
    ledge_put_varint(out, size);
    (void)ledge_buf_add(out, bytes, size);
}

void ledge_put_text(struct ledge_buf *out, uint32_t field, const char *text)
{
    ledge_put_bytes(out, field, text, strlen(text));
}

void ledge_put_message(struct ledge_buf *out, uint32_t field, struct ledge_buf *child)
{
    out->failed = out->failed || child->failed;
    ledge_put_bytes(out, field, child->data, child->len);
    ledge_buf_clear(child);
}

/* Types of 4 and 2 bits are packed, the first element in the low bits. */
static size_t tensor_bytes(const struct ledge_view *view)
{
    size_t bits = (size_t)ledge_dtype_bits(view->dtype), n = (size_t)ledge_view_count(view);
    return bits >= 8 ? n * (bits / 8) : n / (8 / bits) + (n % (8 / bits) != 0);
}

static void put_elements(struct ledge_buf *out, const struct ledge_view *view)
{
    int32_t bits = ledge_dtype_bits(view->dtype);
    const uint8_t *data = view->data;
    int64_t n = ledge_view_count(view), per = 8 / bits;
    if (bits >= 8) {
        (void)ledge_buf_add(out, view->data, ledge_view_bytes(view));
        return;
    }
    for (int64_t at = 0; at < n; at += per) {
        uint8_t byte = 0;
        for (int64_t k = 0; k < per && at + k < n; k++) {
            byte |= (uint8_t)((data[at + k] & ((1 << bits) - 1)) << (k * bits));
        }
        (void)ledge_buf_add(out, &byte, 1);
    }
}

static void put_tensor_head(struct ledge_buf *out, const struct ledge_view *view, const char *name)
{
    for (int32_t i = 0; i < view->rank; i++) {
        ledge_put_int(out, T_DIMS, view->dims[i]);
    }
    ledge_put_int(out, T_TYPE, (int64_t)view->dtype);
    if (name != NULL) {
        ledge_put_text(out, T_NAME, name);
    }
    put_key(out, T_RAW, WIRE_BYTES);
    ledge_put_varint(out, tensor_bytes(view));
}

void ledge_put_tensor_body(struct ledge_buf *out, const struct ledge_view *view, const char *name)
{
    put_tensor_head(out, view, name);
    put_elements(out, view);
}

void ledge_put_tensor(struct ledge_buf *out, uint32_t field, const struct ledge_view *view,
                      const char *name)
{
    struct ledge_buf head = LEDGE_BUF_INIT(1 << 20);
    put_tensor_head(&head, view, name);
    out->failed = out->failed || head.failed;
    put_key(out, field, WIRE_BYTES);
    ledge_put_varint(out, head.len + tensor_bytes(view));
    (void)ledge_buf_add(out, head.data, head.len);
    put_elements(out, view);
    ledge_buf_done(&head);
}
