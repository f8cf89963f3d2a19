/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt.c -- libmosquitto driven by our loop.
 *
 * Every connection attempt is a new libmosquitto handle: nothing is kept between connections, so
 * memory offline is bounded and no message of yesterday is sent again (delivery is acknowledged end
 * to end above this layer). Names are resolved by a short-lived thread, because getaddrinfo() may
 * block for many seconds without a network; TLS contexts are ours (sys/tls.h), with the host's name
 * to be found in the broker's certificate.
 *
 *   resolve -> TCP -> TLS -> CONNACK: connected       at any failure: lost() -> backoff -> resolve
 */
#include "sys/mqtt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "sys/file.h"
#include "sys/tls.h"

enum { CONNECT_MS = 15000, MAX_PATTERNS = 16, MAX_ADDRESSES = 4, MAX_PACKETS = 64 };

struct resolver { /* filled by the thread, read (and freed) by the loop after it was posted */
    struct sys_loop *loop;
    struct sys_mqtt *mqtt; /* NULL: freed meanwhile */
    pthread_t thread;
    char host[256];
    char addresses[MAX_ADDRESSES][INET6_ADDRSTRLEN];
    int n;
    int error;
};

struct sys_mqtt {
    struct sys_loop *loop;
    struct sys_mqtt_options options; /* strings are copies */
    char *strings[7];                /* those copies */
    struct sys_tls *tls;
    struct mosquitto *client;
    struct sys_watch *watch;
    struct sys_timer *deadline; /* for CONNACK */
    struct sys_timer *retry;    /* the next attempt, or the telling of a loss */
    struct sys_timer *misc;
    struct resolver *resolver; /* while its thread runs or its result is on the way */
    bool connected;
    int watched; /* SYS_READ | SYS_WRITE the watch stands for */
    int failures;
    int attempt;     /* which address is next */
    int64_t expires; /* our certificate, seconds since 1970; 0: none */
    uint64_t events;
    char *patterns[MAX_PATTERNS];
    int n_patterns;
    char reason[160]; /* why the connection ended: the most telling line */
    int busy;
    bool freed;
};

static void connect_now(void *arg);
static void update(struct sys_mqtt *m);

/* -- ends ----------------------------------------------------------------------------------------
 */

static void destroy(struct sys_mqtt *m)
{
    if (m->resolver != NULL) {
        pthread_join(m->resolver->thread, NULL);
        m->resolver->mqtt = NULL;
    }
    mosquitto_destroy(m->client);
    sys_tls_free(m->tls);
    for (int i = 0; i < m->n_patterns; i++) {
        free(m->patterns[i]);
    }
    for (size_t i = 0; i < sizeof m->strings / sizeof *m->strings; i++) {
        free(m->strings[i]);
    }
    free(m);
}

static void enter(struct sys_mqtt *m)
{
    m->busy++;
}

/* True when m was freed meanwhile and must not be touched again. */
static bool leave(struct sys_mqtt *m)
{
    m->busy--;
    if (m->freed && m->busy == 0) {
        destroy(m);
        return true;
    }
    return m->freed;
}

static int64_t backoff(struct sys_mqtt *m)
{
    int64_t delay = m->options.backoff_ms;
    for (int k = 0; k < m->failures && k < 30 && delay < m->options.backoff_max_ms; k++) {
        delay *= 2;
    }
    if (delay > m->options.backoff_max_ms) {
        delay = m->options.backoff_max_ms;
    }
    uint32_t random = 0;
    if (sys_random(&random, sizeof random, NULL) != LEDGE_OK) {
        random = (uint32_t)sys_monotonic_ms();
    }
    return delay / 2 + (int64_t)(random % (uint32_t)(delay / 2 + 1)); /* 50 to 100 % */
}

static void stop_timer(struct sys_timer **timer)
{
    sys_timer_free(*timer);
    *timer = NULL;
}

