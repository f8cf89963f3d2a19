/* SPDX-License-Identifier: Apache-2.0 */
/* npy.c -- fuzz the readers of .npy and .npz: what they accept lies in memory and is written and
 * read again the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/npy.h"
#include "engine/port/port.h"

enum { READ_MAX = 1 << 24 };

static void again(const struct ledge_view *view)
{
    struct ledge_arena arena;
    struct ledge_buf out = LEDGE_BUF_INIT(READ_MAX);
    struct ledge_view copy;
    struct ledge_error err;
    ledge_arena_init(&arena, ledge_allocator_default());
    if (data_npy_write(view, &out, &err) == LEDGE_OK) {
        if (data_npy_read(out.data, out.len, &arena, &copy, &err) != LEDGE_OK ||
            ledge_view_bytes(&copy) != ledge_view_bytes(view) ||
            (ledge_view_bytes(view) > 0 &&
             memcmp(copy.data, view->data, ledge_view_bytes(view)) != 0)) {
            abort();
        }
    }
    ledge_buf_done(&out);
    ledge_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledge_arena arena;
    struct ledge_error err;
    ledge_arena_init(&arena, ledge_allocator_default());
    if (data_npz_is(data, size)) {
        struct data_npz_entry *entries = NULL;
        size_t n = 0;
        if (data_npz_read(data, size, &arena, &entries, &n, &err) == LEDGE_OK) {
            for (size_t i = 0; i < n; i++) {
                again(&entries[i].view);
            }
        }
    } else {
        struct ledge_view view;
        if (data_npy_read(data, size, &arena, &view, &err) == LEDGE_OK) {
            again(&view);
        }
    }
    ledge_arena_done(&arena);
    return 0;
}
