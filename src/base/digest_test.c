/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/digest.h"

/* Vectors: FIPS 180-4 examples ("abc", the 448-bit message) and a million 'a'. */
static void sha256_known_answers(void **state)
{
    (void)state;
    uint8_t digest[LEDGE_SHA256_BYTES];
    char text[LEDGE_SHA256_HEX];
    ledge_sha256("abc", 3, digest);
    ledge_hex(digest, sizeof digest, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *long_message = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    ledge_sha256(long_message, strlen(long_message), digest);
    ledge_hex(digest, sizeof digest, text);
    assert_string_equal(text, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    struct ledge_sha256 sha;
    ledge_sha256_init(&sha);
    for (int i = 0; i < 10000; i++) {
        char chunk[100];
        memset(chunk, 'a', sizeof chunk);
        ledge_sha256_add(&sha, chunk, sizeof chunk);
    }
    ledge_sha256_end(&sha, digest);
    ledge_hex(digest, sizeof digest, text);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Long inputs go by words: the same as byte by byte, wherever they begin and end. */
static void crc32c_of_long_inputs(void **state)
{
    (void)state;
    uint8_t bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * i >> 3);
    }
    for (size_t first = 0; first < 9; first++) {
        for (size_t end = 980; end <= sizeof bytes; end++) {
            uint32_t crc = 7;
            for (size_t i = first; i < end; i++) {
                crc = ledge_crc32c(crc, bytes + i, 1);
            }
            assert_int_equal(ledge_crc32c(7, bytes + first, end - first), crc);
        }
    }
}

/* RFC 3720 appendix B.4. */
static void crc32c_known_answers(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(ledge_crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(ledge_crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    assert_int_equal(ledge_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(ledge_crc32c(ledge_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void hex_round_trip_and_refusals(void **state)
{
    (void)state;
    uint8_t bytes[2];
    assert_true(ledge_unhex("0aFf", bytes, 2));
    assert_int_equal(bytes[0], 0x0a);
    assert_int_equal(bytes[1], 0xff);
    assert_false(ledge_unhex("0aF", bytes, 2));
    assert_false(ledge_unhex("0aFg", bytes, 2));
    assert_false(ledge_unhex("0aFf0", bytes, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_known_answers),
        cmocka_unit_test(crc32c_known_answers),
        cmocka_unit_test(crc32c_of_long_inputs),
        cmocka_unit_test(hex_round_trip_and_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
