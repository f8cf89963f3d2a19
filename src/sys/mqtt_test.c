/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_test.c -- against a real mosquitto with mutual TLS: messages, the will, a killed broker,
 * certificates that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/mqtt.h"
#include "sys/process.h"
#include "sys/tls.h"

#define BROKER "/usr/sbin/mosquitto"

enum { LIMIT_MS = 30000 };

static char dir[] = "/tmp/ledge-mqtt-XXXXXX";
static uint16_t port;
static struct sys_loop *loop;
static struct sys_process *broker;

static const char *at(const char *name)
{
    static char paths[16][128];
    static size_t next;
    char *path = paths[next++ % 16];
    snprintf(path, 128, "%s/%s", dir, name);
    return path;
}

/* -- a fleet of certificates and one broker ------------------------------------------------------
 */

static void make_identity(const char *name, const char *file, bool server, int32_t valid)
{
    const char *const hosts[] = {"localhost", "127.0.0.1", NULL};
    char key[64], pem[64], serial[64];
    struct ledge_buf csr = LEDGE_BUF_INIT(8192);
    struct ledge_buf certificate = LEDGE_BUF_INIT(8192);
    snprintf(key, sizeof key, "%s.key", file);
    snprintf(pem, sizeof pem, "%s.pem", file);
    assert_int_equal(sys_key_create(at(key), NULL), LEDGE_OK);
    assert_int_equal(sys_csr_create(at(key), name, &csr, NULL), LEDGE_OK);
    struct sys_sign_options options = {.ca_certificate = at("ca.pem"),
                                       .ca_key = at("ca.key"),
                                       .name = name,
                                       .hosts = server ? hosts : NULL,
                                       .server = server,
                                       .client = !server,
                                       .valid_seconds = valid};
    assert_int_equal(sys_csr_sign(csr.data, csr.len, &options, &certificate, serial, NULL),
                     LEDGE_OK);
    assert_int_equal(sys_file_write(at(pem), certificate.data, certificate.len, 0644, NULL),
                     LEDGE_OK);
    ledge_buf_done(&csr);
    ledge_buf_done(&certificate);
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void too_late(void *arg)
{
    *(bool *)arg = true;
    sys_loop_stop(loop);
}

static void try_port(void *arg)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)arg;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        sys_loop_stop(loop);
    }
    close(fd);
}

/* Returns when it listens. */
static void start_broker(void)
{
    const char *const argv[] = {BROKER, "-c", at("mosquitto.conf"), NULL};
    struct sys_process_options options = {.argv = argv, .backoff_ms = 20, .backoff_max_ms = 200};
    struct ledge_error err;
    bool late = false;
    if (sys_process_start(loop, &options, &broker, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    struct sys_timer *limit = sys_timer_start(loop, LIMIT_MS, 0, too_late, &late);
    struct sys_timer *poll = sys_timer_start(loop, 0, 10, try_port, NULL);
    sys_loop_run(loop);
    sys_timer_free(poll);
    sys_timer_free(limit);
    assert_false(late);
}

static int set_up(void **state)
{
    char text[1024];
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(sys_key_create(at("ca.key"), NULL), LEDGE_OK);
    assert_int_equal(sys_ca_create(at("ca.key"), "Test CA", at("ca.pem"), NULL), LEDGE_OK);
    make_identity("localhost", "broker", true, 3600);
    make_identity("cam-1", "cam", false, 3600);
    make_identity("cam-2", "old", false, -10);
    port = free_port();
    int n = snprintf(text, sizeof text,
                     "user root\nlistener %u 127.0.0.1\ncafile %s\ncertfile %s\nkeyfile %s\n"
                     "require_certificate true\nuse_identity_as_username true\n"
                     "set_tcp_nodelay true\nlog_dest none\nmax_queued_messages 100000\n",
                     port, at("ca.pem"), at("broker.pem"), at("broker.key"));
    assert_int_equal(sys_file_write(at("mosquitto.conf"), text, (size_t)n, 0644, NULL), LEDGE_OK);
    assert_int_equal(sys_loop_create(&loop, NULL), LEDGE_OK);
    start_broker();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_process_free(broker);
    sys_loop_free(loop);
    return sys_tree_remove(dir, NULL) == LEDGE_OK ? 0 : -1;
}

/* -- a client that counts ------------------------------------------------------------------------
 */

enum { MESSAGES = 2000, CLIENTS = 4, EVENTS_PER_ATTEMPT = 16 };

struct client {
    struct sys_mqtt *mqtt;
    int connects, losses, messages, published, stop_at_messages, stop_at_connects, stop_at_losses;
    bool order, free_in_message;
    char last[256];
    char reason[256];
};

/* Of the test that runs: one that fails leaves none behind (no_client_stays). */
static struct client clients[CLIENTS];

static struct client *new_client(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i].mqtt == NULL) {
            clients[i] = (struct client){.stop_at_connects = 1};
            return &clients[i];
        }
    }
    fail_msg("more than %d clients", CLIENTS);
    return NULL;
}

