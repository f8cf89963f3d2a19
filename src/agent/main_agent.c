/* SPDX-License-Identifier: Apache-2.0 */
/* main_agent.c -- `ledge-agent enroll | run | status`. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/enroll.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "base/whole.h"
#include "ledge/version.h"
#include "sys/exit.h"
#include "sys/http.h"
#include "sys/json.h"
#include "sys/log.h"

enum { SPREAD_MS = 1000, OUTBOX_MB = 256 };

static const char help[] =
    "usage: ledge-agent enroll --hub URL --token T [--state DIR] [--name NAME]\n"
    "       ledge-agent enroll --again --token T [--hub URL] [--state DIR]\n"
    "       ledge-agent run [--state DIR] [--serve PATH] [--spread MS] [--outbox-mb N]\n"
    "       ledge-agent status [--state DIR] [--json]\n"
    "\n"
    "The part of Ledge on every node: keeps what the hub has signed running, keeps records until\n"
    "the hub has them, supervises ledge-serve and functions.\n"
    "\n"
    "enroll   make a key (it never leaves this device), prove the token, receive a certificate.\n"
    "         The hub is checked against the token before anything is sent. Killed in the middle,\n"
    "         the same command can be given again. --again, while no agent runs: another key and\n"
    "         certificate for a device whose own ran out; its name, its records and what runs on\n"
    "         it stay. Cut after the token was used, start the agent: it goes on by itself.\n"
    "run      stay connected and do as the hub says; ends by SIGTERM. Works on without the hub.\n"
    "status   what runs, asked from the running agent\n"
    "\n"
    "options:\n"
    "  --hub URL        https://HOST:PORT of the hub\n"
    "  --token T        claim token, printed once by `ledge device token`\n"
    "  --name NAME      device name ([a-z0-9-], at most 63); default: the host's name\n"
    "  --again          the device is enrolled already\n"
    "  --state DIR      all that the agent keeps; default " AGENT_STATE_DEFAULT "\n"
    "  --serve PATH     ledge-serve; default: beside this program, else in PATH\n"
    "  --spread MS      connect within this time after the start, at random; default 1000.\n"
    "                   A fleet of thousands on one power switch wants 15000\n"
    "  --outbox-mb N    quota of the outbox; default 256\n"
    "  --json           status as JSON\n"
    "  --version, --help\n"
    "\n"
    "environment: LEDGE_LOG=debug for more words\n"
    "\n"
    "examples:\n"
    "  ledge-agent enroll --hub https://hub.example:8443 --token lt1.3f... --name cam-1\n"
    "  ledge-agent run\n"
    "  ledge-agent status --json\n"
    "  curl --unix-socket /var/lib/ledge-agent/agent.sock http://agent/v1/status\n"
    "\n" SYS_EXIT_HELP;

struct arguments {
    const char *hub, *token, *name, *state, *serve;
    int64_t spread_ms, outbox_mb;
    bool json, again;
};

LEDGE_PRINTF(1, 2) static int usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ledge-agent: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "; see ledge-agent --help\n");
    va_end(args);
    return SYS_EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"hub", required_argument, NULL, 'h'},       {"token", required_argument, NULL, 't'},
        {"name", required_argument, NULL, 'n'},      {"state", required_argument, NULL, 's'},
        {"serve", required_argument, NULL, 'v'},     {"spread", required_argument, NULL, 'p'},
        {"outbox-mb", required_argument, NULL, 'o'}, {"json", no_argument, NULL, 'j'},
        {"again", no_argument, NULL, 'a'},           {"help", no_argument, NULL, '?' + 256},
        {"version", no_argument, NULL, 'V'},         {NULL, 0, NULL, 0},
    };
    struct ledge_error err;
    int c, at, index = 0;
    while ((at = optind, c = getopt_long(argc, argv, ":", options, &index)) != -1) {
        enum ledge_status status = LEDGE_OK;
        switch (c) {
        case 'h':
            args->hub = optarg;
            break;
        case 't':
            args->token = optarg;
            break;
        case 'n':
            args->name = optarg;
            break;
        case 's':
            args->state = optarg;
            break;
        case 'v':
            args->serve = optarg;
            break;
        case 'p':
            status = ledge_whole_option("--spread", optarg, 0, 3600000, &args->spread_ms, &err);
            break;
        case 'o':
            status = ledge_whole_option("--outbox-mb", optarg, 1, 1 << 20, &args->outbox_mb, &err);
            break;
        case 'a':
            args->again = true;
            break;
        case 'j':
            args->json = true;
            break;
        case 'V':
            printf("ledge-agent %s\n", LEDGE_VERSION_STRING);
            return SYS_EXIT_OK;
        case '?' + 256:
            fputs(help, stdout);
            return SYS_EXIT_OK;
        default:
            return usage(c == ':' ? "option '%s' requires an argument" : "unrecognized option '%s'",
                         argv[optind > at ? optind - 1 : at]);
        }
        if (status != LEDGE_OK) {
            return usage("%s", err.text);
        }
        if (optarg != NULL && *optarg == '\0') {
            return usage("--%s: the value is empty", options[index].name);
        }
    }
    return optind < argc ? usage("unexpected argument '%s'", argv[optind]) : -1;
}

static int cmd_enroll(const struct arguments *args)
{
    struct agent_config config;
    struct ledge_error err;
    struct agent_enroll_options options = {.state = args->state,
                                           .hub = args->hub,
                                           .token = args->token,
                                           .name = args->name,
                                           .again = args->again};
    if (args->token == NULL || (args->hub == NULL && !args->again)) {
        return usage("enroll needs %s--token", args->again ? "" : "--hub and ");
    }
    enum ledge_status status = agent_enroll(&options, &config, &err);
    if (status == LEDGE_ERR_EXISTS) {
        printf("%s\n", err.text);
        return SYS_EXIT_OK;
    }
    if (status != LEDGE_OK) {
        fprintf(stderr, "ledge-agent: %s\n", err.text);
        return (int)sys_exit_of(status);
    }
    printf("enrolled as %s at %s; start it with: ledge-agent run --state %s\n", config.device,
           config.hub, config.state);
    return SYS_EXIT_OK;
}

static int cmd_run(const struct arguments *args)
{
    struct ledge_error err;
    struct agent_run_options options = {.state = args->state,
                                        .serve = args->serve,
                                        .spread_ms = args->spread_ms,
                                        .outbox_bytes = (uint64_t)args->outbox_mb << 20};
    sys_log_init("ledge-agent", SYS_LOG_INFO);
    enum ledge_status status = agent_run(&options, &err);
    if (status != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
        return (int)sys_exit_of(status);
    }
    return SYS_EXIT_OK;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static long long int_at(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_status(const json_t *status)
{
    const json_t *outbox = json_object_get(status, "outbox");
    const json_t *item;
    size_t i;
    printf("device      %s, %s %s\n", text_at(status, "device"),
           json_is_true(json_object_get(status, "connected")) ? "connected to" : "not connected to",
           text_at(status, "hub"));
    printf("generation  %lld runs; %lld is %s%s%s\n", int_at(status, "running"),
           int_at(status, "gen"), text_at(status, "state"),
           *text_at(status, "reason") != '\0' ? ": " : "", text_at(status, "reason"));
    item = json_object_get(status, "certificate");
    printf("certificate %s until %.10s%s%s\n", text_at(item, "serial"), text_at(item, "expires"),
           strcmp(text_at(item, "rotation"), "IDLE") != 0 ? ", rotation: " : "",
           strcmp(text_at(item, "rotation"), "IDLE") != 0 ? text_at(item, "rotation") : "");
    printf("outbox      %lld records wait, %lld bytes, %lld acknowledged\n",
           int_at(outbox, "depth"), int_at(outbox, "bytes"), int_at(outbox, "acked"));
    json_array_foreach(json_object_get(status, "models"), i, item)
    {
        printf("model       %s version %lld, %s\n", text_at(item, "name"), int_at(item, "version"),
               text_at(item, "state"));
    }
    json_array_foreach(json_object_get(status, "functions"), i, item)
    {
        printf("function    %s version %lld, %s, process %lld, restarted %lld times\n",
               text_at(item, "name"), int_at(item, "version"), text_at(item, "state"),
               int_at(item, "pid"), int_at(item, "restarts"));
    }
}

static int cmd_status(const struct arguments *args)
{
    LEDGE_CLEANUP(sys_http_reply_done) struct sys_http_reply reply = {.status = 0};
    LEDGE_CLEANUP(sys_json_free) json_t *status = NULL;
    struct agent_config config;
    struct ledge_error err;
    char url[SYS_PATH + 32];
    enum ledge_status loaded = agent_config_load(args->state, &config, &err);
    if (loaded != LEDGE_OK) {
        fprintf(stderr, "ledge-agent: %s\n", err.text);
        return (int)sys_exit_of(loaded);
    }
    (void)snprintf(url, sizeof url, "unix:%s:/v1/status", config.agent_socket);
    struct sys_http_call call = {.method = "GET", .url = url, .timeout_s = 5};
    if (sys_http_fetch(&call, &reply, &err) != LEDGE_OK || reply.status != 200 ||
        sys_json_parse(reply.body.data, reply.body.len, &status, &err) != LEDGE_OK) {
        fprintf(stderr, "ledge-agent: the agent of %s does not answer; is it running?\n",
                config.state);
        return SYS_EXIT_UNREACHABLE;
    }
    if (args->json) {
        printf("%s\n", reply.body.data);
    } else {
        print_status(status);
    }
    return SYS_EXIT_OK;
}

static int agent_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct arguments *args);
    } verbs[] = {{"enroll", cmd_enroll}, {"run", cmd_run}, {"status", cmd_status}};
    struct arguments args = {
        .state = AGENT_STATE_DEFAULT, .spread_ms = SPREAD_MS, .outbox_mb = OUTBOX_MB};
    if (argc < 2) {
        return usage("enroll, run or status?");
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        fputs(help, stdout);
        return SYS_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ledge-agent %s\n", LEDGE_VERSION_STRING);
        return SYS_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0) {
            int code = parse(argc - 1, argv + 1, &args);
            return code >= 0 ? code : verbs[i].run(&args);
        }
    }
    return usage("'%s': enroll, run or status?", argv[1]);
}

int main(int argc, char **argv)
{
    sys_exit_begin();
    return sys_exit_end("ledge-agent", agent_main(argc, argv));
}
