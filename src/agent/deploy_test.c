/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_test.c -- the kill matrix: every state of fleet/deploy_states.h x {kill -9, error}, with
 * real processes. This program is also the device (--device) and a small ledge-serve (--socket),
 * started by itself; the test's own process is the hub that serves the blobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/deploy.h"
#include "agent/generation.h"
#include "agent/journal.h"
#include "base/digest.h"
#include "sys/http.h"
#include "sys/log.h"
#include "sys/tls.h"

static const uint8_t secret[32] = {7};
static const uint8_t other_secret[32] = {8};
static uint8_t public_key[32];
static char root[] = "/tmp/ledge-deploy-XXXXXX";

static void make_public_key(void)
{
    /* The public half of the fixed secret. */
    static const char hex[] = "a2fa2f4a355ba2e907a53009e9e37caddf7ac7e66a08ba07631f553072b3f24c";
    assert_true(ledge_unhex(hex, public_key, sizeof public_key));
}

/* -- a small ledge-serve -------------------------------------------------------------------------
 */

static void serve_handle(void *arg, struct sys_http_request *request)
{
    static char answer[] = "{\"name\":\"m\",\"version\":\"1\",\"swap_ms\":0.25,\"load_ms\":1}";
    size_t n;
    const char *body = sys_http_body(request, &n);
    const char *path = n > 0 ? strstr(body, "\"path\":\"") : NULL;
    struct ledge_buf bytes = LEDGE_BUF_INIT(1 << 20);
    (void)arg;
    if (path != NULL) {
        char file[SYS_PATH];
        snprintf(file, sizeof file, "%.*s", (int)strcspn(path + 8, "\""), path + 8);
        if (sys_file_read(file, &bytes, NULL) != LEDGE_OK || strncmp(bytes.data, "BAD", 3) == 0) {
            sys_http_reply_text(request, 422, "application/json", "{\"error\":\"bad probe\"}");
            ledge_buf_done(&bytes);
            return;
        }
        if (strncmp(bytes.data, "DIE", 3) == 0) {
            _exit(3);
        }
    }
    sys_http_reply_text(request, 200, "application/json", answer);
    ledge_buf_done(&bytes);
}

static int run_serve(const char *socket)
{
    struct sys_loop *loop;
    struct sys_http_server *server;
    struct sys_http_server_options options = {
        .unix_path = socket, .max_body = 65536, .handle = serve_handle};
    if (sys_loop_create(&loop, NULL) != LEDGE_OK ||
        sys_http_server_create(loop, &options, &server, NULL) != LEDGE_OK) {
        return 1;
    }
    sys_loop_run(loop);
    return 0;
}

/* -- the device ----------------------------------------------------------------------------------
 */

static void print_status(void *arg, json_t *status)
{
    (void)arg;
    printf("%s gen %d: %s\n", json_string_value(json_object_get(status, "state")),
           (int)json_integer_value(json_object_get(status, "gen")),
           json_string_value(json_object_get(status, "reason")));
    fflush(stdout);
}

static struct sys_loop *device_loop;
static struct agent_deploy *device_deploy;

/* Lines on standard input: the path of an envelope. */
static void on_input(void *arg, int events)
{
    static char line[SYS_PATH];
    struct ledge_buf text = LEDGE_BUF_INIT(FLEET_PAYLOAD_MAX);
    (void)arg;
    (void)events;
    ssize_t n = read(0, line, sizeof line - 1);
    if (n <= 0) {
        sys_loop_stop(device_loop);
        return;
    }
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (sys_file_read(line, &text, NULL) == LEDGE_OK) {
        agent_deploy_receive(device_deploy, text.data, text.len);
    }
    ledge_buf_done(&text);
}

