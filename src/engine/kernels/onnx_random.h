/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_random.h -- numbers that look random. A counter-based generator: element i of run r of a
 * node is a function of (seed, r, i) alone, so the numbers are the same on every processor and for
 * any number of threads. A model counts the runs of each node, whatever plan it stands in.
 * docs/numerics.md says it to users. Source: Salmon et al. 2011, "Parallel random numbers: as easy
 * as 1, 2, 3", Philox4x32-10; normal numbers: Box and Muller 1958. */
#ifndef LEDGE_ENGINE_KERNELS_ONNX_RANDOM_H
#define LEDGE_ENGINE_KERNELS_ONNX_RANDOM_H

#include <stdatomic.h>

#include "engine/kernels/kernel.h"

enum ledge_random_kind {
    LEDGE_RANDOM_UNIFORM,     /* a + u b */
    LEDGE_RANDOM_NORMAL,      /* a + z b */
    LEDGE_RANDOM_BERNOULLI,   /* 1 with the input's probability, else 0 */
    LEDGE_RANDOM_MULTINOMIAL, /* classes of rows of log probabilities, not normalised */
    LEDGE_RANDOM_DROPOUT      /* x b where u >= a, else 0; output 1: where */
};

struct ledge_random {
    enum ledge_random_kind kind;
    uint64_t key;
    double a, b;
    int64_t classes, samples; /* of a row */
    atomic_uint *runs;        /* so far */
};

/* Runs of the nodes of a model, so that a node which is planned again goes on. All zeros: none yet;
 * used by any thread. A node's name, as a number that is not 0, finds its place; where all are
 * taken, a plan counts by itself. */
struct ledge_random_runs {
    struct {
        atomic_ullong name;
        atomic_uint runs;
    } nodes[64];
};
enum ledge_status ledge_random_c(const struct ledge_kernel_call *call);

#endif
