/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo/demo_data.h"
#include "cli/demo/demo_run.h"
#include "cli/demo/parts.h"
#include "sys/file.h"

static int count_files(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        n += entry->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return n;
}

/* Without LEDGE_DATA and without a network the generator stands in, and says so. */
static void generated_pictures_are_laid_out_without_leaks(void **state)
{
    (void)state;
    char work[] = "/tmp/ledge-demo-test-XXXXXX";
    char path[SYS_PATH];
    struct ledge_error err = {0};
    struct demo_data data;
    struct demo_split split;
    assert_non_null(mkdtemp(work));
    assert_int_equal(unsetenv("LEDGE_DATA"), 0);
    assert_int_equal(setenv("LEDGE_DEMO_ORIGIN", "http://127.0.0.1:9/nothing", 1), 0);
    assert_int_equal(demo_data_find(NULL, work, &data, &err), LEDGE_OK);
    assert_true(data.simulated);
    assert_non_null(strstr(data.origin, "SIMULATED"));
    assert_int_equal(data.n, 700);
    assert_int_equal(data.n_labels, DEMO_CLASSES);

    assert_int_equal(demo_data_lay_out(&data, work, &split, &err), LEDGE_OK);
    assert_int_equal(split.test, 140);
    assert_int_equal(split.junior_test, 42);
    assert_int_equal(split.junior_train, 84);
    assert_int_equal(split.camera, 700 - 140 - 84);
    int seen = 0;
    for (int camera = 1; camera <= DEMO_CAMERAS; camera++) {
        assert_int_equal(sys_path(path, &err, "%s/cam-%d", work, camera), LEDGE_OK);
        seen += count_files(path);
    }
    assert_int_equal(seen, split.camera);
    for (int label = 0; label < data.n_labels; label++) {
        assert_int_equal(sys_path(path, &err, "%s/junior/%s", work, data.labels[label]), LEDGE_OK);
        assert_int_equal(count_files(path), label < DEMO_JUNIOR_CLASSES ? 28 : 0);
    }
    assert_string_equal(demo_data_label(&data, data.pictures[17].sha256),
                        data.labels[data.pictures[17].label]);
    assert_null(demo_data_label(&data, "00"));
    demo_data_done(&data);
    assert_int_equal(sys_tree_remove(work, &err), LEDGE_OK);
}

static void the_same_seed_draws_the_same_part(void **state)
{
    (void)state;
    struct sys_image a;
    struct sys_image b;
    struct sys_image other;
    struct ledge_error err = {0};
    assert_int_equal(demo_part_draw(3, 7, &a, &err), LEDGE_OK);
    assert_int_equal(demo_part_draw(3, 7, &b, &err), LEDGE_OK);
    assert_int_equal(demo_part_draw(3, 8, &other, &err), LEDGE_OK);
    size_t n = (size_t)DEMO_PART_SIDE * DEMO_PART_SIDE;
    assert_memory_equal(a.pixels, b.pixels, n);
    assert_memory_not_equal(a.pixels, other.pixels, n);
    assert_int_equal(demo_part_draw(DEMO_PARTS, 1, &a, &err), LEDGE_ERR_ARG);
    sys_image_done(&a);
    sys_image_done(&b);
    sys_image_done(&other);
}

static void a_folder_with_too_few_classes_is_refused(void **state)
{
    (void)state;
    struct ledge_error err = {0};
    struct demo_data data;
    assert_int_equal(demo_data_find("/nowhere", "/tmp", &data, &err), LEDGE_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere"));
}

/* Functions run in folders of their own and read what is under --work. */
static void a_relative_work_folder_becomes_absolute(void **state)
{
    (void)state;
    struct ledge_error err = {0};
    struct demo_run run;
    char dir[] = "/tmp/ledge-demo-test-XXXXXX";
    char before[4096];
    assert_non_null(mkdtemp(dir));
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(demo_run_init(&run, "new/work", &err), LEDGE_OK);
    assert_int_equal(run.work[0], '/');
    assert_non_null(strstr(run.work, "/new/work"));
    assert_int_equal(chdir(before), 0);
    assert_true(sys_file_exists(run.work));
    assert_int_equal(sys_tree_remove(dir, &err), LEDGE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_pictures_are_laid_out_without_leaks),
        cmocka_unit_test(the_same_seed_draws_the_same_part),
        cmocka_unit_test(a_folder_with_too_few_classes_is_refused),
        cmocka_unit_test(a_relative_work_folder_becomes_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
