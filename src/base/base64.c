/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool ledge_base64_encode(const void *bytes, size_t n, struct ledge_buf *text)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t word = (uint32_t)p[i] << 16;
        word |= have > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        word |= have > 2 ? (uint32_t)p[i + 2] : 0;
        char four[4] = {alphabet[word >> 18], alphabet[word >> 12 & 63],
                        have > 1 ? alphabet[word >> 6 & 63] : '=',
                        have > 2 ? alphabet[word & 63] : '='};
        if (!ledge_buf_add(text, four, sizeof four)) {
            return false;
        }
    }
    return true;
}

/* 0..63, or 64 for a character outside the alphabet. */
static uint32_t value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (uint32_t)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (uint32_t)(c - '0') + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool ledge_base64_decode(const char *text, size_t n, struct ledge_buf *bytes)
{
    size_t before = bytes->len;
    if (n % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < n; i += 4) {
        bool last = i + 4 == n;
        size_t pad = !last || text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        uint32_t word = 0;
        bool good = true;
        for (size_t k = 0; k < 4; k++) {
            uint32_t value = k < 4 - pad ? value_of(text[i + k]) : 0;
            good = good && value < 64;
            word = word << 6 | (value & 63);
        }
        uint8_t three[3] = {(uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
        good = good && (pad < 1 || three[2] == 0) && (pad < 2 || three[1] == 0);
        if (!good || !ledge_buf_add(bytes, three, 3 - pad)) {
            bytes->len = before;
            return false;
        }
    }
    return true;
}
