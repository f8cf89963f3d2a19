/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h -- memory that is allocated piece by piece and freed in one go.
 *
 * Threads: one at a time. Memory: blocks come from a struct ledge_allocator; nothing moves once
 * given.
 */
#ifndef LEDGE_BASE_ARENA_H
#define LEDGE_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "ledge/model.h"

struct ledge_arena_block;

struct ledge_arena {
    struct ledge_allocator allocator;
    struct ledge_arena_block *head;
    size_t total; /* bytes asked of the allocator */
    bool failed;  /* the allocator had none at least once: what was built here may be incomplete */
};

/* allocator is copied. */
void ledge_arena_init(struct ledge_arena *arena, const struct ledge_allocator *allocator);
void ledge_arena_done(struct ledge_arena *arena);

/* bytes zeroed, at a multiple of align (a power of two, at most 4096); NULL when there is no
 * memory. 0 bytes is legal. */
void *ledge_arena_alloc(struct ledge_arena *arena, size_t bytes, size_t align);

/* The same with contents undefined: pages that nobody writes are never touched. */
void *ledge_arena_raw(struct ledge_arena *arena, size_t bytes, size_t align);

/* count * size checked, for arrays. */
void *ledge_arena_array(struct ledge_arena *arena, size_t count, size_t size, size_t align);

/* A copy of n characters, NUL-terminated. */
char *ledge_arena_text(struct ledge_arena *arena, const char *text, size_t n);

#define LEDGE_NEW(arena, type) ((type *)ledge_arena_alloc((arena), sizeof(type), _Alignof(type)))
#define LEDGE_NEW_ARRAY(arena, type, n)                                                            \
    ((type *)ledge_arena_array((arena), (n), sizeof(type), _Alignof(type)))

#endif
