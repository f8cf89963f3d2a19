/* SPDX-License-Identifier: Apache-2.0 */
/* tls_cert.c -- P-256 keys, requests, certificates (RFC 5280 profile).
 *
 * A certificate says what it is for: a device's has extended key usage clientAuth only, so that no
 * device can stand in for the hub. notBefore lies an hour back, because a device's clock may. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/status.h"
#include "sys/file.h"
#include "sys/tls_private.h"

enum { CA_DAYS = 3650, SERIAL_BYTES = 16, BACKDATE_S = 3600 };

static void drop_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void drop_request(X509_REQ **request)
{
    X509_REQ_free(*request);
}

static void drop_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static const void *bio_bytes(BIO *bio, size_t *n)
{
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    *n = size > 0 ? (size_t)size : 0;
    return bytes;
}

enum ledge_status sys_key_create(const char *path, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_key) EVP_PKEY *key = EVP_EC_gen("P-256");
    LEDGE_CLEANUP(drop_bio) BIO *bio = BIO_new(BIO_s_secmem());
    if (key == NULL || bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "new key", path);
    }
    size_t n;
    const void *bytes = bio_bytes(bio, &n);
    return sys_file_write(path, bytes, n, 0600, err);
}

static bool set_name(X509_NAME *subject, const char *name)
{
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0) == 1;
}

/* Random serial: positive, 128 bits (RFC 5280, 4.1.2.2 asks for at most 20 bytes). hex may be NULL.
 */
static bool set_serial(X509 *certificate, char hex[64])
{
    uint8_t bytes[SERIAL_BYTES];
    if (sys_random(bytes, sizeof bytes, NULL) != LEDGE_OK) {
        return false;
    }
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* never a leading zero: one hex spelling */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool good =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    if (good && hex != NULL) {
        ledge_hex(bytes, sizeof bytes, hex);
    }
    return good;
}

static bool set_times(X509 *certificate, int64_t from, int64_t until)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)until) != NULL;
}

/* value is one of our own constants: never text from outside. */
static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

enum ledge_status sys_ca_create(const char *key_path, const char *name,
                                const char *certificate_path, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_key) EVP_PKEY *key = NULL;
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *ca = X509_new();
    LEDGE_CLEANUP(drop_bio) BIO *bio = BIO_new(BIO_s_mem());
    LEDGE_TRY(sys_tls_load_key(key_path, &key, err));
    int64_t now = sys_now_ms() / 1000;
    bool good = ca != NULL && bio != NULL && X509_set_version(ca, X509_VERSION_3) == 1 &&
                set_serial(ca, NULL) && set_name(X509_get_subject_name(ca), name) &&
                X509_set_issuer_name(ca, X509_get_subject_name(ca)) == 1 &&
                set_times(ca, now - 24 * BACKDATE_S, now + (int64_t)CA_DAYS * 86400) &&
                X509_set_pubkey(ca, key) == 1 &&
                add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                add_extension(ca, ca, NID_subject_key_identifier, "hash") &&
                X509_sign(ca, key, EVP_sha256()) > 0 && PEM_write_bio_X509(bio, ca) == 1;
    if (!good) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "new CA certificate", certificate_path);
    }
    size_t n;
    const void *bytes = bio_bytes(bio, &n);
    return sys_file_write(certificate_path, bytes, n, 0644, err);
}

enum ledge_status sys_csr_create(const char *key_path, const char *name, struct ledge_buf *csr,
                                 struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_key) EVP_PKEY *key = NULL;
    LEDGE_CLEANUP(drop_request) X509_REQ *request = X509_REQ_new();
    LEDGE_CLEANUP(drop_bio) BIO *bio = BIO_new(BIO_s_mem());
    LEDGE_TRY(sys_tls_load_key(key_path, &key, err));
    if (request == NULL || bio == NULL || !set_name(X509_REQ_get_subject_name(request), name) ||
        X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_sign(request, key, EVP_sha256()) <= 0 ||
        PEM_write_bio_X509_REQ(bio, request) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "certificate request for", name);
    }
    size_t n;
    const void *bytes = bio_bytes(bio, &n);
    return ledge_buf_add(csr, bytes, n)
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_FULL, "certificate request for %.64s", name);
}

/* DNS names and addresses as subjectAltName, built as objects: a host is never parsed as
 * configuration text. */
static bool add_hosts(X509 *certificate, const char *const *hosts)
{
    LEDGE_CLEANUP(drop_names) GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (size_t i = 0; names != NULL && hosts[i] != NULL; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_OCTET_STRING *address = a2i_IPADDRESS(hosts[i]);
        ASN1_IA5STRING *dns = address == NULL ? ASN1_IA5STRING_new() : NULL;
        if (name == NULL ||
            (address == NULL && (dns == NULL || ASN1_STRING_set(dns, hosts[i], -1) != 1))) {
            ASN1_IA5STRING_free(dns);
            ASN1_OCTET_STRING_free(address);
            GENERAL_NAME_free(name);
            return false;
        }
        GENERAL_NAME_set0_value(name, address != NULL ? GEN_IPADD : GEN_DNS,
                                address != NULL ? (void *)address : (void *)dns);
        if (sk_GENERAL_NAME_push(names, name) <= 0) {
            GENERAL_NAME_free(name);
            return false;
        }
    }
    ERR_clear_error(); /* a2i_IPADDRESS complains about every DNS name */
    return names != NULL && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
}

