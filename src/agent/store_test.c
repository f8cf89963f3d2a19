/* SPDX-License-Identifier: Apache-2.0 */
/* store_test.c -- against a small HTTP server that misbehaves on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/store.h"
#include "base/digest.h"
#include "sys/http.h"

enum { SIZE = 300000 };
enum mood { HONEST, NO_RANGE, CORRUPT, CORRUPT_ONCE, LONGER, REFUSES, BUSY_TWICE, SHORT_TWICE };

static char root[] = "/tmp/ledge-store-XXXXXX";
static char dir[128];
static char source[128];
static uint8_t content[SIZE];
static struct fleet_blob blob;
static struct sys_loop *loop;
static struct sys_http_server *server;
static enum mood mood;
static int requests;
static char last_range[64];

static void reply_short(struct sys_http_request *request)
{
    /* A length of SIZE and fewer bytes: what a hub that dies in the middle looks like. */
    sys_http_stream_start(request, 200, "application/octet-stream", NULL, NULL);
    sys_http_stream_send(request, content, SIZE / 2);
    sys_http_stream_end(request);
}

static void handle(void *arg, struct sys_http_request *request)
{
    static uint8_t wrong[SIZE + 10];
    const char *range = sys_http_header(request, "Range");
    (void)arg;
    requests++;
    snprintf(last_range, sizeof last_range, "%s", range == NULL ? "" : range);
    memcpy(wrong, content, SIZE);
    wrong[SIZE / 3] ^= 1;
    if (strcmp(sys_http_path(request) + strlen("/api/v1/blobs/"), blob.sha256) != 0 ||
        mood == REFUSES) {
        sys_http_reply_text(request, mood == REFUSES ? 403 : 404, "text/plain", "no\n");
    } else if (mood == BUSY_TWICE && requests <= 2) {
        sys_http_reply_text(request, 503, "text/plain", "later\n");
    } else if (mood == SHORT_TWICE && requests <= 2) {
        reply_short(request);
    } else if (mood == CORRUPT || (mood == CORRUPT_ONCE && requests == 1)) {
        sys_http_reply(request, 200, "application/octet-stream", wrong, SIZE);
    } else if (mood == LONGER) {
        sys_http_reply(request, 200, "application/octet-stream", wrong, SIZE + 10);
    } else if (mood == NO_RANGE) {
        sys_http_reply(request, 200, "application/octet-stream", content, SIZE);
    } else {
        sys_http_reply_file(request, source, "application/octet-stream", NULL);
    }
}

static int set_up(void **state)
{
    uint8_t digest[32];
    uint32_t x = 1;
    (void)state;
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1664525 + 1013904223;
        content[i] = (uint8_t)(x >> 24);
    }
    ledge_sha256(content, SIZE, digest);
    ledge_hex(digest, 32, blob.sha256);
    blob.size = SIZE;
    snprintf(source, sizeof source, "%s/source", root);
    assert_int_equal(sys_file_write(source, content, SIZE, 0600, NULL), LEDGE_OK);
    assert_int_equal(sys_loop_create(&loop, NULL), LEDGE_OK);
    struct sys_http_server_options options = {
        .host = "127.0.0.1", .max_body = 1024, .handle = handle};
    return sys_http_server_create(loop, &options, &server, NULL) == LEDGE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sys_http_server_free(server);
    sys_loop_free(loop);
    return sys_tree_remove(root, NULL) == LEDGE_OK ? 0 : -1;
}

static struct agent_store *open_store(void)
{
    struct agent_store *store = NULL;
    char hub[64];
    snprintf(hub, sizeof hub, "http://127.0.0.1:%u", sys_http_server_port(server));
    struct agent_store_options options = {
        .dir = dir, .hub = hub, .backoff_ms = 2, .backoff_max_ms = 10};
    assert_int_equal(agent_store_create(loop, &options, &store, NULL), LEDGE_OK);
    return store;
}

