/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_random.c -- see onnx_random.h. One block of the generator an element: two numbers of 53
 * bits. */
#include "engine/kernels/onnx_random.h"

#include <math.h>

#include "base/banned.h"
#include "engine/kernels/onnx_number.h"

struct pair {
    double u, v; /* in [0, 1) */
};

static struct pair draw(uint64_t key, uint32_t run, int64_t i)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), run, 0};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (struct pair){((double)(c[0] >> 5) * 0x1p26 + (double)(c[1] >> 6)) * 0x1p-53,
                         ((double)(c[2] >> 5) * 0x1p26 + (double)(c[3] >> 6)) * 0x1p-53};
}

static double normal(struct pair p)
{
    return sqrt(-2 * log(1 - p.u)) * cos(6.283185307179586 * p.v);
}

static void store(const struct ledge_view *out, int64_t i, double value)
{
    if (ledge_is_real(out->dtype)) {
        ledge_store_real(&value, 1, out->data, out->dtype, i);
    } else {
        int64_t whole = (int64_t)value; /* of a class or a coin: it fits */
        ledge_store_whole(&whole, 1, out->data, out->dtype, i);
    }
}

/* The class where the running sum of exp(x - greatest) passes u times the whole sum. */
static int64_t sample(const struct ledge_view *in, int64_t row, int64_t classes, double u)
{
    double most = -INFINITY, total = 0, sum = 0, x;
    for (int64_t k = 0; k < classes; k++) {
        ledge_load_real(in->data, in->dtype, row * classes + k, 1, &x);
        most = x > most ? x : most;
    }
    for (int64_t k = 0; k < classes; k++) {
        ledge_load_real(in->data, in->dtype, row * classes + k, 1, &x);
        total += exp(x - most);
    }
    for (int64_t k = 0; k < classes; k++) {
        ledge_load_real(in->data, in->dtype, row * classes + k, 1, &x);
        sum += exp(x - most);
        if (sum > u * total) {
            return k;
        }
    }
    return classes - 1;
}

enum ledge_status ledge_random_c(const struct ledge_kernel_call *call)
{
    const struct ledge_random *p = call->params;
    const struct ledge_view *out = call->out[0] != NULL ? call->out[0] : call->out[1];
    uint32_t run = atomic_fetch_add(p->runs, 1);
    int64_t n = ledge_view_count(out);
    for (int64_t i = 0; i < n; i++) {
        struct pair pair = draw(p->key, run, i);
        double x = 0, value = 0;
        bool kept = pair.u >= p->a;
        switch (p->kind) {
        case LEDGE_RANDOM_UNIFORM:
            value = p->a + pair.u * p->b;
            break;
        case LEDGE_RANDOM_NORMAL:
            value = p->a + normal(pair) * p->b;
            break;
        case LEDGE_RANDOM_BERNOULLI:
            ledge_load_real(call->in[0]->data, call->in[0]->dtype, i, 1, &x);
            value = pair.u < x;
            break;
        case LEDGE_RANDOM_MULTINOMIAL:
            value = (double)sample(call->in[0], i / p->samples, p->classes, pair.u);
            break;
        case LEDGE_RANDOM_DROPOUT:
            ledge_load_real(call->in[0]->data, call->in[0]->dtype, i, 1, &x);
            value = kept ? x * p->b : 0;
            break;
        }
        if (call->out[0] != NULL) {
            store(call->out[0], i, value);
        }
        if (p->kind == LEDGE_RANDOM_DROPOUT && call->out[1] != NULL) {
            store(call->out[1], i, kept);
        }
    }
    return LEDGE_OK;
}
