/* SPDX-License-Identifier: Apache-2.0 */
/* file_test.c -- durable writes, trees, links, locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/file.h"

static char dir[PATH_MAX - 64];
static char path[PATH_MAX];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ledge-file-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int drop_dir(void **state)
{
    (void)state;
    return sys_tree_remove(dir, NULL) == LEDGE_OK && !sys_file_exists(dir) ? 0 : -1;
}

static void write_then_read(void **state)
{
    struct ledge_buf buf = LEDGE_BUF_INIT(16);
    struct stat st;
    struct ledge_error err;
    (void)state;
    assert_int_equal(sys_file_write(at("a"), "first", 5, 0600, NULL), LEDGE_OK);
    assert_int_equal(sys_file_write(at("a"), "second", 6, 0600, NULL), LEDGE_OK);
    assert_int_equal(sys_file_read(at("a"), &buf, NULL), LEDGE_OK);
    assert_string_equal(buf.data, "second");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(sys_file_exists(at("a.tmp")));
    ledge_buf_done(&buf);
    buf.max = 3;
    assert_int_equal(sys_file_read(at("a"), &buf, &err), LEDGE_ERR_RANGE);
    ledge_buf_done(&buf);
    assert_int_equal(sys_file_read(at("absent"), &buf, &err), LEDGE_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "absent"));
    assert_int_equal(sys_file_write(at("no/such/a"), "", 0, 0600, &err), LEDGE_ERR_NOT_FOUND);
}

/* A link, so that a failure of this test replaces no device of the machine. */
static void device_is_written_not_replaced(void **state)
{
    struct stat st;
    struct ledge_error err;
    (void)state;
    assert_int_equal(symlink("/dev/full", at("full")), 0);
    assert_int_equal(sys_file_write(path, "x", 1, 0600, &err), LEDGE_ERR_FULL);
    assert_int_equal(symlink("/dev/null", at("null")), 0);
    assert_int_equal(sys_file_write(path, "x", 1, 0600, &err), LEDGE_OK);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void full_disk_keeps_the_old_file(void **state)
{
    struct ledge_error err;
    (void)state;
    /* A limit on file sizes (EFBIG) stands for the full disk. */
    assert_int_equal(sys_file_write(at("f"), "old", 3, 0600, NULL), LEDGE_OK);
    pid_t pid = fork();
    if (pid == 0) {
        char big[8192] = {0};
        const struct rlimit limit = {2048, 2048};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
            _exit(2);
        }
        signal(SIGXFSZ, SIG_IGN);
        _exit(sys_file_write(path, big, sizeof big, 0600, &err) == LEDGE_ERR_FULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct ledge_buf buf = LEDGE_BUF_INIT(16);
    assert_int_equal(sys_file_read(path, &buf, NULL), LEDGE_OK);
    assert_string_equal(buf.data, "old");
    assert_false(sys_file_exists(at("f.tmp")));
    ledge_buf_done(&buf);
}

static void tree_is_removed_without_following_links(void **state)
{
    (void)state;
    assert_int_equal(sys_dir_make(at("keep"), NULL), LEDGE_OK);
    assert_int_equal(sys_file_write(at("keep/x"), "x", 1, 0600, NULL), LEDGE_OK);
    assert_int_equal(sys_dir_make(at("tree/b/c"), NULL), LEDGE_OK);
    assert_int_equal(sys_file_write(at("tree/b/c/d"), "d", 1, 0600, NULL), LEDGE_OK);
    assert_int_equal(symlink("../../keep", at("tree/b/link")), 0);
    assert_int_equal(sys_tree_remove(at("tree"), NULL), LEDGE_OK);
    assert_false(sys_file_exists(path));
    assert_true(sys_file_exists(at("keep/x")));
    assert_int_equal(sys_tree_remove(at("tree"), NULL), LEDGE_OK);
    assert_int_equal(sys_dir_make(at("keep/x/y"), NULL), LEDGE_ERR_IO);
}

static void link_is_switched(void **state)
{
    char target[64] = {0};
    (void)state;
    assert_int_equal(sys_link_switch("gen/1", at("current"), NULL), LEDGE_OK);
    assert_int_equal(sys_link_switch("gen/2", at("current"), NULL), LEDGE_OK);
    assert_int_equal(readlink(path, target, sizeof target - 1), 5);
    assert_string_equal(target, "gen/2");
}

static void digest_of_a_file(void **state)
{
    char hex[65];
    (void)state;
    assert_int_equal(sys_file_write(at("abc"), "abc", 3, 0600, NULL), LEDGE_OK);
    assert_int_equal(sys_file_sha256(path, hex, NULL), LEDGE_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void lock_belongs_to_one_process(void **state)
{
    struct ledge_error err;
    int status;
    (void)state;
    assert_int_equal(sys_file_lock(at("lock"), &err), LEDGE_OK);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(sys_file_lock(path, &err) == LEDGE_ERR_STATE ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void time_is_written_in_utc(void **state)
{
    char text[32];
    (void)state;
    sys_time_text(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    sys_time_text(1767225600999, text);
    assert_string_equal(text, "2026-01-01T00:00:00Z");
    sys_time_text(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_then_read),
        cmocka_unit_test(device_is_written_not_replaced),
        cmocka_unit_test(full_disk_keeps_the_old_file),
        cmocka_unit_test(tree_is_removed_without_following_links),
        cmocka_unit_test(link_is_switched),
        cmocka_unit_test(digest_of_a_file),
        cmocka_unit_test(lock_belongs_to_one_process),
        cmocka_unit_test(time_is_written_in_utc),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
