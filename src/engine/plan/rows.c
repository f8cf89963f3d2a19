/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c -- a Concat of channels of 8-bit NHWC pictures whose parts are made where they are wanted:
 * a quantised convolution whose output nothing else reads stores its pixels as far apart as those
 * of the whole. Parts that others read, or make, are copied as before: the same bytes.
 *
 * ledge_plan_find_rows() tells place.c which parts may be placed so; place.c may decline, so
 * ledge_plan_take_rows() looks at where they came to lie. */
#include <string.h>

#include "base/status.h"
#include "engine/kernels/bands_i8.h"
#include "engine/kernels/onnx.h"
#include "engine/plan/internal.h"

#include "base/banned.h"

enum { MOST_PARTS = 32 }; /* bits of row_parts */

struct use {
    int32_t reads;
    struct ledge_conv_i8 *conv; /* that stores the value, if its rows can be moved apart */
};

static struct ledge_conv_i8 *writer_of(const struct ledge_op_prepare *ready)
{
    const struct ledge_conv_i8 *conv = NULL;
    if (ready->run == ledge_conv_i8) {
        conv = ready->params;
    } else if (ready->run == ledge_bands_i8_run) {
        conv = ((const struct ledge_bands_i8 *)ready->params)->project;
    }
    bool can = conv != NULL && !conv->single && conv->addend == 0;
    return can ? (struct ledge_conv_i8 *)conv : NULL;
}

/* One of each value; NULL: no memory. */
static struct use *count_uses(const struct ledge_plan *plan, struct ledge_arena *memory)
{
    const struct ledge_graph *graph = &plan->graph;
    struct use *uses = LEDGE_NEW_ARRAY(memory, struct use, (size_t)graph->n_values);
    for (int32_t s = 0; s < plan->n_steps && uses != NULL; s++) {
        const struct ledge_node *node = plan->steps[s].node;
        for (int32_t k = 0; k < node->n_in; k++) {
            if (node->in[k] >= 0) {
                uses[node->in[k]].reads++;
            }
        }
        if (node->n_out > 0 && node->out[0] >= 0) {
            uses[node->out[0]].conv = writer_of(&plan->steps[s].ready);
        }
    }
    for (int32_t i = 0; i < graph->n_outputs && uses != NULL; i++) {
        uses[graph->outputs[i]].reads++;
    }
    for (int32_t i = 0; i < graph->n_states && uses != NULL; i++) {
        uses[graph->states[i].out].reads++;
    }
    return uses;
}

/* Part k of a step that joins rows of bytes, NULL: it does something else. */
static const struct ledge_strided *part_of(const struct ledge_plan_step *step, int32_t k)
{
    const struct ledge_move *move = step->ready.params;
    if (step->ready.run != ledge_move_c || strcmp(step->node->op, "Concat") != 0 ||
        move->n != step->node->n_in || move->n > MOST_PARTS) {
        return NULL;
    }
    const struct ledge_strided *s = &move->parts[k].s;
    return s->size == 1 && s->rank == 2 && s->from[1] == 1 && s->to[1] == 1 ? s : NULL;
}

static void find_parts(struct ledge_plan_step *step, const struct use *uses)
{
    for (int32_t k = 0; k < step->node->n_in; k++) {
        const struct ledge_strided *part = part_of(step, k);
        const struct use *use = part != NULL ? &uses[step->node->in[k]] : NULL;
        if (use != NULL && use->reads == 1 && use->conv != NULL &&
            use->conv->g.out_channels == part->dims[1]) {
            step->ready.row_parts |= 1u << k;
        }
    }
}

static void take_parts(const struct ledge_plan *plan, struct ledge_plan_step *step,
                       const struct use *uses)
{
    const struct ledge_place *whole = &plan->places[step->node->out[0]];
    int32_t there = 0;
    for (int32_t k = 0; k < step->node->n_in; k++) {
        const struct ledge_place *part = &plan->places[step->node->in[k]];
        const struct ledge_strided *as = part_of(step, k);
        if ((step->ready.row_parts >> k & 1) != 0 && part->home == whole->home &&
            part->offset == whole->offset + (size_t)as->to_at) {
            uses[step->node->in[k]].conv->ldy = as->to[0];
            there++;
        }
    }
    if (there == step->node->n_in) {
        step->ready.kernel = "Concat_in_place";
    }
}

static enum ledge_status for_each(struct ledge_plan *plan, bool placed, struct ledge_error *err)
{
    struct ledge_arena scratch;
    ledge_arena_init(&scratch, &plan->memory.allocator);
    const struct use *uses = count_uses(plan, &scratch);
    for (int32_t s = 0; s < plan->n_steps && uses != NULL; s++) {
        if (!placed) {
            find_parts(&plan->steps[s], uses);
        } else if (plan->steps[s].ready.row_parts != 0) {
            take_parts(plan, &plan->steps[s], uses);
        }
    }
    ledge_arena_done(&scratch);
    return uses != NULL ? LEDGE_OK
                        : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to join rows of bytes");
}

enum ledge_status ledge_plan_find_rows(struct ledge_plan *plan,
                                       const struct ledge_plan_options *options,
                                       struct ledge_error *err)
{
    return options->layout == LEDGE_PLAN_PLAIN ? LEDGE_OK : for_each(plan, false, err);
}

enum ledge_status ledge_plan_take_rows(struct ledge_plan *plan, struct ledge_error *err)
{
    uint32_t any = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        any |= plan->steps[s].ready.row_parts;
    }
    return any == 0 ? LEDGE_OK : for_each(plan, true, err);
}