/* Runs from the loop, never inside a call of our user. */
static void tell_lost(void *arg)
{
    struct sys_mqtt *m = arg;
    char reason[sizeof m->reason];
    stop_timer(&m->retry);
    memcpy(reason, m->reason, sizeof reason);
    m->reason[0] = '\0';
    m->connected = false;
    mosquitto_destroy(m->client);
    m->client = NULL;
    m->retry = sys_timer_start(m->loop, backoff(m), 0, connect_now, m);
    m->failures++;
    enter(m);
    if (m->options.on_disconnect != NULL) {
        m->options.on_disconnect(m->options.arg, reason);
    }
    (void)leave(m);
}

/* The connection (or the attempt) is over; the first reason given is kept. */
static void lost(struct sys_mqtt *m, const char *reason)
{
    if (m->reason[0] == '\0') {
        (void)snprintf(m->reason, sizeof m->reason, "%s", reason);
    }
    sys_watch_free(m->watch);
    m->watch = NULL;
    stop_timer(&m->deadline);
    stop_timer(&m->misc);
    if (m->retry == NULL) {
        m->retry = sys_timer_start(m->loop, 0, 0, tell_lost, m);
    }
}

static const char *text_of(int rc)
{
    if (rc == MOSQ_ERR_ERRNO && errno == EPROTO) { /* the alert was lost in a reset */
        return "TLS: ended by the broker, the reason is lost";
    }
    return rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc);
}

/* After any call into libmosquitto: has the socket gone, does it want to write? */
static void settle(struct sys_mqtt *m, int rc)
{
    if (m->client == NULL || m->retry != NULL) {
        return;
    }
    if (rc != MOSQ_ERR_SUCCESS || mosquitto_socket(m->client) < 0) {
        lost(m, rc == MOSQ_ERR_SUCCESS ? "closed by the broker" : text_of(rc));
        return;
    }
    update(m);
}

/* -- events of the socket -- */

static void on_event(void *arg, int events)
{
    struct sys_mqtt *m = arg;
    int rc = MOSQ_ERR_SUCCESS;
    int fd = mosquitto_socket(m->client);
    m->events++;
    enter(m);
    if ((events & SYS_READ) != 0) {
        rc = mosquitto_loop_read(m->client, MAX_PACKETS);
    }
    if (!m->freed && rc == MOSQ_ERR_SUCCESS && (events & SYS_WRITE) != 0) {
        rc = mosquitto_loop_write(m->client, MAX_PACKETS);
    }
    if (leave(m)) {
        return;
    }
    /* libmosquitto takes a reset during the handshake for "not yet": look ourselves. */
    struct pollfd state = {.fd = fd};
    if (rc == MOSQ_ERR_SUCCESS && !m->connected && fd >= 0 && poll(&state, 1, 0) == 1 &&
        (state.revents & (POLLERR | POLLHUP)) != 0) {
        lost(m, "connection refused or reset");
        return;
    }
    settle(m, rc);
}

static void update(struct sys_mqtt *m)
{
    int wanted = SYS_READ | (mosquitto_want_write(m->client) ? SYS_WRITE : 0);
    if (m->watch != NULL && wanted == m->watched) {
        return;
    }
    sys_watch_free(m->watch);
    m->watched = wanted;
    m->watch = sys_watch_start(m->loop, mosquitto_socket(m->client), wanted, on_event, m);
}

static void on_misc(void *arg)
{
    struct sys_mqtt *m = arg;
    enter(m);
    int rc = mosquitto_loop_misc(m->client);
    if (!leave(m)) {
        settle(m, rc);
    }
}

static void on_deadline(void *arg)
{
    lost(arg, "no answer from the broker");
}

/* -- callbacks of libmosquitto -------------------------------------------------------------------
 */

static void on_connect(struct mosquitto *client, void *arg, int rc, int flags,
                       const mosquitto_property *properties)
{
    struct sys_mqtt *m = arg;
    (void)flags;
    (void)properties;
    if (rc != 0) {
        lost(m, mosquitto_reason_string(rc));
        return;
    }
    stop_timer(&m->deadline);
    m->connected = true;
    m->failures = 0;
    m->reason[0] = '\0';
    for (int i = 0; i < m->n_patterns; i++) {
        (void)mosquitto_subscribe_v5(client, NULL, m->patterns[i], 1, 0, NULL);
    }
    if (m->options.on_connect != NULL) {
        m->options.on_connect(m->options.arg);
    }
}