static int run_device(const char *state, const char *hub)
{
    struct agent_store *store;
    struct agent_serve *serve;
    struct agent_functions *functions;
    char blobs[SYS_PATH], serve_socket[SYS_PATH], self[SYS_PATH] = "";
    struct ledge_error err = {.text = ""};
    make_public_key();
    sys_log_init("device", SYS_LOG_INFO);
    snprintf(blobs, sizeof blobs, "%s/blobs", state);
    snprintf(serve_socket, sizeof serve_socket, "%s/serve.sock", state);
    if (readlink("/proc/self/exe", self, sizeof self - 1) <= 0) {
        return 1;
    }
    struct agent_store_options so = {
        .dir = blobs, .hub = hub, .backoff_ms = 5, .backoff_max_ms = 50};
    struct agent_serve_options vo = {.program = self, .socket = serve_socket};
    struct agent_functions_options fo = {
        .state = state, .device = "cam-1", .serve_socket = serve_socket, .agent_socket = "unused"};
    struct agent_deploy_options options = {
        .state = state, .device = "cam-1", .on_status = print_status};
    memcpy(options.director_key, public_key, sizeof public_key);
    if (sys_loop_create(&device_loop, &err) != LEDGE_OK ||
        agent_store_create(device_loop, &so, &store, &err) != LEDGE_OK ||
        agent_serve_create(device_loop, &vo, &serve, &err) != LEDGE_OK ||
        agent_functions_create(device_loop, &fo, &functions, &err) != LEDGE_OK) {
        printf("%s\n", err.text);
        return 1;
    }
    options.store = store;
    options.serve = serve;
    options.functions = functions;
    if (agent_deploy_open(device_loop, &options, &device_deploy, &err) != LEDGE_OK) {
        printf("%s\n", err.text);
        return 1;
    }
    agent_deploy_resume(device_deploy);
    printf("resumed in %s\n", fleet_state_row(agent_deploy_state(device_deploy))->name);
    fflush(stdout);
    struct sys_watch *watch = sys_watch_start(device_loop, 0, SYS_READ, on_input, NULL);
    sys_loop_run(device_loop);
    sys_watch_free(watch);
    agent_deploy_close(device_deploy);
    agent_functions_free(functions);
    agent_serve_free(serve);
    agent_store_free(store);
    sys_loop_free(device_loop);
    return 0;
}

/* -- the hub: blobs over HTTP, in a thread -------------------------------------------------------
 */

static struct sys_loop *hub_loop;
static struct sys_http_server *hub_server;
static pthread_t hub_thread;
static char hub_url[64];

static void hub_handle(void *arg, struct sys_http_request *request)
{
    char path[SYS_PATH];
    (void)arg;
    snprintf(path, sizeof path, "%s/hub/%.64s", root,
             sys_http_path(request) + strlen("/api/v1/blobs/"));
    if (sys_file_exists(path)) {
        sys_http_reply_file(request, path, "application/octet-stream", NULL);
    } else {
        sys_http_reply_text(request, 404, "text/plain", "no such blob\n");
    }
}

static void *hub_run(void *arg)
{
    sys_loop_run(arg);
    return NULL;
}

static int set_up(void **state)
{
    char path[SYS_PATH];
    (void)state;
    make_public_key();
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/hub", root);
    assert_int_equal(sys_dir_make(path, NULL), LEDGE_OK);
    assert_int_equal(sys_loop_create(&hub_loop, NULL), LEDGE_OK);
    struct sys_http_server_options options = {
        .host = "127.0.0.1", .max_body = 1024, .handle = hub_handle};
    assert_int_equal(sys_http_server_create(hub_loop, &options, &hub_server, NULL), LEDGE_OK);
    snprintf(hub_url, sizeof hub_url, "http://127.0.0.1:%u", sys_http_server_port(hub_server));
    return pthread_create(&hub_thread, NULL, hub_run, hub_loop);
}

static int tear_down(void **state)
{
    (void)state;
    sys_loop_stop(hub_loop);
    pthread_join(hub_thread, NULL);
    sys_http_server_free(hub_server);
    sys_loop_free(hub_loop);
    return sys_tree_remove(root, NULL) == LEDGE_OK ? 0 : -1;
}

