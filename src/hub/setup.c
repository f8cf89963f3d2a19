/* SPDX-License-Identifier: Apache-2.0 */
/* setup.c -- identity of the hub: CA, certificates, director key, admin token.
 *
 * Made by the first start and kept: ca.key ca.crt director.key. Made by every start, so that names
 * and dates are right: server.key server.crt (HTTPS and broker), hub.key hub.crt (the hub as a
 * client of the broker). The admin token is shown once; the store keeps its SHA-256. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/status.h"
#include "hub/hub.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/log.h"

enum { CERTIFICATE_S = 825 * 24 * 3600, TOKEN_BYTES = 24, MAX_NAMES = 64 };

/* A new key and a certificate for it in <name>.key and <name>.crt. */
static enum ledge_status issue(struct hub *hub, const char *file, struct sys_sign_options *options,
                               struct ledge_error *err)
{
    char key[HUB_PATH], certificate[HUB_PATH], ca[HUB_PATH], ca_key[HUB_PATH], serial[64];
    struct ledge_buf csr = LEDGE_BUF_INIT(1 << 16), pem = LEDGE_BUF_INIT(1 << 16);
    options->ca_certificate = hub_path(hub, ca, "ca.crt");
    options->ca_key = hub_path(hub, ca_key, "ca.key");
    options->valid_seconds = CERTIFICATE_S;
    (void)hub_path(hub, key, "%s.key", file);
    enum ledge_status status = sys_key_create(key, err);
    if (status == LEDGE_OK) {
        status = sys_csr_create(key, options->name, &csr, err);
    }
    if (status == LEDGE_OK) {
        status = sys_csr_sign(csr.data, csr.len, options, &pem, serial, err);
    }
    if (status == LEDGE_OK) {
        status = sys_file_write(hub_path(hub, certificate, "%s.crt", file), pem.data, pem.len, 0600,
                                err);
    }
    ledge_buf_done(&csr);
    ledge_buf_done(&pem);
    return status;
}

struct names {
    char text[MAX_NAMES][256];
    const char *list[MAX_NAMES + 1];
    size_t n;
};

static void add_name(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->list[i], name) == 0) {
            return;
        }
    }
    if (names->n < MAX_NAMES && name[0] != '\0' && strlen(name) < sizeof names->text[0]) {
        memcpy(names->text[names->n], name, strlen(name) + 1);
        names->list[names->n] = names->text[names->n];
        names->n++;
    }
}

