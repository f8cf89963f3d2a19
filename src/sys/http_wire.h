/* SPDX-License-Identifier: Apache-2.0 */
/* http_wire.h -- HTTP/1.1 messages as bytes (RFC 9110, RFC 9112), private to http_server.c and
 * http_client.c.
 *
 * Pure: no sockets, no clock. Bytes are hostile: a head is bounded before it is read, anything that
 * two readers could take in two ways (length and chunked together, two lengths, folded lines, a
 * bare line feed) is refused. */
#ifndef SYS_HTTP_WIRE_H
#define SYS_HTTP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledge/error.h"

enum { SYS_HTTP_MAX_HEAD = 64 * 1024, SYS_HTTP_MAX_FIELDS = 100 };

struct sys_http_field {
    const char *name, *value;
};

/* The first line and the header fields. Texts point into `text`. */
struct sys_http_head {
    char *text;                  /* OWNED: sys_http_head_done() */
    const char *method, *target; /* of a request */
    int status;                  /* of an answer */
    int minor;                   /* 0 for HTTP/1.0 */
    struct sys_http_field fields[SYS_HTTP_MAX_FIELDS];
    size_t n_fields;
};

/* bytes: a whole head, its last four being CR LF CR LF. Errors: ERR_FORMAT, ERR_RANGE (too many
 * fields), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status sys_http_head_parse(struct sys_http_head *head, const void *bytes,
                                                      size_t n, bool request,
                                                      struct ledge_error *err);
void sys_http_head_done(struct sys_http_head *head);

/* Value of the first field of that name (any case), or NULL. */
const char *sys_http_head_field(const struct sys_http_head *head, const char *name);

/* True when token stands in the comma-separated list of the field. */
bool sys_http_head_lists(const struct sys_http_head *head, const char *name, const char *token);

/* How the end of a body is told. */
enum sys_http_framing {
    SYS_HTTP_NONE,
    SYS_HTTP_LENGTH,
    SYS_HTTP_CHUNKED,
    SYS_HTTP_TO_CLOSE, /* answers only */
};

struct sys_http_decoder {
    enum sys_http_framing framing;
    uint64_t left; /* bytes of the body (or chunk) still to come */
    int state;
    int digits;
    size_t extra; /* bytes of extensions and trailers, bounded */
    bool done;
};

/* Choose the framing. request: else an answer, with status from head and bodiless for an answer to
 * HEAD. Errors: ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status sys_http_decoder_init(struct sys_http_decoder *decoder,
                                                        const struct sys_http_head *head,
                                                        bool request, bool bodiless,
                                                        struct ledge_error *err);

/* Decode what there is. *used: bytes taken (all of them unless done). sink gets the body's pieces,
 * false stops. Errors: ERR_FORMAT, ERR_CANCELLED (sink). */
LEDGE_NODISCARD enum ledge_status
sys_http_decoder_feed(struct sys_http_decoder *decoder, const void *bytes, size_t n, size_t *used,
                      bool (*sink)(void *arg, const void *bytes, size_t n), void *arg,
                      struct ledge_error *err);

/* The byte that %XX at `at` stands for, n bytes left; -1: a bad escape. */
int sys_http_escaped(const char *at, size_t n);

/* Every %XX of the path is whole, and none is a control byte. */
bool sys_http_path_ok(const char *path, size_t n);

/* Decode %XX (and '+' when plus) of n bytes into text (n + 1 bytes). False: a bad escape or a NUL.
 */
bool sys_http_unescape(const char *from, size_t n, bool plus, char *text);

/* "http://host:port/path", "https://…", "unix:/socket:/path". Texts are OWNED by the struct's own
 * buffer. */
struct sys_http_url {
    char text[2048];
    bool secure, local;
    const char *host; /* or the path of the socket */
    const char *target;
    uint16_t port;
};
LEDGE_NODISCARD enum ledge_status sys_http_url_parse(struct sys_http_url *url, const char *text,
                                                     struct ledge_error *err);

/* The reason phrase of a status. */
const char *sys_http_reason(int status);

#endif
