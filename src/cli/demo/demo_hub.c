/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/demo_hub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/status.h"

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
    struct demo_hub *hub = arg;
    json_t *summary = NULL;
    bool good = cli_rest_call(&hub->rest, "GET", "/summary", NULL, &summary, NULL) == LEDGE_OK;
    json_decref(summary);
    return good;
}

enum ledge_status demo_hub_start(struct demo_run *run, struct demo_hub *hub,
                                 struct ledge_error *err)
{
    struct token_search search = {.hub = hub};
    char listen[32], broker[16];
    int port = free_port();
    *hub = (struct demo_hub){.url = ""};
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    (void)snprintf(broker, sizeof broker, "%d", free_port());
    (void)snprintf(hub->url, sizeof hub->url, "https://127.0.0.1:%d", port);
    LEDGE_TRY(sys_path(hub->state, err, "%s/hub", run->work));
    LEDGE_TRY(sys_path(search.log, err, "%s/hub.log", run->work));
    LEDGE_TRY(sys_path(hub->ca, err, "%s/ca.crt", hub->state));
    LEDGE_TRY(demo_daemon(run, "hub", err, "ledge-hub", "--state", hub->state, "--listen", listen,
                          "--broker-port", broker, NULL));
    LEDGE_TRY(demo_wait(run, "the hub prints its token", HUB_SECONDS, find_token, &search, err));
    const struct cli_rest_options options = {.hub = hub->url, .token = hub->token, .ca = hub->ca};
    LEDGE_TRY(cli_rest_open(&options, &hub->rest, err));
    if (setenv("LEDGE_HUB", hub->url, 1) != 0 || setenv("LEDGE_TOKEN", hub->token, 1) != 0 ||
        setenv("LEDGE_CA", hub->ca, 1) != 0) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "the environment is full");
    }
    return demo_wait(run, "the hub answers", HUB_SECONDS, hub_answers, hub, err);
}

void demo_hub_done(struct demo_hub *hub)
{
    cli_rest_done(&hub->rest);
}
