/* SPDX-License-Identifier: Apache-2.0 */
/* logfile_test.c -- rotation, tails, bytes that are no text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/logfile.h"
#include "sys/file.h"

static char dir[] = "/tmp/ledge-log-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/log", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return sys_tree_remove(dir, NULL) == LEDGE_OK ? 0 : -1;
}

static const char *text_at(const json_t *lines, size_t i)
{
    return json_string_value(json_object_get(json_array_get(lines, i), "text"));
}

static void two_files_of_a_megabyte(void **state)
{
    struct agent_logfile *log;
    struct stat st;
    char text[1001];
    char old[80];
    (void)state;
    memset(text, 'x', 1000);
    text[1000] = '\0';
    assert_int_equal(agent_logfile_open(path, &log, NULL), LEDGE_OK);
    for (int i = 0; i < 3500; i++) {
        char head[24];
        snprintf(head, sizeof head, "line %4d", i);
        memcpy(text, head, 9);
        text[9] = ' ';
        agent_logfile_add(log, i, text);
    }
    agent_logfile_close(log);
    snprintf(old, sizeof old, "%s.1", path);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, AGENT_LOG_BYTES);
    assert_int_equal(stat(old, &st), 0);
    assert_in_range(st.st_size, AGENT_LOG_BYTES - 2000, AGENT_LOG_BYTES);
    json_t *lines = agent_logfile_tail(path, 3, 1 << 20);
    assert_int_equal(json_array_size(lines), 3);
    assert_memory_equal(text_at(lines, 0), "line 3497", 9);
    assert_memory_equal(text_at(lines, 2), "line 3499", 9);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(lines, 2), "ts")), 3499);
    json_decref(lines);
    lines = agent_logfile_tail(path, 1000, 10000); /* bytes are the limit */
    assert_in_range(json_array_size(lines), 3, 5);
    json_decref(lines);
}

static void what_is_no_text_does_no_harm(void **state)
{
    struct agent_logfile *log;
    (void)state;
    assert_int_equal(sys_tree_remove(path, NULL), LEDGE_OK);
    assert_int_equal(agent_logfile_open(path, &log, NULL), LEDGE_OK);
    agent_logfile_add(log, 1, "caf\xc3\xa9 \"quoted\" \x1b[31m");
    agent_logfile_add(log, 2, "bad \xff\xc3( \xe0\x80\x80 \xed\xa0\x80 \xf5 end");
    agent_logfile_add(log, 3, "");
    agent_logfile_close(log);
    json_t *lines = agent_logfile_tail(path, 3, 1 << 20);
    assert_int_equal(json_array_size(lines), 3);
    assert_string_equal(text_at(lines, 0), "caf\xc3\xa9 \"quoted\" \x1b[31m");
    assert_string_equal(text_at(lines, 1), "bad \?\?( \?\?\? \?\?\? ? end");
    assert_string_equal(text_at(lines, 2), "");
    json_decref(lines);
    lines = agent_logfile_tail("/nonexistent/log", 5, 1000);
    assert_int_equal(json_array_size(lines), 0);
    json_decref(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_files_of_a_megabyte),
        cmocka_unit_test(what_is_no_text_does_no_harm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
