/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_test.c -- the promise: what sync() let through is there after kill -9, once, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/outbox.h"
#include "sys/file.h"

static char root[] = "/tmp/ledge-outbox-XXXXXX";
static char dir[128];

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

static int fresh_dir(void **state)
{
    static int n;
    (void)state;
    snprintf(dir, sizeof dir, "%s/%d", root, n++);
    return 0;
}

static struct agent_outbox *open_outbox(uint64_t quota, const char *expected_note)
{
    struct agent_outbox *outbox = NULL;
    struct ledge_error err = {.text = ""};
    char note[200];
    if (agent_outbox_open(dir, quota, &outbox, note, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    if (strstr(note, expected_note) == NULL || (*expected_note == '\0' && *note != '\0')) {
        fail_msg("note is '%s', wanted '%s'", note, expected_note);
    }
    return outbox;
}

/* A record that says its number n in meta and has a body of some length that follows from n. */
static enum ledge_status put(struct agent_outbox *outbox, uint64_t n, size_t body, uint64_t *seq)
{
    static char bytes[600 * 1024];
    char meta[64];
    int len = snprintf(meta, sizeof meta, "{\"key\":%" PRIu64 "}", n);
    memset(bytes, (int)('a' + n % 26), body);
    struct fleet_record record = {.time_ms = 1,
                                  .kind = FLEET_KIND_prediction,
                                  .class_of_service = FLEET_CLASS_normal,
                                  .meta = meta,
                                  .meta_bytes = (size_t)len,
                                  .body = bytes,
                                  .body_bytes = body};
    return agent_outbox_append(outbox, &record, seq, NULL);
}

struct seen {
    uint64_t next;         /* seq expected */
    uint64_t keys[200000]; /* keys[seq] */
    uint64_t lost;
};
static struct seen seen;

static bool take(void *arg, const struct fleet_record *record)
{
    char meta[128];
    (void)arg;
    assert_int_equal(record->seq, seen.next);
    assert_true(record->meta_bytes < sizeof meta);
    memcpy(meta, record->meta, record->meta_bytes);
    meta[record->meta_bytes] = '\0';
    seen.next++;
    if (record->kind == FLEET_KIND_log) {
        assert_non_null(strstr(meta, "damaged on disk"));
        seen.lost++;
        return true;
    }
    assert_int_equal(sscanf(meta, "{\"key\":%" SCNu64 "}", &seen.keys[record->seq]), 1);
    const char *body = record->body;
    for (size_t i = 0; i < record->body_bytes; i++) {
        assert_int_equal(body[i], 'a' + seen.keys[record->seq] % 26);
    }
    return true;
}

/* Everything from `from` on, in segments of at most max bytes; returns the last seq. */
static uint64_t read_all(struct agent_outbox *outbox, uint64_t from, size_t max)
{
    struct fleet_segment_header header;
    uint32_t count = 1;
    seen.next = from;
    seen.lost = 0;
    while (count > 0) {
        struct ledge_buf buf = LEDGE_BUF_INIT(20 << 20);
        struct ledge_error err = {.text = ""};
        if (agent_outbox_read(outbox, seen.next, max, &buf, &count, &err) != LEDGE_OK) {
            fail_msg("%s", err.text);
        }
        if (count > 0) {
            uint64_t first = seen.next;
            if (fleet_segment_read(buf.data, buf.len, &header, take, NULL, &err) != LEDGE_OK) {
                fail_msg("%s", err.text);
            }
            assert_int_equal(header.first, first);
            assert_int_equal(header.count, count);
            assert_true(count == 1 || buf.len <= max);
        }
        ledge_buf_done(&buf);
    }
    return seen.next - 1;
}

static int count_files(void)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    int n = 0;
    while ((entry = readdir(d)) != NULL) {
        n += strstr(entry->d_name, ".seg") != NULL ? 1 : 0;
    }
    closedir(d);
    return n;
}

static void append_read_ack(void **state)
{
    struct agent_outbox *outbox = open_outbox(64 << 20, "");
    struct agent_outbox_stats stats;
    struct ledge_buf buf = LEDGE_BUF_INIT(1 << 20);
    uint64_t seq;
    uint32_t count = 9;
    (void)state;
    assert_int_equal(put(outbox, 1, 10, &seq), LEDGE_OK);
    assert_int_equal(seq, 1);
    assert_int_equal(agent_outbox_read(outbox, 1, 4096, &buf, &count, NULL), LEDGE_OK);
    assert_int_equal(count, 0); /* not synced: not sent */
    for (uint64_t n = 2; n <= 1000; n++) {
        assert_int_equal(put(outbox, n, n % 7 == 0 ? 5000 : 50, &seq), LEDGE_OK);
    }
    assert_int_equal(put(outbox, 1001, 600 * 1024, &seq), LEDGE_OK); /* over a segment's size */
    assert_int_equal(put(outbox, 1002, 600 * 1024, &seq), LEDGE_OK);
    assert_int_equal(agent_outbox_sync(outbox, NULL), LEDGE_OK);
    assert_int_equal(read_all(outbox, 1, 128 * 1024), 1002);
    assert_int_equal(read_all(outbox, 500, 2000), 1002);
    for (uint64_t n = 1; n <= 1002; n++) {
        assert_int_equal(seen.keys[n], n);
    }
    assert_true(count_files() >= 3);
    agent_outbox_ack(outbox, 5000); /* never given out */
    agent_outbox_ack(outbox, 1001);
    agent_outbox_ack(outbox, 900); /* an old one */
    agent_outbox_stats(outbox, &stats);
    assert_int_equal(stats.acked, 1001);
    assert_int_equal(stats.depth, 1);
    assert_int_equal(count_files(), 1);
    agent_outbox_ack(outbox, 1002);
    agent_outbox_stats(outbox, &stats);
    assert_true(stats.bytes <= FLEET_SEGMENT_HEADER); /* the big file is gone as well */
    agent_outbox_close(outbox);
    char epoch[FLEET_EPOCH_HEX];
    memcpy(epoch, stats.epoch, sizeof epoch);
    outbox = open_outbox(64 << 20, "");
    agent_outbox_stats(outbox, &stats);
    assert_string_equal(stats.epoch, epoch);
    assert_int_equal(stats.next, 1003); /* although no record is left */
    assert_int_equal(stats.acked, 1002);
    agent_outbox_close(outbox);
    ledge_buf_done(&buf);
}

static void the_quota_is_kept(void **state)
{
    struct agent_outbox *outbox = open_outbox(100 * 1024, "");
    uint64_t seq;
    uint64_t n = 1;
    (void)state;
    while (put(outbox, n, 1000, &seq) == LEDGE_OK) {
        n++;
    }
    assert_in_range(n, 90, 101);
    assert_int_equal(put(outbox, n, 1000, &seq), LEDGE_ERR_FULL);
    assert_int_equal(agent_outbox_sync(outbox, NULL), LEDGE_OK);
    assert_int_equal(read_all(outbox, 1, 128 * 1024), n - 1);
    agent_outbox_ack(outbox, n - 1);
    assert_int_equal(put(outbox, n, 1000, &seq), LEDGE_OK);
    assert_int_equal(seq, n);
    struct fleet_record large = {.kind = 1, .meta = "", .body = "", .body_bytes = 20 << 20};
    assert_int_equal(agent_outbox_append(outbox, &large, &seq, NULL), LEDGE_ERR_RANGE);
    agent_outbox_close(outbox);
}

static void a_full_disk_loses_nothing_that_was_promised(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit limit = {20000, 20000}; /* bytes a file may have: EFBIG as ENOSPC */
        struct agent_outbox *outbox = open_outbox(1 << 20, "");
        uint64_t seq;
        signal(SIGXFSZ, SIG_IGN);
        for (uint64_t n = 1; n <= 10; n++) {
            assert_int_equal(put(outbox, n, 100, &seq), LEDGE_OK);
        }
        assert_int_equal(agent_outbox_sync(outbox, NULL), LEDGE_OK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_equal(put(outbox, 11, 30000, &seq), LEDGE_ERR_FULL);
        assert_int_equal(put(outbox, 11, 100, &seq), LEDGE_OK); /* a small one still fits */
        assert_int_equal(agent_outbox_sync(outbox, NULL), LEDGE_OK);
        assert_int_equal(read_all(outbox, 1, 4096), 11);
        agent_outbox_close(outbox);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct agent_outbox *outbox = open_outbox(1 << 20, "");
    assert_int_equal(read_all(outbox, 1, 4096), 11);
    assert_int_equal(seen.keys[11], 11);
    agent_outbox_close(outbox);
}

/* The path of the newest file. */
static void newest(char path[256])
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    char best[64] = "";
    while ((entry = readdir(d)) != NULL) {
        if (strstr(entry->d_name, ".seg") != NULL && strcmp(entry->d_name, best) > 0) {
            snprintf(best, sizeof best, "%.60s", entry->d_name);
        }
    }
    closedir(d);
    snprintf(path, 256, "%s/%s", dir, best);
}

static void a_torn_tail_is_cut_at_every_length(void **state)
{
    char path[256];
    struct stat st;
    struct ledge_buf whole = LEDGE_BUF_INIT(1 << 20);
    uint64_t seq;
    (void)state;
    struct agent_outbox *outbox = open_outbox(1 << 20, "");
    for (uint64_t n = 1; n <= 3; n++) {
        assert_int_equal(put(outbox, n, 20, &seq), LEDGE_OK);
    }
    assert_int_equal(agent_outbox_sync(outbox, NULL), LEDGE_OK);
    agent_outbox_close(outbox);
    newest(path);
    assert_int_equal(sys_file_read(path, &whole, NULL), LEDGE_OK);
    size_t record = (whole.len - FLEET_SEGMENT_HEADER) / 3;
    for (size_t n = FLEET_SEGMENT_HEADER; n <= whole.len; n++) {
        assert_int_equal(sys_file_write(path, whole.data, n, 0600, NULL), LEDGE_OK);
        outbox = open_outbox(1 << 20, "");
        uint64_t records = (n - FLEET_SEGMENT_HEADER) / record;
        assert_int_equal(read_all(outbox, 1, 4096), records);
        assert_int_equal(put(outbox, 77, 20, &seq), LEDGE_OK);
        assert_int_equal(seq, records + 1); /* the next one goes where the tail was */
        assert_int_equal(agent_outbox_sync(outbox, NULL), LEDGE_OK);
        assert_int_equal(read_all(outbox, 1, 4096), records + 1);
        agent_outbox_close(outbox);
        assert_int_equal(stat(path, &st), 0);
    }
    /* Shorter than its header: the first file of all, killed while it was made. */
    assert_int_equal(sys_file_write(path, whole.data, 30, 0600, NULL), LEDGE_OK);
    outbox = open_outbox(1 << 20, "");
    assert_int_equal(put(outbox, 1, 20, &seq), LEDGE_OK);
    assert_int_equal(seq, 1);
    agent_outbox_close(outbox);
    ledge_buf_done(&whole);
}

static void damage_in_the_middle_leaves_a_hole_that_is_told(void **state)
{
    char path[256];
    struct ledge_buf whole = LEDGE_BUF_INIT(1 << 20);
    uint64_t seq;
    (void)state;
    struct agent_outbox *outbox = open_outbox(1 << 20, "");
    for (uint64_t n = 1; n <= 9; n++) {
        assert_int_equal(put(outbox, n, 20, &seq), LEDGE_OK);
    }
    assert_int_equal(agent_outbox_sync(outbox, NULL), LEDGE_OK);
    newest(path);
    assert_int_equal(sys_file_read(path, &whole, NULL), LEDGE_OK);
    size_t record = (whole.len - FLEET_SEGMENT_HEADER) / 9;
    whole.data[FLEET_SEGMENT_HEADER + 3 * record + 40] ^= 1; /* record 4 */
    /* Found while the agent runs, */
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, whole.data, whole.len, 0), whole.len);
    close(fd);
    assert_int_equal(read_all(outbox, 1, 4096), 9);
    assert_int_equal(seen.lost, 1);
    agent_outbox_close(outbox);
    /* and at a start: only record 4 is lost. */
    outbox = open_outbox(1 << 20, "1 records were damaged");
    assert_int_equal(read_all(outbox, 1, 4096), 9);
    assert_int_equal(seen.lost, 1);
    assert_int_equal(seen.keys[5], 5);
    assert_int_equal(put(outbox, 10, 20, &seq), LEDGE_OK);
    assert_int_equal(seq, 10);
    agent_outbox_close(outbox);
    /* No header at all: nothing can be trusted, so a new epoch begins; the old is kept. */
    memset(whole.data, 0, FLEET_SEGMENT_HEADER);
    assert_int_equal(sys_file_write(path, whole.data, whole.len, 0600, NULL), LEDGE_OK);
    outbox = open_outbox(1 << 20, "a new epoch begins");
    assert_int_equal(put(outbox, 1, 20, &seq), LEDGE_OK);
    assert_int_equal(seq, 1);
    agent_outbox_close(outbox);
    ledge_buf_done(&whole);
}

