/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/checked.h"

enum { BLOCK_BYTES = 16384, BLOCK_ALIGN = 64 };

struct ledge_arena_block {
    struct ledge_arena_block *next;
    size_t bytes; /* of the whole block */
    size_t used;
};

void ledge_arena_init(struct ledge_arena *arena, const struct ledge_allocator *allocator)
{
    *arena = (struct ledge_arena){.allocator = *allocator};
}

void ledge_arena_done(struct ledge_arena *arena)
{
    while (arena->head != NULL) {
        struct ledge_arena_block *block = arena->head;
        arena->head = block->next;
        arena->allocator.release(arena->allocator.user, block, block->bytes);
    }
    arena->total = 0;
}

static struct ledge_arena_block *add_block(struct ledge_arena *arena, size_t payload)
{
    size_t bytes;
    if (!ledge_add_size(payload, sizeof(struct ledge_arena_block), &bytes)) {
        return NULL;
    }
    if (bytes < BLOCK_BYTES) {
        bytes = BLOCK_BYTES;
    }
    struct ledge_arena_block *block =
        arena->allocator.alloc(arena->allocator.user, bytes, BLOCK_ALIGN);
    if (block == NULL) {
        arena->failed = true;
        return NULL;
    }
    *block = (struct ledge_arena_block){
        .next = arena->head, .bytes = bytes, .used = sizeof(struct ledge_arena_block)};
    arena->head = block;
    arena->total += bytes;
    return block;
}

static void *carve(struct ledge_arena_block *block, size_t bytes, size_t align)
{
    uintptr_t base = (uintptr_t)block;
    uintptr_t at = (base + block->used + align - 1) & ~(uintptr_t)(align - 1);
    size_t offset = (size_t)(at - base);
    if (offset > block->bytes || bytes > block->bytes - offset) {
        return NULL;
    }
    block->used = offset + bytes;
    return (char *)block + offset;
}

void *ledge_arena_raw(struct ledge_arena *arena, size_t bytes, size_t align)
{
    void *memory = arena->head != NULL ? carve(arena->head, bytes, align) : NULL;
    size_t payload;
    if (memory != NULL) {
        return memory;
    }
    if (!ledge_add_size(bytes, align, &payload)) {
        return NULL;
    }
    struct ledge_arena_block *block = add_block(arena, payload);
    return block != NULL ? carve(block, bytes, align) : NULL;
}

void *ledge_arena_alloc(struct ledge_arena *arena, size_t bytes, size_t align)
{
    void *memory = ledge_arena_raw(arena, bytes, align);
    if (memory != NULL) {
        memset(memory, 0, bytes);
    }
    return memory;
}

void *ledge_arena_array(struct ledge_arena *arena, size_t count, size_t size, size_t align)
{
    size_t bytes;
    return ledge_mul_size(count, size, &bytes) ? ledge_arena_alloc(arena, bytes, align) : NULL;
}

char *ledge_arena_text(struct ledge_arena *arena, const char *text, size_t n)
{
    size_t bytes;
    char *copy = ledge_add_size(n, 1, &bytes) ? ledge_arena_alloc(arena, bytes, 1) : NULL;
    if (copy != NULL && n > 0) {
        memcpy(copy, text, n);
    }
    return copy;
}
