/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/status.h"
#include "data/dataset.h"
#include "data/dataset_source.h"
#include "sys/file.h"

static char folder[] = "/tmp/ledge-dataset-XXXXXX";

static void must(enum ledge_status status, const struct ledge_error *err)
{
    if (status != LEDGE_OK) {
        fail_msg("%s", err->text);
    }
}

static const char *in_folder(const char *name)
{
    static char text[8][256];
    static int next;
    char *t = text[next++ % 8];
    (void)snprintf(t, sizeof text[0], "%s/%s", folder, name);
    return t;
}

static void write_text(const char *name, const char *text)
{
    struct ledge_error err;
    must(sys_file_write(in_folder(name), text, strlen(text), 0600, &err), &err);
}

/* A 6 x 4 grey picture of one value, with its number in a corner so that no two are the same. */
static void write_picture(const char *name, int value, int number)
{
    struct ledge_error err;
    struct sys_image image;
    struct ledge_buf png = LEDGE_BUF_INIT(100000);
    must(sys_image_create(6, 4, 1, &image, &err), &err);
    memset(image.pixels, value, 24);
    image.pixels[0] = (uint8_t)number;
    must(sys_image_encode_png(&image, &png, &err), &err);
    must(sys_file_write(in_folder(name), png.data, png.len, 0600, &err), &err);
    ledge_buf_done(&png);
    sys_image_done(&image);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    static const char *const classes[] = {"10", "9", "2"};
    for (int c = 0; c < 3; c++) {
        char name[64];
        (void)snprintf(name, sizeof name, "pictures/%s", classes[c]);
        must(sys_dir_make(in_folder(name), NULL), &(struct ledge_error){0});
        for (int i = 0; i < 40; i++) {
            (void)snprintf(name, sizeof name, "pictures/%s/p%02d.png", classes[c], i);
            write_picture(name, 60 * c + 20, i);
        }
    }
    write_text("pictures/notes.txt", "no picture");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return sys_tree_remove(folder, NULL) == LEDGE_OK ? 0 : -1;
}

static struct data_set *open_set(const struct data_set_spec *spec)
{
    struct data_set *set = NULL;
    struct ledge_error err;
    must(data_set_open(spec, &set, &err), &err);
    return set;
}

static bool has_key(const struct data_set *set, const char *key)
{
    for (int64_t i = 0; i < data_set_count(set); i++) {
        if (strcmp(data_set_key(set, i), key) == 0) {
            return true;
        }
    }
    return false;
}

static void test_folder(void **state)
{
    (void)state;
    struct data_set *set = open_set(&(struct data_set_spec){.path = in_folder("pictures")});
    assert_int_equal(data_set_count(set), 120);
    assert_int_equal(data_set_n_classes(set), 3);
    assert_string_equal(data_set_class(set, 0), "2"); /* by value */
    assert_string_equal(data_set_class(set, 2), "10");
    assert_string_equal(data_set_key(set, 0), "10/p00.png");
    assert_int_equal(data_set_label(set, 0), 2);
    int64_t dims[3];
    assert_int_equal(data_set_dims(set, dims), 3);
    assert_int_equal(dims[0] * 100 + dims[1] * 10 + dims[2], 146);
    for (int pass = 0; pass < 2; pass++) { /* decoded, then from the cache */
        float x[24];
        must(data_set_read(set, 3, NULL, x, NULL), &(struct ledge_error){0});
        assert_true(x[0] == 3.0f / 255 && x[1] == 20.0f / 255 && x[23] == 20.0f / 255);
    }
    data_set_close(set);
}

static void test_split(void **state)
{
    (void)state;
    struct data_set_spec spec = {.path = in_folder("pictures"), .val_fraction = 0.25, .seed = 7};
    spec.part = DATA_TRAIN;
    struct data_set *train = open_set(&spec);
    spec.part = DATA_VAL;
    struct data_set *val = open_set(&spec);
    assert_int_equal(data_set_count(train) + data_set_count(val), 120);
    assert_in_range(data_set_count(val), 15, 45);
    for (int64_t i = 0; i < data_set_count(val); i++) {
        assert_false(has_key(train, data_set_key(val, i)));
    }
    /* With fewer classes the same pictures stay in the same part. */
    static const char *const two[] = {"9", "10"};
    spec.classes = two;
    spec.n_classes = 2;
    struct data_set *few = open_set(&spec);
    assert_string_equal(data_set_class(few, 0), "9");
    for (int64_t i = 0; i < data_set_count(few); i++) {
        assert_true(has_key(val, data_set_key(few, i)));
    }
    data_set_close(few);
    spec.n_classes = 0;
    spec.first_classes = 2;
    few = open_set(&spec);
    assert_int_equal(data_set_n_classes(few), 2);
    assert_string_equal(data_set_class(few, 1), "9");
    data_set_close(few);
    spec.first_classes = 0;
    spec.n_classes = 2;
    /* Stratified: exactly a quarter of each class. */
    spec.stratified = true;
    few = open_set(&spec);
    assert_int_equal(data_set_count(few), 20);
    data_set_close(few);
    spec.limit = 5;
    few = open_set(&spec);
    assert_int_equal(data_set_count(few), 5);
    data_set_close(few);
    data_set_close(train);
    data_set_close(val);
}