/* Store a blob at the hub (unless absent is wanted). */
static void put_blob(const char *text, bool absent, char sha256[65])
{
    uint8_t digest[32];
    char path[SYS_PATH];
    ledge_sha256(text, strlen(text), digest);
    ledge_hex(digest, 32, sha256);
    snprintf(path, sizeof path, "%s/hub/%s", root, sha256);
    if (!absent) {
        assert_int_equal(sys_file_write(path, text, strlen(text), 0600, NULL), LEDGE_OK);
    }
}

struct order {
    const char *device;
    int gen, trial_s, v;
    const char *model;    /* content, or NULL */
    const char *function; /* script, or NULL */
    int config;
    bool absent; /* its blobs are not at the hub */
    const uint8_t *secret;
};

/* The envelope of a generation; returns its path. */
static const char *make_envelope(const struct order *o)
{
    static char path[SYS_PATH];
    struct ledge_buf text = LEDGE_BUF_INIT(8192);
    struct ledge_buf bytes = LEDGE_BUF_INIT(8192);
    struct ledge_buf envelope = LEDGE_BUF_INIT(16384);
    char sha[65];
    uint8_t sig[64];
    ledge_buf_printf(&text, "{\"v\":%d,\"device\":\"%s\",\"gen\":%d,\"models\":[", o->v, o->device,
                     o->gen);
    if (o->model != NULL) {
        put_blob(o->model, o->absent, sha);
        ledge_buf_printf(&text,
                         "{\"name\":\"m\",\"version\":%d,\"sha256\":\"%s\",\"size\":%zu,\"file\":"
                         "\"m.onnx\"}",
                         o->gen, sha, strlen(o->model));
    }
    ledge_buf_text(&text, "],\"functions\":[");
    if (o->function != NULL) {
        put_blob(o->function, o->absent, sha);
        ledge_buf_printf(&text,
                         "{\"name\":\"f\",\"version\":%d,\"sha256\":\"%s\",\"size\":%zu,\"file\":"
                         "\"f.sh\",\"config\":{\"n\":%d}}",
                         o->gen, sha, strlen(o->function), o->config);
    }
    ledge_buf_printf(&text, "],\"policy\":{\"trial_s\":%d}}", o->trial_s);
    assert_true(fleet_signed_bytes(text.data, text.len, &bytes));
    assert_int_equal(sys_ed25519_sign(o->secret, bytes.data, bytes.len, sig, NULL), LEDGE_OK);
    assert_int_equal(fleet_envelope_write(text.data, text.len, public_key, sig, &envelope, NULL),
                     LEDGE_OK);
    snprintf(path, sizeof path, "%s/envelope-%d", root, o->gen);
    assert_int_equal(sys_file_write(path, envelope.data, envelope.len, 0600, NULL), LEDGE_OK);
    ledge_buf_done(&text);
    ledge_buf_done(&bytes);
    ledge_buf_done(&envelope);
    return path;
}

#define SCRIPT(version)                                                                            \
    "#!/bin/sh\necho start >>$LEDGE_STATE/starts\necho " version                                   \
    " $LEDGE_CONFIG >$LEDGE_STATE/version.tmp\nmv $LEDGE_STATE/version.tmp $LEDGE_STATE/version\n" \
    "exec sleep 1000\n"
#define DIES "#!/bin/sh\nsleep 0.05\nexit 1\n"

static struct order order(int gen, const char *model, const char *function)
{
    return (struct order){.device = "cam-1",
                          .gen = gen,
                          .v = 1,
                          .model = model,
                          .function = function,
                          .secret = secret};
}

/* -- a device under test -------------------------------------------------------------------------
 */

struct device {
    char state[SYS_PATH];
    pid_t pid;
    int in, out;
    char line[SYS_PATH]; /* the last one it printed */
};

static void start_device(struct device *d, const char *failpoint)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    d->pid = fork();
    if (d->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 64; fd++) {
            close(fd);
        }
        if (getenv("LEDGE_TEST_VERBOSE") == NULL) {
            dup2(open("/dev/null", O_WRONLY), 2);
        }
        if (failpoint != NULL) {
            setenv("LEDGE_FAILPOINT", failpoint, 1);
        }
        execl("/proc/self/exe", "device", "--device", d->state, hub_url, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    d->in = in[1];
    d->out = out[0];
}