static void on_disconnect(struct mosquitto *client, void *arg, int rc,
                          const mosquitto_property *properties)
{
    struct sys_mqtt *m = arg;
    (void)client;
    (void)properties;
    if (m->reason[0] == '\0' && rc > 0) {
        /* From 128 on it is a reason code of the broker's DISCONNECT, else our own error. */
        (void)snprintf(m->reason, sizeof m->reason, "%s",
                       rc >= 128 ? mosquitto_reason_string(rc) : text_of(rc));
    }
}

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct sys_mqtt *m = arg;
    (void)client;
    (void)properties;
    if (m->options.on_message != NULL && !m->freed) {
        m->options.on_message(m->options.arg, message->topic, message->payload,
                              message->payloadlen < 0 ? 0 : (size_t)message->payloadlen);
    }
}

static void on_publish(struct mosquitto *client, void *arg, int id, int reason,
                       const mosquitto_property *properties)
{
    struct sys_mqtt *m = arg;
    (void)client;
    (void)reason;
    (void)properties;
    if (m->options.on_published != NULL && !m->freed) {
        m->options.on_published(m->options.arg, id);
    }
}

/* "OpenSSL Error[0]: error:0A000415:SSL routines::sslv3 alert certificate expired" is the only
 * place where libmosquitto says what TLS did not like. */
static void on_log(struct mosquitto *client, void *arg, int level, const char *text)
{
    struct sys_mqtt *m = arg;
    (void)client;
    (void)level;
    if (strncmp(text, "OpenSSL Error", 13) == 0 && m->reason[0] == '\0') {
        const char *last = strrchr(text, ':');
        (void)snprintf(m->reason, sizeof m->reason, "TLS: %s", last == NULL ? text : last + 1);
    }
}

/* -- connecting ----------------------------------------------------------------------------------
 */

static struct mosquitto *make_client(struct sys_mqtt *m)
{
    struct mosquitto *client = mosquitto_new(m->options.client_id, true, m);
    if (client == NULL) {
        return NULL;
    }
    bool good =
        mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) == 0 &&
        mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1) == 0 &&
        (m->tls == NULL ||
         (mosquitto_int_option(client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) == 0 &&
          mosquitto_void_option(client, MOSQ_OPT_SSL_CTX, sys_tls_ctx(m->tls)) == 0)) &&
        (m->options.will_topic == NULL ||
         mosquitto_will_set(client, m->options.will_topic, (int)strlen(m->options.will_payload),
                            m->options.will_payload, 1, false) == 0);
    if (!good) {
        mosquitto_destroy(client);
        return NULL;
    }
    mosquitto_connect_v5_callback_set(client, on_connect);
    mosquitto_disconnect_v5_callback_set(client, on_disconnect);
    mosquitto_message_v5_callback_set(client, on_message);
    mosquitto_publish_v5_callback_set(client, on_publish);
    mosquitto_log_callback_set(client, on_log);
    return client;
}

static void connect_to(struct sys_mqtt *m, const char *address)
{
    int64_t every = (int64_t)m->options.keepalive_s * 250; /* a quarter of the keepalive */
    m->client = make_client(m);
    if (m->client == NULL) {
        lost(m, "out of memory");
        return;
    }
    m->deadline = sys_timer_start(m->loop, CONNECT_MS, 0, on_deadline, m);
    every = every > 5000 ? 5000 : every;
    m->misc = sys_timer_start(m->loop, every, every, on_misc, m);
    enter(m);
    int rc = mosquitto_connect_async(m->client, address, m->options.port, m->options.keepalive_s);
    if (!leave(m)) {
        settle(m, rc);
    }
}

