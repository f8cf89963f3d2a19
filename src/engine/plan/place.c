/* SPDX-License-Identifier: Apache-2.0 */
/* place.c -- where each value lives during a run.
 *
 * 1. Values that share memory form a class: an alias (Reshape) with its input, an in-place output
 * with the input that dies there, what is joined (Concat) with its parts, which are then made where
 * they are wanted, one after the other or row by row (rows.c). 2. A class lives from the step that
 * writes it first to the step that reads it last; graph outputs live on. 3. Classes are placed
 * greedily, largest first, at the lowest offset that is free for their whole life (Pisarchyk and
 * Lee 2020, arXiv:2001.03288, section 5.2), at multiples of 64 bytes. Parts that are made long
 * before they are joined hold the room of the whole: where that makes the arena larger by more than
 * an eighth, all parts are copied instead.
 */
#include "base/checked.h"
#include "base/status.h"
#include "engine/plan/internal.h"

enum { ALIGN = 64 };

struct life {
    int32_t parent; /* of the class; itself for the first of it */
    size_t at;      /* bytes from where the parent begins */
    int32_t from;   /* step that writes it, -1: no step does */
    int32_t to;     /* last step that reads it; n_steps for graph outputs */
    size_t bytes;
};

struct block {
    size_t bytes;
    size_t offset;
    int32_t from;
    int32_t to;
    int32_t value;
};

static int32_t find(struct life *lives, int32_t value)
{
    while (lives[value].parent != value) {
        const struct life *parent = &lives[lives[value].parent];
        lives[value].at += parent->at; /* 0 for the first of a class */
        lives[value].parent = parent->parent;
        value = lives[value].parent;
    }
    return value;
}

static void join(struct life *lives, int32_t child, int32_t into)
{
    int32_t root = find(lives, into);
    lives[child].parent = root;
    if (lives[child].to > lives[root].to) {
        lives[root].to = lives[child].to;
    }
}

static void measure(struct ledge_plan *plan, struct life *lives)
{
    const struct ledge_graph *graph = &plan->graph;
    for (int32_t i = 0; i < graph->n_values; i++) {
        lives[i] = (struct life){.parent = i, .from = -1, .to = -1};
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const struct ledge_node *node = plan->steps[s].node;
        for (int32_t k = 0; k < node->n_in; k++) {
            if (node->in[k] >= 0) {
                lives[node->in[k]].to = s;
            }
        }
        for (int32_t k = 0; k < node->n_out; k++) {
            if (node->out[k] >= 0) {
                lives[node->out[k]].from = s;
                lives[node->out[k]].to = s;
                lives[node->out[k]].bytes = ledge_value_bytes(&graph->values[node->out[k]]);
            }
        }
    }
    for (int32_t i = 0; i < graph->n_outputs; i++) {
        lives[graph->outputs[i]].to = plan->n_steps;
    }
    for (int32_t i = 0; i < graph->n_states; i++) {
        lives[graph->states[i].out].to = plan->n_steps;
    }
}

static void join_aliases(struct ledge_plan *plan, struct life *lives)
{
    /* Backwards, so that the life of a chain of aliases reaches its first value. */
    for (int32_t s = plan->n_steps - 1; s >= 0; s--) {
        const struct ledge_node *node = plan->steps[s].node;
        int32_t alias = plan->steps[s].ready.alias;
        if (alias >= 0) {
            int32_t in = node->in[alias];
            lives[node->out[0]].parent = in;
            if (lives[node->out[0]].to > lives[in].to) {
                lives[in].to = lives[node->out[0]].to;
            }
        }
    }
}

/* The whole of a class that steps make, and of no other one yet? Then it is made at byte `at` of
 * value `whole`. rows: apart from each other, which no class of several values can be. */
static bool join_part(struct life *lives, int32_t value, int32_t whole, size_t at, bool rows)
{
    int32_t root = find(lives, value), into = find(lives, whole);
    if (root == into || lives[root].from < 0 || lives[root].bytes != lives[value].bytes ||
        (rows ? root != value : at % ALIGN != 0)) {
        return false;
    }
    lives[root].parent = whole;
    lives[root].at = at;
    if (lives[root].to > lives[into].to) {
        lives[into].to = lives[root].to;
    }
    if (lives[root].from < lives[into].from) {
        lives[into].from = lives[root].from;
    }
    return true;
}

