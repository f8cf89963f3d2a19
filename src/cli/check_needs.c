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
#include "engine/kernels/each_i8.h"
#include "engine/kernels/pool.h"
#include "engine/ops/op.h"
#include "engine/plan/passes.h"
#include "engine/plan/plan.h"
#include "import/import.h"

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

static bool has_groups(const struct ledge_graph *graph, const struct ledge_node *node)
{
    (void)graph;
    return strcmp(node->domain, "tfl") == 0 || ledge_node_int(node, "group", 1) > 1;
}

/* Is no input known to be of f32 in two dimensions? */
static bool not_plain_f32(const struct ledge_graph *graph, const struct ledge_node *node)
{
    for (int32_t i = 0; i < node->n_in; i++) {
        const struct ledge_value *value = node->in[i] >= 0 ? &graph->values[node->in[i]] : NULL;
        if (value != NULL && value->dtype == LEDGE_F32 && value->rank <= 4) {
            return false;
        }
    }
    return true;
}

/* Operators that may come to a choice where no plan shows it; those of "tfl" with their domain.
 * Choices that are not here are faster ways: other loops stand in, with the same bytes. */
static const struct {
    const char *choice, *operators;
    bool (*only_if)(const struct ledge_graph *graph, const struct ledge_node *node);
} reasons[] = {
    {"types", "QuantizeLinear DequantizeLinear DynamicQuantizeLinear", NULL},
    {"wide",
     "tfl.Conv2D tfl.DepthwiseConv2D tfl.FullyConnected tfl.Add tfl.Sub tfl.Mul tfl.Logistic "
     "tfl.Tanh tfl.Softmax",
     NULL},
    {"binary_i8", "QLinearAdd QLinearMul", NULL},
    {"conv_direct", "Conv", not_plain_f32},
    {"conv_i8_direct", "QLinearConv ConvInteger", NULL},
    {"gemm_i8_direct", "QLinearMatMul MatMulInteger QGemm", NULL},
    {"gemm_wide", "MatMul Gemm", not_plain_f32},
    {"lookup", "ByteTable QLinearConv", NULL},
    {"max_pool", "MaxPool GlobalMaxPool", NULL},
    {"max_pool_bytes", "MaxPool GlobalMaxPool", not_plain_f32},
    {"QLinearAdd", "QLinearAdd QLinearMul", NULL},
    {"QLinearGlobalAveragePool", "QLinearGlobalAveragePool", NULL},
    {"QuantizeLinear", "QuantizeLinear", NULL},
    {"taps_any", "QLinearConv ConvInteger tfl.DepthwiseConv2D", has_groups},
    {"taps_parts", "QLinearConv ConvInteger tfl.DepthwiseConv2D", has_groups},
    {"taps_5", "QLinearConv ConvInteger tfl.DepthwiseConv2D", has_groups},
    {"tfl_conv_i8_direct", "tfl.Conv2D tfl.FullyConnected", NULL},
    {"tfl_depthwise_i8_direct", "tfl.DepthwiseConv2D", NULL},
    {"tfl_lstm_f32", "tfl.SequenceLstm", NULL},
    {"tfl_svdf_f32", "tfl.SVDF", NULL},
};

static bool names(const char *list, const struct ledge_node *node)
{
    char text[WORD_BYTES];
    bool tfl = strcmp(node->domain, "tfl") == 0;
    int length = snprintf(text, sizeof text, "%s%s", tfl ? "tfl." : "", node->op);
    for (size_t n; *list != '\0'; list += n + (list[n] != '\0')) {
        n = strcspn(list, " ");
        if (length == (int)n && strncmp(text, list, n) == 0) {
            return true;
        }
    }
    return false;
}

static void add_reasons(const struct ledge_graph *graph, const struct ledge_node *node,
                        struct words *words)
{
    for (size_t k = 0; k < CLI_COUNT(reasons); k++) {
        if (names(reasons[k].operators, node) &&
            (reasons[k].only_if == NULL || reasons[k].only_if(graph, node))) {
            add_choice(words, reasons[k].choice);
        }
    }
}

/* What nodes that no plan shows may come to. As deep as sub-graphs are. */
static void add_all_choices(const struct ledge_graph *graph, struct words *words)
{
    add_choice(words, "late");
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const struct ledge_node *node = &graph->nodes[i];
        if (!node->dead) {
            add_reasons(graph, node, words);
        }
        for (int32_t k = 0; k < node->n_attrs && !node->dead; k++) {
            if (node->attrs[k].type == LEDGE_ATTR_GRAPH) {
                add_all_choices(node->attrs[k].graph, words);
            }
        }
    }
}

/* Kernels whose choice has another name. */
static const char *const other_names[][2] = {{"QLinearMul", "QLinearAdd"},
                                             {"byte_table", "lookup"},
                                             {"conv_f32_direct", "conv_direct"},
                                             {"conv_f64", "conv_direct"}};

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
    for (size_t i = 0; i < CLI_COUNT(other_names); i++) {
        if (strcmp(name, other_names[i][0]) == 0) {
            add_choice(words, other_names[i][1]);
        }
    }
    if (strncmp(name, "tfl_", 4) == 0 && n > 6 && strcmp(kernel + n - 6, "_i16_c") == 0) {
        add_choice(words, "wide");
    }
    add_choice(words, name);
}

