/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c -- `ledge run`: tensors from files through a model into files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/model_io.h"
#include "engine/kernels/onnx_number.h"

struct run {
    const char *path;
    struct cli_session_options session;
    struct cli_list inputs;
    const char *output;
    int64_t seed;
    bool random, json;
    struct ledge_model *model;
    struct ledge_session *opened;
    struct cli_tensors given, noise;
    struct cli_tensors results; /* may view an input: what only moves elements moves none */
};

int cli_cmd_run(int argc, char **argv);

/* -- inputs -- */

/* One slot per input of the model; an argument is FILE or NAME=FILE. Tensors go to the input of
 * their name, else to the first that is still empty. */
static enum ledge_status place(struct run *c, struct cli_tensors *slots,
                               const struct cli_tensor *tensor, const char *wanted,
                               struct ledge_error *err)
{
    int32_t number = cli_input_number(c->model, wanted != NULL ? wanted : tensor->name);
    if (number < 0 && wanted != NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "the model has no input %s", wanted);
    }
    for (int32_t i = 0; number < 0 && (size_t)i < slots->n; i++) {
        number = slots->items[i].view.data == NULL ? i : number;
    }
    if (number < 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "more tensors than the model has inputs");
    }
    slots->items[number] = *tensor;
    return LEDGE_OK;
}

static enum ledge_status load_inputs(struct run *c, struct cli_tensors *slots,
                                     struct ledge_error *err)
{
    static const struct ledge_view empty;
    for (int32_t i = 0; i < ledge_model_n_inputs(c->model); i++) {
        LEDGE_TRY(cli_tensors_add(slots, "", &empty, err));
    }
    for (size_t i = 0; i < c->inputs.n; i++) {
        const char *argument = c->inputs.items[i], *equals = strchr(argument, '=');
        char name[256];
        size_t before = c->given.n;
        if (equals != NULL) {
            (void)snprintf(name, sizeof name, "%.*s", (int)(equals - argument), argument);
        }
        LEDGE_TRY(cli_tensors_load(&c->given, equals != NULL ? equals + 1 : argument, err));
        for (size_t k = before; k < c->given.n; k++) {
            LEDGE_TRY(place(c, slots, &c->given.items[k], equals != NULL ? name : NULL, err));
        }
    }
    for (size_t i = 0; i < slots->n && !c->random; i++) {
        struct ledge_tensor_info info = {.name = ""};
        LEDGE_TRY(ledge_model_input(c->model, (int32_t)i, &info));
        if (slots->items[i].view.data == NULL) {
            return ledge_fail(err, LEDGE_ERR_ARG,
                              "input %s is missing: give --input %s=FILE, or --random", info.name,
                              info.name);
        }
    }
    return LEDGE_OK;
}

static struct ledge_tensor as_tensor(const struct ledge_view *view)
{
    struct ledge_tensor tensor = {.data = view->data,
                                  .bytes = ledge_view_bytes(view),
                                  .dtype = view->dtype,
                                  .rank = view->rank};
    memcpy(tensor.dims, view->dims, sizeof tensor.dims);
    return tensor;
}

/* -- outputs -- */

static enum ledge_status keep_outputs(struct run *c, const struct ledge_tensor *outputs, int32_t n,
                                      struct ledge_error *err)
{
    for (int32_t i = 0; i < n; i++) {
        struct ledge_tensor_info info = {.name = ""};
        struct ledge_view view = {
            .data = outputs[i].data, .dtype = outputs[i].dtype, .rank = outputs[i].rank};
        memcpy(view.dims, outputs[i].dims, sizeof view.dims);
        LEDGE_TRY(ledge_model_output(c->model, i, &info));
        LEDGE_TRY(cli_tensors_add(&c->results, info.name, &view, err));
    }
    return LEDGE_OK;
}

static void range_of(const struct ledge_view *view, double *low, double *high, double *mean)
{
    int64_t n = ledge_view_count(view);
    double sum = 0;
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double v;
        ledge_load_real(view->data, view->dtype, i, 1, &v);
        *low = v < *low ? v : *low;
        *high = v > *high ? v : *high;
        sum += v;
    }
    *mean = n > 0 ? sum / (double)n : 0;
}

enum { SHOWN = 10 };

static int print_outputs(const struct cli_tensors *set)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct ledge_view *view = &set->items[i].view;
        char shape[CLI_SHAPE_TEXT];
        double low, high, mean;
        int64_t n = ledge_view_count(view);
        range_of(view, &low, &high, &mean);
        cli_printf("%s  %s  min %.6g  max %.6g  mean %.6g\n ", set->items[i].name,
                   cli_shape_text(view->dtype, view->rank, view->dims, shape), low, high, mean);
        for (int64_t k = 0; k < n && k < SHOWN; k++) {
            double v;
            ledge_load_real(view->data, view->dtype, k, 1, &v);
            printf(" %.6g", v);
        }
        printf("%s\n", n > SHOWN ? " ..." : "");
    }
    return SYS_EXIT_OK;
}

