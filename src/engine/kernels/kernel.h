/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h -- the one shape of every kernel.
 *
 * A kernel sees tensors only: no graph, no allocation, no global state. Anything that can be worked
 * out before the run (parsed attributes, packed weights, tables) was put into `params` and `packed`
 * by the operator's prepare function (ops/op.h).
 */
#ifndef LEDGE_ENGINE_KERNELS_KERNEL_H
#define LEDGE_ENGINE_KERNELS_KERNEL_H

#include "engine/port/pool.h"
#include "engine/port/rung.h"
#include "engine/tensor/view.h"

/* Of functions in a file of fast loops that run once for each model, or for rare types: small. */
#if defined(__GNUC__)
#define LEDGE_COLD __attribute__((cold))
#else
#define LEDGE_COLD
#endif

/* Before a loop that reads and writes element i in step i: what it reads may be what it writes. */
#if defined(__clang__)
#define LEDGE_IN_STEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define LEDGE_IN_STEP _Pragma("GCC ivdep")
#else
#define LEDGE_IN_STEP
#endif

/* A node may name fewer inputs and outputs than its operator knows: the lists of a call have at
 * least so many entries, NULL behind the node's own. */
enum { LEDGE_CALL_ENTRIES = 16 };

struct ledge_kernel_call {
    const struct ledge_view *const *in; /* n_in entries; NULL where an optional input is absent */
    int32_t n_in;
    const struct ledge_view *const *out; /* n_out entries; NULL where an output is not wanted */
    int32_t n_out;
    const void *params; /* the operator's own struct */
    const void *packed; /* packed constants, 64-byte aligned, or NULL */
    void *scratch; /* scratch_bytes asked for by prepare, 64-byte aligned; contents undefined */
    size_t scratch_bytes;
    struct ledge_pool *pool;
    struct ledge_error *err; /* never NULL; filled on failure */
};

typedef enum ledge_status (*ledge_kernel_fn)(const struct ledge_kernel_call *call);

/* Activation fused into the epilogue of a kernel: y = min(max(x, low), high). */
struct ledge_clamp {
    float low;  /* -INFINITY: none */
    float high; /* INFINITY: none */
};

#endif
