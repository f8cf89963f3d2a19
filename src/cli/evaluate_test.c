/* SPDX-License-Identifier: Apache-2.0 */
/* The report and the gate on answers made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/evaluate.h"
#include "cli/split.h"

enum { N = 8, OUTPUTS = 2 };

/* Two classes the model knows and one, "new<&", that it does not; 8 samples, 5 right. */
static char class_a[] = "a";
static char class_b[] = "b";
static char class_new[] = "new<&";
static char *classes[] = {class_a, class_b, class_new};
static int32_t truth[N] = {0, 0, 0, 0, 1, 1, 2, 2};
static int32_t predicted[N] = {0, 0, 0, 1, 1, 1, 0, 1};
static float confidence[N] = {0.9f, 0.9f, 0.8f, 0.6f, 0.7f, 0.9f, 0.6f, 0.7f};
static uint8_t right[N] = {1, 1, 1, 0, 1, 1, 0, 0};
static uint8_t champion_right[N] = {1, 1, 1, 1, 1, 0, 0, 0};
static float scores[N * OUTPUTS];
static double seconds[N] = {0.001, 0.001, 0.001, 0.001, 0.002, 0.002, 0.002, 0.008};

static struct cli_answers answers(void)
{
    for (int i = 0; i < N; i++) {
        scores[2 * i + predicted[i]] = confidence[i];
        scores[2 * i + 1 - predicted[i]] = 1 - confidence[i];
    }
    return (struct cli_answers){.n = N,
                                .k = 3,
                                .outputs = OUTPUTS,
                                .classes = classes,
                                .truth = truth,
                                .predicted = predicted,
                                .confidence = confidence,
                                .right = right,
                                .scores = scores,
                                .seconds = seconds,
                                .file_bytes = 4096,
                                .memory_bytes = 2000,
                                .model_sha256 = "00",
                                .data_digest = "11"};
}

static struct cli_evaluation evaluated(struct cli_answers *own, struct cli_answers *champion)
{
    struct cli_evaluation e;
    struct ledge_error err;
    *own = answers();
    if (champion != NULL) {
        *champion = answers();
        champion->right = champion_right;
    }
    if (cli_evaluation_make("m.onnx", own, champion != NULL ? "old.onnx" : NULL, champion, &e,
                            &err) != LEDGE_OK) {
        fail_msg("%s", err.text);
    }
    return e;
}

static double metric(const struct cli_evaluation *e, const char *name)
{
    const struct cli_metric *found = cli_metric_find(e, name);
    if (found == NULL) {
        fail_msg("no metric %s", name);
    }
    return found->value;
}

static void near(double got, double wanted)
{
    if (!(fabs(got - wanted) < 1e-9)) {
        fail_msg("got %.12g, wanted %.12g", got, wanted);
    }
}

static void every_number_has_a_name(void **state)
{
    (void)state;
    struct cli_answers own;
    struct cli_answers champion;
    struct cli_evaluation e = evaluated(&own, &champion);
    near(metric(&e, "samples"), 8);
    near(metric(&e, "top1"), 5.0 / 8);
    near(metric(&e, "class.a.recall"), 3.0 / 4);
    near(metric(&e, "class.b.precision"), 2.0 / 4);
    near(metric(&e, "min_recall"), 0);
    near(metric(&e, "latency_p50_ms"), 1);
    near(metric(&e, "latency_p99_ms"), 8);
    near(metric(&e, "size_bytes"), 4096);
    /* lost: sample 3; won: sample 5: no drop, bound 1.645 sqrt(2) / 8 */
    near(metric(&e, "drop"), 0);
    near(metric(&e, "drop_upper"), 1.6448536269514722 * sqrt(2) / 8);
    near(metric(&e, "agreement"), 1);
    assert_true(isnan(metric(&e, "class.new<&.auc")));
    assert_null(cli_metric_find(&e, "top2"));
    cli_evaluation_done(&e);
}

