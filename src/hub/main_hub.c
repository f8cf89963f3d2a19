/* SPDX-License-Identifier: Apache-2.0 */
/* main_hub.c -- ledge-hub: options, start, run, stop. */
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/status.h"
#include "base/whole.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "ledge/version.h"
#include "sys/exit.h"
#include "sys/file.h"
#include "sys/log.h"
#include "sys/mqtt.h"

enum { CERTIFICATE_DAYS = 5 * 365, CERTIFICATE_DAYS_MAX = 3650 };
enum { SILENT_MS = 150 * 1000, SWEEP_MS = 15 * 1000, WANTED_FILES = 65536 };

enum option_code {
    OPTION_STATE = 256,
    OPTION_LISTEN,
    OPTION_HOST,
    OPTION_BROKER,
    OPTION_BROKER_CERTIFICATE,
    OPTION_BROKER_KEY,
    OPTION_BROKER_CA,
    OPTION_BROKER_PORT,
    OPTION_CERTIFICATE_DAYS,
    OPTION_PLAIN,
    OPTION_NEW_TOKEN,
    OPTION_VERSION,
    OPTION_HELP,
};

/* One table for getopt and --help. */
static const struct {
    const char *name, *argument, *help;
    enum option_code code;
} table[] = {
    {"state", "DIR", "where everything is kept (default: ~/.local/state/ledge-hub)", OPTION_STATE},
    {"listen", "HOST:PORT", "HTTPS address (default: 0.0.0.0:8443)", OPTION_LISTEN},
    {"host", "NAME", "another name or address in the certificate; may be repeated", OPTION_HOST},
    {"broker-port", "N", "port of the broker that is started (default: 8883; 0: a free one)",
     OPTION_BROKER_PORT},
    {"broker", "URL", "use this broker, mqtts://HOST[:PORT], and start none", OPTION_BROKER},
    {"broker-cert", "FILE", "certificate for that broker (default: the hub's own)",
     OPTION_BROKER_CERTIFICATE},
    {"broker-key", "FILE", "its key", OPTION_BROKER_KEY},
    {"broker-ca", "FILE", "CA of that broker (default: the hub's own)", OPTION_BROKER_CA},
    {"certificate-days", "N",
     "how long a device's certificate is valid (1 to 3650, default: 1825); renewed after two "
     "thirds",
     OPTION_CERTIFICATE_DAYS},
    {"plain", NULL, "HTTP without TLS; on loopback only", OPTION_PLAIN},
    {"new-token", NULL, "replace the admin token", OPTION_NEW_TOKEN},
    {"version", NULL, "print the version", OPTION_VERSION},
    {"help", NULL, "this text", OPTION_HELP},
};
enum { N_OPTIONS = sizeof table / sizeof table[0] };

static void print_help(void)
{
    printf(
        "usage: ledge-hub [options]\n\n"
        "The control plane: registry of devices, models and data sets; deployments; records and\n"
        "labels; REST interface and console on one port. Starts and supervises mosquitto.\n\n"
        "options:\n");
    for (size_t i = 0; i < N_OPTIONS; i++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", table[i].name,
                       table[i].argument != NULL ? " " : "",
                       table[i].argument != NULL ? table[i].argument : "");
        printf("  %-22s %s\n", left, table[i].help);
    }
    printf("\nexamples:\n"
           "  ledge-hub                                   # first start: prints the admin token\n"
           "  ledge-hub --state /srv/ledge --host hub.example.org\n"
           "  ledge-hub --listen 127.0.0.1:8080 --plain   # try it without certificates\n"
           "  ledge-hub --new-token                       # the old token is lost\n"
           "\n" SYS_EXIT_HELP);
}

/* Errors: ERR_ARG, err names the option and its value. */
static enum ledge_status take_option(struct hub_options *options, int code, const char *value,
                                     struct ledge_error *err)
{
    switch ((enum option_code)code) {
    case OPTION_STATE:
        options->state = value;
        break;
    case OPTION_LISTEN:
        options->listen = value;
        break;
    case OPTION_HOST:
        if (options->n_hosts == HUB_HOSTS) {
            return ledge_fail(err, LEDGE_ERR_ARG, "--host %s: at most %d names", value, HUB_HOSTS);
        }
        options->hosts[options->n_hosts++] = value;
        break;
    case OPTION_BROKER:
        options->broker = value;
        break;
    case OPTION_BROKER_CERTIFICATE:
        options->broker_certificate = value;
        break;
    case OPTION_BROKER_KEY:
        options->broker_key = value;
        break;
    case OPTION_BROKER_CA:
        options->broker_ca = value;
        break;
    case OPTION_BROKER_PORT:
        return ledge_whole_option("--broker-port", value, 0, 65535, &options->broker_port, err);
    case OPTION_CERTIFICATE_DAYS:
        return ledge_whole_option("--certificate-days", value, 1, CERTIFICATE_DAYS_MAX,
                                  &options->certificate_days, err);
    case OPTION_PLAIN:
        options->plain = true;
        break;
    case OPTION_NEW_TOKEN:
        options->new_token = true;
        break;
    case OPTION_VERSION:
    case OPTION_HELP:
        break;
    }
    return LEDGE_OK;
}