static bool join_parts(const struct ledge_plan *plan, struct life *lives)
{
    bool any = false;
    for (int32_t s = plan->n_steps - 1; s >= 0; s--) {
        const struct ledge_node *node = plan->steps[s].node;
        const struct ledge_op_prepare *ready = &plan->steps[s].ready;
        size_t at = 0;
        for (int32_t k = 0; k < node->n_in && (ready->joins || ready->row_parts != 0); k++) {
            const struct ledge_value *part = &plan->graph.values[node->in[k]];
            if (ready->joins || (ready->row_parts >> k & 1) != 0) {
                any = join_part(lives, node->in[k], node->out[0], at, !ready->joins) || any;
            }
            at += ready->joins ? ledge_value_bytes(part) : (size_t)part->dims[part->rank - 1];
        }
    }
    return any;
}

/* Only one reader may lose its input: no other input of the step may be in the same memory under
 * another name. */
static bool may_overwrite(const struct ledge_plan *plan, struct life *lives, int32_t s)
{
    const struct ledge_node *node = plan->steps[s].node;
    int32_t k = plan->steps[s].ready.in_place;
    if (k < 0 || k >= node->n_in || node->in[k] < 0 || node->out[0] < 0) {
        return false;
    }
    int32_t root = find(lives, node->in[k]), out = node->out[0];
    if (lives[root].from < 0 || lives[root].to != s || lives[out].parent != out ||
        lives[root].bytes != lives[out].bytes || lives[node->in[k]].bytes != lives[out].bytes) {
        return false;
    }
    for (int32_t i = 0; i < node->n_in; i++) {
        if (node->in[i] >= 0 && node->in[i] != node->in[k] && find(lives, node->in[i]) == root) {
            return false;
        }
    }
    return true;
}

static void join_in_place(struct ledge_plan *plan, struct life *lives)
{
    for (int32_t s = 0; s < plan->n_steps; s++) {
        if (plan->steps[s].ready.alias < 0 && may_overwrite(plan, lives, s)) {
            const struct ledge_node *node = plan->steps[s].node;
            join(lives, node->out[0], node->in[plan->steps[s].ready.in_place]);
        }
    }
}

static bool before(const struct block *a, const struct block *b)
{
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->value < b->value;
}

/* Shell's method: in place, no heap. */
static void sort_blocks(struct block *blocks, int32_t n)
{
    for (int32_t gap = n / 2; gap > 0; gap /= 2) {
        for (int32_t i = gap; i < n; i++) {
            struct block block = blocks[i];
            int32_t k = i;
            for (; k >= gap && before(&block, &blocks[k - gap]); k -= gap) {
                blocks[k] = blocks[k - gap];
            }
            blocks[k] = block;
        }
    }
}

/* Lowest offset where block fits between the placed ones (sorted by offset) that live at the same
 * time. */
static size_t fit(const struct block *block, struct block *const *placed, int32_t n)
{
    size_t at = 0;
    for (int32_t i = 0; i < n; i++) {
        const struct block *other = placed[i];
        if (other->to < block->from || other->from > block->to) {
            continue;
        }
        if (other->offset >= at && other->offset - at >= block->bytes) {
            return at;
        }
        size_t end = other->offset + other->bytes;
        at = end > at ? end : at;
    }
    return at;
}

static enum ledge_status pack(struct block *blocks, int32_t n, struct block **placed, size_t *total,
                              struct ledge_error *err)
{
    sort_blocks(blocks, n);
    for (int32_t i = 0; i < n; i++) {
        size_t end;
        blocks[i].offset = fit(&blocks[i], placed, i);
        if (!ledge_add_size(blocks[i].offset, blocks[i].bytes, &end) || end > SIZE_MAX / 4) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "the arena would be too large");
        }
        *total = end > *total ? end : *total;
        int32_t k = i;
        for (; k > 0 && placed[k - 1]->offset > blocks[i].offset; k--) {
            placed[k] = placed[k - 1];
        }
        placed[k] = &blocks[i];
    }
    return LEDGE_OK;
}

