/* SPDX-License-Identifier: Apache-2.0 */
/* api.h -- what every route handler has at hand: the request, who asks, and ways to answer.
 *
 * One table, routes.inc, routes, limits bodies, checks who may call, and makes /openapi.json. A
 * handler answers exactly once, by a function below or by sys/http.h. */
#ifndef HUB_API_H
#define HUB_API_H

#include "hub/hub.h"

enum hub_who {
    HUB_NONE = 1,   /* anybody */
    HUB_ADMIN = 2,  /* bearer token or session cookie */
    HUB_DEVICE = 4, /* client certificate of a device that is enrolled and not revoked */
    HUB_LOCAL = 8,  /* a caller on this machine */
};

enum hub_body { HUB_BODY_NONE, HUB_BODY_JSON, HUB_BODY_BYTES };

struct hub_request;

struct hub_route {
    const char *method, *path;
    unsigned who;
    enum hub_body body;
    size_t max_body;
    void (*handle)(struct hub_request *request);
    const char *summary, *query, *takes, *gives;
    int status; /* of success */
};

struct hub_request {
    struct hub *hub;
    struct sys_http_request *http;
    const struct hub_route *route;
    /* What stood for {…} in the path, decoded, in order. */
    char params[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE];
    const char *actor; /* "admin" or the device's name */
    bool device;       /* it is a device */
};

/* The handlers, each in the file of its subject, and the table. */
#define HUB_ROUTE(method, path, who, body, max, handler, status, summary, query, takes, gives)     \
    void hub_on_##handler(struct hub_request *request);
#include "hub/routes.inc"
#undef HUB_ROUTE
extern const struct hub_route hub_routes[];
extern const size_t hub_n_routes;

/* Options' handler and limit for sys_http_server. */
void hub_api_handle(void *arg, struct sys_http_request *request);
size_t hub_api_limit(void *arg, const struct sys_http_request *request);

/* -- answers: each ends the request -- */

void hub_reply_json(struct hub_request *request, int status, json_t *value); /* steals value */
void hub_reply_none(struct hub_request *request);                            /* 204 */
void hub_reply_problem(struct hub_request *request, int status, const char *format, ...)
    LEDGE_PRINTF(3, 4);
/* The status that stands for err; what is our own fault is logged and told in general words only.
 */
void hub_reply_error(struct hub_request *request, const struct ledge_error *err);
void hub_security_headers(struct sys_http_request *request, bool page);
void hub_problem(struct sys_http_request *request, int status, const char *detail);

/* -- questions -- */

/* The JSON object of the body; NULL: answered with 400. OWNED: json_decref(). */
json_t *hub_request_json(struct hub_request *request);

/* The object in header X-Ledge-Meta ({} when absent); NULL: answered with 400. OWNED. */
json_t *hub_request_meta(struct hub_request *request);

/* limit=, within 1..HUB_PAGE_MAX; false: answered with 400. */
bool hub_request_limit(struct hub_request *request, int64_t *limit);

/* cursor= as a whole number, absent when missing; false: answered with 400. */
bool hub_request_cursor(struct hub_request *request, int64_t absent, int64_t *cursor);

/* {"items","next"}; next NULL: none. Steals items. */
json_t *hub_page(json_t *items, const char *next);

/* What is kept in versions under names: {"items":[{"name","versions"}],"next"}, by limit= and
 * cursor=.
 */
struct hub_versions {
    const char *kind;     /* first parameter of names; NULL: it has none */
    const char *names;    /* SQL: names after a cursor, so many */
    const char *versions; /* SQL: the versions of a name */
    bool (*add)(void *versions, const struct sys_row *row); /* appends one to a json_t array */
};

void hub_reply_versions(struct hub_request *request, const struct hub_versions *what);

/* -- transactions: begin, work, end -- */

/* Commit when status is LEDGE_OK, else roll back; a failed commit becomes the status. */
LEDGE_NODISCARD enum ledge_status hub_end(struct hub *hub, enum ledge_status status,
                                          struct ledge_error *err);

/* -- auth.c -- */

/* Who the caller is: bits of enum hub_who; *actor and *device_name are set accordingly. *csrf: an
 * admin by cookie on a write without the header. */
unsigned hub_auth(struct hub *hub, const struct sys_http_request *request, const char **actor,
                  bool *csrf);
bool hub_auth_limited(struct hub *hub, const struct sys_http_request *request);
void hub_auth_failed(struct hub *hub, const struct sys_http_request *request);

/* -- openapi.c, console.c -- */

json_t *hub_openapi(void);
/* True when the path is one of the console's files: answered. */
bool hub_console(struct sys_http_request *request);

#endif
