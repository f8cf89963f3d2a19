/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/untar.h"
#include "sys/file.h"

enum { BLOCK = 512 };

static void put_sum(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++) {
        sum += header[i];
    }
    (void)snprintf((char *)header + 148, 8, "%06o", sum);
}

/* One entry with a five-byte body, then an empty block. */
static void make(uint8_t archive[3 * BLOCK], const char *name, char type)
{
    memset(archive, 0, 3 * BLOCK);
    (void)snprintf((char *)archive, 100, "%s", name);
    memcpy(archive + 124, "00000000005", 12);
    archive[156] = (uint8_t)type;
    memcpy(archive + 257, "ustar\00000", 8);
    memcpy(archive + BLOCK, "hello", 5);
    put_sum(archive);
}

static char folder[] = "/tmp/ledge-untar-XXXXXX";

static void plain_files_are_written(void **state)
{
    (void)state;
    uint8_t archive[3 * BLOCK];
    char path[SYS_PATH];
    int files = 0;
    struct ledge_error err = {0};
    struct ledge_buf text = LEDGE_BUF_INIT(100);
    make(archive, "3/a.jpg", '0');
    assert_int_equal(cli_untar(archive, sizeof archive, folder, &files, &err), LEDGE_OK);
    assert_int_equal(files, 1);
    assert_int_equal(sys_path(path, &err, "%s/3/a.jpg", folder), LEDGE_OK);
    assert_int_equal(sys_file_read(path, &text, &err), LEDGE_OK);
    assert_string_equal(text.data, "hello");
    ledge_buf_done(&text);
}

static void climbing_names_links_and_lies_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"../a", "/etc/a", "x/../../a", "x/.."};
    uint8_t archive[3 * BLOCK];
    int files = 0;
    struct ledge_error err = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        make(archive, names[i], '0');
        assert_int_equal(cli_untar(archive, sizeof archive, folder, &files, &err),
                         LEDGE_ERR_FORMAT);
    }
    make(archive, "link", '2');
    assert_int_equal(cli_untar(archive, sizeof archive, folder, &files, &err), LEDGE_ERR_FORMAT);
    make(archive, "a", '0');
    archive[0] = 'b'; /* the sum no longer holds */
    assert_int_equal(cli_untar(archive, sizeof archive, folder, &files, &err), LEDGE_ERR_FORMAT);
    make(archive, "a", '0');
    memcpy(archive + 124, "77777777777", 12);
    put_sum(archive);
    assert_int_equal(cli_untar(archive, sizeof archive, folder, &files, &err), LEDGE_ERR_FORMAT);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return sys_tree_remove(folder, NULL) != LEDGE_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_files_are_written),
        cmocka_unit_test(climbing_names_links_and_lies_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