/* -- kill -9 -------------------------------------------------------------------------------------
 */

struct promise {
    uint64_t seq, key;
};

/* Append and sync for ever; tell the parent what was promised. Never returns. */
static void write_until_killed(int out, unsigned seed, uint64_t key)
{
    struct agent_outbox *outbox = open_outbox(64 << 20, "");
    struct agent_outbox_stats stats;
    agent_outbox_stats(outbox, &stats);
    srandom(seed);
    for (;;) {
        struct promise batch[40];
        size_t n = 1 + (size_t)random() % 40;
        for (size_t i = 0; i < n; i++) {
            batch[i].key = key++;
            size_t body = random() % 50 == 0 ? 100000 : (size_t)random() % 900;
            if (put(outbox, batch[i].key, body, &batch[i].seq) != LEDGE_OK) {
                _exit(1);
            }
        }
        if (agent_outbox_sync(outbox, NULL) != LEDGE_OK ||
            write(out, batch, n * sizeof *batch) != (ssize_t)(n * sizeof *batch)) {
            _exit(1);
        }
        if (random() % 4 == 0) { /* the hub has some of it */
            agent_outbox_ack(outbox, batch[0].seq - 1);
        }
    }
}

static void kill_9_loses_nothing_and_doubles_nothing(void **state)
{
    enum { ROUNDS = 25 };
    static uint64_t promised[200000]; /* promised[seq] = key */
    uint64_t top = 0;
    uint64_t total = 0;
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int fds[2];
        struct promise p;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            write_until_killed(fds[1], round + 1, (uint64_t)(round + 1) * 1000000);
        }
        close(fds[1]);
        unsigned until = 1 + round * 37 % 400;
        bool killed = false;
        while (read(fds[0], &p, sizeof p) == (ssize_t)sizeof p) {
            assert_in_range(p.seq, 1, 199999);
            assert_int_equal(promised[p.seq], 0); /* no seq is promised twice */
            promised[p.seq] = p.key;
            top = p.seq > top ? p.seq : top;
            total++;
            if (--until == 0 && !killed) {
                kill(pid, SIGKILL);
                killed = true;
            }
        }
        close(fds[0]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
    struct agent_outbox_stats stats;
    struct agent_outbox *outbox = open_outbox(64 << 20, "");
    agent_outbox_stats(outbox, &stats);
    assert_int_equal(stats.lost, 0);
    uint64_t last = read_all(outbox, stats.acked + 1, 128 * 1024);
    assert_true(last >= top);
    for (uint64_t seq = stats.acked + 1; seq <= top; seq++) {
        /* A record may be there that nobody was promised (killed between sync and answer), but
         * what was promised is there as it was. */
        assert_true(promised[seq] == 0 || promised[seq] == seen.keys[seq]);
    }
    agent_outbox_close(outbox);
    print_message("killed %d times: %" PRIu64 " records promised, 0 lost, 0 doubled\n", ROUNDS,
                  total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(append_read_ack, fresh_dir),
        cmocka_unit_test_setup(the_quota_is_kept, fresh_dir),
        cmocka_unit_test_setup(a_full_disk_loses_nothing_that_was_promised, fresh_dir),
        cmocka_unit_test_setup(a_torn_tail_is_cut_at_every_length, fresh_dir),
        cmocka_unit_test_setup(damage_in_the_middle_leaves_a_hole_that_is_told, fresh_dir),
        cmocka_unit_test_setup(kill_9_loses_nothing_and_doubles_nothing, fresh_dir),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