/* Every name and address under which a device may call this machine. */
static void collect_names(const struct hub *hub, struct names *names)
{
    char text[256] = "";
    struct ifaddrs *interfaces = NULL;
    add_name(names, "localhost");
    add_name(names, "127.0.0.1");
    add_name(names, "::1");
    for (size_t i = 0; i < hub->options.n_hosts; i++) {
        add_name(names, hub->options.hosts[i]);
    }
    if (gethostname(text, sizeof text - 1) == 0) {
        add_name(names, text);
    }
    if (strcmp(hub->host, "0.0.0.0") != 0 && strcmp(hub->host, "::") != 0) {
        add_name(names, hub->host);
        return;
    }
    if (getifaddrs(&interfaces) != 0) {
        return;
    }
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *address =
            family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr
                : (const void *)&((const struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr;
        if ((family == AF_INET || family == AF_INET6) &&
            inet_ntop(family, address, text, sizeof text) != NULL) {
            add_name(names, text);
        }
    }
    freeifaddrs(interfaces);
}

static enum ledge_status certificates(struct hub *hub, struct ledge_error *err)
{
    char key[HUB_PATH], certificate[HUB_PATH];
    (void)hub_path(hub, key, "ca.key");
    (void)hub_path(hub, certificate, "ca.crt");
    if (!sys_file_exists(certificate)) {
        LEDGE_TRY(sys_key_create(key, err));
        LEDGE_TRY(sys_ca_create(key, "Ledge hub CA", certificate, err));
    }
    LEDGE_TRY(sys_certificate_sha256(certificate, hub->ca_sha256, err));
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    collect_names(hub, names);
    struct sys_sign_options server = {.name = "ledge-hub", .hosts = names->list, .server = true};
    struct sys_sign_options client = {.name = "ledge-hub", .client = true};
    enum ledge_status status = issue(hub, "server", &server, err);
    if (status == LEDGE_OK) {
        status = issue(hub, "hub", &client, err);
    }
    free(names);
    return status;
}

/* The secret stands as hexadecimal text in director.key; the public key is computed by whoever made
 * it, and kept. */
static enum ledge_status director(struct hub *hub, struct ledge_error *err)
{
    char path[HUB_PATH];
    uint8_t *public_key = hub->director_public;
    char text[2 * (SYS_ED25519_SECRET + SYS_ED25519_PUBLIC) + 3];
    struct ledge_buf file = LEDGE_BUF_INIT(sizeof text);
    (void)hub_path(hub, path, "director.key");
    if (!sys_file_exists(path)) {
        LEDGE_TRY(sys_ed25519_create(hub->director_secret, public_key, err));
        ledge_hex(hub->director_secret, SYS_ED25519_SECRET, text);
        text[2 * SYS_ED25519_SECRET] = ' ';
        ledge_hex(public_key, SYS_ED25519_PUBLIC, text + 2 * SYS_ED25519_SECRET + 1);
        LEDGE_TRY(sys_file_write(path, text, strlen(text), 0600, err));
    }
    LEDGE_TRY(sys_file_read(path, &file, err));
    bool good = file.len >= 2 * (SYS_ED25519_SECRET + SYS_ED25519_PUBLIC) + 1 &&
                file.data[2 * SYS_ED25519_SECRET] == ' ';
    if (good) {
        file.data[2 * SYS_ED25519_SECRET] = '\0';
        file.data[2 * (SYS_ED25519_SECRET + SYS_ED25519_PUBLIC) + 1] = '\0';
        const char *public_hex = file.data + 2 * SYS_ED25519_SECRET + 1;
        good = ledge_unhex(file.data, hub->director_secret, SYS_ED25519_SECRET) &&
               ledge_unhex(public_hex, public_key, SYS_ED25519_PUBLIC);
    }
    memset(file.data, 0, file.len);
    ledge_buf_done(&file);
    if (!good) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "%s: not a director key", path);
    }
    return LEDGE_OK;
}

/* Shown once, on standard output; the log never has it. */
static enum ledge_status admin_token(struct hub *hub, struct ledge_error *err)
{
    char *stored = NULL;
    uint8_t secret[TOKEN_BYTES];
    char token[8 + 2 * TOKEN_BYTES] = "la1.";
    char hex[LEDGE_SHA256_HEX];
    LEDGE_TRY(hub_setting(hub, "admin_token_sha256", &stored, err));
    bool known = stored != NULL && ledge_unhex(stored, hub->token_hash, sizeof hub->token_hash);
    free(stored);
    if (known && !hub->options.new_token) {
        return LEDGE_OK;
    }
    LEDGE_TRY(sys_random(secret, sizeof secret, err));
    ledge_hex(secret, sizeof secret, token + 4);
    ledge_sha256(token, strlen(token), hub->token_hash);
    ledge_hex(hub->token_hash, sizeof hub->token_hash, hex);
    LEDGE_TRY(hub_setting_set(hub, "admin_token_sha256", hex, err));
    if (known) {
        LEDGE_TRY(sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_session_clear, ""));
        LEDGE_TRY(hub_audit(hub, "console", "token.replace", "admin", NULL, err));
    }
    printf("admin token: %s\n(shown once; --new-token makes another)\n", token);
    (void)fflush(stdout);
    memset(secret, 0, sizeof secret);
    memset(token, 0, sizeof token);
    return LEDGE_OK;
}

enum ledge_status hub_setup(struct hub *hub, struct ledge_error *err)
{
    LEDGE_TRY(certificates(hub, err));
    LEDGE_TRY(director(hub, err));
    return admin_token(hub, err);
}
