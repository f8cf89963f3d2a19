/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h (private) -- the caller's operators as a table that the planner looks into first. */
#ifndef LEDGE_ENGINE_API_CUSTOM_H
#define LEDGE_ENGINE_API_CUSTOM_H

#include "engine/ops/op.h"
#include "ledge/custom.h"
#include "ledge/ops_library.h"

/* Copy n operators into the graph's arena and make them its extra_ops.
 * Errors: ERR_ARG (a name or function is missing, one stands twice), ERR_EXISTS (built in),
 * ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_custom_register(struct ledge_graph *graph,
                                                        const struct ledge_custom_op *ops,
                                                        int32_t n, struct ledge_error *err);

#endif