static json_t *dims_json(const struct ledge_view *view)
{
    json_t *dims = json_array();
    for (int32_t k = 0; k < view->rank; k++) {
        json_array_append_new(dims, json_integer(view->dims[k]));
    }
    return dims;
}

static int print_json(const struct cli_tensors *set)
{
    json_t *outputs = json_array();
    for (size_t i = 0; i < set->n; i++) {
        const struct ledge_view *view = &set->items[i].view;
        json_t *data = json_array();
        int64_t n = ledge_view_count(view);
        for (int64_t k = 0; k < n; k++) {
            double v;
            ledge_load_real(view->data, view->dtype, k, 1, &v);
            json_array_append_new(data, isfinite(v) ? json_real(v) : json_null());
        }
        json_array_append_new(outputs, json_pack("{s:s, s:s, s:o, s:o}", "name", set->items[i].name,
                                                 "dtype", ledge_dtype_text(view->dtype), "dims",
                                                 dims_json(view), "data", data));
    }
    return cli_print_json(json_pack("{s:o}", "outputs", outputs));
}

/* -- the verb -- */

enum { MAX_TENSORS = 256 };

static enum ledge_status execute(struct run *c, struct ledge_error *err)
{
    LEDGE_CLEANUP(cli_tensors_done) struct cli_tensors slots;
    struct ledge_tensor inputs[MAX_TENSORS] = {0}, outputs[MAX_TENSORS] = {0};
    cli_tensors_init(&slots);
    const struct ledge_model_options checked = cli_model_options(1);
    LEDGE_TRY(ledge_model_open(c->path, &checked, &c->model, err));
    int32_t n_in = ledge_model_n_inputs(c->model), n_out = ledge_model_n_outputs(c->model);
    if (n_in > MAX_TENSORS || n_out > MAX_TENSORS) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "more than %d inputs or outputs",
                          MAX_TENSORS);
    }
    LEDGE_TRY(load_inputs(c, &slots, err));
    LEDGE_TRY(cli_session_open(c->path, &c->session, &slots, &c->model, &c->opened, err));
    if (c->random) {
        LEDGE_TRY(cli_random_inputs(c->model, c->opened, (uint64_t)c->seed, &c->noise, err));
    }
    for (int32_t i = 0; i < n_in; i++) {
        bool given = slots.items[i].view.data != NULL;
        inputs[i] = as_tensor(given ? &slots.items[i].view : &c->noise.items[i].view);
    }
    LEDGE_TRY(ledge_session_run(c->opened, inputs, n_in, outputs, n_out, err));
    LEDGE_TRY(keep_outputs(c, outputs, n_out, err));
    return c->output != NULL ? cli_tensors_save(&c->results, c->output, err) : LEDGE_OK;
}

static int run_model(struct run *c)
{
    struct ledge_error err = {.text = ""};
    cli_tensors_init(&c->given);
    cli_tensors_init(&c->noise);
    cli_tensors_init(&c->results);
    int code = SYS_EXIT_OK;
    if (execute(c, &err) != LEDGE_OK) {
        code = cli_fail(&err);
    } else if (c->json) {
        code = print_json(&c->results);
    } else {
        code = print_outputs(&c->results);
    }
    ledge_session_close(c->opened);
    ledge_model_close(c->model);
    cli_tensors_done(&c->results);
    cli_tensors_done(&c->noise);
    cli_tensors_done(&c->given);
    return code;
}

int cli_cmd_run(int argc, char **argv)
{
    struct run c = {.seed = 1};
    const struct cli_option options[] = {
        {"input", 'i', CLI_LIST, &c.inputs, "[NAME=]FILE", "a tensor: .npy, .npz or .pb"},
        {"output", 'o', CLI_TEXT, &c.output, "FILE",
         "write the outputs: .npz, or .npy or .pb for one"},
        {"random", 'r', CLI_FLAG, &c.random, NULL, "seeded numbers for inputs that no file gives"},
        {"seed", 0, CLI_INT, &c.seed, "N", "of --random (1)"},
        {"json", 0, CLI_FLAG, &c.json, NULL, "all elements as JSON"},
        CLI_SESSION_OPTIONS(&c.session),
    };
    const struct cli_command command = {
        .usage = "ledge run MODEL [--input [NAME=]FILE]... [options]",
        .summary =
            "Run a model on tensors from files. Shapes that the model leaves free are the files'.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge run mnist.onnx -i digit.npy\n"
                    "  ledge run detector.onnx -i image=frame.npy -o boxes.npz\n"
                    "  ledge run model.tflite --random --json",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    code = code < 0 ? cli_session_check(&c.session) : code;
    code = code < 0 ? cli_ops_load(&c.session.ops_libraries) : code;
    if (code < 0) {
        c.path = args.items[0];
        code = run_model(&c);
    }
    cli_list_done(&c.inputs);
    cli_list_done(&c.session.shapes);
    return code;
}
