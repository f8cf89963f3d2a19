/* SPDX-License-Identifier: Apache-2.0 */
/* ops_library.h -- operators that --ops-library brought: loaded once, for every model that the verb
 * opens. Threads: the main one. Memory: lives as long as the program. */
#ifndef CLI_OPS_LIBRARY_H
#define CLI_OPS_LIBRARY_H

#include "cli/cli.h"
#include "engine/graph/graph.h"
#include "ledge/ledge.h"

#define CLI_OPS_OPTION(list)                                                                       \
    {                                                                                              \
        "ops-library", 0, CLI_LIST, list, "FILE.so", "operators that are not built in"             \
    }

/* Load the libraries of --ops-library; -1, or the exit code of what went wrong (told). */
int cli_ops_load(struct cli_list *paths);

/* Options to open a model with. verify as in ledge_model_options. */
struct ledge_model_options cli_model_options(int32_t verify);

/* The same operators for a graph that is read without the public API. Errors: ERR_EXISTS (built
 * in), ERR_ARG, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status cli_ops_register(struct ledge_graph *graph,
                                                   struct ledge_error *err);

#endif
