/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.h -- decompress one raw DEFLATE stream (RFC 1951), for files inside model files; and the
 * CRC-32 of ZIP.
 *
 * Simple and bounded rather than fast: no allocation, no state between calls, every read and write
 * checked.
 */
#ifndef LEDGE_BASE_INFLATE_H
#define LEDGE_BASE_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decompress n bytes to exactly out_size bytes. False when the stream is malformed, ends early, or
 * gives another size. */
bool ledge_inflate(const uint8_t *bytes, size_t n, uint8_t *out, size_t out_size);

/* CRC-32 (ISO 3309, polynomial 0xedb88320 reflected), as in ZIP and PNG. */
uint32_t ledge_crc32(const uint8_t *bytes, size_t n);

#endif
