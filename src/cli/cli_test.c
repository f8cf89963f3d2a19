/* SPDX-License-Identifier: Apache-2.0 */
/* cli_test.c -- the frame: nearest names, options, exit codes, dispatch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/rest.h"

static void test_nearest(void **state)
{
    (void)state;
    const char *names[] = {"inspect", "convert", "bench"};
    assert_string_equal(cli_nearest("ispect", names, 3), "inspect");
    assert_string_equal(cli_nearest("becnh", names, 3), "bench");
    assert_null(cli_nearest("zebra", names, 3));
    assert_null(cli_nearest("", names, 3));
    assert_null(cli_nearest("a-name-that-is-longer-than-any-verb-can-be", names, 3));
}

struct parsed {
    bool json;
    int64_t threads;
    double seconds;
    const char *out;
    struct cli_list inputs;
};

static int parse(struct parsed *p, struct cli_args *args, int argc, char **argv)
{
    const struct cli_option options[] = {
        {"json", 0, CLI_FLAG, &p->json, NULL, "as JSON"},
        {"threads", 't', CLI_INT, &p->threads, "N", "threads (1)"},
        {"seconds", 0, CLI_NUMBER, &p->seconds, "S", "at most (1)"},
        {"out", 'o', CLI_TEXT, &p->out, "FILE", "where to"},
        {"input", 'i', CLI_LIST, &p->inputs, "FILE", "one per input"},
    };
    const struct cli_command command = {
        .usage = "ledge test MODEL",
        .summary = "Nothing.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 2,
    };
    return cli_parse(&command, argc, argv, args);
}

static void test_options(void **state)
{
    (void)state;
    struct parsed p = {.threads = 1};
    struct cli_args args;
    const char *argv[] = {"test",  "--json",  "model.onnx", "-t",        "4",   "--out=x", "-i",
                          "a.npy", "--input", "b",          "--seconds", "0.5", NULL};
    assert_int_equal(parse(&p, &args, 12, (char **)argv), -1);
    assert_true(p.json);
    assert_int_equal(p.threads, 4);
    assert_string_equal(p.out, "x");
    assert_int_equal(p.inputs.n, 2);
    assert_string_equal(p.inputs.items[1], "b");
    assert_true(p.seconds == 0.5);
    assert_int_equal(args.n, 1);
    assert_string_equal(args.items[0], "model.onnx");
    cli_list_done(&p.inputs);
}

static void test_bad_options(void **state)
{
    (void)state;
    struct parsed p = {0};
    struct cli_args args;
    const char *unknown[] = {"test", "m", "--thread5", NULL};
    const char *no_value[] = {"test", "m", "-t", NULL};
    const char *not_number[] = {"test", "m", "-t", "4x", NULL};
    const char *blank[] = {"test", "m", "-t", " 4", NULL};
    const char *stray[] = {"test", "m", "n", "o", NULL};
    const char *missing[] = {"test", NULL};
    const char *help[] = {"test", "--help", NULL};
    assert_int_equal(parse(&p, &args, 3, (char **)unknown), SYS_EXIT_USAGE);
    assert_int_equal(parse(&p, &args, 3, (char **)no_value), SYS_EXIT_USAGE);
    assert_int_equal(parse(&p, &args, 4, (char **)not_number), SYS_EXIT_USAGE);
    assert_int_equal(parse(&p, &args, 4, (char **)blank), SYS_EXIT_USAGE);
    assert_int_equal(p.threads, 0);
    assert_int_equal(parse(&p, &args, 4, (char **)stray), SYS_EXIT_USAGE);
    assert_int_equal(parse(&p, &args, 1, (char **)missing), SYS_EXIT_USAGE);
    assert_int_equal(parse(&p, &args, 2, (char **)help), SYS_EXIT_OK);
}

static void test_rest_path(void **state)
{
    (void)state;
    struct ledge_error err;
    char path[SYS_PATH], name[SYS_PATH];
    assert_int_equal(cli_rest_path(path, &err, "/devices/%s/logs?function=%s", "cam-1", "a b/..%s"),
                     LEDGE_OK);
    assert_string_equal(path, "/devices/cam-1/logs?function=a%20b%2F..%25s");
    assert_int_equal(cli_rest_path(path, &err, "/x/%s", "\xc3\xa4?&=#"), LEDGE_OK);
    assert_string_equal(path, "/x/%C3%A4%3F%26%3D%23");
    memset(name, '/', sizeof name);
    for (size_t n = SYS_PATH / 3 - 3; n < SYS_PATH / 3 + 3; n++) {
        name[n] = '\0';
        bool fits = 2 + 3 * n < SYS_PATH;
        enum ledge_status got = cli_rest_path(path, &err, "/%s/", name);
        assert_int_equal(got, fits ? LEDGE_OK : LEDGE_ERR_ARG);
        assert_true(!fits || strlen(path) == 2 + 3 * n);
        name[n] = '/';
    }
}

static int seven(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "x") == 0 ? 7 : 1;
}

static void test_dispatch(void **state)
{
    (void)state;
    const struct cli_verb verbs[] = {{NULL, "seven", "returns seven", seven}};
    const char *good[] = {"ledge", "seven", "x", NULL};
    const char *bad[] = {"ledge", "sevn", NULL};
    const char *none[] = {"ledge", NULL};
    assert_int_equal(cli_dispatch("ledge", verbs, 1, 3, (char **)good), 7);
    assert_int_equal(cli_dispatch("ledge", verbs, 1, 2, (char **)bad), SYS_EXIT_USAGE);
    assert_int_equal(cli_dispatch("ledge", verbs, 1, 1, (char **)none), SYS_EXIT_USAGE);
}

/* y = Identity(x), f32[1000]: the output views the input's memory, which must last until it is
 * printed (AddressSanitizer sees when it does not). */
static void test_run_identity(void **state)
{
    static const char model[] =
        "\x08\x08:<\x0a\x13\x0a\x01x\x12\x01y\x1a\x01i\"\x08Identity\x12\x01gZ\x10"
        "\x0a\x01x\x12\x0b\x0a\x09\x08\x01\x12\x05\x0a\x03\x08\xe8\x07"
        "b\x10\x0a\x01y\x12\x0b\x0a\x09\x08\x01\x12\x05\x0a\x03\x08\xe8\x07"
        "B\x04\x0a\x00\x10\x0d";
    char path[] = "/tmp/ledge-cli-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, model, sizeof model - 1) == (ssize_t)sizeof model - 1);
    close(fd);
    (void)state;
    const char *argv[] = {"run", path, "--random", NULL};
    assert_int_equal(cli_cmd_run(3, (char **)argv), SYS_EXIT_OK);
    assert_int_equal(unlink(path), 0);
}

static void test_texts(void **state)
{
    (void)state;
    char text[CLI_TEXT_BYTES];
    assert_string_equal(cli_text_bytes(999, text), "999 B");
    assert_string_equal(cli_text_bytes(1234567, text), "1.23 MB");
    assert_string_equal(cli_text_count(41700, text), "41.70 k");
    assert_int_equal(sys_exit_of(LEDGE_ERR_GATE), SYS_EXIT_GATE);
    assert_int_equal(sys_exit_of(LEDGE_ERR_FORMAT), SYS_EXIT_FAILED);
    assert_int_equal(sys_exit_of(LEDGE_ERR_TIMEOUT), SYS_EXIT_TIMED_OUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),      cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),  cmocka_unit_test(test_rest_path),
        cmocka_unit_test(test_dispatch),     cmocka_unit_test(test_texts),
        cmocka_unit_test(test_run_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
