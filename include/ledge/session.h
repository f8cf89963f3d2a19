/* SPDX-License-Identifier: Apache-2.0 */
/* session.h -- run a model: one session per thread, no malloc in run (but for models with control
 * flow, strings, or shapes that depend on values, and for the first run with other input shapes).
 *
 * Flow:    model.h -> [session.h] -> predictions
 * Threads: a session belongs to one thread at a time; sessions of one model run side by side.
 * State:   what a model keeps from run to run belongs to the session; a run that fails keeps it.
 * Memory:  one arena per session, its size known after opening; inputs are read in place.
 */
#ifndef LEDGE_SESSION_H
#define LEDGE_SESSION_H

#include "ledge/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ledge_session;

/* What float answers depend on (docs/numerics.md). */
enum ledge_numerics {
    LEDGE_NUMERICS_FAST = 0, /* the processor, within a tolerance; never the number of threads */
    LEDGE_NUMERICS_CONSISTENT = 1, /* nothing: the same bytes on every processor */
};

/* How the weights of float convolutions and products are held; sums are f32 in any case. */
enum ledge_precision {
    LEDGE_PRECISION_F32 = 0,
    LEDGE_PRECISION_BF16 = 1, /* 8 bits of mantissa, half the bytes, where weights are large */
};

struct ledge_session_options {
    /* The calling one included; 0 or 1: no other. No more are started than the process may use CPUs
     * (affinity mask, cgroup quota). */
    int32_t threads;
    int32_t batch;   /* value of free leading dimensions; 0 means 1 */
    int32_t profile; /* non-zero: time every step (see ledge_session_step()) */
    /* Full input shapes, n_inputs entries (only rank and dims are read), or NULL to take the
     * model's and batch. */
    const struct ledge_tensor *input_shapes;
    int32_t n_input_shapes;
    /* Memory of your own for activations, scratch and state: as many bytes as
     * ledge_session_arena_size() says, at a multiple of 64, BORROWED until the session is closed.
     * NULL: the allocator's. */
    void *arena;
    size_t arena_bytes;
    /* Non-zero: the caller takes and gives tensors of struct ledge_string. Without it a model that
     * has them is refused, so that no program hands out pointers as numbers. */
    int32_t strings;
    int32_t numerics; /* enum ledge_numerics */
    /* What runs of this session may hold at most: activations, scratch and state of the shapes that
     * are kept ready, and whatever is made in a run where shapes depend on values. More is
     * ERR_NOMEM, in a run or when it is opened. 0: no limit. (An arena of your own and the model's
     * weights do not count.) */
    size_t max_bytes;
    int32_t precision; /* enum ledge_precision */
};

/* One step of the plan, for inspect and profile. */
struct ledge_step_info {
    const char *node;     /* name in the model */
    const char *op;       /* operator, e.g. "Conv" */
    const char *kernel;   /* chosen kernel, e.g. "conv_f32_avx512" */
    const char *in_float; /* why a quantised operator runs on floats; NULL: it does not */
    int64_t macs;         /* multiply-accumulates of one run */
    size_t weight_bytes;  /* constants read */
    size_t out_bytes;     /* bytes of the first output */
    size_t out_offset;    /* its place in the arena; SIZE_MAX when it is not there */
    int32_t out_rank;
    int64_t out_dims[LEDGE_MAX_RANK];
    double seconds;         /* of the last run when profiling, else 0 */
    size_t in_bytes;        /* bytes of all inputs that are not constants */
    enum ledge_dtype dtype; /* of the first input: what is multiplied; LEDGE_DTYPE_NONE: no input */
    enum ledge_dtype out_dtype; /* of the first output */
};

/* Open a session on a model.
 *   options  NULL for defaults
 *   session  OWNED: ledge_session_close()
 * Errors: ERR_SHAPE (err names the node), ERR_UNSUPPORTED, ERR_NOMEM (also: more than max_bytes),
 * ERR_ARG (an arena that is too small or at an odd address). */
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_session_open(struct ledge_model *model, const struct ledge_session_options *options,
                   struct ledge_session **session, struct ledge_error *err);

