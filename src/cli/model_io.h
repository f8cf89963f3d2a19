/* SPDX-License-Identifier: Apache-2.0 */
/* model_io.h -- what the verbs on a model share: the graph as the file has it, and a session with
 * the shapes that the user asks for. */
#ifndef CLI_MODEL_IO_H
#define CLI_MODEL_IO_H

#include "cli/cli.h"
#include "cli/ops_library.h"
#include "cli/tensor_io.h"
#include "engine/graph/graph.h"
#include "engine/port/port.h"
#include "ledge/ledge.h"

/* A model file as a graph, before any pass. */
struct cli_file {
    struct ledge_map map;
    struct ledge_graph graph; /* points into map */
};

LEDGE_NODISCARD enum ledge_status cli_file_open(const char *path, struct cli_file *file,
                                                struct ledge_error *err);
void cli_file_close(struct cli_file *file);

/* Options of every verb that opens a session. */
struct cli_session_options {
    int64_t threads;
    int64_t batch;
    struct cli_list shapes; /* NAME:1x3x224x224, or 1x3x224x224 for the only input */
    bool profile;
    bool consistent;
    int64_t max_bytes;
    const char *precision;         /* NULL: f32 */
    struct cli_list ops_libraries; /* for cli_ops_load() */
};

#define CLI_SESSION_OPTIONS(o)                                                                     \
    {"threads", 't', CLI_INT, &(o)->threads, "N", "threads (1)"},                                  \
        {"batch", 'b', CLI_INT, &(o)->batch, "N", "value of free dimensions (1)"},                 \
        {"consistent",     0,    CLI_FLAG,                                                         \
         &(o)->consistent, NULL, "float answers that are the same bytes on every processor"},      \
        {"max-bytes", 0, CLI_INT, &(o)->max_bytes, "N", "memory that a run may take (no limit)"},  \
        {"precision", 0, CLI_TEXT, &(o)->precision, "f32|bf16", "how weights are held (f32)"},     \
        CLI_OPS_OPTION(&(o)->ops_libraries),                                                       \
    {                                                                                              \
        "shape", 0, CLI_LIST, &(o)->shapes, "NAME:DIMS", "shape of an input, e.g. x:1x3x224x224"   \
    }

/* Are they in range? -1 (go on, as cli_parse() has it), or SYS_EXIT_USAGE with a line on stderr. To
 * be asked before the model is opened. */
int cli_session_check(const struct cli_session_options *options);

/* Open a model and a session on it. inputs: tensors whose shapes are taken where --shape says
 * nothing; NULL: none. */
LEDGE_NODISCARD enum ledge_status
cli_session_open(const char *path, const struct cli_session_options *options,
                 const struct cli_tensors *inputs, struct ledge_model **model,
                 struct ledge_session **session, struct ledge_error *err);

/* Number of the input called name, -1 when there is none. */
int32_t cli_input_number(const struct ledge_model *model, const char *name);

/* Seeded numbers for every input of a session: reals in -1..1, bytes over their whole range, other
 * integers and bools 0 or
 * 1. Memory in set's arena. */
LEDGE_NODISCARD enum ledge_status cli_random_inputs(const struct ledge_model *model,
                                                    const struct ledge_session *session,
                                                    uint64_t seed, struct cli_tensors *set,
                                                    struct ledge_error *err);

/* Operators of a graph: how many nodes of each. */
struct cli_operator {
    const char *domain, *name; /* BORROWED from the graph */
    size_t n;
    bool known;
};
/* FILLED up to max, sorted by count; the number of kinds is returned. */
size_t cli_count_operators(const struct ledge_graph *graph, struct cli_operator *operators,
                           size_t max);

/* "domain.Name", or "Name" for ai.onnx. */
const char *cli_operator_text(const struct cli_operator *op, char text[128]);

#endif
