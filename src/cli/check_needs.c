/* SPDX-License-Identifier: Apache-2.0 */
/* check_needs.c -- `ledge check --needs`: what a build of the library must have to run a model, one
 * word a line (cmake/LedgeSelect.cmake).
 *
 * Operators: those left when the passes have run, also in sub-graphs, and those that planning adds.
 * Which ones planning adds may depend on shapes, so families are named whole: with one convolution
 * of f32 go all operators on blocked tensors, with half types the casts.
 *
 * Kernels that only some models need are told from trial plans, one for each instruction set of the
 * library. What such a plan does not show (nodes that are folded, run late or in a body) may want
 * any of them: then all are named. A library meets what it lacks with an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cli/check.h"
#include "engine/format/ledge_file.h"
#include "engine/kernels/bands_i8.h"
#include "engine/ops/op.h"
#include "engine/plan/passes.h"
#include "engine/plan/plan.h"

enum { MAX_WORDS = 512, WORD_BYTES = 96 };

struct words {
    char text[MAX_WORDS][WORD_BYTES];
    size_t n;
    bool full;
};

static bool has(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->n; i++) {
        if (strcmp(words->text[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static void add(struct words *words, const char *domain, const char *name)
{
    char word[WORD_BYTES];
    int length = snprintf(word, sizeof word, "%s%s%s", domain, domain[0] != '\0' ? "." : "", name);
    bool fits = length > 0 && (size_t)length < sizeof word;
    if (fits && has(words, word)) {
        return;
    }
    if (!fits || words->n == MAX_WORDS) {
        words->full = true;
        return;
    }
    memcpy(words->text[words->n++], word, (size_t)length + 1);
}

/* As deep as sub-graphs are: LEDGE_MAX_DEPTH calls. */
static void add_operators(const struct ledge_graph *graph, struct words *words)
{
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        if (node->dead) {
            continue;
        }
        add(words, node->domain, node->op);
        for (int32_t k = 0; k < node->n_attrs; k++) {
            if (node->attrs[k].type == LEDGE_ATTR_GRAPH) {
                add(words, "", "Identity"); /* what is handed on (plan/inline.c) */
                add(words, "pass", "subgraphs");
                add_operators(node->attrs[k].graph, words);
            }
        }
    }
    for (int32_t i = 0; i < graph->n_values; i++) {
        enum ledge_dtype dtype = graph->values[i].dtype;
        if (dtype == LEDGE_F16 || dtype == LEDGE_BF16 || dtype == LEDGE_F64) {
            add(words, "", "Cast"); /* plan/widen.c */
            add(words, "", "Identity");
        }
    }
}

/* -- choices of planning ------------------------------------------------------------------------
 */

/* Instruction sets of the library. */
struct targets {
    bool has[LEDGE_RUNG_NEON_I8MM + 1];
};

static const char *const choices[][2] = {
#define LEDGE_CHOICE(kind, name) {#kind, #name},
#include "engine/port/choices.inc"
};

static void add_choice(struct words *words, const char *name)
{
    for (size_t i = 0; i < CLI_COUNT(choices); i++) {
        if (strcmp(choices[i][1], name) == 0) {
            add(words, choices[i][0], name);
        }
    }
}

static void add_all_choices(struct words *words)
{
    for (size_t i = 0; i < CLI_COUNT(choices); i++) {
        add(words, choices[i][0], choices[i][1]);
    }
}

/* The kernel's name without its instruction set. */
static void add_kernel(struct words *words, const char *kernel)
{
    char name[WORD_BYTES];
    size_t n = strlen(kernel), longest = 0;
    for (int rung = LEDGE_RUNG_C; rung <= LEDGE_RUNG_NEON_I8MM; rung++) {
        const char *text = ledge_rung_text((enum ledge_rung)rung);
        size_t m = strlen(text);
        bool ends = n > m + 1 && kernel[n - m - 1] == '_' && strcmp(kernel + n - m, text) == 0;
        longest = ends && m + 1 > longest ? m + 1 : longest;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(n - longest), kernel);
    add_choice(words, strcmp(name, "QLinearMul") == 0   ? "QLinearAdd"
                      : strcmp(name, "byte_table") == 0 ? "lookup"
                                                        : name);
}

static void add_conv(struct words *words, const struct ledge_conv_i8 *conv)
{
    if (conv != NULL && conv->addend > 0 && !conv->sum_agrees) {
        add_choice(words, "binary_i8");
    }
    if (conv != NULL && conv->table > 0) {
        add_choice(words, "lookup");
    }
}

