/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h -- Protocol Buffers fields appended to a buffer. A nested message is built in a buffer of
 * its own and appended by ledge_put_message(). Failures stick to the buffer (struct ledge_buf), so
 * callers check once. */
#ifndef LEDGE_EXPORT_WIRE_H
#define LEDGE_EXPORT_WIRE_H

#include <stdint.h>

#include "base/buf.h"
#include "engine/tensor/view.h"

void ledge_put_varint(struct ledge_buf *out, uint64_t value);
void ledge_put_int(struct ledge_buf *out, uint32_t field, int64_t value);
void ledge_put_float(struct ledge_buf *out, uint32_t field, float value);
void ledge_put_bytes(struct ledge_buf *out, uint32_t field, const void *bytes, size_t size);
void ledge_put_text(struct ledge_buf *out, uint32_t field, const char *text);

/* Append child as a nested message and empty it; a failed child fails out. */
void ledge_put_message(struct ledge_buf *out, uint32_t field, struct ledge_buf *child);

/* TensorProto as field `field` of out: dims 1, data_type 2, name 8, raw_data 9. */
void ledge_put_tensor(struct ledge_buf *out, uint32_t field, const struct ledge_view *view,
                      const char *name);

/* The same without the field's key and length: a file of its own. */
void ledge_put_tensor_body(struct ledge_buf *out, const struct ledge_view *view, const char *name);

#endif