/* Kill it if it still runs, and collect it. */
static void end_device(struct device *d)
{
    kill(d->pid, SIGKILL);
    assert_int_equal(waitpid(d->pid, NULL, 0), d->pid);
    close(d->in);
    close(d->out);
}

/* Next line of the device; false at its end. */
static bool read_line(struct device *d)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = d->out, .events = POLLIN};
        if (poll(&p, 1, 30000) != 1) {
            fail_msg("the device says nothing for 30 s; last: %s", d->line);
        }
        char c;
        if (read(d->out, &c, 1) != 1) {
            return false;
        }
        if (c == '\n' || n + 1 == sizeof d->line) {
            d->line[n] = '\0';
            return true;
        }
        d->line[n++] = c;
    }
}

static void send_order(struct device *d, const struct order *o)
{
    char line[SYS_PATH + 2];
    int n = snprintf(line, sizeof line, "%s\n", make_envelope(o));
    assert_int_equal(write(d->in, line, (size_t)n), n);
}

static bool says(const struct device *d, const char *words)
{
    return strncmp(d->line, words, strlen(words)) == 0;
}

/* Read until a line begins with words; false when the device ended before. */
static bool wait_line(struct device *d, const char *words)
{
    while (read_line(d)) {
        if (says(d, words)) {
            return true;
        }
    }
    return false;
}

/* Read until the deployment is over. */
static bool wait_end(struct device *d)
{
    static const char *const ends[] = {"CONFIRMED",   "REJECTED",     "FAILED",
                                       "ROLLED_BACK", "INCONSISTENT", "SUPERSEDED"};
    while (read_line(d)) {
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            if (says(d, ends[i])) {
                return true;
            }
        }
    }
    return false;
}

static void fresh(struct device *d)
{
    static int n;
    *d = (struct device){.pid = 0};
    snprintf(d->state, sizeof d->state, "%s/d%d", root, n++);
    assert_int_equal(sys_dir_make(d->state, NULL), LEDGE_OK);
}

/* The content of a file of the function's folder, "" when it is not there. */
static const char *function_file(const struct device *d, const char *name)
{
    static char text[4096];
    char path[SYS_PATH + 64];
    struct ledge_buf buf = LEDGE_BUF_INIT(sizeof text - 1);
    snprintf(path, sizeof path, "%s/functions/f/state/%s", d->state, name);
    text[0] = '\0';
    if (sys_file_read(path, &buf, NULL) == LEDGE_OK && buf.len > 0) {
        memcpy(text, buf.data, buf.len + 1);
    }
    ledge_buf_done(&buf);
    return text;
}

static void expect_running(const struct device *d, const char *version)
{
    char want[64];
    snprintf(want, sizeof want, "%s ", version);
    for (int i = 0; i < 2000; i++) {
        if (strncmp(function_file(d, "version"), want, strlen(want)) == 0) {
            return;
        }
        usleep(10000);
    }
    fail_msg("function version %s does not run: '%s'", version, function_file(d, "version"));
}

static struct agent_journal journal_of(const struct device *d)
{
    struct agent_journal_file *file;
    struct agent_journal j;
    char path[SYS_PATH + 16];
    snprintf(path, sizeof path, "%s/journal", d->state);
    assert_int_equal(agent_journal_open(path, &file, &j, NULL), LEDGE_OK);
    agent_journal_close(file);
    return j;
}

/* Generation 1 with model and function, confirmed; the device runs on. */
static void confirm_first(struct device *d)
{
    struct order first = order(1, "GOOD 1", SCRIPT("one"));
    fresh(d);
    start_device(d, NULL);
    send_order(d, &first);
    assert_true(wait_end(d));
    assert_string_equal(d->line, "CONFIRMED gen 1: ");
    expect_running(d, "one");
}

/* -- tests ---------------------------------------------------------------------------------------
 */

