/* SPDX-License-Identifier: Apache-2.0 */
/* import.h -- model bytes -> graph. Bytes are hostile: every read is bounded, every size checked.
 *
 * Memory: bytes are BORROWED by the graph (weights are read in place) and must outlive it.
 */
#ifndef LEDGE_IMPORT_IMPORT_H
#define LEDGE_IMPORT_IMPORT_H

#include "engine/graph/graph.h"
#include "engine/run/any.h"

/* Any model file, told by its first bytes: .ledge, TFLite, else ONNX. Errors: those of the readers.
 */
LEDGE_NODISCARD enum ledge_status ledge_import_model(const void *bytes, size_t size,
                                                     struct ledge_graph *graph,
                                                     struct ledge_error *err);

/* ONNX ModelProto (IR 3..13). Source: onnx.proto. Errors: ERR_FORMAT, ERR_UNSUPPORTED, ERR_NOMEM;
 * err names the field. */
LEDGE_NODISCARD enum ledge_status ledge_import_onnx(const void *bytes, size_t size,
                                                    struct ledge_graph *graph,
                                                    struct ledge_error *err);

/* TFLite flatbuffer, schema version 3 ("TFL3"). Labels packed in the file appear as metadata
 * "ledge.labels". */
LEDGE_NODISCARD enum ledge_status ledge_import_tflite(const void *bytes, size_t size,
                                                      struct ledge_graph *graph,
                                                      struct ledge_error *err);

/* Name of TFLite's builtin operator number code, NULL behind the last. *reads: is there a form of
 * it here? Its types and variants may still be refused. */
const char *ledge_import_tflite_operator(int32_t code, bool *reads);

/* Name of builtin operator i that a TFLite file lists, CUSTOM among them; NULL behind the last, and
 * for other files. */
const char *ledge_import_tflite_needs(const void *bytes, size_t size, uint32_t i);

/* One ONNX TensorProto / the files of test_data_set_N; view->data is BORROWED from bytes where the
 * layout allows, else from arena. */
LEDGE_NODISCARD enum ledge_status
ledge_import_tensor_proto(const void *bytes, size_t size, struct ledge_arena *arena,
                          struct ledge_view *view, const char **name, struct ledge_error *err);

/* The same for a SequenceProto or OptionalProto, as kind says. */
LEDGE_NODISCARD enum ledge_status
ledge_import_value_proto(const void *bytes, size_t size, enum ledge_value_kind kind,
                         struct ledge_arena *arena, struct ledge_any *any, struct ledge_error *err);

#endif
