/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h -- bounded little-endian byte reader with a sticky error: parse straight down, check
 * once.
 *
 * After a read past the end `failed` is set, every later read gives 0, and the position stays.
 * Bytes are BORROWED.
 */
#ifndef LEDGE_BASE_READER_H
#define LEDGE_BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledge_reader {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    bool failed;
};

static inline struct ledge_reader ledge_reader_make(const void *bytes, size_t size)
{
    return (struct ledge_reader){.bytes = bytes, .size = size, .at = 0, .failed = false};
}

static inline size_t ledge_reader_left(const struct ledge_reader *r)
{
    return r->failed ? 0 : r->size - r->at;
}

/* n bytes in place, or NULL (and failed). */
const uint8_t *ledge_reader_take(struct ledge_reader *r, size_t n);
uint8_t ledge_reader_u8(struct ledge_reader *r);
uint16_t ledge_reader_u16(struct ledge_reader *r);
uint32_t ledge_reader_u32(struct ledge_reader *r);
uint64_t ledge_reader_u64(struct ledge_reader *r);
float ledge_reader_f32(struct ledge_reader *r);

/* Protocol Buffers base-128 varint, at most 10 bytes. */
uint64_t ledge_reader_varint(struct ledge_reader *r);

/* Move to an absolute position. */
void ledge_reader_seek(struct ledge_reader *r, size_t at);

#endif
