/* SPDX-License-Identifier: Apache-2.0 */
/* export.h -- graph -> file bytes. */
#ifndef LEDGE_EXPORT_EXPORT_H
#define LEDGE_EXPORT_EXPORT_H

#include "base/buf.h"
#include "engine/graph/graph.h"
#include "engine/port/rung.h"

/* ONNX ModelProto, ir_version 7, opset 13 of ai.onnx, metadata_props from the graph. Only graphs
 * made of ai.onnx nodes in NCHW; fused clamps are written as Relu or Clip. Errors: ERR_UNSUPPORTED
 * (names the node), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_export_onnx(const struct ledge_graph *graph,
                                                    struct ledge_buf *out, struct ledge_error *err);

/* A .ledge file: the graph as it is, and for each rung the constants packed as its kernels want
 * them, for the graph's own shapes (free dimensions 1), so that opening packs nothing; there may be
 * none. A model that cannot be planned for a rung is written without; `prepared` (or NULL) tells
 * for how many it was. graph   before the passes; read only Errors: ERR_UNSUPPORTED (constants of
 * strings, too large), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_export_ledge(const struct ledge_graph *graph,
                                                     const enum ledge_rung *rungs, int32_t n_rungs,
                                                     struct ledge_buf *out, int32_t *prepared,
                                                     struct ledge_error *err);

/* One TensorProto with a name, as in test_data_set_N/output_0.pb. */
LEDGE_NODISCARD enum ledge_status ledge_export_tensor_proto(const struct ledge_view *view,
                                                            const char *name, struct ledge_buf *out,
                                                            struct ledge_error *err);

#endif