static enum ledge_status gate_of(const char *yaml, const struct cli_evaluation *e,
                                 struct cli_gate *gate, struct ledge_error *err)
{
    char path[] = "/tmp/ledge-gate-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    assert_int_equal(close(fd), 0);
    enum ledge_status status = cli_gate_make(path, e, gate, err);
    assert_int_equal(unlink(path), 0);
    return status;
}

static void gate_tells_by_how_much(void **state)
{
    (void)state;
    struct cli_answers own;
    struct cli_answers champion;
    struct cli_evaluation e = evaluated(&own, &champion);
    struct cli_gate gate = {0};
    assert_int_equal(
        gate_of("top1: {min: 0.7}\nlatency_p99_ms: {max: 10}\nclass:\n  a:\n    recall: "
                "{min: 0.75, max: 1}\ndrop_upper: {max: 0.1}\n",
                &e, &gate, NULL),
        LEDGE_OK);
    assert_int_equal(gate.n, 5);
    assert_false(gate.passed);
    assert_false(gate.rows[0].passed);
    near(gate.rows[0].missing, 0.7 - 0.625);
    assert_true(gate.rows[1].passed);
    assert_string_equal(gate.rows[2].name, "class.a.recall");
    assert_true(gate.rows[2].passed && gate.rows[3].passed);
    assert_false(gate.rows[4].passed);
    near(gate.rows[4].missing, 1.6448536269514722 * sqrt(2) / 8 - 0.1);
    char text[CLI_GATE_TEXT];
    assert_string_equal(cli_gate_text(&gate.rows[0], text), "top1 at least 0.7");
    cli_gate_done(&gate);
    assert_int_equal(gate_of("top1: {min: 0.625}\n", &e, &gate, NULL), LEDGE_OK);
    assert_true(gate.passed);
    cli_gate_done(&gate);
    /* what is not defined does not pass */
    assert_int_equal(gate_of("class:\n  \"new<&\":\n    auc: {min: 0}\n", &e, &gate, NULL),
                     LEDGE_OK);
    assert_false(gate.passed);
    cli_gate_done(&gate);
    cli_evaluation_done(&e);
}

static void numbers_for_people(void **state)
{
    (void)state;
    char text[CLI_VALUE_TEXT];
    assert_string_equal(cli_value_text(23564300, text), "23564300");
    assert_string_equal(cli_value_text(0.98889, text), "0.98889");
    assert_string_equal(cli_value_text(NAN, text), "-");
}

static void gate_mistakes_name_the_line(void **state)
{
    (void)state;
    struct cli_answers own;
    struct cli_evaluation e = evaluated(&own, NULL);
    struct cli_gate gate;
    static const struct {
        const char *yaml;
        const char *told;
    } cases[] = {
        {"samples: {min: 1}\ntop: {min: 0.9}\n", ":2: no metric is named top; did you mean top1"},
        {"drop_upper: {max: 0.01}\n", "needs --champion"},
        {"top1: 0.9\n", ":1: top1: expected"},
        {"top1: {min: high}\n", "expected {min: number}"},
        {"top1: {min: 0.9, at: 3}\n", "expected {min: number}"},
        {"top1: {}\n", "expected {min: number}"},
    };
    for (size_t i = 0; i < CLI_COUNT(cases); i++) {
        struct ledge_error err = {0};
        assert_int_equal(gate_of(cases[i].yaml, &e, &gate, &err), LEDGE_ERR_ARG);
        if (strstr(err.text, cases[i].told) == NULL) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i].told);
        }
    }
    cli_evaluation_done(&e);
}

static void json_has_what_the_registry_reads(void **state)
{
    (void)state;
    struct cli_answers own;
    struct cli_evaluation e = evaluated(&own, NULL);
    struct cli_gate gate = {0};
    assert_int_equal(gate_of("top1: {min: 0.7}\n", &e, &gate, NULL), LEDGE_OK);
    json_t *root = cli_evaluate_json(&e, &gate);
    near(json_real_value(json_object_get(root, "top1")), 0.625);
    assert_int_equal(json_array_size(json_object_get(root, "labels")), OUTPUTS);
    json_t *row = json_array_get(json_object_get(root, "confusion"), 2);
    assert_int_equal(json_integer_value(json_array_get(row, 1)), 1);
    json_t *told = json_object_get(root, "gate");
    assert_true(json_is_false(json_object_get(told, "passed")));
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(told, "rows"), 0), "text")),
                        "top1 at least 0.7");
    assert_null(json_object_get(root, "champion"));
    json_decref(root);
    cli_gate_done(&gate);
    cli_evaluation_done(&e);
}

