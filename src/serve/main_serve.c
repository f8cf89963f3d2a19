/* SPDX-License-Identifier: Apache-2.0 */
/* main_serve.c -- the program ledge-serve: options, signals, life.
 *
 * Flow B: agent -> (load) -> [ledge-serve] <- (infer) <- functions and applications. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "base/whole.h"
#include "ledge/version.h"
#include "serve/server.h"
#include "sys/exit.h"
#include "sys/log.h"
#include "sys/tls.h"

LEDGE_API const char *argp_program_version = /* the C library looks for it */
    "ledge-serve " LEDGE_VERSION_STRING;

enum { MAX_MODELS = 64, MAX_THREADS = 64, TEXT = 4096 };
enum { OPTION_CERT = 256, OPTION_KEY, OPTION_CLIENT_CA, OPTION_MAX_BODY, OPTION_MAX_QUEUE };

struct arguments {
    struct serve_options serve;
    char host[256];
    const char *cert, *key, *client_ca;
    const char *models[MAX_MODELS];
    int n_models;
};

static const struct argp_option options[] = {
    {"socket", 's', "PATH", 0, "Serve on this unix socket (mode 0600), with model control", 0},
    {"listen", 'l', "HOST:PORT", 0,
     "Serve on TCP, without model control; HOST is a numeric address, port 0 takes any", 0},
    {"model", 'm', "NAME=FILE[:VERSION]", 0, "Load a model at the start; may be repeated", 0},
    {"threads", 't', "N", 0, "Inferences that run at the same time (default: processors, up to 2)",
     0},
    {"max-body", OPTION_MAX_BODY, "MIB", 0, "Greatest request, in MiB (default 32)", 0},
    {"max-queue", OPTION_MAX_QUEUE, "N", 0,
     "Requests that may wait; more are answered 503 (default 256)", 0},
    {"cert", OPTION_CERT, "FILE", 0, "TLS certificate for --listen (PEM)", 1},
    {"key", OPTION_KEY, "FILE", 0, "Its key (PEM)", 1},
    {"client-ca", OPTION_CLIENT_CA, "FILE", 0, "Ask clients for a certificate of this CA", 1},
    {0},
};

static const char doc[] =
    "Inference server: Open Inference Protocol v2 over HTTP, models swapped without a failed "
    "request.\v"
    "Examples:\n"
    "  ledge-serve --listen 127.0.0.1:8000 --model mnist=mnist.onnx\n"
    "  curl --data-binary @seven.png -H 'Content-Type: image/png' \\\n"
    "      '127.0.0.1:8000/v2/models/mnist/infer?classification=3'\n"
    "  ledge-serve --socket serve.sock &\n"
    "  curl --unix-socket serve.sock localhost/v2/repository/models/mnist/load \\\n"
    "      -d '{\"parameters\":{\"path\":\"mnist.onnx\",\"version\":\"2\"}}'\n"
    "  curl --unix-socket serve.sock localhost/metrics\n"
    "\n"
    "SIGTERM and SIGINT end it: no new requests are taken, those that were taken are "
    "answered.\n\n" SYS_EXIT_HELP;

static int64_t number(struct argp_state *state, const char *what, const char *text, int64_t low,
                      int64_t high)
{
    struct ledge_error err;
    int64_t value = 0;
    if (ledge_whole_option(what, text, low, high, &value, &err) != LEDGE_OK) {
        argp_error(state, "%s", err.text);
    }
    return value;
}

static void parse_listen(struct argp_state *state, struct arguments *arguments, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0;
    bool bracketed = n > 2 && text[0] == '[' && text[n - 1] == ']';
    if (bracketed) {
        text++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof(arguments->host)) {
        argp_error(state, "--listen: '%s' is not HOST:PORT, for example 127.0.0.1:8000", text);
        return;
    }
    memcpy(arguments->host, text, n);
    arguments->host[n] = '\0';
    arguments->serve.host = arguments->host;
    arguments->serve.port = (uint16_t)number(state, "the port of --listen", colon + 1, 0, 65535);
}