static void generations_follow_one_another(void **state)
{
    struct device d;
    char path[SYS_PATH + 32];
    (void)state;
    confirm_first(&d);
    struct order second = order(2, "GOOD 2", SCRIPT("one")); /* only the model is another */
    send_order(&d, &second);
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "CONFIRMED gen 2: ");
    assert_string_equal(function_file(&d, "starts"), "start\n"); /* the function was not touched */
    struct order third = order(3, "GOOD 2", SCRIPT("one"));
    third.config = 5;
    send_order(&d, &third);
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "CONFIRMED gen 3: ");
    for (int i = 0; i < 500 && strstr(function_file(&d, "version"), "5}") == NULL; i++) {
        usleep(10000);
    }
    assert_string_equal(function_file(&d, "version"), "one {\"n\":5}\n");
    struct order fourth = order(4, NULL, NULL);
    send_order(&d, &fourth);
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "CONFIRMED gen 4: ");
    for (int i = 0; i < 2000 && agent_generation_exists(d.state, 2); i++) {
        usleep(10000); /* garbage goes after the state was told */
    }
    end_device(&d);
    assert_int_equal(agent_generation_current(d.state), 4);
    assert_true(agent_generation_exists(d.state, 3)); /* the one before is kept */
    assert_false(agent_generation_exists(d.state, 2));
    snprintf(path, sizeof path, "%s/gen/1", d.state);
    assert_false(sys_file_exists(path));
}

static void what_is_refused(void **state)
{
    struct device d;
    (void)state;
    confirm_first(&d);
    struct order wrong = order(2, "GOOD 2", NULL);
    wrong.secret = other_secret;
    send_order(&d, &wrong);
    assert_true(wait_end(&d));
    assert_non_null(strstr(d.line, "REJECTED"));
    assert_non_null(strstr(d.line, "signature is wrong"));
    wrong = order(2, "GOOD 2", NULL);
    wrong.device = "cam-2";
    send_order(&d, &wrong);
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "REJECTED gen 0: it is for device cam-2");
    wrong = order(1, "GOOD 9", NULL);
    send_order(&d, &wrong);
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "REJECTED gen 1: generation 1 is not greater than 1");
    wrong = order(2, "GOOD 2", NULL);
    wrong.v = 2;
    send_order(&d, &wrong);
    assert_true(wait_end(&d));
    assert_non_null(strstr(d.line, "REJECTED gen 2: desired document: version 2"));
    struct agent_journal j = journal_of(&d);
    assert_int_equal(j.current, 1);
    assert_int_equal(j.seen, 2); /* so that the hub does not send it again */
    wrong = order(3, "GOOD 3", NULL);
    wrong.absent = true;
    send_order(&d, &wrong);
    assert_true(wait_end(&d));
    assert_non_null(strstr(d.line, "FAILED gen 3: blob"));
    assert_non_null(strstr(d.line, "404"));
    struct order good = order(4, "GOOD 4", SCRIPT("one"));
    send_order(&d, &good);
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "CONFIRMED gen 4: ");
    assert_string_equal(function_file(&d, "starts"), "start\n");
    end_device(&d);
}

