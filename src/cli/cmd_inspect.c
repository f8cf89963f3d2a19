/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_inspect.c -- `ledge inspect`: what is in a model file, and what running it takes. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "cli/model_io.h"
#include "engine/format/ledge_file.h"
#include "engine/plan/plan.h"
#include "sys/table.h"

enum { MAX_KINDS = 1024 };

struct inspect {
    const char *path;
    struct cli_session_options session;
    bool plan, json;
    struct cli_file file;
    struct cli_operator kinds[MAX_KINDS];
    size_t n_kinds;
    struct ledge_model *model;
    struct ledge_session *opened; /* NULL: it cannot run, why says what for */
    struct ledge_error why;
};

int cli_cmd_inspect(int argc, char **argv);

static size_t weight_bytes(const struct ledge_graph *graph)
{
    size_t total = 0;
    for (int32_t i = 0; i < graph->n_values; i++) {
        total += graph->values[i].data != NULL ? graph->values[i].bytes : 0;
    }
    return total;
}

static int64_t total_macs(const struct ledge_session *session)
{
    int64_t total = 0;
    for (int32_t i = 0; session != NULL && i < ledge_session_n_steps(session); i++) {
        struct ledge_step_info step;
        total += ledge_session_step(session, i, &step) == LEDGE_OK ? step.macs : 0;
    }
    return total;
}

/* What a .ledge file has packed for one processor; of use here? */
static bool is_current(const struct ledge_file_packed_info *info)
{
    return info->stamp == ledge_packing_stamp();
}

enum { MAX_PACKED = 16 };

static json_t *packed_json(const struct inspect *c)
{
    struct ledge_file_packed_info infos[MAX_PACKED];
    int32_t n = ledge_file_packed_info(c->file.map.bytes, c->file.map.size, infos, MAX_PACKED);
    json_t *out = json_array();
    for (int32_t i = 0; i < n; i++) {
        json_array_append_new(
            out, json_pack("{s:s, s:i, s:I, s:b}", "target", ledge_rung_text(infos[i].rung),
                           "constants", (int)infos[i].parts, "bytes", (json_int_t)infos[i].bytes,
                           "current", is_current(&infos[i])));
    }
    return out;
}

/* -- JSON -- */

static json_t *dims_json(int32_t rank, const int64_t *dims)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < rank; i++) {
        json_array_append_new(list, json_integer(dims[i]));
    }
    return list;
}

