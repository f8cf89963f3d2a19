/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade.h -- rewrite nodes of older opsets into the forms of one: a file has a single version of
 * ai.onnx. */
#ifndef LEDGE_EXPORT_UPGRADE_H
#define LEDGE_EXPORT_UPGRADE_H

#include "engine/graph/graph.h"

/* graph is changed in place; opset FILLED with the version its nodes now have: 13, or the newest
 * any node was written for. Errors: ERR_UNSUPPORTED (names the node whose old form has no equal),
 * ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_export_upgrade(struct ledge_graph *graph, int32_t *opset,
                                                       struct ledge_error *err);

#endif
