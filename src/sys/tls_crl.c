/* SPDX-License-Identifier: Apache-2.0 */
/* tls_crl.c -- a CA's list of revoked certificates (RFC 5280, section 5), for a broker that knows
 * no database. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/file.h"
#include "sys/tls_private.h"

/* RFC 5280, 4.1.2.5: the time that stands for "no end". */
#define NEVER "99991231235959Z"

static void drop_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void drop_crl(X509_CRL **crl)
{
    X509_CRL_free(*crl);
}

static bool set_times(X509_CRL *crl, const X509 *ca, int32_t number)
{
    int days = 0, rest = 0;
    ASN1_TIME *last = ASN1_TIME_set(NULL, 0);
    ASN1_TIME *next = ASN1_TIME_new();
    bool good = last != NULL && next != NULL &&
                ASN1_TIME_diff(&days, &rest, last, X509_get0_notBefore(ca)) == 1 &&
                ASN1_TIME_adj(last, 0, days, rest + (long)number) != NULL &&
                ASN1_TIME_set_string(next, NEVER) == 1 &&
                X509_CRL_set1_lastUpdate(crl, last) == 1 &&
                X509_CRL_set1_nextUpdate(crl, next) == 1;
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    return good;
}

static bool set_number(X509_CRL *crl, int32_t number)
{
    ASN1_INTEGER *value = ASN1_INTEGER_new();
    bool good = value != NULL && ASN1_INTEGER_set_int64(value, number) == 1 &&
                X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0) == 1;
    ASN1_INTEGER_free(value);
    return good;
}

static bool add(X509_CRL *crl, const char *serial, int64_t when_ms)
{
    BIGNUM *number = NULL;
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)(when_ms / 1000));
    ASN1_INTEGER *value = NULL;
    X509_REVOKED *revoked = X509_REVOKED_new();
    bool good = BN_hex2bn(&number, serial) == (int)strlen(serial) && when != NULL &&
                (value = BN_to_ASN1_INTEGER(number, NULL)) != NULL && revoked != NULL &&
                X509_REVOKED_set_serialNumber(revoked, value) == 1 &&
                X509_REVOKED_set_revocationDate(revoked, when) == 1 &&
                X509_CRL_add0_revoked(crl, revoked) == 1;
    if (!good) {
        X509_REVOKED_free(revoked);
    }
    ASN1_INTEGER_free(value);
    ASN1_TIME_free(when);
    BN_free(number);
    return good;
}

enum ledge_status sys_crl_create(const char *ca_certificate, const char *ca_key,
                                 const char *const *serials, const int64_t *revoked, size_t n,
                                 int32_t number, const char *path, struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_tls_drop_x509) X509 *ca = NULL;
    LEDGE_CLEANUP(sys_tls_drop_key) EVP_PKEY *key = NULL;
    LEDGE_CLEANUP(drop_crl) X509_CRL *crl = X509_CRL_new();
    LEDGE_CLEANUP(drop_bio) BIO *bio = BIO_new(BIO_s_mem());
    LEDGE_TRY(sys_tls_load_certificate(ca_certificate, &ca, err));
    LEDGE_TRY(sys_tls_load_key(ca_key, &key, err));
    if (crl == NULL || bio == NULL || X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)) != 1 ||
        !set_times(crl, ca, number) || !set_number(crl, number)) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "revocation list", path);
    }
    for (size_t i = 0; i < n; i++) {
        if (!add(crl, serials[i], revoked[i])) {
            return sys_tls_fail(err, LEDGE_ERR_FORMAT, "serial to be revoked", serials[i]);
        }
    }
    if (X509_CRL_sort(crl) != 1 || X509_CRL_sign(crl, key, EVP_sha256()) <= 0 ||
        PEM_write_bio_X509_CRL(bio, crl) != 1) {
        return sys_tls_fail(err, LEDGE_ERR_INTERNAL, "revocation list", path);
    }
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    return sys_file_write(path, bytes, size > 0 ? (size_t)size : 0, 0644, err);
}
