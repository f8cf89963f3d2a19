/* SPDX-License-Identifier: Apache-2.0 */
/* broker.c -- an unmodified mosquitto: its configuration and access list are written, it is started
 * and kept alive.
 *
 * Every setting has a reason: clients prove themselves by certificate and nothing else (the CN is
 * the user name, which the patterns of the access list use); nothing is persisted, because records
 * are acknowledged end to end and desired state is repaired by hello; Nagle's delay off took a
 * connect from 44 ms to 2 ms; limits bound what one client can make the broker hold. A revoked
 * device loses every topic at once by the access list, which is read before the patterns; a revoked
 * certificate of a device that goes on with another is refused by the list of the CA. The broker
 * reads both again when it is told to, but keeps every list of the CA that it ever read: after
 * LISTS_MAX bytes of them it is started anew, which costs nobody a record. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "base/whole.h"
#include "hub/hub.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/log.h"
#include "sys/process.h"

enum { SOON_MS = 3000, LISTS_MAX = 32 * 1024 * 1024, MAX_REVOKED = 1 << 20 };
enum { BACKOFF_MS = 200, BACKOFF_MAX_MS = 10000, DEFAULT_PORT = 8883, MAX_CONFIG = 1 << 24 };

struct hub_broker {
    struct hub *hub;
    struct sys_process *process;
    struct sys_timer *soon;
    int32_t list; /* number of the last list of the CA */
    int64_t read; /* bytes of lists since it was started */
    bool stopping;
};

static bool add_revoked(void *arg, const struct sys_row *row)
{
    (void)ledge_buf_printf(arg, "user %s\ntopic deny #\n\n", sys_row_text(row, 0));
    return true;
}

static enum ledge_status write_text(const char *path, struct ledge_buf *text,
                                    struct ledge_error *err)
{
    enum ledge_status status = text->failed
                                   ? ledge_fail(err, LEDGE_ERR_NOMEM, "%s: out of memory", path)
                                   : sys_file_write(path, text->data, text->len, 0600, err);
    ledge_buf_done(text);
    return status;
}

static enum ledge_status write_acl(struct hub *hub, struct ledge_error *err)
{
    char path[HUB_PATH];
    struct ledge_buf text = LEDGE_BUF_INIT(MAX_CONFIG);
    (void)ledge_buf_text(&text, "# Written by ledge-hub at every start and revocation.\n"
                                "user ledge-hub\ntopic readwrite ledge/1/#\n\n");
    enum ledge_status status =
        sys_sql_do(hub->sql, err, add_revoked, &text, hub_sql_device_revoked_all, "");
    if (status != LEDGE_OK) {
        ledge_buf_done(&text);
        return status;
    }
    (void)ledge_buf_text(&text, "pattern write ledge/1/%u/u/#\npattern read ledge/1/%u/d/#\n");
    return write_text(hub_path(hub, path, "broker.acl"), &text, err);
}

struct revoked {
    char (*text)[64];
    int64_t *times;
    size_t n, size;
    bool failed;
};

static bool add_serial(void *arg, const struct sys_row *row)
{
    struct revoked *r = arg;
    if (r->n == r->size) {
        size_t size = r->size > 0 ? 2 * r->size : 64;
        char(*text)[64] = realloc(r->text, size * sizeof *text);
        r->text = text != NULL ? text : r->text;
        int64_t *times = realloc(r->times, size * sizeof *times);
        r->times = times != NULL ? times : r->times;
        r->failed = text == NULL || times == NULL || size > MAX_REVOKED;
        r->size = size;
    }
    if (!r->failed) {
        (void)snprintf(r->text[r->n], sizeof r->text[0], "%s", sys_row_text(row, 0));
        r->times[r->n++] = sys_row_int(row, 1);
    }
    return !r->failed;
}

static enum ledge_status sign_list(struct hub *hub, const struct revoked *r, int32_t number,
                                   struct ledge_error *err)
{
    char path[HUB_PATH], ca[HUB_PATH], key[HUB_PATH];
    const char **serials = calloc(r->n + 1, sizeof *serials);
    if (r->failed || serials == NULL) {
        free(serials);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "revoked certificates: out of memory");
    }
    for (size_t i = 0; i < r->n; i++) {
        serials[i] = r->text[i];
    }
    enum ledge_status status =
        sys_crl_create(hub_path(hub, ca, "ca.crt"), hub_path(hub, key, "ca.key"), serials, r->times,
                       r->n, number, hub_path(hub, path, "broker.crl"), err);
    free(serials);
    return status;
}

