/* SPDX-License-Identifier: Apache-2.0 */
/* share.c -- which steps are worth more than one thread.
 *
 * A step that is shared costs two meetings of the threads, and waits for the slower one; a plan of
 * few such steps is not worth waking threads at all. The model of a step's time is what it
 * multiplies at the rate of the instruction set's kernels, or what it moves at that of the second
 * cache, whichever takes longer. The rates are those of kernels at their best, so a step is rather
 * called short than long.
 */
#include <string.h>

#include "engine/plan/internal.h"

/* A meeting costs 0.3 us where both threads spin, some us where one has to be woken. A step that
 * one thread does alone fetches half of its input from the other one's cache, at 20 bytes a ns. */
#define LEAST_STEP_NS 5e3
/* Of all shared steps together. A plan of 0.3 ms gains a tenth from a second thread on an idle
 * machine, and loses a third where another process has that one's CPU, or it has to be woken. */
#define LEAST_PLAN_NS 400e3

/* Multiplications in a nanosecond: f32, 8 bits. */
static const struct {
    double f32, i8;
} rates[] = {
    [LEDGE_RUNG_C] = {1.5, 1.5},         [LEDGE_RUNG_AVX2] = {25, 40},
    [LEDGE_RUNG_AVXVNNI] = {25, 70},     [LEDGE_RUNG_AVX512] = {45, 60},
    [LEDGE_RUNG_AVX512VNNI] = {45, 130}, [LEDGE_RUNG_NEON] = {8, 8},
    [LEDGE_RUNG_NEON_DOTPROD] = {8, 25}, [LEDGE_RUNG_NEON_I8MM] = {8, 50},
};

#define BYTES_A_NS       12.0
#define PLAIN_BYTES_A_NS 2.0

/* Loops in plain C are named so. */
static bool is_plain(const char *kernel)
{
    size_t n = kernel != NULL ? strlen(kernel) : 0;
    return n > 2 && strcmp(kernel + n - 2, "_c") == 0;
}

static double step_ns(const struct ledge_plan *plan, int32_t step)
{
    const struct ledge_op_prepare *ready = &plan->steps[step].ready;
    const struct ledge_node *node = plan->steps[step].node;
    if (ready->alias >= 0) {
        return 0;
    }
    double bytes = 0;
    bool eight = false;
    for (int32_t i = 0; i < node->n_in + node->n_out; i++) {
        int32_t v = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
        if (v >= 0) {
            bytes += (double)ledge_value_bytes(&plan->graph.values[v]);
            eight = eight || ledge_dtype_size(plan->graph.values[v].dtype) == 1;
        }
    }
    bool plain = is_plain(ready->kernel);
    enum ledge_rung rung = plain ? LEDGE_RUNG_C : ready->rung;
    double move = bytes / (plain ? PLAIN_BYTES_A_NS : BYTES_A_NS);
    double multiply = (double)ready->macs / (eight ? rates[rung].i8 : rates[rung].f32);
    return move > multiply ? move : multiply;
}

void ledge_plan_share(struct ledge_plan *plan, const struct ledge_plan_options *options)
{
    double sum = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        double ns = step_ns(plan, s);
        plan->steps[s].shared = options->share_all || ns >= LEAST_STEP_NS;
        sum += ns >= LEAST_STEP_NS ? ns : 0;
    }
    for (int32_t s = 0; s < plan->n_steps && sum < LEAST_PLAN_NS && !options->share_all; s++) {
        plan->steps[s].shared = false;
    }
}