static void add_depthwise(struct words *words, const struct ledge_depthwise_i8 *dw)
{
    static const struct {
        uint32_t loops;
        const char *name;
    } names[] = {{LEDGE_TAPS_ANY, "taps_any"},
                 {LEDGE_TAPS_PARTS, "taps_parts"},
                 {LEDGE_TAPS_FAR, "taps_far"},
                 {LEDGE_TAPS_5, "taps_5"}};
    for (size_t i = 0; i < CLI_COUNT(names); i++) {
        if ((ledge_depthwise_i8_loops(dw) & names[i].loops) != 0) {
            add_choice(words, names[i].name);
        }
    }
    if (dw->table > 0) {
        add_choice(words, "lookup");
    }
}

static bool is_byte(enum ledge_dtype dtype)
{
    return dtype == LEDGE_U8 || dtype == LEDGE_I8;
}

/* QuantizeLinear and DequantizeLinear between anything but f32 and bytes. */
static void add_types(struct words *words, const struct ledge_plan *plan,
                      const struct ledge_node *node)
{
    bool from = strcmp(node->op, "DequantizeLinear") == 0;
    if ((!from && strcmp(node->op, "QuantizeLinear") != 0) || node->n_in < 2 || node->in[1] < 0) {
        return;
    }
    const struct ledge_value *values = plan->graph.values;
    enum ledge_dtype byte = values[from ? node->in[0] : node->out[0]].dtype;
    enum ledge_dtype real = values[from ? node->out[0] : node->in[0]].dtype;
    bool zero = node->n_in > 2 && node->in[2] >= 0;
    if (!is_byte(byte) || real != LEDGE_F32 || values[node->in[1]].dtype != LEDGE_F32 ||
        (zero && values[node->in[2]].dtype != byte)) {
        add_choice(words, "types");
    }
}

static void add_steps(struct words *words, const struct ledge_plan *plan)
{
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_op_prepare *ready = &plan->steps[s].ready;
        if (ready->run == ledge_conv_i8) {
            add_conv(words, ready->params);
        } else if (ready->run == ledge_depthwise_i8) {
            add_depthwise(words, ready->params);
        } else if (ready->run == ledge_bands_i8_run) {
            const struct ledge_bands_i8 *bands = ready->params;
            add_conv(words, bands->expand);
            add_depthwise(words, bands->depth);
            add_conv(words, bands->project);
        }
        if (ready->alias < 0 && ready->kernel != NULL) {
            add_kernel(words, ready->kernel);
        }
        add_types(words, plan, plan->steps[s].node);
    }
}

/* Is there a node that plans do not show: with a body, or folded and of a family with choices? */
static bool hides_choices(const struct ledge_graph *graph)
{
    bool *known = calloc((size_t)graph->n_values + 1, sizeof *known);
    bool hides = known == NULL;
    for (int32_t i = 0; i < graph->n_nodes && !hides; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        bool constant = true;
        for (int32_t k = 0; k < node->n_in; k++) {
            constant = constant && (node->in[k] < 0 || known[node->in[k]] ||
                                    graph->values[node->in[k]].data != NULL);
        }
        constant = constant || strcmp(node->op, "Shape") == 0 || strcmp(node->op, "Size") == 0;
        for (int32_t k = 0; k < node->n_out; k++) {
            if (node->out[k] >= 0) {
                known[node->out[k]] = constant;
            }
        }
        hides = !node->dead && constant &&
                (strstr(node->op, "Linear") != NULL || strstr(node->op, "Integer") != NULL ||
                 strncmp(node->op, "Q", 1) == 0 || strcmp(node->domain, "tfl") == 0);
        for (int32_t k = 0; k < node->n_attrs; k++) {
            hides = hides || node->attrs[k].type == LEDGE_ATTR_GRAPH;
        }
    }
    free(known);
    return hides;
}

static void try_plan(const struct ledge_graph *graph, enum ledge_rung rung, int32_t threads,
                     int32_t batch, bool consistent, struct words *words)
{
    struct ledge_plan_options options = {
        .rung = rung, .threads = threads, .batch = batch, .consistent = consistent};
    struct ledge_plan *plan = NULL;
    struct ledge_error err;
    if (ledge_plan_create(graph, &options, NULL, &plan, &err) != LEDGE_OK || plan->n_late > 0) {
        add_all_choices(words);
    } else {
        add_steps(words, plan);
    }
    ledge_plan_free(plan);
}

