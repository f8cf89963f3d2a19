/* SPDX-License-Identifier: Apache-2.0 */
/* http_test.c -- server and client against each other and against raw bytes: TCP, unix socket, TLS
 * with client certificates; hostile requests; clients that leave, stall, and pipeline. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/digest.h"
#include "sys/file.h"
#include "sys/http.h"
#include "sys/tls.h"

enum { BIG = 3 * 1024 * 1024 + 17 };

/* A server on a thread of its own, with a handler that shows every kind of answer. */
struct rig {
    pthread_t thread;
    struct sys_loop *loop;
    struct sys_http_server *server;
    char dir[64];
    char base[128];
    struct sys_http_request *stream;
    struct sys_timer *ticker;
    int ticks;
    int stream_closed; /* read after the thread has ended, or by a request */
    int handled;
    struct sys_tls *tls;
};

static void on_stream_closed(void *arg)
{
    struct rig *rig = arg;
    rig->stream_closed++;
    rig->stream = NULL;
    sys_timer_free(rig->ticker);
    rig->ticker = NULL;
}

static void on_tick(void *arg)
{
    struct rig *rig = arg;
    char line[32];
    (void)snprintf(line, sizeof line, "data: %d\n\n", rig->ticks++);
    sys_http_stream_send(rig->stream, line, strlen(line));
    if (rig->ticks == 3 && sys_http_query(rig->stream, "for-ever") == NULL) {
        sys_http_stream_end(rig->stream);
    }
}

static void show(struct rig *rig, struct sys_http_request *r)
{
    char text[512];
    size_t n = 0;
    const char *body = sys_http_body(r, &n);
    const char *query = sys_http_query(r, "q");
    (void)snprintf(text, sizeof text, "%s %s q=%s body=%zu/%.8s peer=%s loopback=%d handled=%d",
                   sys_http_method(r), sys_http_path(r), query != NULL ? query : "-", n, body,
                   sys_http_peer_name(r) != NULL ? sys_http_peer_name(r) : "-",
                   sys_http_peer_loopback(r), rig->handled);
    sys_http_reply_header(r, "X-Test", "a\r\nX-Evil: b");
    sys_http_reply_text(r, 200, "text/plain", text);
}

static void handle(void *arg, struct sys_http_request *r)
{
    struct rig *rig = arg;
    const char *path = sys_http_path(r);
    rig->handled++;
    if (strcmp(path, "/file") == 0) {
        char file[128];
        (void)snprintf(file, sizeof file, "%s/file", rig->dir);
        sys_http_reply_file(r, file, "application/octet-stream", "abc");
    } else if (strcmp(path, "/stream") == 0) {
        rig->stream = r;
        rig->ticks = 0;
        sys_http_stream_start(r, 200, "text/event-stream", on_stream_closed, rig);
        rig->ticker = sys_timer_start(rig->loop, 1, 1, on_tick, rig);
    } else if (strcmp(path, "/closed") == 0) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", rig->stream_closed);
        sys_http_reply_text(r, 200, "text/plain", text);
    } else if (strcmp(path, "/digest") == 0) {
        uint8_t digest[LEDGE_SHA256_BYTES];
        char hex[LEDGE_SHA256_HEX];
        size_t n = 0;
        const void *body = sys_http_body(r, &n);
        ledge_sha256(body, n, digest);
        ledge_hex(digest, sizeof digest, hex);
        sys_http_reply_text(r, 201, "text/plain", hex);
    } else if (strcmp(path, "/none") == 0) {
        sys_http_reply(r, 204, NULL, NULL, 0);
    } else {
        show(rig, r);
    }
}

static size_t limit(void *arg, const struct sys_http_request *r)
{
    (void)arg;
    return strcmp(sys_http_path(r), "/small") == 0 ? 10 : SIZE_MAX;
}

static void *run(void *arg)
{
    sys_loop_run(((struct rig *)arg)->loop);
    return NULL;
}