LEDGE_PRINTF(1, 2) static int usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ledge-hub: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "; see ledge-hub --help\n");
    va_end(args);
    return SYS_EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct hub_options *options)
{
    struct option list[N_OPTIONS + 1] = {{NULL, 0, NULL, 0}};
    struct ledge_error err;
    int code, at, index = 0;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        list[i] = (struct option){table[i].name,
                                  table[i].argument != NULL ? required_argument : no_argument, NULL,
                                  (int)table[i].code};
    }
    while ((at = optind, code = getopt_long(argc, argv, ":", list, &index)) != -1) {
        if (code == OPTION_HELP) {
            print_help();
            return SYS_EXIT_OK;
        }
        if (code == OPTION_VERSION) {
            printf("ledge-hub %s\n", LEDGE_VERSION_STRING);
            return SYS_EXIT_OK;
        }
        if (code == '?' || code == ':') {
            return usage(code == ':' ? "option '%s' requires an argument"
                                     : "unrecognized option '%s'",
                         argv[optind > at ? optind - 1 : at]);
        }
        if (take_option(options, code, optarg, &err) != LEDGE_OK) {
            return usage("%s", err.text);
        }
        if (optarg != NULL && *optarg == '\0') {
            return usage("--%s: the value is empty", list[index].name);
        }
    }
    return optind < argc ? usage("unexpected argument '%s'", argv[optind]) : -1;
}

/* -- start -- */

static enum ledge_status split_address(struct hub *hub, struct ledge_error *err)
{
    const char *text = hub->options.listen, *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';
    size_t n = colon != NULL ? (size_t)(colon - text) - (v6 ? 2 : 0) : 0;
    int64_t port = 0;
    if (colon == NULL || n == 0 || n >= sizeof hub->host ||
        !ledge_whole_read(colon + 1, 0, 65535, &port)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--listen %s: not HOST:PORT", text);
    }
    memcpy(hub->host, text + (v6 ? 1 : 0), n);
    hub->host[n] = '\0';
    hub->port = (uint16_t)port;
    bool loopback = strncmp(hub->host, "127.", 4) == 0 || strcmp(hub->host, "::1") == 0;
    if (hub->options.plain && !loopback) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--plain: %s is not a loopback address", hub->host);
    }
    return LEDGE_OK;
}

static enum ledge_status open_state(struct hub *hub, struct ledge_error *err)
{
    char path[HUB_PATH], absolute[4096];
    const char *home = getenv("HOME");
    if (hub->options.state != NULL) {
        (void)snprintf(hub->state, sizeof hub->state, "%s", hub->options.state);
    } else if (home != NULL) {
        (void)snprintf(hub->state, sizeof hub->state, "%s/.local/state/ledge-hub", home);
    } else {
        (void)snprintf(hub->state, sizeof hub->state, "ledge-hub");
    }
    LEDGE_TRY(sys_dir_make(hub->state, err));
    /* The broker reads paths of ours, from its own working folder. */
    if (realpath(hub->state, absolute) == NULL || strlen(absolute) >= 700) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "--state %s: the path is too long", hub->state);
    }
    (void)snprintf(hub->state, sizeof hub->state, "%.700s", absolute);
    enum ledge_status status = sys_file_lock(hub_path(hub, path, "lock"), err);
    return status == LEDGE_ERR_STATE
               ? ledge_fail(err, status, "%s: another ledge-hub runs on it", hub->state)
               : status;
}

static enum ledge_status start_http(struct hub *hub, struct ledge_error *err)
{
    char certificate[HUB_PATH], key[HUB_PATH], ca[HUB_PATH];
    if (!hub->options.plain) {
        struct sys_tls_options tls = {.server = true,
                                      .certificate = hub_path(hub, certificate, "server.crt"),
                                      .key = hub_path(hub, key, "server.key"),
                                      .ca = hub_path(hub, ca, "ca.crt"),
                                      .verify = SYS_TLS_VERIFY_OPTIONAL};
        LEDGE_TRY(sys_tls_create(&tls, &hub->tls, err));
    }
    struct sys_http_server_options options = {.host = hub->host,
                                              .port = hub->port,
                                              .tls = hub->tls,
                                              .max_body = HUB_MAX_BLOB,
                                              .limit = hub_api_limit,
                                              .handle = hub_api_handle,
                                              .arg = hub};
    LEDGE_TRY(sys_http_server_create(hub->loop, &options, &hub->http, err));
    hub->port = sys_http_server_port(hub->http);
    return LEDGE_OK;
}

