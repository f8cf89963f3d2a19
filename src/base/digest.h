/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h -- SHA-256 (FIPS 180-4), CRC-32C (Castagnoli), hexadecimal. */
#ifndef LEDGE_BASE_DIGEST_H
#define LEDGE_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEDGE_SHA256_BYTES = 32, LEDGE_SHA256_HEX = 65 };

struct ledge_sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
    size_t filled;
};

void ledge_sha256_init(struct ledge_sha256 *sha);
void ledge_sha256_add(struct ledge_sha256 *sha, const void *bytes, size_t n);
void ledge_sha256_end(struct ledge_sha256 *sha, uint8_t digest[LEDGE_SHA256_BYTES]);
void ledge_sha256(const void *bytes, size_t n, uint8_t digest[LEDGE_SHA256_BYTES]);

/* CRC of bytes, continuing from crc (0 at the start). */
uint32_t ledge_crc32c(uint32_t crc, const void *bytes, size_t n);

/* Lower-case hexadecimal; text gets 2 * n + 1 characters. */
void ledge_hex(const uint8_t *bytes, size_t n, char *text);

/* The reverse: false unless text is exactly 2 * n hexadecimal digits. */
bool ledge_unhex(const char *text, uint8_t *bytes, size_t n);

#endif
