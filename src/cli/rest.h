/* SPDX-License-Identifier: Apache-2.0 */
/* rest.h -- the hub's REST interface, for every verb that speaks with a hub (docs/rest.md).
 *
 * Where the hub is and who we are: --hub, --token, --ca; else LEDGE_HUB, LEDGE_TOKEN, LEDGE_CA;
 * else what `ledge login` wrote to $XDG_CONFIG_HOME/ledge/hub.json (mode 0600).
 */
#ifndef CLI_REST_H
#define CLI_REST_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "sys/file.h"

struct sys_tls;

struct cli_rest {
    char url[256];
    char token[256];
    char ca[SYS_PATH];
    struct sys_tls *tls; /* OWNED: cli_rest_done() */
};

/* What the options of a verb hold before cli_rest_open(). */
struct cli_rest_options {
    const char *hub;
    const char *token;
    const char *ca;
    bool json;
};

/* Lines for a verb's table of options. */
#define CLI_REST_OPTIONS(options)                                                                  \
    {"hub", 0, CLI_TEXT, &(options).hub, "URL", "the hub, e.g. https://127.0.0.1:8443"},           \
        {"token", 0, CLI_TEXT, &(options).token, "TOKEN", "admin token (better: LEDGE_TOKEN)"},    \
        {"ca", 0, CLI_TEXT, &(options).ca, "FILE", "the hub's CA certificate (<state>/ca.crt)"},   \
    {                                                                                              \
        "json", 0, CLI_FLAG, &(options).json, NULL, "print JSON"                                   \
    }

/* FILLED; OWNED: cli_rest_done(). Errors: ERR_ARG (no hub or token known: says what to do), ERR_IO.
 */
LEDGE_NODISCARD enum ledge_status cli_rest_open(const struct cli_rest_options *options,
                                                struct cli_rest *rest, struct ledge_error *err);
void cli_rest_done(struct cli_rest *rest);

/* One call with JSON; path is below /api/v1. value (NULL: none) is BORROWED. *answer (NULL: not
 * wanted) is OWNED, NULL for an empty body. Errors: the problem's detail as ERR_AUTH (401, 403),
 * ERR_NOT_FOUND, ERR_EXISTS (409), ERR_ARG (400, 413, 422), ERR_IO (5xx); ERR_NETWORK, ERR_TIMEOUT.
 */
LEDGE_NODISCARD enum ledge_status cli_rest_call(struct cli_rest *rest, const char *method,
                                                const char *path, const json_t *value,
                                                json_t **answer, struct ledge_error *err);

/* All items of a list, page by page; *items OWNED. */
LEDGE_NODISCARD enum ledge_status cli_rest_items(struct cli_rest *rest, const char *path,
                                                 json_t **items, struct ledge_error *err);

/* POST bytes with header X-Ledge-Meta (NULL: none). */
LEDGE_NODISCARD enum ledge_status cli_rest_upload(struct cli_rest *rest, const char *path,
                                                  const void *bytes, size_t n, const json_t *meta,
                                                  json_t **answer, struct ledge_error *err);

/* GET a body as it is, at most body->max bytes. */
LEDGE_NODISCARD enum ledge_status cli_rest_download(struct cli_rest *rest, const char *path,
                                                    struct ledge_buf *body,
                                                    struct ledge_error *err);

/* Remember hub, token and CA for later calls. */
LEDGE_NODISCARD enum ledge_status cli_rest_remember(const struct cli_rest *rest,
                                                    struct ledge_error *err);

/* A field as text for a table: "" when absent; the answer BORROWS from object. */
const char *cli_rest_text(const json_t *object, const char *key);

/* A path below /api/v1: each %s of format (it may have no other) is the next text, percent-encoded.
 * path is FILLED. Errors: ERR_ARG (too long). */
LEDGE_NODISCARD enum ledge_status cli_rest_path(char path[SYS_PATH], struct ledge_error *err,
                                                const char *format, ...) LEDGE_PRINTF(3, 4);

#endif