static enum ledge_status place_states(struct ledge_plan *plan, struct ledge_error *err)
{
    const struct ledge_graph *graph = &plan->graph;
    for (int32_t i = 0; i < graph->n_states; i++) {
        struct ledge_place *place = &plan->places[graph->states[i].in];
        size_t bytes;
        if (!ledge_align_size(ledge_value_bytes(&graph->values[graph->states[i].in]), ALIGN,
                              &bytes) ||
            bytes > SIZE_MAX / 4 - plan->state_bytes) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "the states would be too large");
        }
        place->kind = LEDGE_PLACE_STATE;
        place->offset = plan->state_bytes;
        plan->state_bytes += bytes;
    }
    return LEDGE_OK;
}

static void place_borders(struct ledge_plan *plan)
{
    const struct ledge_graph *graph = &plan->graph;
    for (int32_t i = 0; i < graph->n_values; i++) {
        plan->places[i] = (struct ledge_place){.kind = LEDGE_PLACE_NONE, .input = -1, .home = i};
        if (graph->values[i].data != NULL) {
            plan->places[i].kind = LEDGE_PLACE_CONSTANT;
            plan->places[i].data = graph->values[i].data;
        }
    }
    for (int32_t i = 0; i < graph->n_inputs; i++) {
        plan->places[graph->inputs[i]].kind = LEDGE_PLACE_INPUT;
        plan->places[graph->inputs[i]].input = i;
    }
}

struct room {
    struct life *lives; /* one for each value, as are the others at most */
    struct block *blocks;
    struct block **placed;
    int32_t count; /* of blocks */
    bool joined;   /* some part is made in its place */
};

static enum ledge_status arrange(struct ledge_plan *plan, struct room *room, bool parts,
                                 struct ledge_error *err)
{
    struct life *lives = room->lives;
    measure(plan, lives);
    join_aliases(plan, lives);
    room->joined = parts && join_parts(plan, lives);
    join_in_place(plan, lives);
    room->count = 0;
    for (int32_t i = 0; i < plan->graph.n_values; i++) {
        if (lives[i].parent == i && lives[i].from >= 0) {
            size_t bytes;
            if (!ledge_align_size(lives[i].bytes, ALIGN, &bytes)) {
                return ledge_fail(err, LEDGE_ERR_NOMEM, "value %s is too large",
                                  plan->graph.values[i].name);
            }
            room->blocks[room->count++] = (struct block){
                .bytes = bytes, .from = lives[i].from, .to = lives[i].to, .value = i};
        }
    }
    plan->arena_bytes = 0;
    return pack(room->blocks, room->count, room->placed, &plan->arena_bytes, err);
}

static enum ledge_status place(struct ledge_plan *plan, struct ledge_arena *scratch,
                               struct ledge_error *err)
{
    size_t n = (size_t)plan->graph.n_values;
    struct room room = {.lives = LEDGE_NEW_ARRAY(scratch, struct life, n),
                        .blocks = LEDGE_NEW_ARRAY(scratch, struct block, n),
                        .placed = LEDGE_NEW_ARRAY(scratch, struct block *, n)};
    plan->places = LEDGE_NEW_ARRAY(&plan->memory, struct ledge_place, n);
    if (room.lives == NULL || room.blocks == NULL || room.placed == NULL || plan->places == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory to place %zu values", n);
    }
    LEDGE_TRY(arrange(plan, &room, true, err));
    if (room.joined) {
        size_t with = plan->arena_bytes;
        LEDGE_TRY(arrange(plan, &room, false, err));
        if (with <= plan->arena_bytes + plan->arena_bytes / 8) {
            LEDGE_TRY(arrange(plan, &room, true, err));
        }
    }
    place_borders(plan);
    LEDGE_TRY(place_states(plan, err));
    for (int32_t i = 0; i < room.count; i++) {
        plan->places[room.blocks[i].value].kind = LEDGE_PLACE_ARENA;
        plan->places[room.blocks[i].value].offset = room.blocks[i].offset;
    }
    for (int32_t i = 0; i < plan->graph.n_values; i++) {
        int32_t root = find(room.lives, i);
        plan->places[i] = plan->places[root];
        plan->places[i].offset += room.lives[i].at; /* 0 but in the arena */
    }
    return LEDGE_OK;
}

enum ledge_status ledge_plan_place(struct ledge_plan *plan, struct ledge_error *err)
{
    struct ledge_arena scratch;
    ledge_arena_init(&scratch, &plan->memory.allocator);
    enum ledge_status status = place(plan, &scratch, err);
    ledge_arena_done(&scratch);
    return status;
}