static json_t *values_json(const struct ledge_graph *graph, const int32_t *list, int32_t n)
{
    json_t *out = json_array();
    for (int32_t i = 0; i < n; i++) {
        const struct ledge_value *v = &graph->values[list[i]];
        json_t *one = json_pack("{s:s, s:s, s:o}", "name", v->name, "dtype",
                                ledge_dtype_text(v->dtype), "dims", dims_json(v->rank, v->dims));
        if (v->quant != NULL && v->quant->n == 1) {
            json_object_set_new(one, "scale", json_real((double)v->quant->scales[0]));
            json_object_set_new(one, "zero_point", json_integer(v->quant->zero_points[0]));
        }
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *steps_json(const struct ledge_session *session)
{
    json_t *out = json_array();
    for (int32_t i = 0; i < ledge_session_n_steps(session); i++) {
        struct ledge_step_info s;
        if (ledge_session_step(session, i, &s) != LEDGE_OK) {
            break;
        }
        json_array_append_new(
            out, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "node", s.node, "op", s.op,
                           "kernel", s.kernel != NULL ? s.kernel : "", "macs", (json_int_t)s.macs,
                           "weight_bytes", (json_int_t)s.weight_bytes, "out_bytes",
                           (json_int_t)s.out_bytes, "out_dims", dims_json(s.out_rank, s.out_dims),
                           "out_offset",
                           s.out_offset == SIZE_MAX ? json_null()
                                                    : json_integer((json_int_t)s.out_offset)));
    }
    return out;
}

static int report_json(const struct inspect *c)
{
    const struct ledge_graph *g = &c->file.graph;
    json_t *operators = json_object(), *metadata = json_object();
    char text[128];
    for (size_t i = 0; i < c->n_kinds; i++) {
        json_object_set_new(operators, cli_operator_text(&c->kinds[i], text),
                            json_integer((json_int_t)c->kinds[i].n));
    }
    for (int32_t i = 0; i < g->n_metadata; i++) {
        json_object_set_new(metadata, g->metadata[i].key, json_string(g->metadata[i].value));
    }
    json_t *root =
        json_pack("{s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:I}", "model", c->path,
                  "file_bytes", (json_int_t)c->file.map.size, "name", g->name, "producer",
                  g->producer, "inputs", values_json(g, g->inputs, g->n_inputs), "outputs",
                  values_json(g, g->outputs, g->n_outputs), "operators", operators, "metadata",
                  metadata, "nodes", (int)g->n_nodes, "weight_bytes", (json_int_t)weight_bytes(g));
    json_object_set_new(root, "packed", packed_json(c));
    json_object_set_new(root, "runs", json_boolean(c->opened != NULL));
    if (c->opened == NULL) {
        json_object_set_new(root, "why", json_string(c->why.text));
    } else {
        json_object_set_new(root, "macs", json_integer(total_macs(c->opened)));
        json_object_set_new(root, "arena_bytes",
                            json_integer((json_int_t)ledge_session_arena_bytes(c->opened)));
        json_object_set_new(root, "memory_bytes",
                            json_integer((json_int_t)ledge_session_memory_bytes(c->opened)));
        json_object_set_new(root, "steps", steps_json(c->opened));
    }
    return cli_print_json(root);
}

/* -- text -- */

static void print_values(const char *title, const struct ledge_graph *graph, const int32_t *list,
                         int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const struct ledge_value *v = &graph->values[list[i]];
        char shape[CLI_SHAPE_TEXT];
        cli_printf("%-10s %s  %s", i == 0 ? title : "", v->name,
                   cli_shape_text(v->dtype, v->rank, v->dims, shape));
        if (v->quant != NULL && v->quant->n == 1) {
            printf("  scale %.9g zero %d", (double)v->quant->scales[0], v->quant->zero_points[0]);
        }
        for (int32_t k = 0; k < v->rank; k++) {
            if (v->dim_names[k] != NULL) {
                cli_printf("  dim %d = %s", (int)k, v->dim_names[k]);
            }
        }
        printf("\n");
    }
}

static void print_metadata(const struct ledge_graph *graph)
{
    for (int32_t i = 0; i < graph->n_metadata; i++) {
        const char *value = graph->metadata[i].value;
        int shown = (int)strcspn(value, "\n");
        shown = shown > 60 ? 60 : shown;
        cli_printf("%-10s %s = %.*s%s\n", i == 0 ? "metadata" : "", graph->metadata[i].key, shown,
                   value, value[shown] != '\0' ? " ..." : "");
    }
}

static void print_packed(const struct inspect *c)
{
    struct ledge_file_packed_info infos[MAX_PACKED];
    int32_t n = ledge_file_packed_info(c->file.map.bytes, c->file.map.size, infos, MAX_PACKED);
    char bytes[CLI_TEXT_BYTES];
    for (int32_t i = 0; i < n; i++) {
        printf("%-10s for %s: %d constants, %s%s\n", i == 0 ? "packed" : "",
               ledge_rung_text(infos[i].rung), (int)infos[i].parts,
               cli_text_bytes((double)infos[i].bytes, bytes),
               is_current(&infos[i]) ? "" : ", by another version: not used");
    }
}