static void on_resolved(void *arg)
{
    struct resolver *r = arg;
    struct sys_mqtt *m = r->mqtt;
    if (m == NULL) {
        free(r);
        return;
    }
    pthread_join(r->thread, NULL);
    m->resolver = NULL;
    if (r->n == 0) {
        char reason[160];
        (void)snprintf(reason, sizeof reason, "cannot resolve %.90s: %.50s", m->options.host,
                       gai_strerror(r->error));
        lost(m, reason);
    } else {
        connect_to(m, r->addresses[m->attempt++ % r->n]);
    }
    free(r);
}

static void *resolve(void *arg)
{
    struct resolver *r = arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    r->n = 0;
    r->error = getaddrinfo(r->host, NULL, &hints, &list);
    for (const struct addrinfo *at = r->error == 0 ? list : NULL;
         at != NULL && r->n < MAX_ADDRESSES; at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, r->addresses[r->n], INET6_ADDRSTRLEN, NULL, 0,
                        NI_NUMERICHOST) == 0) {
            r->n++;
        }
    }
    if (list != NULL) {
        freeaddrinfo(list);
    }
    sys_loop_post(r->loop, on_resolved, r);
    return NULL;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Looked at before the broker does: in TLS 1.3 its refusal comes behind the handshake, and is lost
 * when a reset overtakes it. */
static bool is_expired(struct sys_mqtt *m)
{
    char when[32];
    char reason[sizeof m->reason];
    if (m->expires == 0 || sys_now_ms() / 1000 <= m->expires) {
        return false;
    }
    sys_time_text(m->expires * 1000, when);
    (void)snprintf(reason, sizeof reason, "certificate expired at %s: %.100s", when,
                   m->options.certificate);
    lost(m, reason);
    return true;
}

static void connect_now(void *arg)
{
    struct sys_mqtt *m = arg;
    stop_timer(&m->retry);
    if (is_expired(m)) {
        return;
    }
    if (is_address(m->options.host)) {
        connect_to(m, m->options.host);
        return;
    }
    struct resolver *r = calloc(1, sizeof *r);
    if (r != NULL) {
        r->loop = m->loop;
        r->mqtt = m;
        (void)snprintf(r->host, sizeof r->host, "%s", m->options.host);
    }
    if (r == NULL || pthread_create(&r->thread, NULL, resolve, r) != 0) {
        free(r);
        lost(m, "no thread to resolve the broker's name");
        return;
    }
    m->resolver = r;
}

/* The broker's certificate must carry the host that we dial. */
static enum ledge_status make_tls(struct sys_mqtt *m, struct ledge_error *err)
{
    struct sys_tls_options options = {.certificate = m->options.certificate,
                                      .key = m->options.key,
                                      .ca = m->options.ca,
                                      .verify = SYS_TLS_VERIFY_REQUIRED};
    LEDGE_TRY(sys_tls_create(&options, &m->tls, err));
    if (m->options.certificate != NULL) {
        LEDGE_TRY(sys_certificate_expiry(m->options.certificate, &m->expires, err));
    }
    X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(sys_tls_ctx(m->tls));
    int good = is_address(m->options.host) ? X509_VERIFY_PARAM_set1_ip_asc(rules, m->options.host)
                                           : X509_VERIFY_PARAM_set1_host(rules, m->options.host, 0);
    return good == 1 ? LEDGE_OK
                     : ledge_fail(err, LEDGE_ERR_ARG, "broker host %.100s", m->options.host);
}

static const char *keep(struct sys_mqtt *m, size_t slot, const char *text, bool *good)
{
    m->strings[slot] = text == NULL ? NULL : strdup(text);
    *good = *good && (text == NULL || m->strings[slot] != NULL);
    return m->strings[slot];
}

static pthread_once_t library = PTHREAD_ONCE_INIT;

static void start_library(void)
{
    (void)mosquitto_lib_init();
}

