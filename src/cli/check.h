/* SPDX-License-Identifier: Apache-2.0 */
/* check.h -- what becomes of every node of a model file: for `ledge check`. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/model_io.h"

enum check_fate {
    CHECK_RUNS,     /* a step of its own */
    CHECK_ALIAS,    /* a step that does nothing: the same bytes */
    CHECK_FUSED,    /* part of another node's step */
    CHECK_CONSTANT, /* worked out once, when the model is opened */
    CHECK_REMOVED,  /* nobody needs what it gives */
    CHECK_MISSING,  /* no such operator here */
    CHECK_UNKNOWN,  /* the model does not open, for another node's sake */
};

struct check_node {
    const struct ledge_node *node;
    enum check_fate fate;
    struct ledge_step_info step; /* its own, or the one it is part of */
    const char *slow;            /* why this is a slow path; NULL: it is none */
    char layout[16];             /* "rows", or "blocks of 16" channels */
    size_t bytes;                /* read and written by its own step */
};

/* FILLED: one entry for each node of graph. session NULL: the model does not open. */
void check_nodes(const struct ledge_graph *graph, const struct ledge_session *session,
                 struct check_node *nodes);

/* "runs", "fused", ... */
const char *check_fate_text(enum check_fate fate);

/* Every operator that the tables hold, as a table or as JSON; an exit code. */
int check_print_operators(bool json);

/* What a build of the library needs for this model, one word a line, as -DLEDGE_OPS takes them
 * (cmake/LedgeSelect.cmake); an exit code. targets: the library's instruction sets, with commas;
 * NULL: all that this build plans for; an unknown one is refused (SYS_EXIT_USAGE). */
int check_print_needs(const char *path, const char *targets);

#endif