static void write_big(const struct rig *rig)
{
    char path[128];
    char *bytes = malloc(BIG);
    assert_non_null(bytes);
    for (size_t i = 0; i < BIG; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    (void)snprintf(path, sizeof path, "%s/file", rig->dir);
    assert_int_equal(sys_file_write(path, bytes, BIG, 0600, NULL), LEDGE_OK);
    free(bytes);
}

static void rig_start(struct rig *rig, bool local, struct sys_tls *tls, int32_t timeout_s)
{
    struct ledge_error err;
    char path[96];
    *rig = (struct rig){.tls = tls};
    (void)snprintf(rig->dir, sizeof rig->dir, "/tmp/ledge-http-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    write_big(rig);
    (void)snprintf(path, sizeof path, "%s/socket", rig->dir);
    struct sys_http_server_options options = {.unix_path = local ? path : NULL,
                                              .host = "127.0.0.1",
                                              .tls = tls,
                                              .max_body = 4 * 1024 * 1024,
                                              .timeout_s = timeout_s,
                                              .limit = limit,
                                              .handle = handle,
                                              .arg = rig};
    assert_int_equal(sys_loop_create(&rig->loop, &err), LEDGE_OK);
    assert_int_equal(sys_http_server_create(rig->loop, &options, &rig->server, &err), LEDGE_OK);
    if (local) {
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        (void)snprintf(rig->base, sizeof rig->base, "unix:%s:", path);
    } else {
        (void)snprintf(rig->base, sizeof rig->base, "%s://127.0.0.1:%u",
                       tls != NULL ? "https" : "http", sys_http_server_port(rig->server));
    }
    assert_int_equal(pthread_create(&rig->thread, NULL, run, rig), 0);
}

static void rig_stop(struct rig *rig)
{
    sys_loop_stop(rig->loop);
    assert_int_equal(pthread_join(rig->thread, NULL), 0);
    sys_http_server_free(rig->server);
    sys_timer_free(rig->ticker);
    sys_loop_free(rig->loop);
    assert_int_equal(sys_tree_remove(rig->dir, NULL), LEDGE_OK);
}

static int fetch(const struct rig *rig, const char *method, const char *path, const void *body,
                 size_t n, const char *const *headers, struct sys_tls *tls,
                 struct sys_http_reply *reply)
{
    char url[256];
    struct ledge_error err;
    (void)snprintf(url, sizeof url, "%s%s", rig->base, path);
    struct sys_http_call call = {.method = method,
                                 .url = url,
                                 .headers = headers,
                                 .body = body,
                                 .body_bytes = n,
                                 .tls = tls,
                                 .timeout_s = 10};
    enum ledge_status status = sys_http_fetch(&call, reply, &err);
    if (status != LEDGE_OK) {
        *reply = (struct sys_http_reply){0};
        return -(int)status;
    }
    return reply->status;
}

static void check_exchange(struct rig *rig, struct sys_tls *tls, const char *peer)
{
    struct sys_http_reply reply;
    char expected[128];
    assert_int_equal(fetch(rig, "POST", "/a%20b?x=1&q=c%26d+e", "hello", 5, NULL, tls, &reply),
                     200);
    (void)snprintf(expected, sizeof expected,
                   "POST /a%%20b q=c&d e body=5/hello peer=%s loopback=1", peer);
    assert_int_equal(strncmp(reply.body.data, expected, strlen(expected)), 0);
    assert_string_equal(reply.content_type, "text/plain");
    sys_http_reply_done(&reply);

    assert_int_equal(fetch(rig, "GET", "/none", NULL, 0, NULL, tls, &reply), 204);
    assert_int_equal(reply.body.len, 0);
    sys_http_reply_done(&reply);

    assert_int_equal(fetch(rig, "GET", "/stream", NULL, 0, NULL, tls, &reply), 200);
    assert_string_equal(reply.body.data, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    sys_http_reply_done(&reply);

    /* a big body up, a big file down */
    char *big = calloc(1, BIG);
    assert_non_null(big);
    uint8_t digest[LEDGE_SHA256_BYTES];
    char hex[LEDGE_SHA256_HEX];
    ledge_sha256(big, BIG, digest);
    ledge_hex(digest, sizeof digest, hex);
    assert_int_equal(fetch(rig, "POST", "/digest", big, BIG, NULL, tls, &reply), 201);
    assert_string_equal(reply.body.data, hex);
    sys_http_reply_done(&reply);
    free(big);
    assert_int_equal(fetch(rig, "GET", "/file", NULL, 0, NULL, tls, &reply), 200);
    assert_int_equal(reply.body.len, BIG);
    assert_string_equal(reply.etag, "\"abc\"");
    for (size_t i = 0; i < BIG; i += 4099) {
        assert_int_equal(reply.body.data[i], (char)(i * 7 + i / 251));
    }
    sys_http_reply_done(&reply);
}

static void test_tcp(void **state)
{
    struct rig rig;
    (void)state;
    rig_start(&rig, false, NULL, 0);
    check_exchange(&rig, NULL, "-");
    rig_stop(&rig);
}

static void test_unix(void **state)
{
    struct rig rig;
    struct sys_http_reply reply;
    (void)state;
    rig_start(&rig, true, NULL, 0);
    check_exchange(&rig, NULL, "-");
    rig_stop(&rig);
    assert_int_equal(fetch(&rig, "GET", "/x", NULL, 0, NULL, NULL, &reply), -LEDGE_ERR_NETWORK);
}

static void test_ranges(void **state)
{
    static const struct {
        const char *range;
        int status;
        size_t n;
        size_t from;
    } cases[] = {
        {"bytes=0-0", 206, 1, 0},          {"bytes=100-", 206, BIG - 100, 100},
        {"bytes=-5", 206, 5, BIG - 5},     {"bytes=5-99999999999", 206, BIG - 5, 5},
        {"bytes=99999999999-", 416, 0, 0}, {"bytes=-0", 416, 0, 0},
        {"bytes=1-0", 200, BIG, 0},        {"bytes=0-1,4-5", 200, BIG, 0},
        {"lines=0-1", 200, BIG, 0},        {"bytes=99999999999999999999999-", 200, BIG, 0},
    };
    struct rig rig;
    struct sys_http_reply reply;
    (void)state;
    rig_start(&rig, false, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const headers[] = {"Range", cases[i].range, NULL};
        assert_int_equal(fetch(&rig, "GET", "/file", NULL, 0, headers, NULL, &reply),
                         cases[i].status);
        if (cases[i].status != 416) {
            assert_int_equal(reply.body.len, cases[i].n);
            assert_int_equal(reply.body.data[0], (char)(cases[i].from * 7 + cases[i].from / 251));
        }
        sys_http_reply_done(&reply);
    }
    const char *const same[] = {"If-None-Match", "\"abc\"", NULL};
    assert_int_equal(fetch(&rig, "GET", "/file", NULL, 0, same, NULL, &reply), 304);
    sys_http_reply_done(&reply);
    const char *const other[] = {"If-Range", "\"old\"", "Range", "bytes=0-0", NULL};
    assert_int_equal(fetch(&rig, "GET", "/file", NULL, 0, other, NULL, &reply), 200);
    sys_http_reply_done(&reply);
    rig_stop(&rig);
}

/* -- paths -- */

static void test_path(void **state)
{
    static const struct {
        const char *path, *pattern, *a, *b; /* a NULL: does not fit */
    } cases[] = {
        {"/", "/", "", ""},
        {"/a", "/", NULL, NULL},
        {"/a/b", "/a/b", "", ""},
        {"/a/b/", "/a/b", NULL, NULL},
        {"//a/b", "/a/b", NULL, NULL},
        {"/%61/b", "/a/b", "", ""},
        {"/a%2Fb", "/a/b", NULL, NULL}, /* one part, not two */
        {"/a%2fb", "/{a}", "a/b", ""},
        {"/x/y/of/z", "/x/{a}/of/{b}", "y", "z"},
        {"/x/y%2Fof%2Fz", "/x/{a}/of/{b}", NULL, NULL},
        {"/x/y%2Fof/of/%2e%2e%2Fz", "/x/{a}/of/{b}", "y/of", "../z"},
        {"/x//of/z", "/x/{a}/of/{b}", NULL, NULL},
        {"/x/%7Ba%7D/of/%25", "/x/{a}/of/{b}", "{a}", "%"},
        {"/x/y+z/of/a%2520", "/x/{a}/of/{b}", "y+z", "a%20"},
        {"/x/y%00/of/z", "/x/{a}/of/{b}", NULL, NULL},
        {"/x/y%4/of/z", "/x/{a}/of/{b}", NULL, NULL},
        {"/1/2/3", "/{a}/{b}/{c}", NULL, NULL}, /* more than SYS_HTTP_PARTS */
    };
    char parts[SYS_HTTP_PARTS][SYS_HTTP_PART_SIZE], path[SYS_HTTP_PART_SIZE + 2] = "/";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(parts, 0, sizeof parts);
        bool fits = sys_http_path_fits(cases[i].path, cases[i].pattern, parts);
        assert_int_equal(fits, cases[i].a != NULL);
        if (fits) {
            assert_string_equal(parts[0], cases[i].a);
            assert_string_equal(parts[1], cases[i].b);
        }
    }
    memset(path + 1, 'n', SYS_HTTP_PART_SIZE);
    assert_false(sys_http_path_fits(path, "/{a}", parts));
    path[SYS_HTTP_PART_SIZE] = '\0';
    assert_true(sys_http_path_fits(path, "/{a}", parts));
    assert_string_equal(parts[0], path + 1);
}

/* -- raw bytes -- */

static int connect_raw(const struct rig *rig)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(sys_http_server_port(rig->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit_s = {10, 0};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit_s, sizeof limit_s), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes += sent;
        n -= (size_t)sent;
    }
}

/* Read until `until` is there (NULL: until the server closes); false when the end came first. */
static bool read_until(int fd, const char *until, char *text, size_t size)
{
    size_t have = 0;
    text[0] = '\0';
    while (have + 1 < size) {
        ssize_t n = recv(fd, text + have, size - 1 - have, 0);
        assert_true(n >= 0);
        if (n == 0) {
            return until == NULL;
        }
        have += (size_t)n;
        text[have] = '\0';
        if (until != NULL && strstr(text, until) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_refused(void **state)
{
    static const struct {
        const char *bytes;
        const char *status;
    } cases[] = {
        {"GARBAGE\r\n\r\n", " 400 "},
        {"GET / HTTP/2.0\r\n\r\n", " 400 "},
        {"GET /%00 HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /a/%00b HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /a%0d%0aX HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /%1f HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /%7F HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /%zz HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /%4 HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /% HTTP/1.1\r\n\r\n", " 400 "},
        {"GET /?a=%f HTTP/1.1\r\n\r\n", " 400 "},
        {"GET nowhere HTTP/1.1\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\nA: x\r\n folded\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\nA: x\ny\r\n\r\n", " 400 "},
        {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", " 400 "},
        {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", " 400 "},
        {"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", " 400 "},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", " 400 "},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", " 400 "},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", " 400 "},
        {"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", " 413 "},
        {"POST /small HTTP/1.1\r\nContent-Length: 11\r\n\r\n", " 413 "},
        {"POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
         " 413 "},
        {"POST /small HTTP/1.1\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n", " 413 "},
    };
    struct rig rig;
    char text[4096];
    (void)state;
    rig_start(&rig, false, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = connect_raw(&rig);
        send_all(fd, cases[i].bytes, strlen(cases[i].bytes));
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        assert_true(read_until(fd, NULL, text, sizeof text));
        if (strncmp(text + 8, cases[i].status, 5) != 0) {
            fail_msg("case %zu: %s", i, text);
        }
        assert_non_null(strstr(text, "application/problem+json"));
        assert_int_equal(close(fd), 0);
    }
    /* a header without end */
    char *big = malloc(80000);
    assert_non_null(big);
    memset(big, 'a', 80000);
    memcpy(big, "GET / HTTP/1.1\r\nA: ", 19);
    int fd = connect_raw(&rig);
    send_all(fd, big, 80000);
    assert_true(read_until(fd, NULL, text, sizeof text));
    assert_non_null(strstr(text, " 431 "));
    assert_int_equal(close(fd), 0);
    free(big);
    assert_int_equal(rig.handled, 0);
    rig_stop(&rig);
}

static void test_kept_connection(void **state)
{
    struct rig rig;
    char text[8192];
    (void)state;
    rig_start(&rig, false, NULL, 0);
    int fd = connect_raw(&rig);
    /* three at once: one with a chunked body, one HEAD, then the last asks to close */
    static const char three[] =
        "\r\nPOST /one HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
        "HEAD /two HTTP/1.1\r\n\r\n"
        "GET http://example.org/three?q=1 HTTP/1.1\r\nConnection: close\r\n\r\n";
    send_all(fd, three, sizeof three - 1);
    assert_true(read_until(fd, NULL, text, sizeof text));
    assert_non_null(strstr(text, "POST /one q=- body=5/abcde"));
    assert_null(strstr(text, "HEAD /two"));
    assert_non_null(strstr(text, "GET /three q=1 body=0/"));
    assert_non_null(strstr(text, "handled=3"));
    assert_non_null(strstr(text, "X-Test: a  X-Evil: b\r\n")); /* no line of its own */
    assert_int_equal(close(fd), 0);

    /* the body is sent only when the server says go on, and byte by byte */
    fd = connect_raw(&rig);
    static const char expecting[] =
        "POST /digest HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    for (size_t i = 0; i + 1 < sizeof expecting; i++) {
        send_all(fd, expecting + i, 1);
    }
    assert_true(read_until(fd, "100 Continue\r\n\r\n", text, sizeof text));
    send_all(fd, "abc", 3);
    assert_true(read_until(fd, "ba7816bf8f01cfea", text, sizeof text)); /* FIPS 180-4 of "abc" */
    assert_int_equal(close(fd), 0);

    /* HTTP/1.0: the stream ends with the connection, not with a chunk */
    fd = connect_raw(&rig);
    send_all(fd, "GET /stream HTTP/1.0\r\n\r\n", 24);
    assert_true(read_until(fd, NULL, text, sizeof text));
    assert_null(strstr(text, "chunked"));
    assert_non_null(strstr(text, "\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"));
    assert_int_equal(close(fd), 0);
    rig_stop(&rig);
}

static void test_client_leaves(void **state)
{
    struct rig rig;
    struct sys_http_reply reply;
    char text[1024];
    (void)state;
    rig_start(&rig, false, NULL, 0);
    int fd = connect_raw(&rig);
    static const char ask[] = "GET /stream?for-ever HTTP/1.1\r\n\r\n";
    send_all(fd, ask, sizeof ask - 1);
    assert_true(read_until(fd, "data: 1", text, sizeof text));
    assert_int_equal(close(fd), 0);
    bool seen = false;
    for (int64_t end = sys_monotonic_ms() + 10000; !seen && sys_monotonic_ms() < end;) {
        assert_int_equal(fetch(&rig, "GET", "/closed", NULL, 0, NULL, NULL, &reply), 200);
        seen = strcmp(reply.body.data, "1") == 0;
        sys_http_reply_done(&reply);
    }
    assert_true(seen);
    /* one that leaves in the middle of a big file, one in the middle of its own body */
    fd = connect_raw(&rig);
    send_all(fd, "GET /file HTTP/1.1\r\n\r\n", 22);
    assert_true(recv(fd, text, 100, 0) > 0);
    assert_int_equal(close(fd), 0);
    fd = connect_raw(&rig);
    send_all(fd, "POST /x HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc", 44);
    assert_int_equal(close(fd), 0);
    check_exchange(&rig, NULL, "-");
    rig_stop(&rig);
}

static void test_stalled(void **state)
{
    struct rig rig;
    char text[1024];
    (void)state;
    rig_start(&rig, false, NULL, 1);
    int fds[3];
    static const char *const starts[3] = {"", "GET / HT",
                                          "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"};
    for (int i = 0; i < 3; i++) {
        fds[i] = connect_raw(&rig);
        send_all(fds[i], starts[i], strlen(starts[i]));
    }
    for (int i = 0; i < 3; i++) { /* the server hangs up on each of them */
        assert_true(read_until(fds[i], NULL, text, sizeof text));
        assert_int_equal(close(fds[i]), 0);
    }
    rig_stop(&rig);
}

/* -- a hostile server -- */

struct fake {
    int fd;
    const char *answer;
};

static void *answer_once(void *arg)
{
    struct fake *fake = arg;
    char text[1024];
    int fd = accept(fake->fd, NULL, NULL);
    ssize_t n = recv(fd, text, sizeof text, 0);
    ssize_t sent = n > 0 ? send(fd, fake->answer, strlen(fake->answer), MSG_NOSIGNAL) : -1;
    (void)close(fd);
    return sent < 0 ? fake : NULL;
}

static void test_answers(void **state)
{
    static const struct {
        const char *answer;
        int expected;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi"},
        {"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", -LEDGE_ERR_NETWORK, NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi", -LEDGE_ERR_NETWORK, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", -LEDGE_ERR_NETWORK, NULL},
        {"HTTP/1.1 2000 OK\r\n\r\n", -LEDGE_ERR_NETWORK, NULL},
        {"nonsense\r\n\r\n", -LEDGE_ERR_NETWORK, NULL},
        {"HTTP/1.1 200 OK\r\n", -LEDGE_ERR_NETWORK, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" /* over the limit of the call */
         "0123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789012345678901234567890123456789012345678901234567890123456789",
         -LEDGE_ERR_RANGE, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        struct fake fake = {socket(AF_INET, SOCK_STREAM, 0), cases[i].answer};
        assert_int_equal(bind(fake.fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(fake.fd, 1), 0);
        assert_int_equal(getsockname(fake.fd, (struct sockaddr *)&address, &length), 0);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, answer_once, &fake), 0);
        char url[64];
        (void)snprintf(url, sizeof url, "http://localhost:%u/x", ntohs(address.sin_port));
        struct sys_http_call call = {.method = "GET", .url = url, .timeout_s = 10, .max_body = 100};
        struct sys_http_reply reply = {0};
        struct ledge_error err = {0};
        enum ledge_status status = sys_http_fetch(&call, &reply, &err);
        int got = status == LEDGE_OK ? reply.status : -(int)status;
        if (got != cases[i].expected) {
            fail_msg("case %zu: %d %s", i, got, err.text);
        }
        if (cases[i].body != NULL) {
            assert_string_equal(reply.body.data, cases[i].body);
        }
        sys_http_reply_done(&reply);
        void *failed = NULL;
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
        assert_int_equal(close(fake.fd), 0);
    }
}

static bool stop_early(void *arg, int status, const void *bytes, size_t n)
{
    (void)bytes;
    assert_int_equal(status, 200);
    *(size_t *)arg += n;
    return *(size_t *)arg < 100000;
}

static void test_calls(void **state)
{
    static const char *const bad[] = {
        "ftp://x/",    "http:///x",        "http://a:0/",        "http://a:99999/",  "http://a b/",
        "http://u@h/", "unix:relative:/x", "https://127.0.0.1/", "http://a/\r\nX: y"};
    struct rig rig;
    struct sys_http_reply reply;
    struct ledge_error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sys_http_call call = {.method = "GET", .url = bad[i]};
        assert_int_equal(sys_http_fetch(&call, &reply, &err), LEDGE_ERR_ARG);
    }
    rig_start(&rig, false, NULL, 0);
    char url[256];
    size_t seen = 0;
    (void)snprintf(url, sizeof url, "%s/file", rig.base);
    struct sys_http_call call = {.method = "GET", .url = url, .on_data = stop_early, .arg = &seen};
    assert_int_equal(sys_http_fetch(&call, &reply, &err), LEDGE_ERR_CANCELLED);
    assert_true(seen >= 100000 && seen < BIG);
    const char *const evil[] = {"A", "b\r\nC: d", NULL};
    struct sys_http_call second = {.method = "GET", .url = url, .headers = evil};
    assert_int_equal(sys_http_fetch(&second, &reply, &err), LEDGE_ERR_ARG);
    rig_stop(&rig);
    assert_int_equal(fetch(&rig, "GET", "/", NULL, 0, NULL, NULL, &reply), -LEDGE_ERR_NETWORK);
}

/* -- TLS -- */

static void issue(const char *dir, const char *name, bool server, const char *host)
{
    char key[96], certificate[96], ca[96], ca_key[96], serial[64];
    struct ledge_buf csr = LEDGE_BUF_INIT(1 << 16), pem = LEDGE_BUF_INIT(1 << 16);
    struct ledge_error err;
    const char *const hosts[] = {"localhost", host, NULL};
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    (void)snprintf(ca_key, sizeof ca_key, "%s/ca.key", dir);
    (void)snprintf(key, sizeof key, "%s/%s.key", dir, name);
    (void)snprintf(certificate, sizeof certificate, "%s/%s.pem", dir, name);
    assert_int_equal(sys_key_create(key, &err), LEDGE_OK);
    assert_int_equal(sys_csr_create(key, name, &csr, &err), LEDGE_OK);
    struct sys_sign_options options = {.ca_certificate = ca,
                                       .ca_key = ca_key,
                                       .name = name,
                                       .hosts = server ? hosts : NULL,
                                       .server = server,
                                       .client = !server,
                                       .valid_seconds = 3600};
    assert_int_equal(sys_csr_sign(csr.data, csr.len, &options, &pem, serial, &err), LEDGE_OK);
    assert_int_equal(sys_file_write(certificate, pem.data, pem.len, 0600, &err), LEDGE_OK);
    ledge_buf_done(&csr);
    ledge_buf_done(&pem);
}

static struct sys_tls *context(const char *dir, const char *name, bool server, const char *ca_name)
{
    char key[96], certificate[96], ca[96];
    struct sys_tls *tls = NULL;
    struct ledge_error err;
    (void)snprintf(ca, sizeof ca, "%s/%s", dir, ca_name);
    (void)snprintf(key, sizeof key, "%s/%s.key", dir, name);
    (void)snprintf(certificate, sizeof certificate, "%s/%s.pem", dir, name);
    struct sys_tls_options options = {.server = server,
                                      .certificate = *name != '\0' ? certificate : NULL,
                                      .key = *name != '\0' ? key : NULL,
                                      .ca = ca,
                                      .verify = server ? SYS_TLS_VERIFY_OPTIONAL
                                                       : SYS_TLS_VERIFY_REQUIRED};
    assert_int_equal(sys_tls_create(&options, &tls, &err), LEDGE_OK);
    return tls;
}

static void make_ca(const char *dir, const char *name)
{
    char key[96], certificate[96];
    (void)snprintf(key, sizeof key, "%s/%s.key", dir, name);
    (void)snprintf(certificate, sizeof certificate, "%s/%s.pem", dir, name);
    assert_int_equal(sys_key_create(key, NULL), LEDGE_OK);
    assert_int_equal(sys_ca_create(key, name, certificate, NULL), LEDGE_OK);
}

static void test_tls(void **state)
{
    char dir[64] = "/tmp/ledge-tls-XXXXXX";
    struct rig rig;
    struct sys_http_reply reply;
    (void)state;
    assert_non_null(mkdtemp(dir));
    make_ca(dir, "ca");
    make_ca(dir, "other");
    issue(dir, "server", true, "127.0.0.1");
    issue(dir, "elsewhere", true, "127.0.0.2");
    issue(dir, "cam-1", false, NULL);
    struct sys_tls *server = context(dir, "server", true, "ca.pem");
    struct sys_tls *client = context(dir, "cam-1", false, "ca.pem");
    struct sys_tls *nobody = context(dir, "", false, "ca.pem");
    struct sys_tls *stranger = context(dir, "cam-1", false, "other.pem");
    rig_start(&rig, false, server, 0);
    check_exchange(&rig, client, "cam-1");
    check_exchange(&rig, nobody, "-");
    assert_int_equal(fetch(&rig, "GET", "/", NULL, 0, NULL, stranger, &reply), -LEDGE_ERR_AUTH);
    /* plain bytes at a TLS port */
    char text[256];
    int fd = connect_raw(&rig);
    send_all(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    ssize_t n = recv(fd, text, sizeof text, 0);
    assert_true(n <= 0 || memcmp(text, "HTTP", 4) != 0);
    assert_int_equal(close(fd), 0);
    rig_stop(&rig);
    /* the right CA under a name that the certificate does not carry */
    struct sys_tls *elsewhere = context(dir, "elsewhere", true, "ca.pem");
    rig_start(&rig, false, elsewhere, 0);
    assert_int_equal(fetch(&rig, "GET", "/", NULL, 0, NULL, client, &reply), -LEDGE_ERR_AUTH);
    rig_stop(&rig);
    /* nobody there at all is another failure than somebody wrong */
    assert_int_equal(fetch(&rig, "GET", "/", NULL, 0, NULL, client, &reply), -LEDGE_ERR_NETWORK);
    sys_tls_free(elsewhere);
    sys_tls_free(stranger);
    sys_tls_free(nobody);
    sys_tls_free(client);
    sys_tls_free(server);
    assert_int_equal(sys_tree_remove(dir, NULL), LEDGE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),           cmocka_unit_test(test_unix),
        cmocka_unit_test(test_ranges),        cmocka_unit_test(test_path),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_kept_connection),
        cmocka_unit_test(test_client_leaves), cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_calls),
        cmocka_unit_test(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
