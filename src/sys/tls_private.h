/* SPDX-License-Identifier: Apache-2.0 */
/* tls_private.h -- what tls.c, tls_cert.c and tls_sign.c share: reading PEM, OpenSSL's errors as
 * one line. */
#ifndef LEDGE_SYS_TLS_PRIVATE_H
#define LEDGE_SYS_TLS_PRIVATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "sys/tls.h"

/* ledge_fail with the oldest reason in OpenSSL's queue behind it; empties the queue. */
enum ledge_status sys_tls_fail(struct ledge_error *err, enum ledge_status status, const char *what,
                               const char *which);

/* OWNED results. Errors: ERR_NOT_FOUND, ERR_IO, ERR_FORMAT; err names the file. */
enum ledge_status sys_tls_load_certificate(const char *path, X509 **certificate,
                                           struct ledge_error *err);
enum ledge_status sys_tls_load_key(const char *path, EVP_PKEY **key, struct ledge_error *err);

/* Cleanup functions. */
void sys_tls_drop_x509(X509 **x);
void sys_tls_drop_key(EVP_PKEY **key);

/* SHA-256 of the DER form. */
bool sys_tls_digest(const X509 *certificate, char hex[65]);

/* Serial number in lower-case hexadecimal; false when it has more than 63 digits. */
bool sys_tls_serial(const X509 *certificate, char hex[64]);

#endif
