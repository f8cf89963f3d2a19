/* SPDX-License-Identifier: Apache-2.0 */
/* uplink_test.c -- a broker that loses, a hub that answers late, twice or for somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/uplink.h"
#include "sys/file.h"

enum { SENT_MAX = 256 };

static char root[] = "/tmp/ledge-uplink-XXXXXX";

struct bench {
    struct sys_loop *loop;
    struct agent_outbox *outbox;
    struct agent_uplink *uplink;
    struct sys_timer *timer;
    bool deaf; /* publish says no */
    int n;
    struct {
        uint64_t first, count;
    } sent[SENT_MAX];
};

static bool publish(void *arg, const void *bytes, size_t n)
{
    struct bench *b = arg;
    struct fleet_segment_header header;
    if (b->deaf) {
        return false;
    }
    assert_true(n <= 128 * 1024);
    assert_int_equal(fleet_segment_read(bytes, n, &header, NULL, NULL, NULL), LEDGE_OK);
    assert_true(b->n < SENT_MAX);
    b->sent[b->n].first = header.first;
    b->sent[b->n++].count = header.count;
    return true;
}

static void open_bench(struct bench *b)
{
    static int n;
    char dir[128];
    char note[200];
    *b = (struct bench){.n = 0};
    snprintf(dir, sizeof dir, "%s/%d", root, n++);
    assert_int_equal(sys_loop_create(&b->loop, NULL), LEDGE_OK);
    assert_int_equal(agent_outbox_open(dir, 64 << 20, &b->outbox, note, NULL), LEDGE_OK);
    struct agent_uplink_options options = {.outbox = b->outbox,
                                           .hub = "http://127.0.0.1:1",
                                           .timeout_ms = 20,
                                           .publish = publish,
                                           .arg = b};
    assert_int_equal(agent_uplink_create(b->loop, &options, &b->uplink, NULL), LEDGE_OK);
}

static void close_bench(struct bench *b)
{
    agent_uplink_free(b->uplink);
    agent_outbox_close(b->outbox);
    sys_loop_free(b->loop);
}

static void add(struct bench *b, int n, size_t body)
{
    static char bytes[64 * 1024];
    uint64_t seq;
    for (int i = 0; i < n; i++) {
        struct fleet_record record = {.kind = FLEET_KIND_metric,
                                      .class_of_service = FLEET_CLASS_normal,
                                      .meta = "{}",
                                      .meta_bytes = 2,
                                      .body = bytes,
                                      .body_bytes = body};
        assert_int_equal(agent_outbox_append(b->outbox, &record, &seq, NULL), LEDGE_OK);
    }
    assert_int_equal(agent_outbox_sync(b->outbox, NULL), LEDGE_OK);
    agent_uplink_kick(b->uplink);
}

static void ack(struct bench *b, uint64_t seq)
{
    struct agent_outbox_stats stats;
    agent_outbox_stats(b->outbox, &stats);
    agent_uplink_acked(b->uplink, stats.epoch, seq);
}

static uint64_t depth(struct bench *b)
{
    struct agent_outbox_stats stats;
    agent_outbox_stats(b->outbox, &stats);
    return stats.depth;
}

static void small_amounts_gather_behind_the_first(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    add(&b, 1, 10);
    assert_int_equal(b.n, 0); /* not connected */
    agent_uplink_connected(b.uplink);
    assert_int_equal(b.n, 1);
    for (int i = 0; i < 10; i++) {
        add(&b, 1, 10);
    }
    assert_int_equal(b.n, 1); /* they wait for the acknowledgement of the first */
    ack(&b, 1);
    assert_int_equal(b.n, 2);
    assert_int_equal(b.sent[1].first, 2);
    assert_int_equal(b.sent[1].count, 10);
    ack(&b, 11);
    assert_int_equal(depth(&b), 0);
    ack(&b, 11);
    assert_int_equal(b.n, 2);
    close_bench(&b);
}

static void a_backlog_fills_the_window_and_no_more(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    add(&b, 100, 40000); /* three to a segment: 34 segments */
    agent_uplink_connected(b.uplink);
    assert_int_equal(b.n, 16);
    for (int i = 1; i < b.n; i++) {
        assert_int_equal(b.sent[i].first, b.sent[i - 1].first + b.sent[i - 1].count);
    }
    ack(&b, b.sent[3].first + b.sent[3].count - 1);
    assert_int_equal(b.n, 20); /* four went, four come */
    while (depth(&b) > 0) {
        int n = b.n - 1;
        ack(&b, b.sent[n].first + b.sent[n].count - 1);
    }
    assert_int_equal(b.sent[b.n - 1].first + b.sent[b.n - 1].count - 1, 100);
    close_bench(&b);
}

static void stop(void *arg)
{
    sys_loop_stop(arg);
}

static void what_is_not_acknowledged_is_sent_again(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    agent_uplink_connected(b.uplink);
    add(&b, 3, 10);
    assert_int_equal(b.n, 1);
    while (b.n < 3) { /* the broker loses it, twice */
        b.timer = sys_timer_start(b.loop, 5, 0, stop, b.loop);
        sys_loop_run(b.loop);
        sys_timer_free(b.timer);
    }
    assert_int_equal(b.sent[2].first, 1);
    ack(&b, 2); /* only a part of it */
    agent_uplink_disconnected(b.uplink);
    int before = b.n;
    agent_uplink_connected(b.uplink);
    assert_int_equal(b.n, before + 1);
    assert_int_equal(b.sent[before].first, 3);
    agent_uplink_acked(b.uplink, "00000000000000000000000000000000", 3); /* another outbox */
    assert_int_equal(depth(&b), 1);
    ack(&b, 99); /* never given out */
    assert_int_equal(depth(&b), 1);
    ack(&b, 3);
    assert_int_equal(depth(&b), 0);
    b.deaf = true;
    add(&b, 1, 10);
    b.deaf = false;
    agent_uplink_connected(b.uplink);
    assert_int_equal(b.sent[b.n - 1].first, 4);
    close_bench(&b);
}

/* A segment in the middle is lost while new ones keep leaving: it may not wait for a pause. */
static void a_steady_stream_does_not_put_off_what_was_lost(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    agent_uplink_connected(b.uplink);
    for (int i = 0; i < 14; i++) {
        add(&b, 1, 60000); /* each a segment of its own, every 10 ms: half of the time allowed */
        b.timer = sys_timer_start(b.loop, 10, 0, stop, b.loop);
        sys_loop_run(b.loop);
        sys_timer_free(b.timer);
    }
    bool again = false;
    for (int i = 1; i < b.n; i++) {
        again |= b.sent[i].first == 1;
    }
    assert_true(again);
    close_bench(&b);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int drop_root(void **state)
{
    (void)state;
    return sys_tree_remove(root, NULL) == LEDGE_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_amounts_gather_behind_the_first),
        cmocka_unit_test(a_backlog_fills_the_window_and_no_more),
        cmocka_unit_test(what_is_not_acknowledged_is_sent_again),
        cmocka_unit_test(a_steady_stream_does_not_put_off_what_was_lost),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