static void html_is_whole_and_escaped(void **state)
{
    (void)state;
    struct cli_answers own;
    struct cli_evaluation e = evaluated(&own, NULL);
    struct ledge_buf page = LEDGE_BUF_INIT(1 << 20);
    assert_int_equal(cli_evaluate_html(&e, NULL, &page, NULL), LEDGE_OK);
    assert_non_null(strstr(page.data, "new&lt;&amp;"));
    assert_null(strstr(page.data, "new<"));
    assert_null(strstr(page.data, "http"));
    assert_non_null(strstr(page.data, "<polyline"));
    assert_non_null(strstr(page.data, "</html>"));
    ledge_buf_done(&page);
    cli_evaluation_done(&e);
}

static void answers_as_csv(void **state)
{
    (void)state;
    char odd[] = "3/a \"b\".jpg";
    char *keys[N] = {odd, odd, odd, odd, odd, odd, odd, odd};
    struct cli_answers own = answers();
    own.keys = keys;
    own.n = 1;
    struct ledge_buf lines = LEDGE_BUF_INIT(4096);
    assert_int_equal(cli_answers_csv(&own, &lines, NULL), LEDGE_OK);
    assert_string_equal(lines.data, "sample,truth,answer,confidence\n"
                                    "\"3/a \"\"b\"\".jpg\",\"a\",\"a\",0.900000\n");
    ledge_buf_done(&lines);
}

static void scores_become_probabilities(void **state)
{
    (void)state;
    float logits[] = {0, logf(3), 5, 5}; /* 1/4 3/4, 1/2 1/2 */
    cli_scores_to_probabilities(logits, 2, 2);
    assert_true(fabsf(logits[0] - 0.25f) < 1e-6f && fabsf(logits[1] - 0.75f) < 1e-6f);
    assert_true(logits[2] == 0.5f);
    float probabilities[] = {0.25f, 0.75f, 0.5f, 0.5f};
    cli_scores_to_probabilities(probabilities, 2, 2);
    assert_true(probabilities[0] == 0.25f && probabilities[3] == 0.5f);
    /* one row that is no distribution makes all of them logits */
    float mixed[] = {0.25f, 0.75f, 0.9f, 0.9f};
    cli_scores_to_probabilities(mixed, 2, 2);
    assert_true(mixed[0] > 0.3f && mixed[2] == 0.5f);
}

static void split_options_are_checked(void **state)
{
    (void)state;
    struct data_set_spec spec;
    struct ledge_error err;
    struct cli_split split = CLI_SPLIT_DEFAULT("val");
    assert_int_equal(cli_split_spec(&split, &spec, &err), LEDGE_ERR_ARG);
    assert_non_null(strstr(err.text, "--data"));
    split.data = "x";
    assert_int_equal(cli_split_spec(&split, &spec, &err), LEDGE_OK);
    assert_int_equal(spec.part, DATA_VAL);
    split.split = "test";
    assert_int_equal(cli_split_spec(&split, &spec, &err), LEDGE_ERR_ARG);
    split.split = "all";
    split.fraction = 2;
    assert_int_equal(cli_split_spec(&split, &spec, &err), LEDGE_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_has_a_name),
        cmocka_unit_test(gate_tells_by_how_much),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(gate_mistakes_name_the_line),
        cmocka_unit_test(json_has_what_the_registry_reads),
        cmocka_unit_test(html_is_whole_and_escaped),
        cmocka_unit_test(answers_as_csv),
        cmocka_unit_test(scores_become_probabilities),
        cmocka_unit_test(split_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