static void check(struct argp_state *state, const struct arguments *arguments)
{
    if (arguments->serve.unix_path == NULL && arguments->serve.host == NULL) {
        argp_error(state, "give --socket PATH, --listen HOST:PORT, or both");
    }
    if ((arguments->cert == NULL) != (arguments->key == NULL)) {
        argp_error(state, "--cert and --key belong together");
    }
    if (arguments->client_ca != NULL && arguments->cert == NULL) {
        argp_error(state, "--client-ca needs --cert and --key");
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    if (arg != NULL && *arg == '\0') {
        argp_error(state, "an argument or the value of an option is empty");
    }
    switch (key) {
    case 's':
        arguments->serve.unix_path = arg;
        break;
    case 'l':
        parse_listen(state, arguments, arg);
        break;
    case 'm':
        if (arguments->n_models == MAX_MODELS || arg[0] == '=' || strchr(arg, '=') == NULL ||
            strchr(arg, '=')[1] == '\0') {
            argp_error(state, "--model: '%s' is not NAME=FILE[:VERSION], or follows %d others", arg,
                       MAX_MODELS);
        } else {
            arguments->models[arguments->n_models++] = arg;
        }
        break;
    case 't':
        arguments->serve.threads = (int32_t)number(state, "--threads", arg, 1, MAX_THREADS);
        break;
    case OPTION_MAX_BODY:
        arguments->serve.max_body = (size_t)number(state, "--max-body", arg, 1, 1024) << 20;
        break;
    case OPTION_MAX_QUEUE:
        arguments->serve.max_queue = (int32_t)number(state, "--max-queue", arg, 1, 65536);
        break;
    case OPTION_CERT:
        arguments->cert = arg;
        break;
    case OPTION_KEY:
        arguments->key = arg;
        break;
    case OPTION_CLIENT_CA:
        arguments->client_ca = arg;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        break;
    case ARGP_KEY_END:
        check(state, arguments);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* NAME=FILE[:VERSION]; a file that exists under the whole text after "=" wins over a version. */
static enum ledge_status load_model(struct serve_server *server, const char *text,
                                    struct ledge_error *err)
{
    char copy[TEXT];
    size_t n = strlen(text);
    if (n >= sizeof(copy)) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "--model is longer than %d bytes", TEXT - 1);
    }
    memcpy(copy, text, n + 1);
    char *path = strchr(copy, '=');
    *path++ = '\0';
    struct serve_source source = {.name = copy, .path = path, .version = "1"};
    char *colon = strrchr(path, ':');
    if (colon != NULL && access(path, F_OK) != 0) {
        *colon = '\0';
        source.version = colon + 1;
    }
    LEDGE_TRY(serve_server_load(server, &source, err));
    sys_log(SYS_LOG_INFO, "model %s version %s loaded from %s", source.name, source.version,
            source.path);
    return LEDGE_OK;
}

static void on_signal(void *arg)
{
    sys_log(SYS_LOG_INFO, "stopping: finishing what was taken");
    serve_server_drain(arg);
}

static enum ledge_status prepare(struct serve_server *server, struct sys_loop *loop,
                                 const struct arguments *arguments, struct ledge_error *err)
{
    for (int i = 0; i < arguments->n_models; i++) {
        LEDGE_TRY(load_model(server, arguments->models[i], err));
    }
    LEDGE_TRY(sys_loop_signal(loop, SIGTERM, on_signal, server, err));
    LEDGE_TRY(sys_loop_signal(loop, SIGINT, on_signal, server, err));
    if (arguments->serve.unix_path != NULL) {
        sys_log(SYS_LOG_INFO, "listening on %s, %d threads, %s", arguments->serve.unix_path,
                (int)arguments->serve.threads, ledge_cpu_rung());
    }
    if (arguments->serve.host != NULL) {
        sys_log(SYS_LOG_INFO, "listening on %s:%u (%s), %d threads, %s", arguments->host,
                (unsigned)serve_server_port(server), arguments->cert != NULL ? "TLS" : "plain HTTP",
                (int)arguments->serve.threads, ledge_cpu_rung());
    }
    return LEDGE_OK;
}

static enum ledge_status run(struct arguments *arguments, struct sys_loop *loop,
                             struct ledge_error *err)
{
    struct serve_server *server = NULL;
    struct sys_tls_options tls_options = {
        .server = true,
        .certificate = arguments->cert,
        .key = arguments->key,
        .ca = arguments->client_ca,
        .verify = arguments->client_ca != NULL ? SYS_TLS_VERIFY_REQUIRED : SYS_TLS_VERIFY_NONE,
    };
    if (arguments->cert != NULL) {
        LEDGE_TRY(sys_tls_create(&tls_options, &arguments->serve.tls, err));
    }
    enum ledge_status status = serve_server_create(loop, &arguments->serve, &server, err);
    if (status == LEDGE_OK) {
        status = prepare(server, loop, arguments, err);
    }
    if (status == LEDGE_OK) {
        sys_loop_run(loop);
        sys_log(SYS_LOG_INFO, "stopped");
    }
    serve_server_free(server);
    if (arguments->serve.tls != NULL) {
        sys_tls_free(arguments->serve.tls);
    }
    return status;
}

int main(int argc, char **argv)
{
    static const struct argp parser = {.options = options, .parser = parse_option, .doc = doc};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct arguments arguments = {
        .serve = {.threads = processors >= 2 ? 2 : 1,
                  .max_queue = 256,
                  .max_body = (size_t)32 << 20,
                  .max_pending = (size_t)256 << 20},
    };
    struct ledge_error err = {0};
    struct sys_loop *loop = NULL;
    sys_exit_begin();
    argp_err_exit_status = SYS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (arguments.serve.max_pending < arguments.serve.max_body) {
        arguments.serve.max_pending = arguments.serve.max_body;
    }
    sys_log_init("ledge-serve", SYS_LOG_INFO);
    enum ledge_status status = sys_loop_create(&loop, &err);
    if (status == LEDGE_OK) {
        status = run(&arguments, loop, &err);
    }
    sys_loop_free(loop);
    if (status != LEDGE_OK) {
        sys_log(SYS_LOG_ERROR, "%s", err.text);
    }
    return (int)sys_exit_of(status);
}
