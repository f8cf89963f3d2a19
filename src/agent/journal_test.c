/* SPDX-License-Identifier: Apache-2.0 */
/* journal_test.c -- there and back, every torn write, a file that is not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal.h"
#include "sys/file.h"

static char dir[] = "/tmp/ledge-journal-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/journal", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return sys_tree_remove(dir, NULL) == LEDGE_OK ? 0 : -1;
}

static struct agent_journal reopen(struct agent_journal_file **file)
{
    struct agent_journal j;
    struct ledge_error err = {.text = ""};
    agent_journal_close(*file);
    if (agent_journal_open(path, file, &j, &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    return j;
}

static struct agent_journal example(int64_t target)
{
    struct agent_journal j = {.state = FLEET_STATE_TRIAL,
                              .current = target - 1,
                              .previous = target - 2,
                              .target = target,
                              .seen = target,
                              .trial_starts = 2,
                              .reason = "because"};
    memset(j.digest, 'a', 64);
    memset(j.failed[AGENT_FAILED_KEPT - 1], 'f', 64);
    return j;
}

static void there_and_back(void **state)
{
    struct agent_journal_file *file = NULL;
    struct agent_journal j = reopen(&file);
    (void)state;
    assert_int_equal(j.state, FLEET_STATE_IDLE);
    assert_int_equal(j.target, 0);
    for (int64_t n = 3; n < 9; n++) {
        struct agent_journal want = example(n);
        assert_int_equal(agent_journal_write(file, &want, NULL), LEDGE_OK);
        j = reopen(&file);
        assert_memory_equal(&j, &want, sizeof j);
    }
    agent_journal_close(file);
}

static void a_torn_write_leaves_the_one_before(void **state)
{
    struct agent_journal_file *file = NULL;
    struct ledge_buf before = LEDGE_BUF_INIT(8192);
    struct ledge_buf after = LEDGE_BUF_INIT(8192);
    (void)state;
    assert_int_equal(sys_tree_remove(path, NULL), LEDGE_OK);
    (void)reopen(&file);
    for (int64_t n = 0; n < 4; n++) { /* the very first write is one of those torn */
        struct agent_journal want = example(20 + n);
        ledge_buf_clear(&before);
        ledge_buf_clear(&after);
        assert_int_equal(sys_file_read(path, &before, NULL), LEDGE_OK);
        assert_int_equal(agent_journal_write(file, &want, NULL), LEDGE_OK);
        assert_int_equal(sys_file_read(path, &after, NULL), LEDGE_OK);
        size_t slot = memcmp(before.data, after.data, 4096) != 0 ? 0 : 4096;
        size_t size = 4096;
        while (size > 0 && after.data[slot + size - 1] == before.data[slot + size - 1]) {
            size--;
        }
        for (size_t cut = 0; cut < size; cut += 13) { /* the first cut bytes reached the disk */
            memcpy(before.data + slot, after.data + slot, cut);
            assert_int_equal(sys_file_write(path, before.data, before.len, 0600, NULL), LEDGE_OK);
            struct agent_journal j = reopen(&file);
            assert_int_equal(j.target, n == 0 ? 0 : 20 + n - 1);
        }
        assert_int_equal(sys_file_write(path, after.data, after.len, 0600, NULL), LEDGE_OK);
        struct agent_journal j = reopen(&file);
        assert_int_equal(j.target, 20 + n);
    }
    agent_journal_close(file);
    ledge_buf_done(&before);
    ledge_buf_done(&after);
}

static void a_file_of_other_bytes_is_refused(void **state)
{
    struct agent_journal_file *file = NULL;
    struct agent_journal j;
    char junk[8192];
    (void)state;
    memset(junk, 'x', sizeof junk);
    assert_int_equal(sys_file_write(path, junk, sizeof junk, 0600, NULL), LEDGE_OK);
    assert_int_equal(agent_journal_open(path, &file, &j, NULL), LEDGE_ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(a_torn_write_leaves_the_one_before),
        cmocka_unit_test(a_file_of_other_bytes_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