/* Names with commas become instruction sets, NULL all of this build; an exit code. */
static int find_targets(const char *list, struct targets *targets)
{
    *targets = (struct targets){0};
    for (int i = LEDGE_RUNG_C; i <= LEDGE_RUNG_NEON_I8MM && list == NULL; i++) {
        enum ledge_rung rung;
        targets->has[i] = ledge_rung_find(ledge_rung_text((enum ledge_rung)i), &rung);
    }
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += at != list;
        char name[WORD_BYTES];
        size_t n = strcspn(at, ",");
        enum ledge_rung rung;
        (void)snprintf(name, sizeof name, "%.*s", (int)n, at);
        if (n >= sizeof name || !ledge_rung_find(name, &rung)) {
            return cli_failf(CLI_USAGE, "--target %.*s: this program has no such kernels", (int)n,
                             at);
        }
        targets->has[rung] = true;
    }
    return CLI_OK;
}

static void add_choices(const struct ledge_graph *graph, const struct targets *targets,
                        struct words *words)
{
    if (hides_choices(graph)) {
        add_all_choices(words);
    }
    for (int i = LEDGE_RUNG_C; i <= LEDGE_RUNG_NEON_I8MM; i++) {
        const enum ledge_rung rung = (enum ledge_rung)i;
        if (!targets->has[i]) {
            continue;
        }
        try_plan(graph, rung, 1, 1, false, words);
        try_plan(graph, rung, 1, 1, true, words);
        try_plan(graph, rung, 4, 1, false, words);
        try_plan(graph, rung, 1, 3, false, words);
    }
}

/* Passes that are left out unless the graph of the file has what they look for. */
static void add_passes(const struct words *file, struct words *words)
{
    bool quantised = has(file, "QuantizeLinear") || has(file, "DequantizeLinear") ||
                     has(file, "QLinearConv") || has(file, "com.microsoft.QuantizeLinear");
    if (quantised) {
        add(words, "pass", "qdq");
    }
    if (quantised || has(file, "Transpose")) {
        add(words, "pass", "nhwc");
    }
    if (has(file, "pass.subgraphs")) {
        add(words, "pass", "subgraphs");
    }
    if (has(file, "BatchNormalization")) {
        add(words, "pass", "batch_norm");
    }
}

static void add_families(struct words *words)
{
    for (int32_t i = 0; has(words, "Conv") && i < ledge_ops_blocked.n; i++) {
        add(words, ledge_ops_blocked.ops[i].domain, ledge_ops_blocked.ops[i].name);
    }
}

static int print(struct words *words)
{
    static const char *const kinds[] = {"pass.", "part.", "kernel.", "packed."};
    for (size_t i = 0; i < words->n; i++) {
        char *text = words->text[i];
        for (size_t k = 0; k < CLI_COUNT(kinds); k++) {
            size_t n = strlen(kinds[k]);
            if (strncmp(text, kinds[k], n) == 0) {
                text[n - 1] = ':';
            }
        }
        printf("%s\n", text);
    }
    return CLI_OK;
}

static int find_out(const char *path, struct ledge_graph *graph, const struct targets *targets,
                    struct words *words)
{
    struct words *in_file = calloc(1, sizeof *in_file);
    struct ledge_error err;
    if (in_file == NULL) {
        return cli_failf(CLI_FAILED, "no memory for the operators");
    }
    add_operators(graph, in_file);
    enum ledge_status status = ledge_passes_run(graph, &err);
    if (status == LEDGE_OK) {
        status = ledge_plan_check_operators(graph, &err);
    }
    if (status == LEDGE_OK) {
        add_operators(graph, words);
        add_passes(in_file, words);
        add_families(words);
        add_choices(graph, targets, words);
    }
    bool full = in_file->full || words->full;
    free(in_file);
    return status != LEDGE_OK ? cli_fail(&err)
           : full             ? cli_failf(CLI_FAILED, "%s: too many operators", path)
                              : print(words);
}

/* For which instruction sets does the file hold packed constants that this release reads? */
static void add_packed(const struct cli_file *file, struct words *words)
{
    for (int i = LEDGE_RUNG_C; i <= LEDGE_RUNG_NEON_I8MM; i++) {
        if (ledge_file_is_prepared(file->map.bytes, file->map.size, ledge_packing_stamp(), i)) {
            add(words, "packed", ledge_rung_text((enum ledge_rung)i));
        }
    }
}

int check_print_needs(const char *path, const char *list)
{
    struct targets targets;
    struct cli_file file;
    struct ledge_error err;
    int code = find_targets(list, &targets);
    if (code != CLI_OK) {
        return code;
    }
    if (cli_file_open(path, &file, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    struct words *words = calloc(1, sizeof *words);
    if (words != NULL) {
        add_packed(&file, words);
    }
    code = words != NULL ? find_out(path, &file.graph, &targets, words)
                         : cli_failf(CLI_FAILED, "no memory for the operators");
    free(words);
    cli_file_close(&file);
    return code;
}
