/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c -- TLS 1.3 contexts. One private CA is the only root: the system's bundle is never loaded
 * (it costs 0.8 MB a process, and nobody in it may vouch for a fleet).
 *
 * Before a device knows its CA it has only the CA's digest, from the claim token. With
 * pin_ca_sha256 the certificate with that digest is looked for in the chain that the server sent,
 * and only it is then trusted to judge the chain, inside the handshake: nothing but the ClientHello
 * has left the device until then. */
#include "sys/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "sys/file.h"
#include "sys/tls_private.h"

struct sys_tls {
    struct sys_tls_options options; /* strings are copies */
    SSL_CTX *ctx;
};

enum ledge_status sys_tls_fail(struct ledge_error *err, enum ledge_status status, const char *what,
                               const char *which)
{
    const char *reason = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    return ledge_fail(err, status, "%s %.150s: %s", what, which,
                      reason == NULL ? "refused" : reason);
}

void sys_tls_drop_x509(X509 **x)
{
    X509_free(*x);
}

void sys_tls_drop_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void wipe(struct ledge_buf *buf)
{
    if (buf->data != NULL) {
        OPENSSL_cleanse(buf->data, buf->cap);
    }
    ledge_buf_done(buf);
}

/* Files are read by us, not by OpenSSL's stdio, so that a missing one is told from a bad one. */
static enum ledge_status read_pem(const char *path, struct ledge_buf *buf, BIO **bio,
                                  struct ledge_error *err)
{
    LEDGE_TRY(sys_file_read(path, buf, err));
    *bio = BIO_new_mem_buf(buf->len > 0 ? buf->data : "", (int)buf->len);
    return *bio == NULL ? ledge_fail(err, LEDGE_ERR_NOMEM, "%.180s: out of memory", path)
                        : LEDGE_OK;
}

enum ledge_status sys_tls_load_certificate(const char *path, X509 **certificate,
                                           struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf buf = LEDGE_BUF_INIT(1 << 20);
    BIO *bio = NULL;
    LEDGE_TRY(read_pem(path, &buf, &bio, err));
    X509 *read = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (read == NULL) {
        return sys_tls_fail(err, LEDGE_ERR_FORMAT, "certificate", path);
    }
    *certificate = read;
    return LEDGE_OK;
}

/* A key with a pass phrase is refused instead of asking the terminal. */
static int no_phrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

enum ledge_status sys_tls_load_key(const char *path, EVP_PKEY **key, struct ledge_error *err)
{
    LEDGE_CLEANUP(wipe) struct ledge_buf buf = LEDGE_BUF_INIT(1 << 16);
    BIO *bio = NULL;
    LEDGE_TRY(read_pem(path, &buf, &bio, err));
    EVP_PKEY *read = PEM_read_bio_PrivateKey(bio, NULL, no_phrase, NULL);
    BIO_free(bio);
    if (read == NULL) {
        return sys_tls_fail(err, LEDGE_ERR_FORMAT, "private key", path);
    }
    *key = read;
    return LEDGE_OK;
}

bool sys_tls_digest(const X509 *certificate, char hex[65])
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    unsigned n = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &n) != 1 || n != sizeof digest) {
        return false;
    }
    ledge_hex(digest, sizeof digest, hex);
    return true;
}

enum ledge_status sys_certificate_sha256(const char *path, char hex[65], struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *certificate = NULL;
    LEDGE_TRY(sys_tls_load_certificate(path, &certificate, err));
    return sys_tls_digest(certificate, hex)
               ? LEDGE_OK
               : sys_tls_fail(err, LEDGE_ERR_INTERNAL, "digest of", path);
}

bool sys_tls_serial(const X509 *certificate, char hex[64])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number == NULL ? NULL : BN_bn2hex(number);
    bool good = text != NULL && strlen(text) < 64;
    for (size_t i = 0; good && i <= strlen(text); i++) {
        hex[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
    }
    OPENSSL_free(text);
    BN_free(number);
    return good;
}

enum ledge_status sys_certificate_serial(const char *path, char serial[64], struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *certificate = NULL;
    LEDGE_TRY(sys_tls_load_certificate(path, &certificate, err));
    return sys_tls_serial(certificate, serial)
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_FORMAT, "%.180s: its serial is too long", path);
}

/* -- contexts -- */

static X509 *find_pinned(STACK_OF(X509) * chain, const char *pin)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        char hex[65];
        X509 *x = sk_X509_value(chain, i);
        if (sys_tls_digest(x, hex) && strcmp(hex, pin) == 0 && X509_check_ca(x) == 1) {
            return x;
        }
    }
    return NULL;
}

/* Judge the server's chain with the pinned certificate as the only root (OpenSSL calls this in
 * place of its own verification). Names are not compared: the pin says who it is. */
