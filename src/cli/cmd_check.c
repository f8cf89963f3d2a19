/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_check.c -- `ledge check`: can this model run here? Every operator that is missing is named;
 * with --nodes, what runs each node. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/model_io.h"
#include "engine/ops/op.h"
#include "sys/table.h"

enum { MAX_KINDS = 1024 };

struct check {
    const char *path;
    struct cli_session_options session;
    bool nodes, json;
    struct cli_operator kinds[MAX_KINDS];
    size_t n_kinds, n_missing;
    struct ledge_error why; /* text empty: it runs */
};

int cli_cmd_check(int argc, char **argv);

static void close_all(struct ledge_model *model, struct ledge_session *session)
{
    ledge_session_close(session);
    ledge_model_close(model);
}

/* What runs a node, or why nothing does. */
static const char *kernel_of(const struct ledge_graph *graph, const struct ledge_node *node,
                             const struct ledge_session *session, struct ledge_step_info *step)
{
    if (ledge_op_find(graph, node) == NULL) {
        return "MISSING";
    }
    for (int32_t i = 0; session != NULL && i < ledge_session_n_steps(session); i++) {
        if (ledge_session_step(session, i, step) == LEDGE_OK &&
            strcmp(step->node, node->name) == 0 && node->name[0] != '\0') {
            return step->kernel != NULL ? step->kernel : "(no work: same bytes)";
        }
    }
    return session != NULL ? "(folded)" : "yes";
}

static json_t *nodes_json(const struct ledge_graph *graph, const struct ledge_session *session)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        struct ledge_step_info step = {0};
        const char *kernel = kernel_of(graph, node, session, &step);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:s}", "node", node->name, "op",
                                              node->op, "domain", node->domain, "opset",
                                              (int)node->opset, "kernel", kernel));
    }
    return list;
}

static int print_nodes(const struct ledge_graph *graph, const struct ledge_session *session)
{
    const char *heads[] = {"node", "operator", ">opset", "runs as", "output"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    if (table == NULL) {
        return cli_failf(CLI_FAILED, "no memory for a table");
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        struct ledge_step_info step = {0};
        char shape[CLI_SHAPE_TEXT] = "", opset[16];
        const char *kernel = kernel_of(graph, node, session, &step);
        const struct ledge_value *out =
            node->n_out > 0 && node->out[0] >= 0 ? &graph->values[node->out[0]] : NULL;
        if (step.node != NULL && out != NULL) {
            (void)cli_shape_text(out->dtype, step.out_rank, step.out_dims, shape);
        }
        (void)snprintf(opset, sizeof opset, "%d", (int)node->opset);
        const char *cells[] = {node->name, node->op, opset, kernel, shape};
        sys_table_row(table, cells, CLI_COUNT(cells));
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed == 0 ? CLI_OK : CLI_FAILED;
}

static int report_json(const struct check *c, const struct ledge_graph *graph,
                       const struct ledge_session *session)
{
    json_t *missing = json_array();
    char text[128];
    for (size_t i = 0; i < c->n_kinds; i++) {
        if (!c->kinds[i].known) {
            json_array_append_new(missing, json_pack("{s:s, s:I}", "operator",
                                                     cli_operator_text(&c->kinds[i], text), "nodes",
                                                     (json_int_t)c->kinds[i].n));
        }
    }
    json_t *root =
        json_pack("{s:s, s:b, s:s, s:o}", "model", c->path, "runs", c->why.text[0] == '\0' ? 1 : 0,
                  "why", c->why.text, "missing", missing);
    json_object_set_new(root, "nodes", nodes_json(graph, session));
    return cli_print_json(root);
}

static void print_missing(const struct check *c)
{
    char text[128];
    printf("%s: %zu operator%s missing:", c->path, c->n_missing,
           c->n_missing == 1 ? " is" : "s are");
    size_t shown = 0;
    for (size_t i = 0; i < c->n_kinds; i++) {
        if (!c->kinds[i].known) {
            printf("%s %s (%zu node%s)", shown++ > 0 ? "," : "",
                   cli_operator_text(&c->kinds[i], text), c->kinds[i].n,
                   c->kinds[i].n == 1 ? "" : "s");
        }
    }
    printf("\n");
}

static int check_model(struct check *c)
{
    struct cli_file file;
    struct ledge_model *model = NULL;
    struct ledge_session *session = NULL;
    struct ledge_error err;
    if (cli_file_open(c->path, &file, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    c->n_kinds = cli_count_operators(&file.graph, c->kinds, MAX_KINDS);
    for (size_t i = 0; i < c->n_kinds; i++) {
        c->n_missing += !c->kinds[i].known;
    }
    if (c->n_missing > 0) {
        (void)ledge_fail(&c->why, LEDGE_ERR_UNSUPPORTED, "%zu operators are missing", c->n_missing);
    } else {
        (void)!cli_session_open(c->path, &c->session, NULL, &model, &session, &c->why);
    }
    int code = CLI_OK;
    if (c->json) {
        code = report_json(c, &file.graph, session);
    } else {
        if (c->nodes) {
            code = print_nodes(&file.graph, session);
        }
        if (c->n_missing > 0) {
            print_missing(c);
        } else if (c->why.text[0] != '\0') {
            printf("%s: refused: %s\n", c->path, c->why.text);
        } else {
            printf("%s: runs: %d nodes of %zu operators, in %d steps\n", c->path,
                   (int)file.graph.n_nodes, c->n_kinds, (int)ledge_session_n_steps(session));
        }
    }
    close_all(model, session);
    cli_file_close(&file);
    return code != CLI_OK ? code : c->why.text[0] != '\0' ? CLI_FAILED : CLI_OK;
}

int cli_cmd_check(int argc, char **argv)
{
    static struct check c; /* one command, one table */
    const struct cli_option options[] = {
        {"nodes", 'n', CLI_FLAG, &c.nodes, NULL, "a line for every node: what runs it"},
        {"json", 0, CLI_FLAG, &c.json, NULL, "everything as JSON"},
        CLI_SESSION_OPTIONS(&c.session),
    };
    const struct cli_command command = {
        .usage = "ledge check MODEL... [options]",
        .summary =
            "Can these models run here? One line for each; every missing operator is named.\n"
            "Exit code 1 when one cannot.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = -1,
        .examples = "  ledge check mobilenet.onnx --nodes\n"
                    "  ledge check models/*.tflite",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    for (int i = 0; code < 0 && i < args.n; i++) {
        struct check one = c;
        one.path = args.items[i];
        c.n_missing += check_model(&one) != CLI_OK;
    }
    cli_list_done(&c.session.shapes);
    return code >= 0 ? code : c.n_missing > 0 ? CLI_FAILED : CLI_OK;
}
