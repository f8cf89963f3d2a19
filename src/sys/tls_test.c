/* SPDX-License-Identifier: Apache-2.0 */
/* tls_test.c -- a CA, certificates and real handshakes in memory: who is let in and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "sys/file.h"
#include "sys/tls.h"

static char dir[] = "/tmp/ledge-tls-XXXXXX";

/* Paths live as long as the test program: options keep pointers to them for a moment only. */
static const char *at(const char *name)
{
    static char paths[16][128];
    static size_t next;
    char *path = paths[next++ % 16];
    snprintf(path, 128, "%s/%s", dir, name);
    return path;
}

static void make_identity(const char *ca, const char *name, const char *file, bool server,
                          int32_t valid)
{
    const char *const hosts[] = {"localhost", "127.0.0.1", NULL};
    char key[64], pem[64], ca_pem[64], ca_key[64], serial[64];
    struct ledge_buf csr = LEDGE_BUF_INIT(8192);
    struct ledge_buf certificate = LEDGE_BUF_INIT(8192);
    struct ledge_error err;
    snprintf(key, sizeof key, "%s.key", file);
    snprintf(pem, sizeof pem, "%s.pem", file);
    snprintf(ca_pem, sizeof ca_pem, "%s.pem", ca);
    snprintf(ca_key, sizeof ca_key, "%s.key", ca);
    assert_int_equal(sys_key_create(at(key), NULL), LEDGE_OK);
    assert_int_equal(sys_csr_create(at(key), "ignored", &csr, NULL), LEDGE_OK);
    struct sys_sign_options options = {.ca_certificate = at(ca_pem),
                                       .ca_key = at(ca_key),
                                       .name = name,
                                       .hosts = server ? hosts : NULL,
                                       .server = server,
                                       .client = !server,
                                       .valid_seconds = valid};
    assert_int_equal(sys_csr_sign(csr.data, csr.len, &options, &certificate, serial, &err),
                     LEDGE_OK);
    assert_int_equal(strlen(serial), 32);
    assert_int_equal(sys_file_write(at(pem), certificate.data, certificate.len, 0644, NULL),
                     LEDGE_OK);
    ledge_buf_done(&csr);
    ledge_buf_done(&certificate);
}

static int make_fleet(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(sys_key_create(at("ca.key"), NULL), LEDGE_OK);
    assert_int_equal(sys_ca_create(at("ca.key"), "Test CA", at("ca.pem"), NULL), LEDGE_OK);
    assert_int_equal(sys_key_create(at("other.key"), NULL), LEDGE_OK);
    assert_int_equal(sys_ca_create(at("other.key"), "Other CA", at("other.pem"), NULL), LEDGE_OK);
    make_identity("ca", "ledge-hub", "hub", true, 3600);
    make_identity("ca", "cam-1", "cam", false, 3600);
    make_identity("ca", "cam-2", "old", false, -10);
    make_identity("other", "cam-1", "forged", false, 3600);
    return 0;
}

static int drop_fleet(void **state)
{
    (void)state;
    return sys_tree_remove(dir, NULL) == LEDGE_OK ? 0 : -1;
}

/* Handshake through two memory BIOs; true when both sides finished. */
static bool handshake(struct sys_tls *client_tls, struct sys_tls *server_tls, SSL **client,
                      SSL **server)
{
    BIO *a = NULL;
    BIO *b = NULL;
    *client = SSL_new(sys_tls_ctx(client_tls));
    *server = SSL_new(sys_tls_ctx(server_tls));
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(*client, a, a);
    SSL_set_bio(*server, b, b);
    SSL_set_connect_state(*client);
    SSL_set_accept_state(*server);
    for (int i = 0; i < 20; i++) {
        char byte;
        (void)SSL_do_handshake(*client);
        (void)SSL_do_handshake(*server);
        (void)SSL_read(*client, &byte, 1); /* a late alert, tickets */
    }
    return SSL_is_init_finished(*client) && SSL_is_init_finished(*server) &&
           SSL_get_shutdown(*client) == 0;
}