static int verify_pinned(X509_STORE_CTX *given, void *arg)
{
    const struct sys_tls *tls = arg;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(given);
    X509 *root = find_pinned(chain, tls->options.pin_ca_sha256);
    int good = 0;
    if (root == NULL) {
        X509_STORE_CTX_set_error(given, X509_V_ERR_CERT_UNTRUSTED);
        return 0;
    }
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (store != NULL && ctx != NULL && X509_STORE_add_cert(store, root) == 1 &&
        X509_STORE_CTX_init(ctx, store, X509_STORE_CTX_get0_cert(given), chain) == 1 &&
        X509_STORE_CTX_set_default(ctx, "ssl_server") == 1) {
        good = X509_verify_cert(ctx) == 1;
        X509_STORE_CTX_set_error(given, X509_STORE_CTX_get_error(ctx));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return good;
}

static enum ledge_status use_identity(SSL_CTX *ctx, const struct sys_tls_options *options,
                                      struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *certificate = NULL;
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *ca = NULL;
    LEDGE_CLEANUP(sys_tls_drop_key) EVP_PKEY *key = NULL;
    LEDGE_TRY(sys_tls_load_certificate(options->certificate, &certificate, err));
    LEDGE_TRY(sys_tls_load_key(options->key, &key, err));
    if (SSL_CTX_use_certificate(ctx, certificate) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_FORMAT, "certificate", options->certificate);
    }
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_FORMAT, "private key", options->key);
    }
    if (options->server && options->ca != NULL) {
        LEDGE_TRY(sys_tls_load_certificate(options->ca, &ca, err));
        if (SSL_CTX_add1_chain_cert(ctx, ca) != 1) {
            return sys_tls_fail(err, LEDGE_ERR_FORMAT, "certificate", options->ca);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status use_trust(struct sys_tls *tls, struct ledge_error *err)
{
    const struct sys_tls_options *options = &tls->options;
    int mode = SSL_VERIFY_NONE;
    if (options->ca != NULL) {
        LEDGE_CLEANUP(sys_tls_drop_x509) X509 *ca = NULL;
        LEDGE_TRY(sys_tls_load_certificate(options->ca, &ca, err));
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(tls->ctx), ca) != 1 ||
            (options->server && SSL_CTX_add_client_CA(tls->ctx, ca) != 1)) {
            return sys_tls_fail(err, LEDGE_ERR_FORMAT, "certificate", options->ca);
        }
    }
    if (options->verify != SYS_TLS_VERIFY_NONE) {
        mode = SSL_VERIFY_PEER;
        mode |= options->verify == SYS_TLS_VERIFY_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    }
    if (options->pin_ca_sha256 != NULL) {
        mode = SSL_VERIFY_PEER;
        SSL_CTX_set_cert_verify_callback(tls->ctx, verify_pinned, tls);
    }
    SSL_CTX_set_verify(tls->ctx, mode, NULL);
    return LEDGE_OK;
}

static enum ledge_status configure(struct sys_tls *tls, struct ledge_error *err)
{
    const struct sys_tls_options *options = &tls->options;
    tls->ctx = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    if (tls->ctx == NULL || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_NOMEM, "TLS", "context");
    }
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    if (options->server &&
        SSL_CTX_set_session_id_context(tls->ctx, (const unsigned char *)"ledge", 5) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "TLS", "session context");
    }
    if (options->certificate != NULL) {
        LEDGE_TRY(use_identity(tls->ctx, options, err));
    }
    return use_trust(tls, err);
}

static const char *copy_of(const char *text, bool *good)
{
    char *copy = text == NULL ? NULL : strdup(text);
    *good = *good && (text == NULL || copy != NULL);
    return copy;
}

enum ledge_status sys_tls_create(const struct sys_tls_options *options, struct sys_tls **out,
                                 struct ledge_error *err)
{
    struct sys_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "TLS context: out of memory");
    }
    bool good = true;
    tls->options = *options;
    tls->options.certificate = copy_of(options->certificate, &good);
    tls->options.key = copy_of(options->key, &good);
    tls->options.ca = copy_of(options->ca, &good);
    tls->options.pin_ca_sha256 = copy_of(options->pin_ca_sha256, &good);
    enum ledge_status status =
        good ? configure(tls, err) : ledge_fail(err, LEDGE_ERR_NOMEM, "TLS context: out of memory");
    if (status != LEDGE_OK) {
        sys_tls_free(tls);
        return status;
    }
    *out = tls;
    return LEDGE_OK;
}

void sys_tls_free(struct sys_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_CTX_free(tls->ctx);
    free((void *)(uintptr_t)tls->options.certificate);
    free((void *)(uintptr_t)tls->options.key);
    free((void *)(uintptr_t)tls->options.ca);
    free((void *)(uintptr_t)tls->options.pin_ca_sha256);
    free(tls);
}

enum ledge_status sys_tls_reload(struct sys_tls *tls, struct ledge_error *err)
{
    SSL_CTX *before = tls->ctx;
    enum ledge_status status = configure(tls, err);
    if (status != LEDGE_OK) {
        SSL_CTX_free(tls->ctx);
        tls->ctx = before;
        return status;
    }
    SSL_CTX_free(before); /* connections on it hold it */
    return LEDGE_OK;
}

struct ssl_ctx_st *sys_tls_ctx(struct sys_tls *tls)
{
    return tls->ctx;
}

const struct sys_tls_options *sys_tls_options_of(const struct sys_tls *tls)
{
    return &tls->options;
}

bool sys_tls_peer(const struct ssl_st *ssl, char name[64], char serial[64])
{
    X509 *peer = SSL_get0_peer_certificate(ssl);
    if (peer == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        return false;
    }
    char text[64];
    int n =
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, text, sizeof text);
    /* A name with a NUL inside would read as another name. */
    if (n <= 0 || strlen(text) != (size_t)n || !sys_tls_serial(peer, serial)) {
        return false;
    }
    memcpy(name, text, (size_t)n + 1);
    return true;
}
