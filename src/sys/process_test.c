/* SPDX-License-Identifier: Apache-2.0 */
/* process_test.c -- real children: output, ends, restarts, stopping, descriptors, environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "sys/process.h"

struct bench {
    struct sys_loop *loop;
    struct sys_timer *limit;
    struct sys_process *process;
    struct ledge_buf lines;
    int exits, starts, stop_after, status;
    bool free_on_exit, stopped, last_restarting;
};

static void too_late(void *arg)
{
    (void)arg;
    fail_msg("not within 30 s");
}

static void open_bench(struct bench *b)
{
    *b = (struct bench){.lines = LEDGE_BUF_INIT(1 << 16)};
    assert_int_equal(sys_loop_create(&b->loop, NULL), LEDGE_OK);
    b->limit = sys_timer_start(b->loop, 30000, 0, too_late, NULL);
}

static void close_bench(struct bench *b)
{
    sys_process_free(b->process);
    sys_timer_free(b->limit);
    sys_loop_free(b->loop);
    ledge_buf_done(&b->lines);
}

static void on_stopped(void *arg)
{
    struct bench *b = arg;
    b->stopped = true;
    sys_loop_stop(b->loop);
}

static void on_line(void *arg, const char *line)
{
    struct bench *b = arg;
    ledge_buf_printf(&b->lines, "%s|", line);
    if (strcmp(line, "stop me") == 0) {
        sys_process_stop(b->process, on_stopped, b);
    }
}

static void on_start(void *arg, pid_t pid)
{
    struct bench *b = arg;
    assert_true(pid > 0);
    b->starts++;
}

static void on_exit_of(void *arg, int status, bool restarting)
{
    struct bench *b = arg;
    b->exits++;
    b->status = status;
    b->last_restarting = restarting;
    if (b->free_on_exit) {
        sys_process_free(b->process);
        b->process = NULL;
    }
    if (b->exits == b->stop_after) {
        sys_loop_stop(b->loop);
    }
}

static void begin(struct bench *b, const char *script, const char *const *env, int32_t backoff_ms)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct sys_process_options options = {.argv = argv,
                                          .env = env,
                                          .cwd = "/",
                                          .backoff_ms = backoff_ms,
                                          .backoff_max_ms = 4 * backoff_ms,
                                          .stop_ms = 200,
                                          .on_line = on_line,
                                          .on_start = on_start,
                                          .on_exit = on_exit_of,
                                          .arg = b};
    struct ledge_error err;
    assert_int_equal(sys_process_start(b->loop, &options, &b->process, &err), LEDGE_OK);
}

static void output_environment_and_folder(void **state)
{
    const char *const env[] = {"LEDGE_PROBE=from the parent", "HOME=/nowhere", NULL};
    struct bench b;
    (void)state;
    open_bench(&b);
    b.stop_after = 1;
    begin(&b, "echo $LEDGE_PROBE; echo $HOME >&2; pwd; ls /proc/self/fd | tr '\\n' ' '; exit 7",
          env, 0);
    sys_loop_run(b.loop);
    assert_int_equal(WEXITSTATUS(b.status), 7);
    assert_false(b.last_restarting);
    assert_int_equal(sys_process_pid(b.process), 0);
    /* ls itself opens 3; nothing else of ours is there */
    assert_string_equal(b.lines.data, "from the parent|/nowhere|/|0 1 2 3 |");
    close_bench(&b);
}

static void long_lines_are_cut(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    b.stop_after = 1;
    begin(&b, "head -c 10000 /dev/zero | tr '\\0' x", NULL, 0);
    sys_loop_run(b.loop);
    assert_int_equal(b.lines.len, 10000 + 3);
    assert_int_equal(b.lines.data[4096], '|');
    close_bench(&b);
}

static void it_is_restarted_until_stopped(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    b.stop_after = 4;
    begin(&b, "exit 1", NULL, 1);
    sys_loop_run(b.loop);
    assert_int_equal(b.starts, 4);
    assert_true(b.last_restarting);
    assert_int_equal(sys_process_restarts(b.process), 3);
    close_bench(&b);
}

static void one_that_ignores_sigterm_is_killed(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    begin(&b, "trap '' TERM; echo 'stop me'; while :; do sleep 0.05; done", NULL, 1);
    sys_loop_run(b.loop);
    assert_true(b.stopped);
    assert_int_equal(b.exits, 1);
    assert_false(b.last_restarting);
    assert_true(WIFSIGNALED(b.status));
    close_bench(&b);
}

static void stop_during_the_pause_before_a_restart(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    b.stop_after = 1;
    begin(&b, "exit 1", NULL, 60000);
    sys_loop_run(b.loop); /* until its first end; the restart is half a minute away */
    sys_process_stop(b.process, on_stopped, &b);
    sys_loop_run(b.loop);
    assert_true(b.stopped);
    assert_int_equal(b.starts, 1);
    close_bench(&b);
}

static void freed_inside_its_own_callback(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    b.free_on_exit = true;
    b.stop_after = 1;
    begin(&b, "echo bye", NULL, 1);
    sys_loop_run(b.loop);
    assert_null(b.process);
    close_bench(&b);
}

static void grandchildren_go_with_the_child(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    b.stop_after = 1;
    begin(&b, "sleep 1000 & echo $!", NULL, 0);
    sys_loop_run(b.loop);
    pid_t grandchild = (pid_t)strtol(b.lines.data, NULL, 10);
    assert_true(grandchild > 1);
    char path[64];
    char stat[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)grandchild);
    for (int i = 0; i < 5000; i++) { /* it dies at once; whoever inherits it may reap it late */
        FILE *file = fopen(path, "r");
        if (file == NULL || fgets(stat, sizeof stat, file) == NULL || strstr(stat, ") Z") != NULL) {
            if (file != NULL) {
                fclose(file);
            }
            close_bench(&b);
            return;
        }
        fclose(file);
        usleep(1000);
    }
    fail_msg("the grandchild is still running: %s", stat);
}

static void what_cannot_be_started_is_an_error(void **state)
{
    const char *const absent[] = {"/nonexistent/program", NULL};
    const char *const unknown[] = {"no-such-program-of-ledge", NULL};
    const char *const folder[] = {"/tmp", NULL};
    struct ledge_buf out = LEDGE_BUF_INIT(64);
    struct ledge_error err;
    int status;
    (void)state;
    assert_int_equal(sys_process_run(absent, &out, &status, &err), LEDGE_ERR_NOT_FOUND);
    assert_int_equal(sys_process_run(unknown, &out, &status, &err), LEDGE_ERR_NOT_FOUND);
    assert_int_equal(sys_process_run(folder, &out, &status, &err), LEDGE_ERR_IO);
    assert_non_null(strstr(err.text, "/tmp"));
}

static void run_collects_both_streams(void **state)
{
    const char *const argv[] = {"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
    struct ledge_buf out = LEDGE_BUF_INIT(64);
    int status;
    (void)state;
    assert_int_equal(sys_process_run(argv, &out, &status, NULL), LEDGE_OK);
    assert_string_equal(out.data, "out\nerr\n");
    assert_int_equal(WEXITSTATUS(status), 3);
    ledge_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_environment_and_folder),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(it_is_restarted_until_stopped),
        cmocka_unit_test(one_that_ignores_sigterm_is_killed),
        cmocka_unit_test(stop_during_the_pause_before_a_restart),
        cmocka_unit_test(freed_inside_its_own_callback),
        cmocka_unit_test(grandchildren_go_with_the_child),
        cmocka_unit_test(what_cannot_be_started_is_an_error),
        cmocka_unit_test(run_collects_both_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
