/* SPDX-License-Identifier: Apache-2.0 */
/* model.h -- an opened model file: immutable, shared by any number of sessions.
 *
 * Flow:    .onnx | .tflite | .ledge -> [model.h] -> session.h
 * Threads: every function on an opened model may be called from any thread.
 * Memory:  the file is mapped read-only; weights are read in place. A model lives until its last
 * session is closed.
 */
#ifndef LEDGE_MODEL_H
#define LEDGE_MODEL_H

#include <stdint.h>

#include "ledge/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ledge_model;
struct ledge_custom_op; /* ledge/custom.h */

/* Where memory comes from; NULL in the options means the C library's. alloc returns NULL when there
 * is none. */
struct ledge_allocator {
    void *(*alloc)(void *user, size_t bytes, size_t align);
    void (*release)(void *user, void *memory, size_t bytes);
    void *user;
};

struct ledge_model_options {
    const struct ledge_allocator *allocator; /* BORROWED, must outlive the model */
    /* Operators that are not built in (ledge/custom.h): n_custom_ops entries, copied; what their
     * `user` points to must outlive the model and its sessions. */
    const struct ledge_custom_op *custom_ops;
    int32_t n_custom_ops;
    /* Non-zero: check the SHA-256 of a .ledge file. 0: only the CRCs of all but the weights, so
     * that opening does not read them; for files that were checked when they came. */
    int32_t verify;
};

/* An input or output of the model as declared. A dimension of -1 is free (set per session). */
struct ledge_tensor_info {
    const char *name; /* BORROWED from the model */
    enum ledge_dtype dtype;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    const char *dim_names[LEDGE_MAX_RANK]; /* symbolic name of a free dimension, or NULL */
    float scale;                           /* 0: not quantised */
    int32_t zero_point;
};

/* Open a model file; the format is told by its first bytes.
 *   path     file to map; may be deleted or replaced afterwards
 *   options  NULL for defaults
 *   model    OWNED: ledge_model_close()
 * Errors: ERR_IO, ERR_FORMAT, ERR_CORRUPT (digest of a .ledge file), ERR_UNSUPPORTED (err names
 * each missing operator), ERR_SHAPE, ERR_DTYPE, ERR_NOMEM, ERR_EXISTS (a custom operator has the
 * name of a built-in one). */
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_model_open(const char *path, const struct ledge_model_options *options,
                 struct ledge_model **model, struct ledge_error *err);

/* The same from memory: bytes are BORROWED and must outlive the model and its sessions. */
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_model_open_memory(const void *bytes, size_t size, const struct ledge_model_options *options,
                        struct ledge_model **model, struct ledge_error *err);

/* Give the reference back; NULL is allowed. Sessions keep the model alive. */
LEDGE_API void ledge_model_close(struct ledge_model *model);

LEDGE_API int32_t ledge_model_n_inputs(const struct ledge_model *model);
LEDGE_API int32_t ledge_model_n_outputs(const struct ledge_model *model);

/* Description of input or output number index. Errors: ERR_ARG. */
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_model_input(const struct ledge_model *model, int32_t index, struct ledge_tensor_info *info);
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_model_output(const struct ledge_model *model, int32_t index, struct ledge_tensor_info *info);

/* A metadata value by key (ONNX metadata_props; TFLite: name, description, labels), or NULL.
 * BORROWED. */
LEDGE_API const char *ledge_model_metadata(const struct ledge_model *model, const char *key);

/* Metadata by position: key and value of entry index, false past the end. */
LEDGE_API int32_t ledge_model_n_metadata(const struct ledge_model *model);
LEDGE_API enum ledge_status ledge_model_metadata_at(const struct ledge_model *model, int32_t index,
                                                    const char **key, const char **value);

#ifdef __cplusplus
}
#endif
#endif