static struct sys_tls *make_tls(struct sys_tls_options options)
{
    struct sys_tls *tls = NULL;
    struct ledge_error err = {0};
    if (sys_tls_create(&options, &tls, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    return tls;
}

static struct sys_tls *make_server(enum sys_tls_verify verify)
{
    return make_tls((struct sys_tls_options){.server = true,
                                             .certificate = at("hub.pem"),
                                             .key = at("hub.key"),
                                             .ca = at("ca.pem"),
                                             .verify = verify});
}

static bool connects(struct sys_tls_options client_options, enum sys_tls_verify verify,
                     char name[64])
{
    char serial[64];
    struct sys_tls *server = make_server(verify);
    struct sys_tls *client = make_tls(client_options);
    SSL *c;
    SSL *s;
    bool good = handshake(client, server, &c, &s);
    name[0] = '\0';
    if (good) {
        assert_string_equal(SSL_get_version(c), "TLSv1.3");
        (void)sys_tls_peer(s, name, serial);
    }
    SSL_free(c);
    SSL_free(s);
    sys_tls_free(client);
    sys_tls_free(server);
    return good;
}

static struct sys_tls_options client_with(const char *certificate, const char *key)
{
    return (struct sys_tls_options){.certificate = certificate,
                                    .key = key,
                                    .ca = at("ca.pem"),
                                    .verify = SYS_TLS_VERIFY_REQUIRED};
}

static void only_certificates_of_the_ca_are_let_in(void **state)
{
    char name[64];
    (void)state;
    assert_true(connects(client_with(at("cam.pem"), at("cam.key")), SYS_TLS_VERIFY_REQUIRED, name));
    assert_string_equal(name, "cam-1");
    assert_false(
        connects(client_with(at("forged.pem"), at("forged.key")), SYS_TLS_VERIFY_REQUIRED, name));
    assert_false(
        connects(client_with(at("old.pem"), at("old.key")), SYS_TLS_VERIFY_REQUIRED, name));
    assert_false(connects(client_with(NULL, NULL), SYS_TLS_VERIFY_REQUIRED, name));
    assert_true(connects(client_with(NULL, NULL), SYS_TLS_VERIFY_OPTIONAL, name));
    assert_string_equal(name, "");
    assert_false(
        connects(client_with(at("forged.pem"), at("forged.key")), SYS_TLS_VERIFY_OPTIONAL, name));
}

static void a_client_refuses_another_ca(void **state)
{
    char name[64];
    struct sys_tls_options options = client_with(NULL, NULL);
    (void)state;
    options.ca = at("other.pem");
    assert_false(connects(options, SYS_TLS_VERIFY_OPTIONAL, name));
}

static void a_pin_needs_no_trust_before(void **state)
{
    char name[64];
    char pin[65];
    struct sys_tls_options options = {.verify = SYS_TLS_VERIFY_NONE, .pin_ca_sha256 = pin};
    (void)state;
    assert_int_equal(sys_certificate_sha256(at("ca.pem"), pin, NULL), LEDGE_OK);
    assert_true(connects(options, SYS_TLS_VERIFY_OPTIONAL, name));
    pin[0] = pin[0] == '0' ? '1' : '0';
    assert_false(connects(options, SYS_TLS_VERIFY_OPTIONAL, name));
    /* A certificate in the chain that is no CA cannot be pinned. */
    assert_int_equal(sys_certificate_sha256(at("hub.pem"), pin, NULL), LEDGE_OK);
    assert_false(connects(options, SYS_TLS_VERIFY_OPTIONAL, name));
}

static void a_device_cannot_play_the_hub(void **state)
{
    struct sys_tls *server = make_tls((struct sys_tls_options){.server = true,
                                                               .certificate = at("cam.pem"),
                                                               .key = at("cam.key"),
                                                               .ca = at("ca.pem"),
                                                               .verify = SYS_TLS_VERIFY_OPTIONAL});
    char pin[65];
    SSL *c;
    SSL *s;
    (void)state;
    assert_int_equal(sys_certificate_sha256(at("ca.pem"), pin, NULL), LEDGE_OK);
    struct sys_tls *pinned = make_tls((struct sys_tls_options){.pin_ca_sha256 = pin});
    assert_false(handshake(pinned, server, &c, &s));
    SSL_free(c);
    SSL_free(s);
    struct sys_tls *client = make_tls(client_with(NULL, NULL));
    assert_false(handshake(client, server, &c, &s));
    SSL_free(c);
    SSL_free(s);
    sys_tls_free(pinned);
    sys_tls_free(client);
    sys_tls_free(server);
}

static void files_are_named_in_errors(void **state)
{
    struct sys_tls *tls = NULL;
    struct ledge_error err;
    struct stat st;
    int64_t expiry;
    (void)state;
    struct sys_tls_options options = client_with(at("absent.pem"), at("cam.key"));
    assert_int_equal(sys_tls_create(&options, &tls, &err), LEDGE_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "absent.pem"));
    options = client_with(at("cam.key"), at("cam.key"));
    assert_int_equal(sys_tls_create(&options, &tls, &err), LEDGE_ERR_FORMAT);
    options = client_with(at("cam.pem"), at("hub.key"));
    assert_int_equal(sys_tls_create(&options, &tls, &err), LEDGE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "hub.key"));
    assert_int_equal(stat(at("cam.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(sys_certificate_expiry(at("cam.pem"), &expiry, &err), LEDGE_OK);
    assert_in_range(expiry, sys_now_ms() / 1000 + 3000, sys_now_ms() / 1000 + 3700);
}

static void requests_are_checked(void **state)
{
    struct ledge_buf csr = LEDGE_BUF_INIT(8192);
    struct ledge_buf out = LEDGE_BUF_INIT(8192);
    struct ledge_error err;
    char serial[64];
    struct sys_sign_options options = {.ca_certificate = at("ca.pem"),
                                       .ca_key = at("ca.key"),
                                       .name = "cam-9",
                                       .client = true,
                                       .valid_seconds = 60};
    (void)state;
    assert_int_equal(sys_csr_sign("hello", 5, &options, &out, serial, &err), LEDGE_ERR_FORMAT);
    assert_int_equal(sys_csr_create(at("cam.key"), "x", &csr, NULL), LEDGE_OK);
    char *line = strchr(csr.data, '\n') + 1;
    bool refused = true;
    for (size_t i = 0; i < 200; i++) { /* every altered character is noticed */
        char kept = line[i];
        if (kept == '\n') {
            continue;
        }
        line[i] = kept == 'A' ? 'B' : 'A';
        refused =
            refused && sys_csr_sign(csr.data, csr.len, &options, &out, serial, &err) != LEDGE_OK;
        line[i] = kept;
    }
    assert_true(refused);
    assert_int_equal(out.len, 0);
    ledge_buf_done(&csr);
    ledge_buf_done(&out);
}

/* As a broker does: each list is read beside those before it. */
static void read_list(struct sys_tls *server)
{
    X509_STORE *store = SSL_CTX_get_cert_store(sys_tls_ctx(server));
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    assert_int_equal(X509_load_crl_file(lookup, at("ca.crl"), X509_FILETYPE_PEM), 1);
    assert_int_equal(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK), 1);
}

static bool let_in(struct sys_tls *server, const char *certificate, const char *key)
{
    struct sys_tls *client = make_tls(client_with(certificate, key));
    SSL *c;
    SSL *s;
    bool good = handshake(client, server, &c, &s);
    SSL_free(c);
    SSL_free(s);
    sys_tls_free(client);
    return good;
}

static void a_revocation_list_is_heeded(void **state)
{
    struct sys_tls *server = make_server(SYS_TLS_VERIFY_REQUIRED);
    char serial[64];
    const char *const serials[] = {"00ff", serial};
    const int64_t revoked[] = {1000, sys_now_ms()};
    struct ledge_error err;
    (void)state;
    make_identity("ca", "cam-3", "cam3", false, 3600);
    assert_int_equal(sys_certificate_serial(at("cam3.pem"), serial, &err), LEDGE_OK);
    assert_int_equal(strlen(serial), 32);
    for (int32_t number = 1; number <= 3; number++) { /* all within one second */
        assert_int_equal(sys_crl_create(at("ca.pem"), at("ca.key"), serials, revoked,
                                        number == 2 ? 2 : 1, number, at("ca.crl"), &err),
                         LEDGE_OK);
        read_list(server);
        assert_int_equal(let_in(server, at("cam3.pem"), at("cam3.key")), number != 2);
        assert_true(let_in(server, at("cam.pem"), at("cam.key")));
    }
    const char *const wrong[] = {"nonsense"};
    assert_int_equal(
        sys_crl_create(at("ca.pem"), at("ca.key"), wrong, revoked, 1, 4, at("ca.crl"), &err),
        LEDGE_ERR_FORMAT);
    sys_tls_free(server);
}

static void files_that_changed_are_read_again(void **state)
{
    char certificate[128], key[128], name[64], serial[64], before[64], kept[128];
    struct ledge_error err;
    SSL *c;
    SSL *s;
    (void)state;
    make_identity("ca", "cam-4", "cam4", false, 3600);
    (void)snprintf(certificate, sizeof certificate, "%s", at("cam4.pem"));
    (void)snprintf(key, sizeof key, "%s", at("cam4.key"));
    (void)snprintf(kept, sizeof kept, "%s", at("kept.key"));
    struct sys_tls *server = make_server(SYS_TLS_VERIFY_REQUIRED);
    struct sys_tls *client = make_tls(client_with(certificate, key));
    assert_true(handshake(client, server, &c, &s)); /* it stands while the files change */
    assert_true(sys_tls_peer(s, name, before));
    make_identity("ca", "cam-4", "cam4", false, 3600);
    assert_int_equal(sys_tls_reload(client, &err), LEDGE_OK);
    assert_int_equal(SSL_write(c, "x", 1), 1);
    SSL_free(c);
    SSL_free(s);
    assert_true(handshake(client, server, &c, &s));
    assert_true(sys_tls_peer(s, name, serial));
    assert_string_not_equal(serial, before);
    SSL_free(c);
    SSL_free(s);
    assert_int_equal(rename(key, kept), 0); /* a reload that fails changes nothing */
    assert_int_equal(sys_tls_reload(client, &err), LEDGE_ERR_NOT_FOUND);
    assert_true(handshake(client, server, &c, &s));
    SSL_free(c);
    SSL_free(s);
    sys_tls_free(client);
    sys_tls_free(server);
}

static void ed25519_vector_and_tampering(void **state)
{
    /* RFC 8032, section 7.1, test 2. */
    uint8_t secret[32], public_key[32], sig[64], want[64];
    (void)state;
    assert_true(ledge_unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                            secret, 32));
    assert_true(ledge_unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                            public_key, 32));
    assert_true(ledge_unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
                            want, 64));
    assert_int_equal(sys_ed25519_sign(secret, "\x72", 1, sig, NULL), LEDGE_OK);
    assert_memory_equal(sig, want, 64);
    assert_true(sys_ed25519_verify(public_key, "\x72", 1, sig));
    assert_false(sys_ed25519_verify(public_key, "\x73", 1, sig));
    sig[5] ^= 1;
    assert_false(sys_ed25519_verify(public_key, "\x72", 1, sig));
    assert_int_equal(sys_ed25519_create(secret, public_key, NULL), LEDGE_OK);
    assert_int_equal(sys_ed25519_sign(secret, "abc", 3, sig, NULL), LEDGE_OK);
    assert_true(sys_ed25519_verify(public_key, "abc", 3, sig));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_certificates_of_the_ca_are_let_in),
        cmocka_unit_test(a_client_refuses_another_ca),
        cmocka_unit_test(a_pin_needs_no_trust_before),
        cmocka_unit_test(a_device_cannot_play_the_hub),
        cmocka_unit_test(files_are_named_in_errors),
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(a_revocation_list_is_heeded),
        cmocka_unit_test(files_that_changed_are_read_again),
        cmocka_unit_test(ed25519_vector_and_tampering),
    };
    return cmocka_run_group_tests(tests, make_fleet, drop_fleet);
}
