/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c -- Huffman codes are decoded canonically, bit by bit: with `count[len]` codes of each
 * length, the codes of a length are consecutive numbers, so one compare per bit tells whether the
 * code is complete (RFC 1951, 3.2.2). */
#include "base/inflate.h"

#include <string.h>

enum { MAX_BITS = 15, MAX_LITERALS = 288, MAX_DISTANCES = 32 };

struct stream {
    const uint8_t *in;
    size_t n, at;
    uint32_t bits; /* not yet used, lowest first */
    unsigned n_bits;
    uint8_t *out;
    size_t size, len;
    bool failed;
};

struct code {
    uint16_t count[MAX_BITS + 1];
    uint16_t symbol[MAX_LITERALS];
};

static uint32_t take(struct stream *s, unsigned n)
{
    while (s->n_bits < n) {
        if (s->at == s->n) {
            s->failed = true;
            return 0;
        }
        s->bits |= (uint32_t)s->in[s->at++] << s->n_bits;
        s->n_bits += 8;
    }
    uint32_t value = s->bits & ((1u << n) - 1);
    s->bits >>= n;
    s->n_bits -= n;
    return value;
}

/* Code lengths -> code. False when more codes are given than fit (an incomplete code only fails
 * when it is used). */
static bool code_init(struct code *code, const uint8_t *lengths, size_t n)
{
    memset(code->count, 0, sizeof code->count);
    for (size_t i = 0; i < n; i++) {
        code->count[lengths[i]]++;
    }
    code->count[0] = 0;
    int32_t left = 1;
    uint16_t at[MAX_BITS + 2] = {0};
    for (unsigned len = 1; len <= MAX_BITS; len++) {
        left = left * 2 - code->count[len];
        if (left < 0) {
            return false;
        }
        at[len + 1] = (uint16_t)(at[len] + code->count[len]);
    }
    for (size_t i = 0; i < n; i++) {
        if (lengths[i] != 0) {
            code->symbol[at[lengths[i]]++] = (uint16_t)i;
        }
    }
    return true;
}

static uint32_t decode(struct stream *s, const struct code *code)
{
    int32_t value = 0;
    int32_t first = 0;
    int32_t index = 0;
    for (unsigned len = 1; len <= MAX_BITS && !s->failed; len++) {
        value |= (int32_t)take(s, 1);
        int32_t count = code->count[len];
        if (value - count < first) {
            return code->symbol[index + (value - first)];
        }
        index += count;
        first = (first + count) * 2;
        value *= 2;
    }
    s->failed = true;
    return 0;
}

static void put(struct stream *s, uint8_t byte)
{
    if (s->len == s->size) {
        s->failed = true;
        return;
    }
    s->out[s->len++] = byte;
}

static void copy_back(struct stream *s, uint32_t distance, uint32_t length)
{
    if (distance > s->len || length > s->size - s->len) {
        s->failed = true;
        return;
    }
    for (uint32_t i = 0; i < length; i++, s->len++) {
        s->out[s->len] = s->out[s->len - distance];
    }
}

static void compressed(struct stream *s, const struct code *literals, const struct code *distances)
{
    /* Base and extra bits of lengths 257.. and distances (RFC 1951, 3.2.5). */
    static const uint16_t length_base[] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                           15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                           67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[] = {
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    for (;;) {
        uint32_t symbol = decode(s, literals);
        if (s->failed || symbol == 256) {
            return;
        }
        if (symbol < 256) {
            put(s, (uint8_t)symbol);
            continue;
        }
        symbol -= 257;
        if (symbol >= sizeof length_extra) {
            s->failed = true;
            return;
        }
        uint32_t length = length_base[symbol] + take(s, length_extra[symbol]);
        uint32_t d = decode(s, distances);
        if (d >= sizeof distance_base / sizeof distance_base[0]) {
            s->failed = true;
            return;
        }
        copy_back(s, distance_base[d] + take(s, d < 4 ? 0 : d / 2 - 1), length);
    }
}

static void stored(struct stream *s)
{
    s->bits = 0;
    s->n_bits = 0;
    uint32_t length = take(s, 16);
    uint32_t check = take(s, 16);
    if (s->failed || (length ^ check) != 0xffff || length > s->n - s->at ||
        length > s->size - s->len) {
        s->failed = true;
        return;
    }
    memcpy(s->out + s->len, s->in + s->at, length);
    s->at += length;
    s->len += length;
}

static void fixed(struct stream *s)
{
    uint8_t lengths[MAX_LITERALS];
    struct code literals;
    struct code distances;
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    (void)code_init(&literals, lengths, MAX_LITERALS);
    memset(lengths, 5, 30);
    (void)code_init(&distances, lengths, 30);
    compressed(s, &literals, &distances);
}

/* Code lengths of both codes, themselves Huffman coded with runs (RFC 1951, 3.2.7). */
static bool read_lengths(struct stream *s, const struct code *code, uint8_t *lengths, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint32_t symbol = decode(s, code);
        uint8_t value = 0;
        uint32_t repeat = 1;
        if (symbol < 16) {
            value = (uint8_t)symbol;
        } else if (symbol == 16) {
            if (i == 0) {
                return false;
            }
            value = lengths[i - 1];
            repeat = 3 + take(s, 2);
        } else {
            repeat = symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        }
        if (s->failed || repeat > n - i) {
            return false;
        }
        memset(lengths + i, value, repeat);
        i += repeat;
    }
    return true;
}

static void dynamic(struct stream *s)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[MAX_LITERALS + MAX_DISTANCES] = {0};
    struct code code;
    struct code distances;
    size_t n_literals = take(s, 5) + 257;
    size_t n_distances = take(s, 5) + 1;
    size_t n_order = take(s, 4) + 4;
    for (size_t i = 0; i < n_order; i++) {
        lengths[order[i]] = (uint8_t)take(s, 3);
    }
    if (s->failed || n_literals > 286 || n_distances > 30 || !code_init(&code, lengths, 19)) {
        s->failed = true;
        return;
    }
    memset(lengths, 0, sizeof lengths);
    if (!read_lengths(s, &code, lengths, n_literals + n_distances) ||
        !code_init(&code, lengths, n_literals) ||
        !code_init(&distances, lengths + n_literals, n_distances)) {
        s->failed = true;
        return;
    }
    compressed(s, &code, &distances);
}

bool ledge_inflate(const uint8_t *bytes, size_t n, uint8_t *out, size_t out_size)
{
    struct stream s = {.in = bytes, .n = n, .out = out, .size = out_size};
    bool last = false;
    while (!last && !s.failed) {
        last = take(&s, 1) == 1;
        switch (take(&s, 2)) {
        case 0:
            stored(&s);
            break;
        case 1:
            fixed(&s);
            break;
        case 2:
            dynamic(&s);
            break;
        default:
            s.failed = true;
        }
    }
    return !s.failed && s.len == out_size;
}

uint32_t ledge_crc32(const uint8_t *bytes, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) {
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}
