/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h -- Protocol Buffers fields read in place from bounded bytes.
 *
 * A message is a run of fields:   key varint (number << 3 | wire type), then
 *   wire 0  varint          wire 1  8 bytes little-endian
 *   wire 2  length + bytes  wire 5  4 bytes little-endian
 * Groups (3, 4) are not used by ONNX and are malformed here. No recursion: nested messages are
 * spans that the caller opens, so depth is bounded by the code's own. Source:
 * protobuf.dev/programming-guides/encoding.
 */
#ifndef LEDGE_IMPORT_ONNX_WIRE_H
#define LEDGE_IMPORT_ONNX_WIRE_H

#include "base/reader.h"

enum { LEDGE_WIRE_VARINT = 0, LEDGE_WIRE_64 = 1, LEDGE_WIRE_BYTES = 2, LEDGE_WIRE_32 = 5 };

struct ledge_wire_field {
    uint32_t number;
    uint32_t wire;
    uint64_t value;       /* wire 0, 1, 5 */
    const uint8_t *bytes; /* wire 2: BORROWED */
    size_t size;
};

/* The next field; false at the end, and on malformed bytes (r->failed is then set). */
bool ledge_wire_next(struct ledge_reader *r, struct ledge_wire_field *field);

/* One element of a repeated number: packed (wire 2) runs are walked with a reader of their own,
 * unpacked fields hold one. kind is the wire type of a single element. Returns false when the
 * packed run is at its end or malformed. */
bool ledge_wire_element(struct ledge_reader *packed, uint32_t kind, uint64_t *value);

/* Number of elements of a packed run or single field; false when malformed or of another kind. */
bool ledge_wire_count(const struct ledge_wire_field *field, uint32_t kind, size_t *count);

#endif
