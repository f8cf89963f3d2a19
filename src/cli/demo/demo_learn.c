/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/demo_learn.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/json.h"

enum { REPORT_BYTES = 4 << 20, OUTPUT_BYTES = 1 << 20 };

static enum ledge_status ended(const struct demo_run *run, const char *log, int code,
                               struct ledge_error *err)
{
    if (code == 0) {
        return LEDGE_OK;
    }
    return ledge_fail(err, code == SYS_EXIT_GATE ? LEDGE_ERR_GATE : LEDGE_ERR_STATE,
                      "%s ended with exit code %d; see %s/%s.log", log, code, run->work, log);
}

/* Evaluate one file on one folder; the report goes to report_path when not NULL. */
static enum ledge_status evaluate(const struct demo_run *run, const char *model, const char *test,
                                  const char *report_path, double *top1, struct ledge_error *err)
{
    char data[SYS_PATH];
    int code = 0;
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(REPORT_BYTES);
    LEDGE_CLEANUP(sys_json_free) json_t *report = NULL;
    LEDGE_TRY(sys_path(data, err, "%s/%s", run->work, test));
    LEDGE_TRY(demo_tool(run, "evaluate", &text, &code, err, "ledge", "evaluate", model, "--data",
                        data, "--split", "all", "--json", NULL));
    LEDGE_TRY(ended(run, "evaluate", code, err));
    LEDGE_TRY(sys_json_parse(text.data, text.len, &report, err));
    *top1 = json_number_value(json_object_get(report, "top1"));
    return report_path == NULL ? LEDGE_OK
                               : sys_file_write(report_path, text.data, text.len, 0644, err);
}

enum ledge_status demo_evaluate(const struct demo_run *run, const char *name, const char *test,
                                double *top1, struct ledge_error *err)
{
    char model[SYS_PATH];
    LEDGE_TRY(sys_path(model, err, "%s/%s-int8.onnx", run->work, name));
    return evaluate(run, model, test, NULL, top1, err);
}

/* The int8 model against the float one it was made from; the report carries the gate's verdict. */
static enum ledge_status gate(const struct demo_run *run, const struct demo_lesson *lesson,
                              const char *float_model, const struct demo_learned *learned,
                              struct ledge_error *err)
{
    char data[SYS_PATH], rules[SYS_PATH];
    int code = 0;
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(REPORT_BYTES);
    LEDGE_TRY(sys_path(data, err, "%s/%s", run->work, lesson->test));
    LEDGE_TRY(demo_share(run, lesson->gate, rules, err));
    LEDGE_TRY(demo_tool(run, "evaluate", &text, &code, err, "ledge", "evaluate", learned->int8_path,
                        "--data", data, "--split", "all", "--champion", float_model, "--gate",
                        rules, "--json", NULL));
    LEDGE_TRY(sys_file_write(learned->report_path, text.data, text.len, 0644, err));
    return ended(run, "evaluate", code, err);
}

static enum ledge_status train(const struct demo_run *run, const struct demo_lesson *lesson,
                               char model[SYS_PATH], struct ledge_error *err)
{
    char recipe[SYS_PATH], data[SYS_PATH + 16], out[SYS_PATH], threads[32], log[32];
    int code = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    LEDGE_TRY(demo_share(run, lesson->recipe, recipe, err));
    (void)snprintf(data, sizeof data, "data.path=%.900s/%.60s", run->work, lesson->data);
    LEDGE_TRY(sys_path(out, err, "%s/%s-run", run->work, lesson->name));
    (void)snprintf(threads, sizeof threads, "%ld",
                   lesson->threads > 0 ? lesson->threads : (cores > 0 ? cores : 1));
    (void)snprintf(log, sizeof log, "train-%s", lesson->name);
    LEDGE_TRY(demo_tool(run, log, NULL, &code, err, "ledge", "train", recipe, "--set", data,
                        "--out", out, "--threads", threads, NULL));
    LEDGE_TRY(ended(run, log, code, err));
    return sys_path(model, err, "%s/model.onnx", out);
}

static enum ledge_status quantize(const struct demo_run *run, const struct demo_lesson *lesson,
                                  const char *model, const char *int8_path, struct ledge_error *err)
{
    char data[SYS_PATH];
    int code = 0;
    LEDGE_TRY(sys_path(data, err, "%s/%s", run->work, lesson->data));
    LEDGE_TRY(demo_tool(run, "quantize", NULL, &code, err, "ledge", "quantize", model, "--data",
                        data, "-o", int8_path, NULL));
    return ended(run, "quantize", code, err);
}

enum ledge_status demo_learn(const struct demo_run *run, const struct demo_lesson *lesson,
                             struct demo_learned *learned, struct ledge_error *err)
{
    char model[SYS_PATH];
    *learned = (struct demo_learned){.f32_top1 = 0};
    (void)snprintf(learned->name, sizeof learned->name, "%s", lesson->name);
    LEDGE_TRY(sys_path(learned->int8_path, err, "%s/%s-int8.onnx", run->work, lesson->name));
    LEDGE_TRY(sys_path(learned->report_path, err, "%s/%s-report.json", run->work, lesson->name));
    LEDGE_TRY(train(run, lesson, model, err));
    LEDGE_TRY(quantize(run, lesson, model, learned->int8_path, err));
    LEDGE_TRY(evaluate(run, model, lesson->test, NULL, &learned->f32_top1, err));
    LEDGE_TRY(evaluate(run, learned->int8_path, lesson->test, learned->report_path,
                       &learned->int8_top1, err));
    return lesson->gate != NULL ? gate(run, lesson, model, learned, err) : LEDGE_OK;
}

enum ledge_status demo_push(const struct demo_run *run, const struct demo_learned *learned,
                            struct ledge_error *err)
{
    int code = 0;
    LEDGE_TRY(demo_tool(run, "push", NULL, &code, err, "ledge", "model", "push", DEMO_MODEL,
                        learned->int8_path, "--gate-report", learned->report_path, "--note",
                        learned->name, NULL));
    return ended(run, "push", code, err);
}
