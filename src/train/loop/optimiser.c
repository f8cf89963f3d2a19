/* SPDX-License-Identifier: Apache-2.0 */
/* optimiser.c -- see optimiser.h; the loops themselves stand in kernels/hot.inc. */
#include <math.h>
#include <stdlib.h>

#include "base/status.h"
#include "engine/port/port.h"
#include "train/kernels/hot.h"
#include "train/loop/optimiser.h"
#include "train/ops/ops.h"

static void free_list(float **list, int32_t n)
{
    for (int32_t i = 0; list != NULL && i < n; i++) {
        free(list[i]);
    }
    free(list);
}

static float **zeros(const struct train_network *network)
{
    int32_t n = train_network_n_params(network);
    float **list = calloc((size_t)n + 1, sizeof *list);
    for (int32_t i = 0; list != NULL && i < n; i++) {
        list[i] = calloc((size_t)train_network_param(network, i)->count, sizeof *list[i]);
        if (list[i] == NULL) {
            free_list(list, i);
            return NULL;
        }
    }
    return list;
}

enum ledge_status train_optimiser_init(const struct train_recipe *recipe,
                                       struct train_network *network, struct ledge_pool *pool,
                                       struct train_optimiser *optimiser, struct ledge_error *err)
{
    struct train_optimiser o = {.recipe = recipe, .network = network, .pool = pool};
    o.first = zeros(network);
    o.second = recipe->optimizer == TRAIN_SGD ? NULL : zeros(network);
    if (o.first == NULL || (recipe->optimizer != TRAIN_SGD && o.second == NULL)) {
        train_optimiser_done(&o);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "optimiser: out of memory");
    }
    *optimiser = o;
    return LEDGE_OK;
}

void train_optimiser_done(struct train_optimiser *o)
{
    int32_t n = o->network != NULL ? train_network_n_params(o->network) : 0;
    free_list(o->first, n);
    free_list(o->second, n);
    *o = (struct train_optimiser){0};
}

double train_learning_rate(const struct train_recipe *r, int64_t step, int64_t per_epoch,
                           int64_t total)
{
    double rise = r->warmup * (double)per_epoch;
    double at = (double)step + 1;
    if (at <= rise) {
        return r->lr * at / rise;
    }
    if (r->schedule == TRAIN_CONSTANT) {
        return r->lr;
    }
    double left = (double)total - rise;
    double part = left > 0 ? ((double)step - rise) / left : 1;
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    return r->final_lr + (r->lr - r->final_lr) * 0.5 * (1 + cos(3.14159265358979323846 * part));
}

struct job {
    const struct train_recipe *r;
    const struct train_hot *hot;
    float *w, *first, *second;
    const float *g;
    float lr, decay, bias1, bias2;
};

static void update(void *arg, int64_t from, int64_t to)
{
    const struct job *j = arg;
    const struct train_recipe *r = j->r;
    int64_t n = to - from;
    if (j->second == NULL) {
        j->hot->sgd(j->w + from, j->first + from, j->g + from, 1, j->lr, (float)r->momentum,
                    j->decay, r->nesterov, n);
        return;
    }
    j->hot->adam(j->w + from, j->first + from, j->second + from, j->g + from, 1, j->lr,
                 (float)r->beta1, (float)r->beta2, j->bias1, j->bias2, (float)r->epsilon, j->decay,
                 r->optimizer == TRAIN_ADAMW, n);
}

void train_optimiser_apply(struct train_optimiser *o, double lr, int64_t step)
{
    const struct train_recipe *r = o->recipe;
    struct job job = {.r = r, .hot = train_hot_for(ledge_port_rung()), .lr = (float)lr};
    job.bias1 = (float)(1 - pow(r->beta1, (double)(step + 1)));
    job.bias2 = (float)sqrt(1 - pow(r->beta2, (double)(step + 1)));
    for (int32_t i = 0; i < train_network_n_params(o->network); i++) {
        const struct train_param *p = train_network_param(o->network, i);
        if (p->kind == TRAIN_PARAM_STATE) {
            continue;
        }
        job.w = p->data;
        job.first = o->first[i];
        job.second = o->second != NULL ? o->second[i] : NULL;
        job.g = train_network_grad(o->network, i);
        job.decay = p->kind == TRAIN_PARAM_WEIGHT ? (float)r->weight_decay : 0;
        train_for_range(o->pool, p->count, update, &job);
    }
}