/* The certificates that are revoked and would still be let in. */
static enum ledge_status write_list(struct hub *hub, int32_t number, struct ledge_error *err)
{
    struct revoked r = {.n = 0};
    enum ledge_status status = sys_sql_do(hub->sql, err, add_serial, &r,
                                          hub_sql_certificate_revoked_all, "i", sys_now_ms());
    if (status == LEDGE_OK) {
        status = sign_list(hub, &r, number, err);
    }
    free(r.text);
    free(r.times);
    return status;
}

static enum ledge_status write_config(struct hub *hub, struct ledge_error *err)
{
    char path[HUB_PATH];
    struct ledge_buf text = LEDGE_BUF_INIT(MAX_CONFIG);
    (void)ledge_buf_printf(&text,
                           "# Written by ledge-hub at every start.\n"
                           "listener %u %s\n"
                           "cafile %s/ca.crt\ncertfile %s/server.crt\nkeyfile %s/server.key\n"
                           "tls_version tlsv1.3\nrequire_certificate true\n"
                           "use_identity_as_username true\nallow_anonymous false\n"
                           "acl_file %s/broker.acl\ncrlfile %s/broker.crl\n",
                           hub->broker_port, hub->host, hub->state, hub->state, hub->state,
                           hub->state, hub->state);
    (void)ledge_buf_text(&text,
                         "persistence false\nset_tcp_nodelay true\n"
                         "max_packet_size 310000\n"
                         "max_inflight_messages 64\nmax_queued_messages 2000\n"
                         "max_queued_bytes 67108864\nmax_keepalive 600\nretain_available false\n"
                         "sys_interval 0\nconnection_messages false\n"
                         "log_dest stderr\nlog_type error\nlog_type warning\n");
    if (geteuid() == 0) {
        /* The keys are readable by their owner alone, so mosquitto may not change to its own user.
         */
        (void)ledge_buf_text(&text, "user root\n");
    }
    return write_text(hub_path(hub, path, "broker.conf"), &text, err);
}

/* A free port; devices are told it when they enrol, so it is kept for later starts. */
static enum ledge_status pick_port(struct hub *hub, struct ledge_error *err)
{
    char *stored = NULL, text[16];
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t n = sizeof address;
    int on = 1;
    LEDGE_TRY(hub_setting(hub, "broker_port", &stored, err));
    unsigned long port = stored != NULL ? strtoul(stored, NULL, 10) : 0;
    free(stored);
    if (port == 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool bound = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                     bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                     getsockname(fd, (struct sockaddr *)&address, &n) == 0;
        int code = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        if (!bound) {
            return ledge_fail(err, LEDGE_ERR_IO, "no free port for the broker: %s", strerror(code));
        }
        port = ntohs(address.sin_port);
        (void)snprintf(text, sizeof text, "%lu", port);
        LEDGE_TRY(hub_setting_set(hub, "broker_port", text, err));
    }
    hub->broker_port = (uint16_t)port;
    return LEDGE_OK;
}

static void on_line(void *arg, const char *line)
{
    const struct hub_broker *broker = arg;
    sys_log(SYS_LOG_WARNING, "broker: %s", line);
    if (strstr(line, "Address already in use") != NULL) {
        sys_log(SYS_LOG_WARNING,
                "broker: another program has port %u; --broker-port N takes another",
                broker->hub->broker_port);
    }
}

static void on_start(void *arg, pid_t pid)
{
    struct hub_broker *broker = arg;
    broker->read = 0;
    sys_log(SYS_LOG_INFO, "broker: mosquitto runs on port %u (pid %d)", broker->hub->broker_port,
            (int)pid);
}

static void on_exit_(void *arg, int status, bool restarting)
{
    struct hub_broker *broker = arg;
    if (!broker->stopping) {
        sys_log(SYS_LOG_ERROR, "broker: mosquitto ended (wait status %d)%s", status,
                restarting ? ", it is started again" : "");
    }
}