static void what_does_not_hold_is_rolled_back(void **state)
{
    static const struct {
        const char *model, *function, *words;
    } cases[] = {
        {"BAD", SCRIPT("two"), "bad probe"},
        {"DIE", SCRIPT("two"), "ledge-serve ended 3 times"},
        {"GOOD 2", DIES, "did not stay up"},
        {"GOOD 2", "no script at all, and no program", "cannot start"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct device d;
        confirm_first(&d);
        struct order bad = order(2, cases[i].model, cases[i].function);
        bad.trial_s = 1;
        send_order(&d, &bad);
        assert_true(wait_end(&d));
        if (!says(&d, "ROLLED_BACK gen 2") || strstr(d.line, cases[i].words) == NULL) {
            fail_msg("case %zu: %s", i, d.line);
        }
        expect_running(&d, "one");
        send_order(&d, &bad); /* the same document is not tried again, only answered */
        assert_true(wait_end(&d));
        assert_true(says(&d, "ROLLED_BACK gen 2"));
        struct order good = order(3, "GOOD 3", SCRIPT("three"));
        send_order(&d, &good);
        assert_true(wait_end(&d));
        assert_string_equal(d.line, "CONFIRMED gen 3: ");
        expect_running(&d, "three");
        end_device(&d);
    }
}

static void a_newer_document_supersedes(void **state)
{
    struct device d;
    (void)state;
    confirm_first(&d);
    struct order second = order(2, "GOOD 2", SCRIPT("two"));
    struct order third = order(3, "GOOD 3", SCRIPT("three"));
    second.trial_s = 1;
    send_order(&d, &second);
    assert_true(wait_line(&d, "TRIAL"));
    send_order(&d, &third); /* in the middle of the trial: it waits */
    assert_true(wait_line(&d, "CONFIRMED gen 2"));
    assert_true(wait_line(&d, "CONFIRMED gen 3"));
    expect_running(&d, "three");
    end_device(&d);
}

/* -- the matrix ----------------------------------------------------------------------------------
 */

/* What makes a deployment come through this state, and where it ends without a failure. */
struct path {
    struct order order;
    enum fleet_deploy_state end;
};

static struct path path_through(enum fleet_deploy_state s)
{
    struct path path = {.order = order(2, "GOOD 2", SCRIPT("two")), .end = FLEET_STATE_CONFIRMED};
    if (s == FLEET_STATE_REJECTED) {
        path.order.v = 2;
        path.end = FLEET_STATE_REJECTED;
    } else if (s == FLEET_STATE_FAILED) {
        path.order = order(2, "GOOD absent", SCRIPT("absent"));
        path.order.absent = true;
        path.end = FLEET_STATE_FAILED;
    } else if (s == FLEET_STATE_ROLLING_BACK || s == FLEET_STATE_ROLLED_BACK ||
               s == FLEET_STATE_INCONSISTENT) {
        path.order.model = "BAD";
        path.end = FLEET_STATE_ROLLED_BACK;
    }
    return path;
}

/* Follow on_error until nothing changes; an error on the way back is the end of the way. */
static enum fleet_deploy_state end_of_error(enum fleet_deploy_state s)
{
    enum fleet_deploy_state next = fleet_state_row(s)->on_error;
    return next == FLEET_STATE_ROLLING_BACK ? FLEET_STATE_ROLLED_BACK : next;
}

static void expect_state(struct device *d, enum fleet_deploy_state end, const char *what)
{
    struct agent_journal j = journal_of(d);
    if (j.state != end) {
        fail_msg("%s: ended in %s (%s), not in %s", what, fleet_state_row(j.state)->name, j.reason,
                 fleet_state_row(end)->name);
    }
    int64_t current = end == FLEET_STATE_CONFIRMED ? 2 : 1;
    assert_int_equal(j.current, current);
    expect_running(d, current == 2 ? "two" : "one");
    for (int i = 0; i < 2000 && agent_generation_current(d->state) != current; i++) {
        usleep(10000); /* INCONSISTENT goes on trying behind its status */
    }
    assert_int_equal(agent_generation_current(d->state), current);
}

/* Kill at `point`, start again without it, and see it come to `end` by itself. */
static void kill_and_resume(const char *point, const struct path *path)
{
    struct device d;
    char armed[64];
    confirm_first(&d);
    end_device(&d);
    snprintf(armed, sizeof armed, "%s:kill", point);
    start_device(&d, armed);
    send_order(&d, &path->order);
    while (read_line(&d)) {
    }
    end_device(&d);
    start_device(&d, NULL);
    assert_true(wait_line(&d, "resumed in "));
    enum fleet_deploy_state at = fleet_state_parse(d.line + strlen("resumed in "));
    assert_true(at < FLEET_STATE_COUNT);
    if (fleet_state_row(at)->on_kill != FLEET_KILL_STAY) {
        assert_true(wait_end(&d));
    }
    expect_state(&d, path->end, armed);
    end_device(&d);
}

static void kill_in_every_state(void **state)
{
    int n = 0;
    (void)state;
    for (int s = 0; s < FLEET_STATE_COUNT; s++) {
        const struct fleet_state_row *row = fleet_state_row((enum fleet_deploy_state)s);
        if (row->entered != FLEET_ENTERED_JOURNAL || s == FLEET_STATE_INCONSISTENT) {
            continue; /* INCONSISTENT is reached by an error only: below */
        }
        struct path path = path_through((enum fleet_deploy_state)s);
        kill_and_resume(row->name, &path);
        n++;
    }
    print_message("killed in %d states: every one came to its end by itself\n", n);
}

static void kill_between_the_states(void **state)
{
    static const char *const points[] = {"BLOB_PART", "GEN_BUILT", "LINK_SWITCHED"};
    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct path path = path_through(FLEET_STATE_FETCHING);
        kill_and_resume(points[i], &path);
    }
}

