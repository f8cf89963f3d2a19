/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_io.h -- tensors from and to files, by what the file is: .npy, .npz, .pb (ONNX
 * TensorProto).
 *
 * Flow: files -> [tensor_io.h] -> `ledge run`, `ledge verify`. Memory: everything lives in the set
 * until it is done.
 */
#ifndef CLI_TENSOR_IO_H
#define CLI_TENSOR_IO_H

#include "base/arena.h"
#include "engine/graph/graph.h"
#include "engine/run/any.h"

struct cli_tensor {
    const char *name; /* "" when the file has none */
    struct ledge_view view;
    const struct ledge_any *other; /* not NULL: no tensor but this */
};

struct cli_tensors {
    struct ledge_arena arena;
    struct cli_tensor *items;
    size_t n, cap;
};

void cli_tensors_init(struct cli_tensors *set);
void cli_tensors_done(struct cli_tensors *set);

/* Append the tensor of a file, or all of an .npz. Errors: ERR_NOT_FOUND, ERR_IO, ERR_FORMAT,
 * ERR_UNSUPPORTED; err names the path. */
LEDGE_NODISCARD enum ledge_status cli_tensors_load(struct cli_tensors *set, const char *path,
                                                   struct ledge_error *err);

/* Append a .pb file that holds a sequence or an optional. */
LEDGE_NODISCARD enum ledge_status cli_tensors_load_kind(struct cli_tensors *set, const char *path,
                                                        enum ledge_value_kind kind,
                                                        struct ledge_error *err);

/* Append one; name and data are BORROWED. */
LEDGE_NODISCARD enum ledge_status cli_tensors_add(struct cli_tensors *set, const char *name,
                                                  const struct ledge_view *view,
                                                  struct ledge_error *err);

/* Write one tensor (.npy, .pb) or many (.npz), by the path's ending. Errors: ERR_ARG (many into
 * one), ERR_IO. */
LEDGE_NODISCARD enum ledge_status cli_tensors_save(const struct cli_tensors *set, const char *path,
                                                   struct ledge_error *err);

/* "f32[1,3,224,224]"; text FILLED and returned. dims of -1 are shown as "?". */
enum { CLI_SHAPE_TEXT = 160 };
const char *cli_shape_text(enum ledge_dtype dtype, int32_t rank, const int64_t *dims,
                           char text[CLI_SHAPE_TEXT]);

#endif
