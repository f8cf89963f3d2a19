/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <string.h>

#if defined(__x86_64__)
#include <stdatomic.h>
#endif

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, unsigned n)
{
    return (x >> n) | (x << (32 - n));
}

static void compress(uint32_t state[8], const uint8_t *p)
{
    uint32_t w[64];
    uint32_t s[8];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t a = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
        uint32_t b = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25);
        uint32_t choose = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t t1 = s[7] + e + choose + K[i] + w[i];
        uint32_t a = rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + a + majority;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += s[i];
    }
}

void ledge_sha256_init(struct ledge_sha256 *sha)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    *sha = (struct ledge_sha256){.length = 0};
    memcpy(sha->state, start, sizeof start);
}

void ledge_sha256_add(struct ledge_sha256 *sha, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    sha->length += n;
    while (n > 0) {
        if (sha->filled == 0 && n >= 64) {
            compress(sha->state, p);
            p += 64;
            n -= 64;
            continue;
        }
        size_t room = 64 - sha->filled;
        size_t part = n < room ? n : room;
        memcpy(sha->block + sha->filled, p, part);
        sha->filled += part;
        p += part;
        n -= part;
        if (sha->filled == 64) {
            compress(sha->state, sha->block);
            sha->filled = 0;
        }
    }
}

void ledge_sha256_end(struct ledge_sha256 *sha, uint8_t digest[LEDGE_SHA256_BYTES])
{
    uint64_t bits = sha->length * 8;
    uint8_t pad[72] = {0x80};
    size_t n = (sha->filled < 56 ? 56 : 120) - sha->filled;
    for (int i = 0; i < 8; i++) {
        pad[n + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    ledge_sha256_add(sha, pad, n + 8);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 4; j++) {
            digest[4 * i + j] = (uint8_t)(sha->state[i] >> (24 - 8 * j));
        }
    }
}

void ledge_sha256(const void *bytes, size_t n, uint8_t digest[LEDGE_SHA256_BYTES])
{
    struct ledge_sha256 sha;
    ledge_sha256_init(&sha);
    ledge_sha256_add(&sha, bytes, n);
    ledge_sha256_end(&sha, digest);
}

enum { CRC_LONG = 256 };

/* Nibble table of the reflected polynomial 0x82f63b78. */
static const uint32_t crc_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

#if defined(__x86_64__)
/* The instruction of SSE 4.2, eight bytes at a time. Returns how many bytes were taken: none where
 * the processor does not have it. */
static size_t crc_words(uint32_t *crc, const uint8_t *p, size_t n)
{
    static atomic_int known = -1; /* asking a processor takes long in virtual machines */
    int has = atomic_load_explicit(&known, memory_order_relaxed);
    if (has < 0) {
        uint32_t a = 1, b, c = 0, d; /* every x86-64 has leaf 1 */
        __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        has = (int)(c >> 20 & 1);
        atomic_store_explicit(&known, has, memory_order_relaxed);
    }
    uint64_t crc64 = *crc;
    size_t at = 0;
    for (; has != 0 && n - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, p + at, sizeof word);
        __asm__("crc32q %1, %0" : "+r"(crc64) : "rm"(word));
    }
    *crc = (uint32_t)crc64;
    return at;
}
#else
enum { CRC_STEPS = 8 };

/* Four bytes at a time: the eight nibbles are looked up independently of each other (Sarwate's
 * method, sliced). Returns how many bytes were taken. */
static size_t crc_words(uint32_t *crc, const uint8_t *p, size_t n)
{
    uint32_t tables[CRC_STEPS][16];
    for (int nibble = 0; nibble < 16; nibble++) {
        tables[0][nibble] = crc_table[nibble];
        for (int k = 1; k < CRC_STEPS; k++) {
            uint32_t before = tables[k - 1][nibble];
            tables[k][nibble] = (before >> 4) ^ crc_table[before & 15];
        }
    }
    size_t at = 0;
    uint32_t c = *crc;
    for (; n - at >= 4; at += 4) {
        uint32_t x = c ^ ((uint32_t)p[at] | (uint32_t)p[at + 1] << 8 | (uint32_t)p[at + 2] << 16 |
                          (uint32_t)p[at + 3] << 24);
        c = 0;
        for (int k = 0; k < CRC_STEPS; k++) {
            c ^= tables[CRC_STEPS - 1 - k][x >> (4 * k) & 15];
        }
    }
    *crc = c;
    return at;
}
#endif

uint32_t ledge_crc32c(uint32_t crc, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    crc = ~crc;
    for (size_t i = n >= CRC_LONG ? crc_words(&crc, p, n) : 0; i < n; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ crc_table[crc & 15];
        crc = (crc >> 4) ^ crc_table[crc & 15];
    }
    return ~crc;
}

void ledge_hex(const uint8_t *bytes, size_t n, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * n] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool ledge_unhex(const char *text, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = nibble(text[2 * i]);
        int low = high < 0 ? -1 : nibble(text[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * n] == '\0';
}