static void error_in_every_state(void **state)
{
    int n = 0;
    (void)state;
    for (int s = 0; s < FLEET_STATE_COUNT; s++) {
        const struct fleet_state_row *row = fleet_state_row((enum fleet_deploy_state)s);
        if (row->entered != FLEET_ENTERED_JOURNAL || s == FLEET_STATE_INCONSISTENT) {
            continue;
        }
        struct device d;
        char armed[64];
        struct path path = path_through((enum fleet_deploy_state)s);
        confirm_first(&d);
        end_device(&d);
        snprintf(armed, sizeof armed, "%s:error", row->name);
        start_device(&d, armed);
        send_order(&d, &path.order);
        assert_true(wait_end(&d));
        enum fleet_deploy_state end = end_of_error((enum fleet_deploy_state)s);
        expect_state(&d, end, armed);
        end_device(&d);
        n++;
    }
    print_message("an error in %d states: the old generation ran on, or came back\n", n);
}

static void the_trial_is_not_begun_for_ever(void **state)
{
    struct device d;
    struct order second = order(2, "GOOD 2", SCRIPT("two"));
    (void)state;
    confirm_first(&d);
    second.trial_s = 3600;
    send_order(&d, &second);
    for (int i = 0; i < 3; i++) { /* power cut, again and again */
        assert_true(wait_line(&d, i == 0 ? "TRIAL" : "resumed in TRIAL"));
        end_device(&d);
        start_device(&d, NULL);
    }
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "ROLLED_BACK gen 2: the agent ended 3 times during the trial");
    expect_state(&d, FLEET_STATE_ROLLED_BACK, "trial");
    end_device(&d);
}

static void a_damaged_journal_keeps_what_runs(void **state)
{
    struct device d;
    char path[SYS_PATH + 16];
    char junk[8192];
    (void)state;
    confirm_first(&d);
    end_device(&d);
    memset(junk, 'x', sizeof junk);
    snprintf(path, sizeof path, "%s/journal", d.state);
    assert_int_equal(sys_file_write(path, junk, sizeof junk, 0600, NULL), LEDGE_OK);
    start_device(&d, NULL);
    assert_true(wait_line(&d, "resumed in IDLE"));
    for (int i = 0; i < 2000 && strcmp(function_file(&d, "starts"), "start\nstart\n") != 0; i++) {
        usleep(10000);
    }
    assert_string_equal(function_file(&d, "starts"), "start\nstart\n");
    struct order second = order(2, "GOOD 2", SCRIPT("two"));
    send_order(&d, &second);
    assert_true(wait_end(&d));
    assert_string_equal(d.line, "CONFIRMED gen 2: ");
    end_device(&d);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generations_follow_one_another),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(what_does_not_hold_is_rolled_back),
        cmocka_unit_test(a_newer_document_supersedes),
        cmocka_unit_test(kill_in_every_state),
        cmocka_unit_test(kill_between_the_states),
        cmocka_unit_test(error_in_every_state),
        cmocka_unit_test(the_trial_is_not_begun_for_ever),
        cmocka_unit_test(a_damaged_journal_keeps_what_runs),
    };
    if (argc == 3 && strcmp(argv[1], "--socket") == 0) {
        return run_serve(argv[2]);
    }
    if (argc == 4 && strcmp(argv[1], "--device") == 0) {
        return run_device(argv[2], argv[3]);
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