static void test_digest(void **state)
{
    (void)state;
    char all[DATA_DIGEST_HEX];
    char some[DATA_DIGEST_HEX];
    char again[DATA_DIGEST_HEX];
    struct data_set_spec spec = {.path = in_folder("pictures")};
    struct data_set *set = open_set(&spec);
    data_set_digest(set, all);
    data_set_close(set);
    spec.limit = 119;
    set = open_set(&spec);
    data_set_digest(set, some);
    data_set_close(set);
    assert_string_not_equal(all, some);
    spec.val_fraction = 0.5;
    spec.limit = 0;
    spec.part = DATA_VAL;
    struct data_set *half = open_set(&spec);
    spec.part = DATA_ALL;
    set = open_set(&spec);
    assert_int_equal(data_set_shared(half, set), data_set_count(half));
    data_set_close(set);
    spec.part = DATA_TRAIN;
    set = open_set(&spec);
    assert_int_equal(data_set_shared(half, set), 0);
    data_set_close(set);
    data_set_close(half);
    spec.part = DATA_ALL;
    /* Renaming does not change what the data are. */
    assert_int_equal(rename(in_folder("pictures/9/p07.png"), in_folder("pictures/9/q.png")), 0);
    spec.limit = 0;
    set = open_set(&spec);
    data_set_digest(set, again);
    data_set_close(set);
    assert_string_equal(all, again);
    assert_int_equal(rename(in_folder("pictures/9/q.png"), in_folder("pictures/9/p07.png")), 0);
}

static void test_overlay(void **state)
{
    (void)state;
    write_picture("pictures/loose.png", 1, 1);
    write_text("labels.csv", "path,label\nloose.png,\"a, b\"\n9/p00.png,2\n");
    write_text("labels.json", "{\"loose.png\": \"x\"}");
    write_text("broken.csv", "path,label\nonly\n");
    struct data_set_spec spec = {.path = in_folder("pictures"), .labels = in_folder("labels.csv")};
    struct data_set *set = open_set(&spec);
    assert_int_equal(data_set_count(set), 121);
    assert_string_equal(data_set_class(set, 3), "a, b");
    int64_t twos = 0;
    for (int64_t i = 0; i < 121; i++) {
        twos += strcmp(data_set_class(set, data_set_label(set, i)), "2") == 0;
    }
    assert_int_equal(twos, 41);
    data_set_close(set);
    spec.labels = in_folder("labels.json");
    set = open_set(&spec);
    assert_string_equal(data_set_class(set, 3), "x");
    data_set_close(set);
    spec.labels = in_folder("broken.csv");
    struct ledge_error err;
    assert_int_equal(data_set_open(&spec, &set, &err), LEDGE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "broken.csv:2: must read path,label"));
    assert_int_equal(unlink(in_folder("pictures/loose.png")), 0);
}

static void test_idx(void **state)
{
    (void)state;
    uint8_t images[16 + 3 * 4] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2};
    uint8_t labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 5};
    struct ledge_error err;
    for (int i = 0; i < 12; i++) {
        images[16 + i] = (uint8_t)(i * 10);
    }
    must(sys_dir_make(in_folder("idx"), &err), &err);
    must(
        sys_file_write(in_folder("idx/train-images-idx3-ubyte"), images, sizeof images, 0600, &err),
        &err);
    must(
        sys_file_write(in_folder("idx/train-labels-idx1-ubyte"), labels, sizeof labels, 0600, &err),
        &err);
    struct data_set_spec spec = {.path = in_folder("idx")};
    struct data_set *set = open_set(&spec);
    assert_int_equal(data_set_count(set), 3);
    assert_int_equal(data_set_n_classes(set), 2);
    assert_string_equal(data_set_class(set, data_set_label(set, 2)), "5");
    uint8_t pixels[4];
    must(data_set_pixels(set, 1, pixels, &err), &err);
    assert_int_equal(pixels[3], 70);
    data_set_close(set);
    images[7] = 4; /* one picture more than there are bytes */
    must(
        sys_file_write(in_folder("idx/train-images-idx3-ubyte"), images, sizeof images, 0600, &err),
        &err);
    assert_int_equal(data_set_open(&spec, &set, &err), LEDGE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "IDX header says 16 bytes, there are 12"));
}

