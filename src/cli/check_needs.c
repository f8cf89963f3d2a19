/* SPDX-License-Identifier: Apache-2.0 */
/* check_needs.c -- `ledge check --needs`: what a build of the library must have to run a model, one
 * word a line (cmake/LedgeSelect.cmake).
 *
 * Operators: those left when the passes have run, also in sub-graphs, and those that planning adds.
 * Which ones planning adds may depend on shapes, so families are named whole: with one convolution
 * of f32 go all operators on blocked tensors, with half types the casts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cli/check.h"
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
    for (size_t i = 0; i < words->n; i++) {
        char *text = words->text[i];
        char *dot = strncmp(text, "pass.", 5) == 0 ? text + 4 : NULL;
        if (dot != NULL) {
            *dot = ':';
        }
        printf("%s\n", text);
    }
    return CLI_OK;
}

static int find_out(const char *path, struct ledge_graph *graph, struct words *words)
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
    }
    bool full = in_file->full || words->full;
    free(in_file);
    return status != LEDGE_OK ? cli_fail(&err)
           : full             ? cli_failf(CLI_FAILED, "%s: too many operators", path)
                              : print(words);
}

int check_print_needs(const char *path)
{
    struct cli_file file;
    struct ledge_error err;
    if (cli_file_open(path, &file, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    struct words *words = calloc(1, sizeof *words);
    int code = words != NULL ? find_out(path, &file.graph, words)
                             : cli_failf(CLI_FAILED, "no memory for the operators");
    free(words);
    cli_file_close(&file);
    return code;
}
