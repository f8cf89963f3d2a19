/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/demo_hub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/tls.h"

enum { LOG_BYTES = 1 << 20, HUB_SECONDS = 30 };

/* A port nobody listens on now. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &n) == 0) {
        port = ntohs(address.sin_port);
    }
    if (fd >= 0) {
        close(fd);
    }
    return port;
}

enum ledge_status demo_wait(struct demo_run *run, const char *what, int seconds,
                            bool (*ready)(void *arg), void *arg, struct ledge_error *err)
{
    int64_t end = sys_monotonic_ms() + (int64_t)seconds * 1000;
    while (!ready(arg)) {
        if (!demo_daemons_alive(run)) {
            return ledge_fail(err, LEDGE_ERR_STATE,
                              "a daemon ended while waiting until %s; see the logs in %s", what,
                              run->work);
        }
        if (sys_monotonic_ms() > end) {
            return ledge_fail(err, LEDGE_ERR_TIMEOUT, "not within %d s: %s; see the logs in %s",
                              seconds, what, run->work);
        }
        (void)poll(NULL, 0, 100);
    }
    return LEDGE_OK;
}

struct token_search {
    struct demo_hub *hub;
    char log[SYS_PATH];
};

static bool find_token(void *arg)
{
    struct token_search *search = arg;
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(LOG_BYTES);
    if (sys_file_read(search->log, &text, NULL) != LEDGE_OK || text.data == NULL) {
        return false;
    }
    const char *found = strstr(text.data, "admin token: ");
    if (found == NULL || strchr(found, '\n') == NULL) {
        return false;
    }
    return sscanf(found, "admin token: %159s", search->hub->token) == 1;
}

static bool hub_answers(void *arg)
{
    json_t *summary = NULL;
    bool good = demo_call(arg, "GET", "/summary", NULL, &summary, NULL) == LEDGE_OK;
    json_decref(summary);
    return good;
}

enum ledge_status demo_hub_start(struct demo_run *run, struct demo_hub *hub,
                                 struct ledge_error *err)
{
    struct token_search search = {.hub = hub};
    char listen[32], broker[16], ca[SYS_PATH];
    int port = free_port();
    *hub = (struct demo_hub){.tls = NULL};
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    (void)snprintf(broker, sizeof broker, "%d", free_port());
    (void)snprintf(hub->url, sizeof hub->url, "https://127.0.0.1:%d", port);
    LEDGE_TRY(sys_path(hub->state, err, "%s/hub", run->work));
    LEDGE_TRY(sys_path(search.log, err, "%s/hub.log", run->work));
    LEDGE_TRY(sys_path(ca, err, "%s/ca.crt", hub->state));
    LEDGE_TRY(demo_daemon(run, "hub", err, "ledge-hub", "--state", hub->state, "--listen", listen,
                          "--broker-port", broker, NULL));
    LEDGE_TRY(demo_wait(run, "the hub prints its token", HUB_SECONDS, find_token, &search, err));
    const struct sys_tls_options options = {.ca = ca, .verify = SYS_TLS_VERIFY_REQUIRED};
    LEDGE_TRY(sys_tls_create(&options, &hub->tls, err));
    return demo_wait(run, "the hub answers", HUB_SECONDS, hub_answers, hub, err);
}

void demo_hub_done(struct demo_hub *hub)
{
    sys_tls_free(hub->tls);
    hub->tls = NULL;
}

static enum ledge_status read_answer(const char *method, const char *path,
                                     const struct sys_http_reply *reply, json_t **answer,
                                     struct ledge_error *err)
{
    json_t *value = NULL;
    if (reply->body.len > 0) {
        LEDGE_TRY(sys_json_parse(reply->body.data, reply->body.len, &value, err));
    }
    if (reply->status >= 300) {
        const char *detail = json_string_value(json_object_get(value, "detail"));
        enum ledge_status status = ledge_fail(err, LEDGE_ERR_STATE, "%s %s: %d %s", method, path,
                                              reply->status, detail != NULL ? detail : "");
        json_decref(value);
        return status;
    }
    if (answer != NULL) {
        *answer = value;
    } else {
        json_decref(value);
    }
    return LEDGE_OK;
}

enum ledge_status demo_call(struct demo_hub *hub, const char *method, const char *path,
                            const json_t *value, json_t **answer, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf body = LEDGE_BUF_INIT(LOG_BYTES);
    LEDGE_CLEANUP(sys_http_reply_done) struct sys_http_reply reply = {.status = 0};
    char url[SYS_PATH], bearer[200];
    LEDGE_TRY(sys_path(url, err, "%s/api/v1%s", hub->url, path));
    (void)snprintf(bearer, sizeof bearer, "Bearer %s", hub->token);
    if (value != NULL) {
        LEDGE_TRY(sys_json_write(value, &body));
    }
    const char *const headers[] = {"Authorization", bearer, "Content-Type", "application/json",
                                   NULL};
    const struct sys_http_call call = {.method = method,
                                       .url = url,
                                       .headers = headers,
                                       .body = body.data,
                                       .body_bytes = body.len,
                                       .tls = hub->tls};
    LEDGE_TRY(sys_http_fetch(&call, &reply, err));
    return read_answer(method, path, &reply, answer, err);
}

enum ledge_status demo_items(struct demo_hub *hub, const char *path, json_t **items,
                             struct ledge_error *err)
{
    char cursor[256] = "";
    json_t *all = json_array();
    enum ledge_status status;
    do {
        char page_path[SYS_PATH];
        json_t *page = NULL;
        status = sys_path(page_path, err, "%s%climit=500%s%s", path,
                          strchr(path, '?') != NULL ? '&' : '?',
                          cursor[0] != '\0' ? "&cursor=" : "", cursor);
        if (status == LEDGE_OK) {
            status = demo_call(hub, "GET", page_path, NULL, &page, err);
        }
        if (status != LEDGE_OK) {
            json_decref(all);
            return status;
        }
        json_array_extend(all, json_object_get(page, "items"));
        const char *next = json_string_value(json_object_get(page, "next"));
        (void)snprintf(cursor, sizeof cursor, "%.255s", next != NULL ? next : "");
        json_decref(page);
    } while (cursor[0] != '\0');
    *items = all;
    return LEDGE_OK;
}