static int print_plan(const struct ledge_session *session)
{
    const char *heads[] = {">step",    "operator", "kernel", "output", ">MACs",
                           ">weights", ">offset",  ">bytes", "node"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    if (table == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory for a table");
    }
    for (int32_t i = 0; i < ledge_session_n_steps(session); i++) {
        struct ledge_step_info s;
        char macs[CLI_TEXT_BYTES], shape[CLI_SHAPE_TEXT], offset[32] = "-";
        if (ledge_session_step(session, i, &s) != LEDGE_OK) {
            break;
        }
        if (s.out_offset != SIZE_MAX) {
            (void)snprintf(offset, sizeof offset, "%zu", s.out_offset);
        }
        const char *dims = cli_shape_text(LEDGE_F32, s.out_rank, s.out_dims, shape) + 3;
        sys_table_rowf(table, "%d\t%s\t%s\t%s\t%s\t%zu\t%s\t%zu\t%s", (int)i, s.op,
                       s.kernel != NULL ? s.kernel : "-", dims,
                       cli_text_count((double)s.macs, macs), s.weight_bytes, offset, s.out_bytes,
                       s.node);
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed == 0 ? SYS_EXIT_OK : SYS_EXIT_FAILED;
}

static int report_text(const struct inspect *c)
{
    const struct ledge_graph *g = &c->file.graph;
    char a[CLI_TEXT_BYTES], b[CLI_TEXT_BYTES], text[128];
    cli_printf("%-10s %s (%s)", "model", c->path, cli_text_bytes((double)c->file.map.size, a));
    cli_printf("%s%s%s%s\n", g->name[0] != '\0' ? ", " : "", g->name,
               g->producer[0] != '\0' ? ", by " : "", g->producer);
    print_values("inputs", g, g->inputs, g->n_inputs);
    print_values("outputs", g, g->outputs, g->n_outputs);
    printf("%-10s", "operators");
    for (size_t i = 0; i < c->n_kinds; i++) {
        cli_printf("%s %s x%zu%s", i > 0 ? "," : "", cli_operator_text(&c->kinds[i], text),
                   c->kinds[i].n, c->kinds[i].known ? "" : " (missing)");
    }
    printf("\n%-10s %s in %d nodes\n", "weights", cli_text_bytes((double)weight_bytes(g), a),
           (int)g->n_nodes);
    print_packed(c);
    print_metadata(g);
    if (c->opened == NULL) {
        cli_printf("%-10s no: %s\n", "runs", c->why.text);
        return SYS_EXIT_OK;
    }
    printf("%-10s %s multiply-accumulates, arena %s, memory in all %s, %d steps\n", "a run",
           cli_text_count((double)total_macs(c->opened), a),
           cli_text_bytes((double)ledge_session_arena_bytes(c->opened), b),
           cli_text_bytes((double)ledge_session_memory_bytes(c->opened), text),
           (int)ledge_session_n_steps(c->opened));
    return c->plan ? print_plan(c->opened) : SYS_EXIT_OK;
}

static int inspect_model(struct inspect *c)
{
    struct ledge_error err;
    if (cli_file_open(c->path, &c->file, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    c->n_kinds = cli_count_operators(&c->file.graph, c->kinds, MAX_KINDS);
    enum ledge_status status =
        cli_session_open(c->path, &c->session, NULL, &c->model, &c->opened, &c->why);
    if (status != LEDGE_OK) {
        c->opened = NULL;
    }
    /* ERR_ARG: not the model is at fault, but a --shape. */
    int code = status == LEDGE_ERR_ARG ? cli_fail(&c->why)
               : c->json               ? report_json(c)
                                       : report_text(c);
    ledge_session_close(c->opened);
    ledge_model_close(c->model);
    cli_file_close(&c->file);
    return code;
}

int cli_cmd_inspect(int argc, char **argv)
{
    static struct inspect c;
    const struct cli_option options[] = {
        {"plan", 'p', CLI_FLAG, &c.plan, NULL,
         "every step: kernel, shape, MACs, place in the arena"},
        {"json", 0, CLI_FLAG, &c.json, NULL, "everything as JSON, the plan too"},
        CLI_SESSION_OPTIONS(&c.session),
    };
    const struct cli_command command = {
        .usage = "ledge inspect MODEL [options]",
        .summary = "What is in a model file (.onnx, .tflite, .ledge) and what running it takes.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge inspect mnist.onnx --plan\n"
                    "  ledge inspect detector.onnx --shape 1x3x320x320 --json",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    code = code < 0 ? cli_session_check(&c.session) : code;
    code = code < 0 ? cli_ops_load(&c.session.ops_libraries) : code;
    if (code < 0) {
        c.path = args.items[0];
        code = inspect_model(&c);
    }
    cli_list_done(&c.session.shapes);
    return code;
}
