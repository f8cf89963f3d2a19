/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h -- operators of your own: three functions that the model's plan calls for each node.
 *
 * Flow:    ledge_model_options.custom_ops -> [custom.h] -> ledge_model_open(), ledge_session_run()
 * Threads: run is called on the thread that runs the session; sessions of one model may call it
 *          side by side. infer and prepare are called when a session is opened, one at a time for
 *          each model; of an operator that waits (below) also in a run, as run is.
 * Memory:  a run allocates nothing: state and scratch are given.
 *
 * An operator is a pure function of its inputs and attributes: a node whose inputs are all constant
 * is run once when a session is opened. During run denormal floats count as zero (FTZ, DAZ).
 *
 * An output whose shape depends on the value of an input: infer returns ledge_custom_wait() while
 * that input has no data. It is called again in the run, with the data, and may hand over the whole
 * output with ledge_custom_give() instead of leaving it to run.
 *
 * Operators may also come from a shared object: ledge/ops_library.h.
 */
#ifndef LEDGE_CUSTOM_H
#define LEDGE_CUSTOM_H

#include "ledge/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The node of the model that is asked about; for ledge_custom_int() and its like. */
struct ledge_custom_node;

struct ledge_custom_call {
    /* dtype NONE where an optional input is absent. In infer and prepare data is NULL unless the
     * input is constant. BORROWED for the call. */
    const struct ledge_tensor *inputs;
    int32_t n_inputs;
    /* infer: fill dtype, rank, dims (and scale, zero_point when it is quantised). run: write data.
     * dtype NONE in prepare and run: nobody wants it. */
    struct ledge_tensor *outputs;
    int32_t n_outputs;
    const struct ledge_custom_node *node;
    void *state; /* state_bytes; written by prepare, read-only in run; NULL in infer */
    void
        *scratch; /* what prepare asked for, 64-byte aligned, contents undefined; NULL but in run */
    void *user;   /* of the operator */
    struct ledge_error *err; /* never NULL; see ledge_custom_fail() */
    void *inner;             /* of the library */
};

struct ledge_custom_op {
    const char *domain; /* of the node, e.g. "com.example"; "" is ai.onnx */
    const char *name;   /* its op_type */
    size_t state_bytes; /* memory for each node: zeroed, lives as long as the session */
    /* Types and shapes of the outputs, from those of the inputs. */
    enum ledge_status (*infer)(const struct ledge_custom_call *call);
    /* Once for each node when a session is opened, all shapes known: read attributes into state,
     * set *scratch_bytes (0 on entry). NULL: nothing to prepare. */
    enum ledge_status (*prepare)(const struct ledge_custom_call *call, size_t *scratch_bytes);
    /* NULL: infer gives every output. */
    enum ledge_status (*run)(const struct ledge_custom_call *call);
    void *user; /* BORROWED, handed to each call; must outlive the model and its sessions */
};

/* Attributes of the node; the fallback (or NULL) when absent or of another type. BORROWED from the
 * session. Arrays: *n is set, 0 when absent. */
LEDGE_API int64_t ledge_custom_int(const struct ledge_custom_node *node, const char *name,
                                   int64_t fallback);
LEDGE_API float ledge_custom_float(const struct ledge_custom_node *node, const char *name,
                                   float fallback);
LEDGE_API const char *ledge_custom_string(const struct ledge_custom_node *node, const char *name,
                                          const char *fallback);
LEDGE_API const int64_t *ledge_custom_ints(const struct ledge_custom_node *node, const char *name,
                                           size_t *n);
LEDGE_API const float *ledge_custom_floats(const struct ledge_custom_node *node, const char *name,
                                           size_t *n);

/* In infer, when input number `input` has no data and the outputs' shapes depend on it: return what
 * this returns, and infer is called again once the value is known. */
LEDGE_API enum ledge_status ledge_custom_wait(const struct ledge_custom_call *call, int32_t input);

/* In infer, when its dtype, rank and dims are filled: output number `output` is these bytes, which
 * are copied; where all outputs are given, neither prepare nor run is called. Errors: ERR_STATE
 * (not in infer), ERR_SHAPE (another number of bytes), ERR_NOMEM. */
LEDGE_API enum ledge_status ledge_custom_give(const struct ledge_custom_call *call, int32_t output,
                                              const void *data, size_t bytes);

/* Write the one line of an error (the node's name is put in front of it) and return status. */
LEDGE_API enum ledge_status ledge_custom_fail(const struct ledge_custom_call *call,
                                              enum ledge_status status, const char *format, ...)
    LEDGE_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