/* The public key of the request, when its holder signed it and it is strong enough. BORROWED. */
static enum ledge_status check_request(X509_REQ *request, const struct sys_sign_options *options,
                                       EVP_PKEY **key, struct ledge_error *err)
{
    EVP_PKEY *found = X509_REQ_get0_pubkey(request);
    if (found == NULL || X509_REQ_verify(request, found) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_AUTH, "signature of the request for", options->name);
    }
    if (EVP_PKEY_get_security_bits(found) < 128) {
        return ledge_fail(err, LEDGE_ERR_AUTH, "the request for %.64s has a weak key (%d bits)",
                          options->name, EVP_PKEY_get_security_bits(found));
    }
    *key = found;
    return LEDGE_OK;
}

static const char *usage_of(const struct sys_sign_options *options)
{
    return options->server && options->client ? "serverAuth,clientAuth"
           : options->server                  ? "serverAuth"
                                              : "clientAuth";
}

enum ledge_status sys_csr_sign(const char *csr, size_t n, const struct sys_sign_options *options,
                               struct ledge_buf *out, char serial[64], struct ledge_error *err)
{
    LEDGE_CLEANUP(drop_bio) BIO *in = BIO_new_mem_buf(csr, n > 65536 ? 0 : (int)n);
    LEDGE_CLEANUP(drop_bio) BIO *bio = BIO_new(BIO_s_mem());
    LEDGE_CLEANUP(drop_request) X509_REQ *request = NULL;
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *certificate = X509_new();
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *ca = NULL;
    LEDGE_CLEANUP(sys_tls_drop_key) EVP_PKEY *ca_key = NULL;
    EVP_PKEY *key = NULL;
    char hex[64];
    request = in == NULL ? NULL : PEM_read_bio_X509_REQ(in, NULL, NULL, NULL);
    if (request == NULL) {
        return sys_tls_fail(err, LEDGE_ERR_FORMAT, "certificate request for", options->name);
    }
    LEDGE_TRY(check_request(request, options, &key, err));
    LEDGE_TRY(sys_tls_load_certificate(options->ca_certificate, &ca, err));
    LEDGE_TRY(sys_tls_load_key(options->ca_key, &ca_key, err));
    int64_t until = sys_now_ms() / 1000 + options->valid_seconds;
    int64_t from = until - (options->valid_seconds > 0 ? options->valid_seconds : 0) - BACKDATE_S;
    from = options->valid_from > 0 ? options->valid_from : from;
    bool good = certificate != NULL && bio != NULL &&
                X509_set_version(certificate, X509_VERSION_3) == 1 &&
                set_serial(certificate, hex) &&
                set_name(X509_get_subject_name(certificate), options->name) &&
                X509_set_issuer_name(certificate, X509_get_subject_name(ca)) == 1 &&
                set_times(certificate, from, until) && X509_set_pubkey(certificate, key) == 1 &&
                add_extension(certificate, ca, NID_basic_constraints, "critical,CA:FALSE") &&
                add_extension(certificate, ca, NID_key_usage, "critical,digitalSignature") &&
                add_extension(certificate, ca, NID_ext_key_usage, usage_of(options)) &&
                add_extension(certificate, ca, NID_subject_key_identifier, "hash") &&
                add_extension(certificate, ca, NID_authority_key_identifier, "keyid:always") &&
                (options->hosts == NULL || add_hosts(certificate, options->hosts)) &&
                X509_sign(certificate, ca_key, EVP_sha256()) > 0 &&
                PEM_write_bio_X509(bio, certificate) == 1;
    size_t size = 0;
    const void *bytes = good ? bio_bytes(bio, &size) : NULL;
    if (!good || !ledge_buf_add(out, bytes, size)) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "certificate for", options->name);
    }
    memcpy(serial, hex, sizeof hex);
    return LEDGE_OK;
}

enum ledge_status sys_certificate_expiry(const char *path, int64_t *seconds,
                                         struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *certificate = NULL;
    LEDGE_TRY(sys_tls_load_certificate(path, &certificate, err));
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int rest = 0;
    int good =
        epoch != NULL && ASN1_TIME_diff(&days, &rest, epoch, X509_get0_notAfter(certificate)) == 1;
    ASN1_TIME_free(epoch);
    if (!good) {
        return sys_tls_fail(err, LEDGE_ERR_FORMAT, "notAfter of", path);
    }
    *seconds = (int64_t)days * 86400 + rest;
    return LEDGE_OK;
}
