/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_check.c -- `ledge check`: can this model run here? Every operator that is missing is named;
 * with --nodes, what becomes of each node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/check.h"
#include "sys/table.h"

enum { MAX_KINDS = 1024 };

struct check {
    const char *path;
    struct cli_session_options session;
    bool nodes, json, operators, needs;
    const char *target;
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

static json_t *nodes_json(const struct check_node *nodes, int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++) {
        const struct check_node *one = &nodes[i];
        const struct ledge_step_info *step = &one->step;
        bool own = one->fate == CHECK_RUNS || one->fate == CHECK_ALIAS;
        json_t *entry = json_pack("{s:s, s:s, s:s, s:i, s:s}", "node", one->node->name, "op",
                                  one->node->op, "domain", one->node->domain, "opset",
                                  (int)one->node->opset, "fate", check_fate_text(one->fate));
        if (own) {
            json_object_update_new(
                entry, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "kernel",
                                 step->kernel != NULL ? step->kernel : "", "in_dtype",
                                 ledge_dtype_text(step->dtype), "out_dtype",
                                 ledge_dtype_text(step->out_dtype), "layout", one->layout, "macs",
                                 (json_int_t)step->macs, "bytes", (json_int_t)one->bytes));
        } else if (one->fate == CHECK_FUSED) {
            json_object_set_new(entry, "fused_into", json_string(step->node));
        }
        if (one->slow != NULL) {
            json_object_set_new(entry, "slow", json_string(one->slow));
        }
        json_array_append_new(list, entry);
    }
    return list;
}

/* The last column: what is not plain from the others. */
static const char *remark(const struct check_node *one, char text[128])
{
    if (one->fate == CHECK_FUSED) {
        (void)snprintf(text, 128, "in %.100s", one->step.node);
        return text;
    }
    return one->slow != NULL ? one->slow : "";
}

static int print_nodes(const struct check_node *nodes, int32_t n)
{
    const char *heads[] = {"node",  "operator", ">opset", "fate",   "kernel",
                           "types", "layout",   ">MACs",  ">moved", "remark"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    if (table == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory for a table");
    }
    for (int32_t i = 0; i < n; i++) {
        const struct check_node *one = &nodes[i];
        const struct ledge_step_info *step = &one->step;
        bool own = one->fate == CHECK_RUNS || one->fate == CHECK_ALIAS;
        char types[32] = "", macs[CLI_TEXT_BYTES] = "", moved[CLI_TEXT_BYTES] = "", text[128];
        if (own) {
            (void)snprintf(types, sizeof types, "%s > %s", ledge_dtype_text(step->dtype),
                           ledge_dtype_text(step->out_dtype));
            (void)cli_text_count((double)step->macs, macs);
            (void)cli_text_bytes((double)one->bytes, moved);
        }
        sys_table_rowf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s", one->node->name,
                       one->node->op, (int)one->node->opset, check_fate_text(one->fate),
                       own && step->kernel != NULL ? step->kernel : "", types, one->layout, macs,
                       moved, remark(one, text));
    }
    int failed = sys_table_print(table, stdout);
    sys_table_free(table);
    return failed == 0 ? SYS_EXIT_OK : SYS_EXIT_FAILED;
}

static int report_json(const struct check *c, const struct ledge_graph *graph,
                       const struct check_node *nodes)
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
    json_object_set_new(root, "nodes", nodes_json(nodes, graph->n_nodes));
    return cli_print_json(root);
}

static void print_missing(const struct check *c)
{
    char text[128];
    cli_printf("%s: %zu operator%s missing:", c->path, c->n_missing,
               c->n_missing == 1 ? " is" : "s are");
    size_t shown = 0;
    for (size_t i = 0; i < c->n_kinds; i++) {
        if (!c->kinds[i].known) {
            cli_printf("%s %s (%zu node%s)", shown++ > 0 ? "," : "",
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
    enum ledge_status status = LEDGE_OK;
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
        status = cli_session_open(c->path, &c->session, NULL, &model, &session, &c->why);
    }
    if (status == LEDGE_ERR_ARG) { /* not the model is at fault, but a --shape */
        close_all(model, session);
        cli_file_close(&file);
        return cli_fail(&c->why);
    }
    struct check_node *nodes = calloc((size_t)file.graph.n_nodes + 1, sizeof *nodes);
    int code = nodes != NULL ? SYS_EXIT_OK : cli_failf(SYS_EXIT_FAILED, "no memory for the nodes");
    if (nodes != NULL) {
        check_nodes(&file.graph, session, nodes);
    }
    if (nodes != NULL && c->json) {
        code = report_json(c, &file.graph, nodes);
    } else if (nodes != NULL) {
        if (c->nodes) {
            code = print_nodes(nodes, file.graph.n_nodes);
        }
        if (c->n_missing > 0) {
            print_missing(c);
        } else if (c->why.text[0] != '\0') {
            cli_printf("%s: refused: %s\n", c->path, c->why.text);
        } else {
            cli_printf("%s: runs: %d nodes of %zu operators, in %d steps\n", c->path,
                       (int)file.graph.n_nodes, c->n_kinds, (int)ledge_session_n_steps(session));
        }
    }
    free(nodes);
    close_all(model, session);
    cli_file_close(&file);
    return code != SYS_EXIT_OK ? code : c->why.text[0] != '\0' ? SYS_EXIT_FAILED : SYS_EXIT_OK;
}

/* Plan for a lower rung than this machine's. The rung is worked out once, at its first use. */
static int aim(const char *target)
{
    bool set = setenv("LEDGE_CPU", target, 1) == 0;
    return set && strcmp(ledge_cpu_rung(), target) == 0
               ? -1
               : cli_failf(SYS_EXIT_USAGE, "--target %s: this machine can plan for %s and below",
                           target, ledge_cpu_rung());
}

int cli_cmd_check(int argc, char **argv)
{
    static struct check c; /* one command, one table */
    const struct cli_option options[] = {
        {"nodes", 'n', CLI_FLAG, &c.nodes, NULL,
         "a line for every node: kernel, types, layout, what it is fused into"},
        {"target", 0, CLI_TEXT, &c.target, "ISA",
         "plan for this rung: c, avx2, avxvnni, ... (this machine's); --needs: for all of a list"},
        {"operators", 0, CLI_FLAG, &c.operators, NULL, "list every operator there is; no MODEL"},
        {"needs", 0, CLI_FLAG, &c.needs, NULL,
         "what a build of the library for these models needs: -DLEDGE_OPS"},
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
        .min_args = 0,
        .max_args = -1,
        .examples = "  ledge check mobilenet.onnx --nodes\n"
                    "  ledge check models/*.tflite",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    code = code < 0 ? cli_session_check(&c.session) : code;
    code = code < 0 ? cli_ops_load(&c.session.ops_libraries) : code;
    if (code < 0 && c.operators) {
        code = check_print_operators(c.json);
    } else if (code < 0 && args.n == 0) {
        code = cli_failf(SYS_EXIT_USAGE, "MODEL is missing; see ledge check --help");
    } else if (code < 0 && c.target != NULL && !c.needs) {
        code = aim(c.target);
    }
    enum sys_exit all = SYS_EXIT_OK;
    for (int i = 0; code < 0 && i < args.n; i++) {
        struct check one = c;
        one.path = args.items[i];
        int done = c.needs ? check_print_needs(one.path, one.target) : check_model(&one);
        code = done == SYS_EXIT_USAGE ? done : code;
        all = cli_both(all, (enum sys_exit)done);
    }
    cli_list_done(&c.session.shapes);
    return code >= 0 ? code : (int)all;
}