struct silent {
    char names[32][FLEET_NAME_SIZE];
    size_t n;
};

static bool add_silent(void *arg, const struct sys_row *row)
{
    struct silent *silent = arg;
    (void)snprintf(silent->names[silent->n], FLEET_NAME_SIZE, "%s", sys_row_text(row, 0));
    return ++silent->n < 32;
}

/* A device whose last will was lost with the broker still goes offline. */
static void on_sweep(void *arg)
{
    struct hub *hub = arg;
    struct silent silent = {.n = 0};
    if (sys_sql_do(hub->sql, NULL, add_silent, &silent, hub_sql_device_silent, "i",
                   sys_now_ms() - SILENT_MS) == LEDGE_OK) {
        for (size_t i = 0; i < silent.n; i++) {
            hub_device_offline(hub, silent.names[i]);
        }
    }
}

static void on_broker_gone(void *arg)
{
    sys_loop_stop(((struct hub *)arg)->loop);
}

static void on_stop(void *arg)
{
    struct hub *hub = arg;
    sys_log(SYS_LOG_INFO, "stopping");
    hub_gc_stop(hub); /* now: while the broker ends, who asked is told so */
    hub_broker_stop(hub, on_broker_gone, hub);
}

static enum ledge_status start(struct hub *hub, struct ledge_error *err)
{
    LEDGE_TRY(split_address(hub, err));
    LEDGE_TRY(hub_broker_url(hub, err));
    LEDGE_TRY(open_state(hub, err));
    LEDGE_TRY(hub_store_open(hub, err));
    LEDGE_TRY(hub_gc_resume(hub, err));
    LEDGE_TRY(hub_setup(hub, err));
    LEDGE_TRY(sys_loop_create(&hub->loop, err));
    LEDGE_TRY(sys_loop_signal(hub->loop, SIGTERM, on_stop, hub, err));
    LEDGE_TRY(sys_loop_signal(hub->loop, SIGINT, on_stop, hub, err));
    LEDGE_TRY(hub_events_create(hub, err));
    LEDGE_TRY(hub_live_create(hub, err));
    LEDGE_TRY(hub_logs_create(hub, err));
    LEDGE_TRY(hub_ingest_create(hub, err));
    LEDGE_TRY(hub_broker_start(hub, err));
    LEDGE_TRY(hub_link_start(hub, err));
    LEDGE_TRY(start_http(hub, err));
    hub->sweeper = sys_timer_start(hub->loop, SWEEP_MS, SWEEP_MS, on_sweep, hub);
    sys_log(SYS_LOG_INFO, "%s://%s:%u, state in %s", hub->options.plain ? "http" : "https",
            hub->host, hub->port, hub->state);
    return LEDGE_OK;
}

static void done(struct hub *hub)
{
    hub_gc_stop(hub);
    hub_events_free(hub->events);
    hub_logs_free(hub->logs);
    hub->events = NULL; /* what is committed last has nobody to tell */
    hub_ingest_free(hub->ingest);
    sys_http_server_free(hub->http);
    sys_mqtt_free(hub->mqtt);
    hub_broker_free(hub->broker);
    hub_live_free(hub->live);
    sys_timer_free(hub->sweeper);
    sys_tls_free(hub->tls);
    sys_sql_close(hub->sql);
    json_decref(hub->openapi);
    sys_loop_free(hub->loop);
}

int main(int argc, char **argv)
{
    static struct hub hub = {.options = {.listen = "0.0.0.0:8443",
                                         .broker_port = -1,
                                         .certificate_days = CERTIFICATE_DAYS}};
    struct ledge_error err;
    struct rlimit files;
    sys_exit_begin();
    int code = parse(argc, argv, &hub.options);
    if (code >= 0) {
        return sys_exit_end("ledge-hub", code);
    }
    sys_log_init("ledge-hub", SYS_LOG_INFO);
    /* One descriptor a device: what the system allows, here and in the broker. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max < WANTED_FILES ? files.rlim_max : WANTED_FILES;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (start(&hub, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
        done(&hub);
        return (int)sys_exit_of(err.status);
    }
    sys_loop_run(hub.loop);
    done(&hub);
    return SYS_EXIT_OK;
}