enum ledge_status sys_mqtt_create(struct sys_loop *loop, const struct sys_mqtt_options *options,
                                  struct sys_mqtt **out, struct ledge_error *err)
{
    struct sys_mqtt *m = calloc(1, sizeof *m);
    bool good = true;
    if (m == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "MQTT client: out of memory");
    }
    pthread_once(&library, start_library);
    m->loop = loop;
    m->options = *options;
    m->options.host = keep(m, 0, options->host, &good);
    m->options.client_id = keep(m, 1, options->client_id, &good);
    m->options.certificate = keep(m, 2, options->certificate, &good);
    m->options.key = keep(m, 3, options->key, &good);
    m->options.ca = keep(m, 4, options->ca, &good);
    m->options.will_topic = keep(m, 5, options->will_topic, &good);
    m->options.will_payload = keep(m, 6, options->will_payload, &good);
    m->options.keepalive_s = options->keepalive_s > 0 ? options->keepalive_s : 60;
    m->options.backoff_ms = options->backoff_ms > 0 ? options->backoff_ms : 500;
    m->options.backoff_max_ms = options->backoff_max_ms > 0 ? options->backoff_max_ms : 30000;
    enum ledge_status status =
        good ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "MQTT client: out of memory");
    if (status == LEDGE_OK && m->options.ca != NULL) {
        status = make_tls(m, err);
    }
    if (status != LEDGE_OK) {
        destroy(m);
        return status;
    }
    m->retry = sys_timer_start(loop, 0, 0, connect_now, m);
    *out = m;
    return LEDGE_OK;
}

void sys_mqtt_free(struct sys_mqtt *m)
{
    if (m == NULL || m->freed) {
        return;
    }
    if (m->connected && m->client != NULL && m->retry == NULL) {
        (void)mosquitto_disconnect(m->client); /* a normal end: the broker drops the will */
    }
    sys_watch_free(m->watch);
    m->watch = NULL;
    stop_timer(&m->deadline);
    stop_timer(&m->misc);
    stop_timer(&m->retry);
    m->freed = true;
    if (m->busy == 0) {
        destroy(m);
    }
}

bool sys_mqtt_connected(const struct sys_mqtt *m)
{
    return m->connected && m->retry == NULL;
}

uint64_t sys_mqtt_events(const struct sys_mqtt *m)
{
    return m->events;
}

enum ledge_status sys_mqtt_subscribe(struct sys_mqtt *m, const char *pattern,
                                     struct ledge_error *err)
{
    if (m->n_patterns == MAX_PATTERNS || mosquitto_sub_topic_check(pattern) != MOSQ_ERR_SUCCESS) {
        return ledge_fail(err, LEDGE_ERR_ARG, "cannot subscribe to %.100s", pattern);
    }
    char *copy = strdup(pattern);
    if (copy == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "subscription: out of memory");
    }
    m->patterns[m->n_patterns++] = copy;
    if (sys_mqtt_connected(m)) {
        settle(m, mosquitto_subscribe_v5(m->client, NULL, pattern, 1, 0, NULL));
    }
    return LEDGE_OK;
}

enum ledge_status sys_mqtt_publish(struct sys_mqtt *m, const char *topic, const void *payload,
                                   size_t n, int qos, int *id, struct ledge_error *err)
{
    if (!sys_mqtt_connected(m)) {
        return ledge_fail(err, LEDGE_ERR_STATE, "not connected to the broker");
    }
    if (n > MQTT_MAX_PAYLOAD) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "message of %zu bytes", n);
    }
    int mid = 0;
    int rc = mosquitto_publish_v5(m->client, &mid, topic, (int)n, payload, qos, false, NULL);
    switch (rc) {
    case MOSQ_ERR_SUCCESS:
        break;
    case MOSQ_ERR_NOMEM:
        return ledge_fail(err, LEDGE_ERR_NOMEM, "message of %zu bytes: out of memory", n);
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET:
        return ledge_fail(err, LEDGE_ERR_RANGE, "message of %zu bytes: too large for the broker",
                          n);
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_MALFORMED_UTF8:
        return ledge_fail(err, LEDGE_ERR_ARG, "bad topic %.100s", topic);
    default:
        settle(m, rc);
        return ledge_fail(err, LEDGE_ERR_STATE, "not connected to the broker: %.100s", text_of(rc));
    }
    if (id != NULL) {
        *id = mid;
    }
    settle(m, MOSQ_ERR_SUCCESS);
    return LEDGE_OK;
}