static int fresh(void **state)
{
    static int n;
    (void)state;
    snprintf(dir, sizeof dir, "%s/%d", root, n++);
    requests = 0;
    mood = HONEST;
    return 0;
}

static struct ledge_error result;
static bool late;

static void on_done(void *arg, const struct ledge_error *err)
{
    (void)arg;
    result = err == NULL ? (struct ledge_error){.status = LEDGE_OK} : *err;
    sys_loop_stop(loop);
}

static void too_late(void *arg)
{
    (void)arg;
    late = true;
    sys_loop_stop(loop);
}

static enum ledge_status fetch(struct agent_store *store, const struct fleet_blob *what)
{
    struct sys_timer *limit = sys_timer_start(loop, 20000, 0, too_late, NULL);
    agent_store_fetch(store, what, on_done, NULL);
    sys_loop_run(loop);
    sys_timer_free(limit);
    assert_false(late);
    return result.status;
}

static void put_partial(size_t n)
{
    char path[300];
    snprintf(path, sizeof path, "%s/partial", dir);
    assert_int_equal(sys_dir_make(path, NULL), LEDGE_OK);
    snprintf(path, sizeof path, "%s/partial/%s", dir, blob.sha256);
    assert_int_equal(sys_file_write(path, content, n, 0600, NULL), LEDGE_OK);
}

static void check_stored(struct agent_store *store)
{
    char path[SYS_PATH];
    struct ledge_buf bytes = LEDGE_BUF_INIT(SIZE);
    assert_true(agent_store_has(store, &blob));
    assert_int_equal(agent_store_path(store, blob.sha256, path, NULL), LEDGE_OK);
    assert_int_equal(sys_file_read(path, &bytes, NULL), LEDGE_OK);
    assert_memory_equal(bytes.data, content, SIZE);
    ledge_buf_done(&bytes);
}

static void fetched_whole_and_in_part(void **state)
{
    static const size_t have[] = {0, 1, 100000, SIZE - 1, SIZE};
    (void)state;
    for (size_t i = 0; i < sizeof have / sizeof *have; i++) {
        char range[64];
        fresh(NULL);
        if (have[i] > 0) {
            put_partial(have[i]);
        }
        struct agent_store *store = open_store();
        assert_false(agent_store_has(store, &blob));
        assert_int_equal(fetch(store, &blob), LEDGE_OK);
        check_stored(store);
        snprintf(range, sizeof range, "bytes=%zu-", have[i]);
        assert_int_equal(requests, have[i] == SIZE ? 0 : 1);
        if (requests > 0) {
            assert_string_equal(last_range, have[i] > 0 ? range : "");
        }
        agent_store_free(store);
    }
}

static void a_hub_without_ranges_begins_anew(void **state)
{
    (void)state;
    put_partial(12345);
    struct agent_store *store = open_store();
    mood = NO_RANGE;
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    check_stored(store);
    agent_store_free(store);
}

static void wrong_bytes_are_refused(void **state)
{
    (void)state;
    struct agent_store *store = open_store();
    mood = CORRUPT;
    assert_int_equal(fetch(store, &blob), LEDGE_ERR_CORRUPT);
    assert_int_equal(requests, 2); /* once more from the beginning, then it is given up */
    assert_false(agent_store_has(store, &blob));
    assert_non_null(strstr(result.text, "digest"));
    mood = LONGER;
    assert_int_equal(fetch(store, &blob), LEDGE_ERR_CORRUPT);
    requests = 0;
    mood = CORRUPT_ONCE;
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    check_stored(store);
    agent_store_free(store);
    /* A partial file that is not of this blob. */
    fresh(NULL);
    put_partial(1000);
    char path[300];
    snprintf(path, sizeof path, "%s/partial/%s", dir, blob.sha256);
    assert_int_equal(sys_file_write(path, source, 50, 0600, NULL), LEDGE_OK);
    store = open_store();
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    check_stored(store);
    agent_store_free(store);
}

