/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c -- golden inputs: does this version answer, on this machine, what it answered where it
 * was made? Runs before the version is visible, on lane 0. */
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "serve/number.h"
#include "serve/version.h"
#include "sys/file.h"
#include "sys/json.h"

enum { MAX_PROBE = 64 * 1024 * 1024 };

struct expectation {
    const char *name;
    double tolerance;
    const json_t *answer; /* list of numbers; null for NaN and infinity */
    size_t n;             /* numbers compared so far */
};

/* A number, true and false as 1 and 0; false for anything else. */
static bool number_of(const json_t *value, double *number)
{
    if (json_is_boolean(value)) {
        *number = json_is_true(value) ? 1 : 0;
        return true;
    }
    *number = json_number_value(value);
    return json_is_number(value);
}

static enum ledge_status compare_number(struct expectation *expectation, const json_t *expected,
                                        struct ledge_error *err)
{
    const json_t *value = json_array_get(expectation->answer, expectation->n);
    double want = 0, got = 0;
    bool same = json_is_null(expected) && json_is_null(value);
    if (number_of(expected, &want) && number_of(value, &got)) {
        same = fabs(got - want) <= expectation->tolerance * fmax(1, fabs(want));
    }
    if (!same) {
        return ledge_fail(err, LEDGE_ERR_GATE,
                          "output %s: element %zu is %g, expected %g (tolerance %g)",
                          expectation->name, expectation->n, got, want, expectation->tolerance);
    }
    expectation->n++;
    return LEDGE_OK;
}

/* Expected values may be nested lists, as in a request. */
static enum ledge_status compare_list(struct expectation *expectation, const json_t *list,
                                      int32_t depth, struct ledge_error *err)
{
    if (depth > LEDGE_MAX_RANK) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "output %s: lists are nested too deep",
                          expectation->name);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (json_is_array(item)) {
            LEDGE_TRY(compare_list(expectation, item, depth + 1, err));
        } else {
            LEDGE_TRY(compare_number(expectation, item, err));
        }
    }
    return LEDGE_OK;
}

static enum ledge_status compare(const json_t *probe, const json_t *answer, double tolerance,
                                 struct ledge_error *err)
{
    const json_t *expected = json_object_get(probe, "outputs");
    const json_t *got = json_object_get(answer, "outputs");
    if (json_array_size(expected) == 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "names no expected output");
    }
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *output = json_array_get(expected, i);
        const json_t *data = json_object_get(output, "data");
        struct expectation expectation = {
            .name = json_string_value(json_object_get(output, "name")),
            .tolerance = tolerance,
            .answer = json_object_get(json_array_get(got, i), "data"),
        };
        if (!json_is_array(data)) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "output %s: has no \"data\"",
                              expectation.name);
        }
        LEDGE_TRY(compare_list(&expectation, data, 1, err));
        if (expectation.n != json_array_size(expectation.answer)) {
            return ledge_fail(err, LEDGE_ERR_GATE, "output %s: has %zu elements, expected %zu",
                              expectation.name, json_array_size(expectation.answer), expectation.n);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status run_probe(struct serve_version *version, json_t *probe,
                                   struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *answer = NULL;
    LEDGE_CLEANUP(serve_request_done) struct serve_request request = {0};
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf out = LEDGE_BUF_INIT(4 * (size_t)MAX_PROBE);
    const json_t *tolerance = json_object_get(probe, "tolerance");
    struct serve_times times = {0};
    size_t json_bytes = 0;
    if (tolerance != NULL && (!json_is_number(tolerance) || json_number_value(tolerance) < 0)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "\"tolerance\" must be a number of 0 or more");
    }
    LEDGE_TRY(serve_request_read(probe, NULL, 0, &request, err));
    LEDGE_TRY(serve_version_infer(version, 0, &request, &out, &json_bytes, &times, err));
    LEDGE_TRY(sys_json_parse(out.data, json_bytes, &answer, err));
    return compare(probe, answer, tolerance != NULL ? json_number_value(tolerance) : 1e-3, err);
}

enum ledge_status serve_version_probe(struct serve_version *version, const char *path,
                                      struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_json_free) json_t *probe = NULL;
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(MAX_PROBE);
    LEDGE_TRY(sys_file_read(path, &text, err));
    enum ledge_status status = sys_json_parse(text.data, text.len, &probe, err);
    if (status == LEDGE_OK) {
        status = run_probe(version, probe, err);
    }
    if (status != LEDGE_OK && err != NULL) {
        ledge_fail_at(err, "probe");
    }
    return status;
}
