/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sys/yaml.h"

static struct sys_yaml *parse(const char *text)
{
    struct sys_yaml *doc = NULL;
    struct ledge_error err = {0};
    enum ledge_status status = sys_yaml_parse(text, strlen(text), "r.yaml", &doc, &err);
    if (status != LEDGE_OK) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(status, LEDGE_OK);
    return doc;
}

static void assert_refused(const char *text, enum ledge_status status, const char *says)
{
    struct sys_yaml *doc = NULL;
    struct ledge_error err = {0};
    assert_int_equal(sys_yaml_parse(text, strlen(text), "r.yaml", &doc, &err), status);
    assert_null(doc);
    if (strstr(err.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
}

static void test_scalars(void **state)
{
    (void)state;
    struct sys_yaml *doc = parse("a: 12\nb: -3.5e2\nc: yes\nd: true\ne: ~\nf: '12'\ng: 007\n"
                                 "h: 0x1F\ni: 1.2.3\nj: [1, two, 3.0]\nk: {l: {m: x}}\n");
    assert_int_equal(json_integer_value(sys_yaml_at(doc, "a")), 12);
    assert_true(json_real_value(sys_yaml_at(doc, "b")) == -350.0);
    assert_string_equal(json_string_value(sys_yaml_at(doc, "c")), "yes");
    assert_true(json_is_true(sys_yaml_at(doc, "d")));
    assert_true(json_is_null(sys_yaml_at(doc, "e")));
    assert_string_equal(json_string_value(sys_yaml_at(doc, "f")), "12");
    assert_string_equal(json_string_value(sys_yaml_at(doc, "g")), "007");
    assert_int_equal(json_integer_value(sys_yaml_at(doc, "h")), 31);
    assert_string_equal(json_string_value(sys_yaml_at(doc, "i")), "1.2.3");
    assert_int_equal(json_array_size(sys_yaml_at(doc, "j")), 3);
    assert_string_equal(sys_yaml_text(doc, "k.l.m", ""), "x");
    assert_null(sys_yaml_at(doc, "k.z.m"));
    sys_yaml_free(doc);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_refused("a: 1\nb: &x 2\n", LEDGE_ERR_FORMAT, "r.yaml:2: anchors");
    assert_refused("a: 1\nb: *x\n", LEDGE_ERR_FORMAT, "r.yaml:2: aliases");
    assert_refused("a: !!str 1\n", LEDGE_ERR_FORMAT, "r.yaml:1: anchors and tags");
    assert_refused("a: 1\n\na: 2\n", LEDGE_ERR_FORMAT, "r.yaml:3: key 'a' stands twice");
    assert_refused("a: .inf\n", LEDGE_ERR_FORMAT, "r.yaml:1: a number that is not finite");
    assert_refused("a: 1e999\n", LEDGE_ERR_FORMAT, "not finite");
    assert_refused("? [a]\n: 1\n", LEDGE_ERR_FORMAT, "a key must be text");
    assert_refused("- 1\n", LEDGE_ERR_FORMAT, "not a mapping");
    assert_refused("a: [1\nb: 2\n", LEDGE_ERR_FORMAT, "r.yaml:2:");
    assert_refused("a: 1\n---\nb: 2\n", LEDGE_ERR_FORMAT, "second document");
    char deep[64];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "a: ", 3);
    deep[40] = '\0';
    assert_refused(deep, LEDGE_ERR_FORMAT, "nested too deeply");
    struct sys_yaml *doc = parse("");
    assert_int_equal(json_object_size(sys_yaml_root(doc)), 0);
    sys_yaml_free(doc);
}

static const struct sys_yaml_key keys[] = {
    {"seed", SYS_YAML_INT, 0, 1e9, NULL, "1", "start of every random number"},
    {"data.path", SYS_YAML_TEXT, 0, 0, NULL, "!", "where the samples are"},
    {"data.kind", SYS_YAML_TEXT, 0, 0, "image-folder|idx|csv", "image-folder", "layout"},
    {"data.classes", SYS_YAML_TEXTS, 0, 0, NULL, NULL, "only these"},
    {"train.lr", SYS_YAML_NUMBER, 0, 10, NULL, "0.1", "learning rate"},
    {"train.mean", SYS_YAML_NUMBERS, -1, 1, NULL, "[0]", "per channel"},
};
enum { N_KEYS = sizeof keys / sizeof keys[0] };

static void assert_check(const char *text, const char *says)
{
    struct sys_yaml *doc = parse(text);
    struct ledge_error err = {0};
    assert_int_equal(sys_yaml_check(doc, keys, N_KEYS, &err), LEDGE_ERR_ARG);
    if (strcmp(err.text, says) != 0) {
        fail_msg("'%s' is not '%s'", err.text, says);
    }
    sys_yaml_free(doc);
}

static void test_check(void **state)
{
    (void)state;
    assert_check("seed: 1\n", "r.yaml: data.path: must be given");
    assert_check("seed: 1\ndata:\n  pth: x\n",
                 "r.yaml:3: unknown key 'data.pth'; did you mean 'data.path'?");
    assert_check("lr: 1\n", "r.yaml:1: unknown key 'lr'; did you mean 'train.lr'?");
    assert_check("quarrelsome: 1\n", "r.yaml:1: unknown key 'quarrelsome'");
    assert_check("data: {path: x, kind: idy}\n",
                 "r.yaml:1: data.kind: 'idy' is not one of image-folder|idx|csv");
    assert_check("data: {path: x}\ntrain: {lr: fast}\n", "r.yaml:2: train.lr: must be number");
    assert_check("data: {path: x}\ntrain: {lr: 11}\n",
                 "r.yaml:2: train.lr: 11 is not between 0 and 10");
    assert_check("data: {path: x}\ntrain: {mean: [0, 2]}\n",
                 "r.yaml:2: train.mean: 2 is not between -1 and 1");
    assert_check("data: 3\n", "r.yaml:1: data: must be a mapping");
    struct sys_yaml *doc = parse("data: {path: p, classes: [0, a]}\n");
    assert_int_equal(sys_yaml_check(doc, keys, N_KEYS, NULL), LEDGE_OK);
    assert_int_equal(sys_yaml_int(doc, "seed", 0), 1);
    assert_true(sys_yaml_number(doc, "train.lr", 0) == 0.1);
    assert_string_equal(sys_yaml_text(doc, "data.kind", ""), "image-folder");
    assert_string_equal(json_string_value(json_array_get(sys_yaml_at(doc, "data.classes"), 0)),
                        "0");
    assert_null(sys_yaml_at(doc, "train.classes"));
    sys_yaml_free(doc);
}

static void test_set(void **state)
{
    (void)state;
    struct sys_yaml *doc = parse("data: {path: p, classes: {a: 1}}\nseed: 3\n");
    assert_int_equal(sys_yaml_set(doc, "data.classes=[x, 2]", NULL), LEDGE_OK);
    assert_int_equal(json_array_size(sys_yaml_at(doc, "data.classes")), 2);
    assert_int_equal(sys_yaml_set(doc, "train.lr=0.5", NULL), LEDGE_OK);
    assert_true(sys_yaml_number(doc, "train.lr", 0) == 0.5);
    assert_int_equal(sys_yaml_set(doc, "seed.x=1", NULL), LEDGE_ERR_ARG);
    assert_int_equal(sys_yaml_set(doc, "=1", NULL), LEDGE_ERR_ARG);
    assert_int_equal(sys_yaml_set(doc, "seed", NULL), LEDGE_ERR_ARG);
    assert_int_equal(sys_yaml_set(doc, "seed=[", NULL), LEDGE_ERR_FORMAT);
    char place[SYS_YAML_PLACE_BYTES];
    assert_string_equal(sys_yaml_place(doc, "seed", place), "r.yaml:2");
    assert_string_equal(sys_yaml_place(doc, "train.lr", place), "r.yaml");
    sys_yaml_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