/* mosquitto:// is not ours to guess: mqtts://host:port */
enum ledge_status hub_broker_url(struct hub *hub, struct ledge_error *err)
{
    const char *url = hub->options.broker;
    if (url == NULL) {
        return LEDGE_OK;
    }
    const char *host = strncmp(url, "mqtts://", 8) == 0 ? url + 8 : NULL;
    const char *colon = host != NULL ? strrchr(host, ':') : NULL;
    size_t n = host == NULL ? 0 : colon != NULL ? (size_t)(colon - host) : strlen(host);
    int64_t port = DEFAULT_PORT;
    if (n == 0 || n >= sizeof hub->broker_host ||
        (colon != NULL && !ledge_whole_read(colon + 1, 1, 65535, &port))) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--broker %s: not mqtts://HOST[:PORT]", url);
    }
    memcpy(hub->broker_host, host, n);
    hub->broker_host[n] = '\0';
    hub->broker_port = (uint16_t)port;
    return LEDGE_OK;
}

enum ledge_status hub_broker_start(struct hub *hub, struct ledge_error *err)
{
    static const char *const places[] = {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto",
                                         "/opt/homebrew/sbin/mosquitto"};
    char config[HUB_PATH];
    if (hub->options.broker != NULL) {
        return LEDGE_OK; /* hub_broker_url() */
    }
    if (hub->options.broker_port == 0) {
        LEDGE_TRY(pick_port(hub, err));
    } else {
        hub->broker_port =
            hub->options.broker_port > 0 ? (uint16_t)hub->options.broker_port : DEFAULT_PORT;
    }
    LEDGE_TRY(write_acl(hub, err));
    LEDGE_TRY(write_list(hub, 1, err));
    LEDGE_TRY(write_config(hub, err));
    const char *program = "mosquitto";
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (sys_file_exists(places[i])) {
            program = places[i];
            break;
        }
    }
    struct hub_broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    broker->hub = hub;
    broker->list = 1;
    hub->broker = broker;
    const char *const argv[] = {program, "-c", hub_path(hub, config, "broker.conf"), NULL};
    struct sys_process_options options = {.argv = argv,
                                          .backoff_ms = BACKOFF_MS,
                                          .backoff_max_ms = BACKOFF_MAX_MS,
                                          .on_line = on_line,
                                          .on_start = on_start,
                                          .on_exit = on_exit_,
                                          .arg = broker};
    return sys_process_start(hub->loop, &options, &broker->process, err);
}

enum ledge_status hub_broker_refresh(struct hub *hub, struct ledge_error *err)
{
    if (hub->broker == NULL) {
        return LEDGE_OK; /* somebody else's broker: its operator revokes there */
    }
    struct hub_broker *broker = hub->broker;
    struct stat st = {.st_size = 0};
    char path[HUB_PATH];
    sys_timer_free(broker->soon);
    broker->soon = NULL;
    LEDGE_TRY(write_acl(hub, err));
    LEDGE_TRY(write_list(hub, ++broker->list, err));
    pid_t pid = sys_process_pid(broker->process);
    broker->read += stat(hub_path(hub, path, "broker.crl"), &st) == 0 ? st.st_size : 0;
    /* It is started again when it ends. */
    if (pid > 0 && kill(pid, broker->read > LISTS_MAX ? SIGTERM : SIGHUP) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "broker: cannot be told to read its access list: %s",
                          strerror(errno));
    }
    return LEDGE_OK;
}

static void on_soon(void *arg)
{
    struct hub *hub = arg;
    struct ledge_error err;
    if (hub_broker_refresh(hub, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
    }
}

void hub_broker_refresh_soon(struct hub *hub)
{
    if (hub->broker != NULL && hub->broker->soon == NULL && !hub->broker->stopping) {
        hub->broker->soon = sys_timer_start(hub->loop, SOON_MS, 0, on_soon, hub);
    }
}

void hub_broker_stop(struct hub *hub, void (*stopped)(void *arg), void *arg)
{
    if (hub->broker == NULL) {
        stopped(arg);
        return;
    }
    hub->broker->stopping = true;
    sys_timer_free(hub->broker->soon);
    hub->broker->soon = NULL;
    sys_process_stop(hub->broker->process, stopped, arg);
}

void hub_broker_free(struct hub_broker *broker)
{
    if (broker != NULL) {
        sys_timer_free(broker->soon);
        if (broker->process != NULL) {
            sys_process_free(broker->process);
        }
        free(broker);
    }
}