static enum ledge_status csv(const char *text, struct data_set **set, struct ledge_error *err)
{
    write_text("table.csv", text);
    return data_set_open(&(struct data_set_spec){.path = in_folder("table.csv")}, set, err);
}

static void test_csv(void **state)
{
    (void)state;
    struct data_set *set = NULL;
    struct ledge_error err;
    must(csv("a,b,kind\r\n1,2.5,\"x \"\"y\"\"\"\r\n\r\n-3,4e1,z\r\n", &set, &err), &err);
    assert_int_equal(data_set_count(set), 2);
    assert_string_equal(data_set_class(set, 0), "x \"y\"");
    float row[2];
    must(data_set_read(set, 1, NULL, row, &err), &err);
    assert_true(row[0] == -3.0f && row[1] == 40.0f);
    struct ledge_tensor bytes = {.dtype = LEDGE_U8};
    assert_int_equal(data_set_read(set, 1, &bytes, row, &err), LEDGE_ERR_DTYPE);
    data_set_close(set);
    must(csv("1,2,0\n3,4,1\n", &set, &err), &err); /* no heading */
    assert_int_equal(data_set_count(set), 2);
    data_set_close(set);
    assert_int_equal(csv("1,2,0\n3,x,1\n", &set, &err), LEDGE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "table.csv:2: a feature is not a finite number"));
    assert_int_equal(csv("1,2,0\n3,1\n", &set, &err), LEDGE_ERR_FORMAT);
    assert_int_equal(csv("1,2,0\n3,1,0,9\n", &set, &err), LEDGE_ERR_FORMAT);
    assert_int_equal(csv("1,\"2,0\n", &set, &err), LEDGE_ERR_FORMAT);
    assert_int_equal(csv("", &set, &err), LEDGE_ERR_FORMAT);
    /* A NUL in a name: a class once ended there and the next comparison read past it. */
    must(sys_file_write(in_folder("table.csv"), "1,a\n2,a\0bcdefgh\n", 17, 0600, &err), &err);
    struct data_set_spec spec = {.path = in_folder("table.csv")};
    assert_int_equal(data_set_open(&spec, &set, &err), LEDGE_ERR_FORMAT);
}

static void test_refusals(void **state)
{
    (void)state;
    struct data_set *set = NULL;
    struct ledge_error err;
    static const char *const unknown[] = {"9", "eleven"};
    struct data_set_spec spec = {.path = in_folder("nothing")};
    assert_int_equal(data_set_open(&spec, &set, &err), LEDGE_ERR_NOT_FOUND);
    spec =
        (struct data_set_spec){.path = in_folder("pictures"), .classes = unknown, .n_classes = 2};
    assert_int_equal(data_set_open(&spec, &set, &err), LEDGE_ERR_ARG);
    assert_non_null(strstr(err.text, "no sample of class 'eleven'"));
    spec = (struct data_set_spec){.path = in_folder("pictures"), .part = DATA_VAL};
    assert_int_equal(data_set_open(&spec, &set, &err), LEDGE_ERR_ARG);
    assert_non_null(strstr(err.text, "no samples in the validation part"));
    assert_null(set);
}

static void test_mnist(void **state)
{
    (void)state;
    const char *path = LEDGE_SHARED_DATA "/images/mnist";
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is absent\n", path);
        skip();
    }
    struct data_set *set = open_set(&(struct data_set_spec){.path = path});
    int64_t dims[3];
    assert_int_equal(data_set_count(set), 20000); /* the training file, not the test file */
    data_set_close(set);
    set = open_set(&(struct data_set_spec){.path = path, .limit = 500});
    assert_int_equal(data_set_count(set), 500);
    assert_int_equal(data_set_n_classes(set), 10);
    (void)data_set_dims(set, dims);
    assert_int_equal(dims[1], 28);
    data_set_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),   cmocka_unit_test(test_split),
        cmocka_unit_test(test_digest),   cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_idx),      cmocka_unit_test(test_csv),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_mnist),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