static void failures_of_the_network_are_retried(void **state)
{
    (void)state;
    struct agent_store *store = open_store();
    mood = BUSY_TWICE;
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    assert_int_equal(requests, 3);
    agent_store_free(store);
    fresh(NULL);
    store = open_store();
    mood = SHORT_TWICE;
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    check_stored(store);
    agent_store_free(store);
}

static void refusals_are_final(void **state)
{
    struct fleet_blob other = blob;
    (void)state;
    struct agent_store *store = open_store();
    mood = REFUSES;
    assert_int_equal(fetch(store, &blob), LEDGE_ERR_AUTH);
    mood = HONEST;
    other.sha256[0] = other.sha256[0] == 'a' ? 'b' : 'a';
    assert_int_equal(fetch(store, &other), LEDGE_ERR_NOT_FOUND);
    assert_int_equal(requests, 2);
    agent_store_free(store);
}

static void a_full_disk_is_an_error_and_keeps_the_part(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit limit = {SIZE / 2, SIZE / 2};
        struct agent_store *store = open_store();
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || fetch(store, &blob) != LEDGE_ERR_FULL) {
            _exit(1);
        }
        agent_store_free(store);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    /* The loop's epoll was shared with the child: go on with one of its own. */
    sys_http_server_free(server);
    sys_loop_free(loop);
    assert_int_equal(sys_loop_create(&loop, NULL), LEDGE_OK);
    struct sys_http_server_options options = {
        .host = "127.0.0.1", .max_body = 1024, .handle = handle};
    assert_int_equal(sys_http_server_create(loop, &options, &server, NULL), LEDGE_OK);
    struct agent_store *store = open_store();
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    char range[64];
    snprintf(range, sizeof range, "bytes=%d-", SIZE / 2);
    assert_string_equal(last_range, range);
    check_stored(store);
    agent_store_free(store);
}

static bool keep_none(void *arg, const char *sha256)
{
    (void)arg;
    (void)sha256;
    return false;
}

static bool keep_all(void *arg, const char *sha256)
{
    (void)arg;
    return fleet_digest_ok(sha256);
}

static void garbage_and_rot(void **state)
{
    char path[SYS_PATH];
    (void)state;
    struct agent_store *store = open_store();
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    assert_int_equal(agent_store_collect(store, keep_all, NULL), 0);
    assert_int_equal(agent_store_check(store, blob.sha256, NULL), LEDGE_OK);
    assert_int_equal(agent_store_path(store, blob.sha256, path, NULL), LEDGE_OK);
    content[7] ^= 1;
    assert_int_equal(sys_file_write(path, content, SIZE, 0600, NULL), LEDGE_OK);
    content[7] ^= 1;
    assert_int_equal(agent_store_check(store, blob.sha256, NULL), LEDGE_ERR_CORRUPT);
    assert_false(agent_store_has(store, &blob));
    assert_int_equal(fetch(store, &blob), LEDGE_OK);
    put_partial(10);
    assert_int_equal(agent_store_collect(store, keep_none, NULL), 2);
    assert_false(agent_store_has(store, &blob));
    /* Cancelled: no answer comes, the store can be freed. */
    agent_store_fetch(store, &blob, on_done, NULL);
    agent_store_cancel(store);
    agent_store_fetch(store, &blob, on_done, NULL);
    agent_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fetched_whole_and_in_part, fresh),
        cmocka_unit_test_setup(a_hub_without_ranges_begins_anew, fresh),
        cmocka_unit_test_setup(wrong_bytes_are_refused, fresh),
        cmocka_unit_test_setup(failures_of_the_network_are_retried, fresh),
        cmocka_unit_test_setup(refusals_are_final, fresh),
        cmocka_unit_test_setup(a_full_disk_is_an_error_and_keeps_the_part, fresh),
        cmocka_unit_test_setup(garbage_and_rot, fresh),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