LEDGE_API void ledge_session_close(struct ledge_session *session);

/* Bytes that options->arena needs for a session with these options (NULL for defaults; its arena is
 * not looked at). The plan made for the answer is kept for the session to come. Errors: as
 * ledge_session_open(). */
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_session_arena_size(struct ledge_model *model, const struct ledge_session_options *options,
                         size_t *bytes, struct ledge_error *err);

/* Input and output tensors with the shapes in use; data of inputs is NULL. An output whose shape
 * depends on values has rank -1: ledge_session_run() tells it. Errors: ERR_ARG. */
LEDGE_NODISCARD LEDGE_API enum ledge_status ledge_session_input(const struct ledge_session *session,
                                                                int32_t index,
                                                                struct ledge_tensor *tensor);
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_session_output(const struct ledge_session *session, int32_t index,
                     struct ledge_tensor *tensor);

/* Run one inference.
 *   inputs   n_inputs tensors in the model's order. dtype must match ledge_session_input(); dims,
 *            too, where the model does not leave them free: other sizes of free dimensions are
 *            planned at their first run and become the shapes in use; the latest few stay ready.
 *            data is BORROWED for the call and read in place (align it to 64 bytes for best speed)
 *   outputs  FILLED, n_outputs entries; data BORROWED from the arena until the next run or close
 * Errors: ERR_SHAPE, ERR_DTYPE (err names the input), ERR_RANGE (a value that an operator cannot
 * take, e.g. an index), ERR_UNSUPPORTED, ERR_NOMEM. */
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_session_run(struct ledge_session *session, const struct ledge_tensor *inputs,
                  int32_t n_inputs, struct ledge_tensor *outputs, int32_t n_outputs,
                  struct ledge_error *err);

/* Give what the model keeps from run to run (variables, recurrent layers) the
 * value that it began with. A model without such values is left as it is. */
LEDGE_API void ledge_session_reset(struct ledge_session *session);

/* The same with the outputs in memory of yours, so that they outlast the next run.
 *   outputs  n_outputs entries whose data has room for bytes (at least those of
 * ledge_session_output(), not overlapping an input); the rest is FILLED. Where data is a multiple
 * of 64 the last operator writes there, else the output is copied. Errors: as ledge_session_run(),
 * ERR_ARG (no data), ERR_SHAPE (too few bytes). */
LEDGE_NODISCARD LEDGE_API enum ledge_status
ledge_session_run_into(struct ledge_session *session, const struct ledge_tensor *inputs,
                       int32_t n_inputs, struct ledge_tensor *outputs, int32_t n_outputs,
                       struct ledge_error *err);

/* Once more what the last ledge_session_run_into() did, with the same memory, whose contents may
 * have changed: nothing is looked up or checked, so that a model of microseconds loses none. The
 * memory must still be there.
 * Errors: ERR_STATE (the last run of this session was another one or failed, an output was copied
 * because its data was no multiple of 64, or shapes of outputs are known in a run only), else as
 * ledge_session_run_into(), which also tells why. */
LEDGE_NODISCARD LEDGE_API enum ledge_status ledge_session_run_again(struct ledge_session *session);

/* Bytes of the activation arena, and of memory held in all (arena, packed weights, plan). */
LEDGE_API size_t ledge_session_arena_bytes(const struct ledge_session *session);
LEDGE_API size_t ledge_session_memory_bytes(const struct ledge_session *session);

/* Steps in the order they run; operator "late nodes", the last one: all that waits for values of
 * the run, from that node on. Errors: ERR_ARG past the end. */
LEDGE_API int32_t ledge_session_n_steps(const struct ledge_session *session);
LEDGE_NODISCARD LEDGE_API enum ledge_status ledge_session_step(const struct ledge_session *session,
                                                               int32_t index,
                                                               struct ledge_step_info *info);

#ifdef __cplusplus
}
#endif
#endif