static void free_client(struct client *c)
{
    sys_mqtt_free(c->mqtt);
    c->mqtt = NULL;
}

static int no_client_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENTS; i++) {
        free_client(&clients[i]);
    }
    return 0;
}

static void on_connect(void *arg)
{
    struct client *c = arg;
    if (++c->connects == c->stop_at_connects) {
        sys_loop_stop(loop);
    }
}

static void on_disconnect(void *arg, const char *reason)
{
    struct client *c = arg;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    if (++c->losses == c->stop_at_losses) {
        sys_loop_stop(loop);
    }
}

static void on_message(void *arg, const char *topic, const void *payload, size_t n)
{
    struct client *c = arg;
    (void)topic;
    snprintf(c->last, sizeof c->last, "%.*s", (int)n, (const char *)payload);
    c->order = c->order && atoi(c->last) == c->messages;
    if (++c->messages == c->stop_at_messages) {
        if (c->free_in_message) {
            free_client(c);
        }
        sys_loop_stop(loop);
    }
}

static void on_published(void *arg, int id)
{
    struct client *c = arg;
    (void)id;
    c->published++;
}

static void open_as(struct client *c, const char *id, const char *file, const char *host,
                    const char *will)
{
    char key[64], pem[64];
    snprintf(key, sizeof key, "%s.key", file);
    snprintf(pem, sizeof pem, "%s.pem", file);
    struct sys_mqtt_options options = {.host = host,
                                       .port = port,
                                       .client_id = id,
                                       .certificate = at(pem),
                                       .key = at(key),
                                       .ca = at("ca.pem"),
                                       .backoff_ms = 5,
                                       .backoff_max_ms = 50,
                                       .will_topic = will,
                                       .will_payload = "gone",
                                       .on_connect = on_connect,
                                       .on_disconnect = on_disconnect,
                                       .on_message = on_message,
                                       .on_published = on_published,
                                       .arg = c};
    struct ledge_error err;
    if (sys_mqtt_create(loop, &options, &c->mqtt, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
}

static void run_for(struct client *c)
{
    bool late = false;
    struct sys_timer *limit = sys_timer_start(loop, LIMIT_MS, 0, too_late, &late);
    sys_loop_run(loop);
    sys_timer_free(limit);
    if (late) {
        fail_msg("not within 30 s: %d connects, %d losses (%s), %d messages", c->connects,
                 c->losses, c->reason, c->messages);
    }
}

static void messages_arrive_in_order(void **state)
{
    struct client *c = new_client();
    char text[16];
    (void)state;
    c->order = true;
    open_as(c, "cam-1", "cam", "localhost", NULL);
    assert_int_equal(sys_mqtt_publish(c->mqtt, "t/1", "", 0, 1, NULL, NULL), LEDGE_ERR_STATE);
    assert_int_equal(sys_mqtt_subscribe(c->mqtt, "t/#", NULL), LEDGE_OK);
    assert_int_equal(sys_mqtt_subscribe(c->mqtt, "t/#x", NULL), LEDGE_ERR_ARG);
    run_for(c);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(sys_mqtt_publish(c->mqtt, "t/1", text, strlen(text), 1, NULL, NULL),
                         LEDGE_OK);
    }
    c->stop_at_messages = MESSAGES;
    run_for(c);
    assert_true(c->order);
    assert_int_equal(c->connects, 1);
    static char large[200000];
    memset(large, '7', sizeof large);
    c->stop_at_messages = MESSAGES + 1;
    assert_int_equal(sys_mqtt_publish(c->mqtt, "t/2", large, sizeof large, 1, NULL, NULL),
                     LEDGE_OK);
    c->free_in_message = true;
    run_for(c);
    assert_null(c->mqtt);
    assert_true(c->published >= MESSAGES - 1);
}

static void a_killed_broker_is_found_again(void **state)
{
    struct client *c = new_client();
    (void)state;
    open_as(c, "cam-1", "cam", "127.0.0.1", NULL);
    assert_int_equal(sys_mqtt_subscribe(c->mqtt, "again", NULL), LEDGE_OK);
    run_for(c);
    for (int i = 2; i <= 4; i++) {
        c->stop_at_connects = i;
        assert_true(sys_process_pid(broker) > 0);
        kill(sys_process_pid(broker), SIGKILL);
        run_for(c);
        assert_true(sys_mqtt_connected(c->mqtt));
    }
    assert_true(c->losses >= 3);
    c->stop_at_messages = 1; /* the subscription was repeated */
    assert_int_equal(sys_mqtt_publish(c->mqtt, "again", "x", 1, 1, NULL, NULL), LEDGE_OK);
    run_for(c);
    assert_string_equal(c->last, "x");
    free_client(c);
}

static void the_will_is_sent_for_one_that_died(void **state)
{
    struct client *watcher = new_client();
    (void)state;
    open_as(watcher, "watcher", "cam", "127.0.0.1", NULL);
    assert_int_equal(sys_mqtt_subscribe(watcher->mqtt, "will", NULL), LEDGE_OK);
    run_for(watcher);
    /* A second connection with the same client id takes the first one over: to the broker the
     * first died without a word. */
    struct client *first = new_client();
    open_as(first, "dying", "cam", "127.0.0.1", "will");
    run_for(first);
    watcher->stop_at_messages = 1;
    struct client *second = new_client();
    open_as(second, "dying", "cam", "127.0.0.1", NULL);
    run_for(watcher);
    assert_string_equal(watcher->last, "gone");
    free_client(first);
    free_client(second);
    free_client(watcher);
}

static void expect_refused(const char *file, const char *host, const char *words)
{
    struct client *c = new_client();
    c->stop_at_losses = 3;
    open_as(c, "cam-2", file, host, NULL);
    run_for(c);
    assert_int_equal(c->connects, 0);
    /* No attempt spins on a socket that has failed. */
    assert_in_range(sys_mqtt_events(c->mqtt), 0, 3 * EVENTS_PER_ATTEMPT);
    if (strstr(c->reason, words) == NULL) {
        fail_msg("reason is '%s', wanted '%s'", c->reason, words);
    }
    free_client(c);
}

static void refusals_say_why(void **state)
{
    (void)state;
    expect_refused("old", "127.0.0.1", "certificate expired");
    expect_refused("cam", "127.0.0.2", "refused"); /* nobody listens there */
    expect_refused("cam", "no-such-host.invalid", "cannot resolve no-such-host.invalid");
    uint16_t kept = port;
    port = free_port();
    expect_refused("cam", "127.0.0.1", "refused");
    port = kept;
}

static void another_name_in_the_certificate_is_refused(void **state)
{
    (void)state;
    sys_process_free(broker);
    make_identity("elsewhere", "broker", false, 3600); /* no host names, and a client's usage */
    start_broker();
    expect_refused("cam", "localhost", "certificate verify failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(messages_arrive_in_order, no_client_stays),
        cmocka_unit_test_teardown(a_killed_broker_is_found_again, no_client_stays),
        cmocka_unit_test_teardown(the_will_is_sent_for_one_that_died, no_client_stays),
        cmocka_unit_test_teardown(refusals_say_why, no_client_stays),
        cmocka_unit_test_teardown(another_name_in_the_certificate_is_refused, no_client_stays),
    };
    if (!sys_file_exists(BROKER)) {
        printf("skipped: %s is not installed\n", BROKER);
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
