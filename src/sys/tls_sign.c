/* SPDX-License-Identifier: Apache-2.0 */
/* tls_sign.c -- Ed25519 (RFC 8032) by OpenSSL, randomness by getrandom(2), base64 on buffers. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "sys/tls_private.h"

static void drop_md(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

enum ledge_status sys_random(void *bytes, size_t n, struct ledge_error *err)
{
    uint8_t *at = bytes;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno != EINTR) {
            return ledge_fail(err, LEDGE_ERR_IO, "random bytes: %s", strerror(errno));
        }
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
    return LEDGE_OK;
}

bool sys_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

enum ledge_status sys_ed25519_create(uint8_t secret[SYS_ED25519_SECRET],
                                     uint8_t public_key[SYS_ED25519_PUBLIC],
                                     struct ledge_error *err)
{
    uint8_t seed[SYS_ED25519_SECRET];
    LEDGE_TRY(sys_random(seed, sizeof seed, err));
    LEDGE_CLEANUP(sys_tls_drop_key)
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    size_t n = SYS_ED25519_PUBLIC;
    if (key == NULL || EVP_PKEY_get_raw_public_key(key, public_key, &n) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "new key", "Ed25519");
    }
    memcpy(secret, seed, sizeof seed);
    OPENSSL_cleanse(seed, sizeof seed);
    return LEDGE_OK;
}

enum ledge_status sys_ed25519_sign(const uint8_t secret[SYS_ED25519_SECRET], const void *bytes,
                                   size_t n, uint8_t sig[SYS_ED25519_SIG], struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_key)
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, SYS_ED25519_SECRET);
    LEDGE_CLEANUP(drop_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t size = SYS_ED25519_SIG;
    if (key == NULL || ctx == NULL || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, sig, &size, bytes, n) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "signature", "Ed25519");
    }
    return LEDGE_OK;
}

bool sys_ed25519_verify(const uint8_t public_key[SYS_ED25519_PUBLIC], const void *bytes, size_t n,
                        const uint8_t sig[SYS_ED25519_SIG])
{
    LEDGE_CLEANUP(sys_tls_drop_key)
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SYS_ED25519_PUBLIC);
    LEDGE_CLEANUP(drop_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = key != NULL && ctx != NULL &&
                EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, sig, SYS_ED25519_SIG, bytes, n) == 1;
    if (!good) {
        struct ledge_error dropped;
        (void)sys_tls_fail(&dropped, LEDGE_ERR_AUTH, "signature", "Ed25519");
    }
    return good;
}

enum ledge_status sys_base64_encode(const void *bytes, size_t n, struct ledge_buf *text)
{
    return ledge_base64_encode(bytes, n, text) ? LEDGE_OK : LEDGE_ERR_FULL;
}

enum ledge_status sys_base64_decode(const char *text, size_t n, struct ledge_buf *bytes,
                                    struct ledge_error *err)
{
    return ledge_base64_decode(text, n, bytes)
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_FORMAT, "base64 text of %zu characters is malformed", n);
}
