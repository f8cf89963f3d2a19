/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h -- TLS contexts, keys, certificates, signatures (OpenSSL 3). PEM in and out, as files or
 * text. */
#ifndef LEDGE_SYS_TLS_H
#define LEDGE_SYS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

struct sys_tls;
struct ssl_ctx_st;
struct ssl_st;

enum sys_tls_verify {
    SYS_TLS_VERIFY_NONE,     /* client: accept anything (enrolment only, see pin) */
    SYS_TLS_VERIFY_OPTIONAL, /* server: a client certificate, when given, must be good */
    SYS_TLS_VERIFY_REQUIRED, /* both: the peer must have a certificate of the CA; client: host name
                                must match */
};

struct sys_tls_options {
    bool server;
    const char
        *certificate; /* file, or NULL; a server sends ca behind it, so that a pin can be checked */
    const char *key;  /* file */
    const char *ca;   /* file; the only trusted root */
    enum sys_tls_verify verify;
    const char *pin_ca_sha256; /* client: 64 hex digits; the chain must end in a CA certificate with
                                  this digest */
};

/* TLS 1.3 only, tickets on. OWNED: sys_tls_free(). Errors: ERR_IO, ERR_FORMAT (names the file). */
LEDGE_NODISCARD enum ledge_status sys_tls_create(const struct sys_tls_options *options,
                                                 struct sys_tls **tls, struct ledge_error *err);
void sys_tls_free(struct sys_tls *tls);

/* Read the files again: connections made from now on use them, those that stand go on as they are.
 * On failure everything stays as it was. Errors: of sys_tls_create(). */
LEDGE_NODISCARD enum ledge_status sys_tls_reload(struct sys_tls *tls, struct ledge_error *err);
struct ssl_ctx_st *sys_tls_ctx(struct sys_tls *tls);
const struct sys_tls_options *sys_tls_options_of(const struct sys_tls *tls);

/* CN and serial (hex) of the peer's certificate; false when there is none. */
bool sys_tls_peer(const struct ssl_st *ssl, char name[64], char serial[64]);

/* New P-256 key to file (mode 0600). */
LEDGE_NODISCARD enum ledge_status sys_key_create(const char *path, struct ledge_error *err);

/* Self-signed CA certificate (10 years) for the key in key_path. */
LEDGE_NODISCARD enum ledge_status sys_ca_create(const char *key_path, const char *name,
                                                const char *certificate_path,
                                                struct ledge_error *err);

/* PEM certificate request with CN name. */
LEDGE_NODISCARD enum ledge_status sys_csr_create(const char *key_path, const char *name,
                                                 struct ledge_buf *csr, struct ledge_error *err);

struct sys_sign_options {
    const char *ca_certificate, *ca_key; /* files */
    const char *name;                    /* CN; the request's own is ignored */
    const char *const
        *hosts; /* DNS names and addresses for the subjectAltName, NULL-terminated, or NULL */
    bool server, client;   /* extended key usage */
    int32_t valid_seconds; /* may be negative in tests */
    int64_t valid_from;    /* seconds since 1970; 0: an hour ago */
};

/* Certificate for a PEM request, its signature checked. serial: FILLED, hex. Errors: ERR_FORMAT,
 * ERR_AUTH. */
LEDGE_NODISCARD enum ledge_status sys_csr_sign(const char *csr, size_t n,
                                               const struct sys_sign_options *options,
                                               struct ledge_buf *certificate, char serial[64],
                                               struct ledge_error *err);

/* SHA-256 of the DER form of the first certificate in file: 64 hex digits. */
LEDGE_NODISCARD enum ledge_status sys_certificate_sha256(const char *path, char hex[65],
                                                         struct ledge_error *err);
/* Its serial number in hexadecimal, as sys_csr_sign() gave it. Errors: ERR_IO, ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status sys_certificate_serial(const char *path, char serial[64],
                                                         struct ledge_error *err);

/* Write the CA's list of revoked certificates (PEM). serials: n of them, as sys_csr_sign() gave
 * them; revoked: when, ms since 1970. number: 1, 2, 3 ... for a reader that keeps older lists and
 * takes the latest. The list's own time is the CA's beginning and so many seconds, never the clock,
 * and it does not expire: neither a clock that was set back nor a year without power makes it
 * invalid, which would lock everybody out. Errors: ERR_FORMAT (a serial), ERR_IO. */
LEDGE_NODISCARD enum ledge_status sys_crl_create(const char *ca_certificate, const char *ca_key,
                                                 const char *const *serials, const int64_t *revoked,
                                                 size_t n, int32_t number, const char *path,
                                                 struct ledge_error *err);

/* notAfter in seconds since 1970. */
LEDGE_NODISCARD enum ledge_status sys_certificate_expiry(const char *path, int64_t *seconds,
                                                         struct ledge_error *err);

enum { SYS_ED25519_PUBLIC = 32, SYS_ED25519_SECRET = 32, SYS_ED25519_SIG = 64 };
LEDGE_NODISCARD enum ledge_status sys_ed25519_create(uint8_t secret[SYS_ED25519_SECRET],
                                                     uint8_t public_key[SYS_ED25519_PUBLIC],
                                                     struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status sys_ed25519_sign(const uint8_t secret[SYS_ED25519_SECRET],
                                                   const void *bytes, size_t n,
                                                   uint8_t sig[SYS_ED25519_SIG],
                                                   struct ledge_error *err);
bool sys_ed25519_verify(const uint8_t public_key[SYS_ED25519_PUBLIC], const void *bytes, size_t n,
                        const uint8_t sig[SYS_ED25519_SIG]);

/* n bytes of the system's CSPRNG. */
LEDGE_NODISCARD enum ledge_status sys_random(void *bytes, size_t n, struct ledge_error *err);

/* Equal in constant time. */
bool sys_equal(const void *a, const void *b, size_t n);

/* Standard base64 with padding. decode: ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status sys_base64_encode(const void *bytes, size_t n,
                                                    struct ledge_buf *text);
LEDGE_NODISCARD enum ledge_status
sys_base64_decode(const char *text, size_t n, struct ledge_buf *bytes, struct ledge_error *err);

#endif