static void add_conv(struct words *words, const struct ledge_conv_i8 *conv)
{
    if (conv == NULL) {
        return;
    }
    if (conv->strips) {
        add_choice(words, "strips_i8");
        if (conv->least_vectors != 2) {
            add_choice(words, conv->least_vectors == 4 ? "strips_4" : "strips_1");
        }
    }
    if (conv->addend > 0) {
        add_choice(words, "sum_i8");
    }
    if (conv->addend > 0 && !conv->sum_agrees) {
        add_choice(words, "binary_i8");
    }
    if (conv->bytes && conv->epilogue.scale != NULL) {
        add_choice(words, "bytes_real");
    }
    if (conv->epilogue.scale != NULL && ledge_epilogue_saturates(&conv->epilogue)) {
        add_choice(words, "plain_i8");
    }
    if (conv->table > 0) {
        add_choice(words, "lookup");
    }
}

static void add_depthwise(struct words *words, const struct ledge_depthwise_i8 *dw)
{
    static const struct {
        uint32_t loops;
        const char *name;
    } names[] = {
        {LEDGE_TAPS_ANY, "taps_any"}, {LEDGE_TAPS_PARTS, "taps_parts"}, {LEDGE_TAPS_5, "taps_5"}};
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
        bool fixed = ready->run == ledge_tfl_binary_i8; /* goes with its operator */
        if (ready->alias < 0 && ready->kernel != NULL && !fixed) {
            add_kernel(words, ready->kernel);
        }
        if (ready->run == ledge_max_pool_fast &&
            is_byte(plan->graph.values[plan->steps[s].node->in[0]].dtype)) {
            add_choice(words, "max_pool_bytes");
        }
        add_types(words, plan, plan->steps[s].node);
    }
}

/* Nodes that plans do not show: with a body, or folded. */
static bool add_hidden(const struct ledge_graph *graph, struct words *words)
{
    bool *known = calloc((size_t)graph->n_values + 1, sizeof *known);
    for (int32_t i = 0; i < graph->n_nodes && known != NULL; i++) {
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
        if (constant && !node->dead) {
            add_reasons(graph, node, words);
        }
        for (int32_t k = 0; k < node->n_attrs && !node->dead; k++) {
            if (node->attrs[k].type == LEDGE_ATTR_GRAPH) {
                add_all_choices(node->attrs[k].graph, words);
            }
        }
    }
    free(known);
    return known != NULL;
}

/* false: such shapes are refused. */
static bool try_plan(const struct ledge_graph *graph, enum ledge_rung rung, int32_t threads,
                     int32_t batch, bool consistent, struct words *words)
{
    struct ledge_plan_options options = {
        .rung = rung, .threads = threads, .batch = batch, .consistent = consistent};
    struct ledge_plan *plan = NULL;
    struct ledge_error err;
    if (ledge_plan_create(graph, &options, NULL, &plan, &err) != LEDGE_OK) {
        return false;
    }
    if (plan->n_late > 0) {
        add_all_choices(graph, words);
    } else {
        add_steps(words, plan);
    }
    ledge_plan_free(plan);
    return true;
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
            return cli_failf(SYS_EXIT_USAGE, "--target %.*s: this program has no such kernels",
                             (int)n, at);
        }
        targets->has[rung] = true;
    }
    return SYS_EXIT_OK;
}

static void add_choices(const struct ledge_graph *graph, const struct targets *targets,
                        struct words *words)
{
    words->full = words->full || !add_hidden(graph, words);
    for (int i = LEDGE_RUNG_C; i <= LEDGE_RUNG_NEON_I8MM; i++) {
        const enum ledge_rung rung = (enum ledge_rung)i;
        if (!targets->has[i]) {
            continue;
        }
        enum { LARGE = 64 }; /* where windows do not fit otherwise */
        bool one = try_plan(graph, rung, 1, 1, false, words) &&
                   try_plan(graph, rung, 1, 1, true, words) &&
                   try_plan(graph, rung, 4, 1, false, words);
        bool three = try_plan(graph, rung, 1, 3, false, words);
        bool large = (one && three) || try_plan(graph, rung, 1, LARGE, false, words);
        if (!one && !three && !large) {
            add_all_choices(graph, words);
        }
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
    static const char *const kinds[] = {"pass.", "part.", "kernel.", "packed.", "tflite."};
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
    return SYS_EXIT_OK;
}

static int find_out(const char *path, struct ledge_graph *graph, const struct targets *targets,
                    struct words *words)
{
    struct words *in_file = calloc(1, sizeof *in_file);
    struct ledge_error err;
    if (in_file == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory for the operators");
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
           : full             ? cli_failf(SYS_EXIT_FAILED, "%s: too many operators", path)
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

/* Operators whose translations the reader of such a file needs. */
static void add_translations(const struct cli_file *file, struct words *words)
{
    const char *name;
    for (uint32_t i = 0;
         (name = ledge_import_tflite_needs(file->map.bytes, file->map.size, i)) != NULL; i++) {
        add(words, "tflite", name);
    }
}

int check_print_needs(const char *path, const char *list)
{
    struct targets targets;
    struct cli_file file;
    struct ledge_error err;
    int code = find_targets(list, &targets);
    if (code != SYS_EXIT_OK) {
        return code;
    }
    if (cli_file_open(path, &file, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    struct words *words = calloc(1, sizeof *words);
    if (words != NULL) {
        add_packed(&file, words);
        add_translations(&file, words);
    }
    code = words != NULL ? find_out(path, &file.graph, &targets, words)
                         : cli_failf(SYS_EXIT_FAILED, "no memory for the operators");
    free(words);
    cli_file_close(&file);
    return code;
}
