/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_io.c -- see tensor_io.h. */
#include "cli/tensor_io.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "data/npy.h"
#include "engine/port/port.h"
#include "export/export.h"
#include "import/import.h"
#include "sys/file.h"

#define FILE_MAX ((size_t)1 << 31)

void cli_tensors_init(struct cli_tensors *set)
{
    *set = (struct cli_tensors){0};
    ledge_arena_init(&set->arena, ledge_allocator_default());
}

void cli_tensors_done(struct cli_tensors *set)
{
    ledge_arena_done(&set->arena);
    set->items = NULL;
    set->n = set->cap = 0;
}

enum ledge_status cli_tensors_add(struct cli_tensors *set, const char *name,
                                  const struct ledge_view *view, struct ledge_error *err)
{
    if (set->n == set->cap) {
        size_t cap = set->cap == 0 ? 8 : 2 * set->cap;
        struct cli_tensor *items = LEDGE_NEW_ARRAY(&set->arena, struct cli_tensor, cap);
        if (items == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for tensors");
        }
        if (set->n > 0) {
            memcpy(items, set->items, set->n * sizeof *items);
        }
        set->items = items;
        set->cap = cap;
    }
    set->items[set->n++] = (struct cli_tensor){.name = name, .view = *view};
    return LEDGE_OK;
}

static bool ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcmp(path + n - m, suffix) == 0;
}

static enum ledge_status parse(struct cli_tensors *set, const void *bytes, size_t size,
                               struct ledge_error *err)
{
    struct ledge_view view;
    const char *name = "";
    if (data_npz_is(bytes, size)) {
        struct data_npz_entry *entries = NULL;
        size_t n = 0;
        LEDGE_TRY(data_npz_read(bytes, size, &set->arena, &entries, &n, err));
        for (size_t i = 0; i < n; i++) {
            LEDGE_TRY(cli_tensors_add(set, entries[i].name, &entries[i].view, err));
        }
        return LEDGE_OK;
    }
    if (size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0) {
        LEDGE_TRY(data_npy_read(bytes, size, &set->arena, &view, err));
    } else {
        struct ledge_error why;
        if (ledge_import_tensor_proto(bytes, size, &set->arena, &view, &name, &why) != LEDGE_OK) {
            return ledge_fail(err, why.status, "%s (is this a .npy, .npz or .pb file?)", why.text);
        }
    }
    return cli_tensors_add(set, name, &view, err);
}

static enum ledge_status parse_kind(struct cli_tensors *set, const void *bytes, size_t size,
                                    enum ledge_value_kind kind, struct ledge_error *err)
{
    struct ledge_view none = {.rank = -1};
    struct ledge_any *any = LEDGE_NEW(&set->arena, struct ledge_any);
    if (any == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory");
    }
    LEDGE_TRY(ledge_import_value_proto(bytes, size, kind, &set->arena, any, err));
    bool tensor = any->kind == LEDGE_ANY_TENSOR;
    LEDGE_TRY(cli_tensors_add(set, "", tensor ? &any->view : &none, err));
    set->items[set->n - 1].other = any;
    return LEDGE_OK;
}

enum ledge_status cli_tensors_load(struct cli_tensors *set, const char *path,
                                   struct ledge_error *err)
{
    return cli_tensors_load_kind(set, path, LEDGE_VALUE_TENSOR, err);
}

enum ledge_status cli_tensors_load_kind(struct cli_tensors *set, const char *path,
                                        enum ledge_value_kind kind, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf file = LEDGE_BUF_INIT(FILE_MAX);
    LEDGE_TRY(sys_file_read(path, &file, err));
    void *bytes = ledge_arena_alloc(&set->arena, file.len, 64);
    if (bytes == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "%s: no memory", path);
    }
    if (file.len > 0) {
        memcpy(bytes, file.data, file.len);
    }
    enum ledge_status status = kind == LEDGE_VALUE_TENSOR
                                   ? parse(set, bytes, file.len, err)
                                   : parse_kind(set, bytes, file.len, kind, err);
    if (status != LEDGE_OK) {
        (void)ledge_fail_at(err, path);
    }
    return status;
}

static enum ledge_status write_npz(const struct cli_tensors *set, struct ledge_buf *out,
                                   struct ledge_error *err)
{
    struct ledge_arena scratch;
    ledge_arena_init(&scratch, ledge_allocator_default());
    struct data_npz_entry *entries = LEDGE_NEW_ARRAY(&scratch, struct data_npz_entry, set->n);
    enum ledge_status status = LEDGE_OK;
    for (size_t i = 0; entries != NULL && i < set->n; i++) {
        entries[i] = (struct data_npz_entry){set->items[i].name, set->items[i].view};
    }
    status = entries != NULL ? data_npz_write(entries, set->n, out, err)
                             : ledge_fail(err, LEDGE_ERR_NOMEM, "no memory");
    ledge_arena_done(&scratch);
    return status;
}

enum ledge_status cli_tensors_save(const struct cli_tensors *set, const char *path,
                                   struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf out = LEDGE_BUF_INIT(FILE_MAX);
    if (ends_with(path, ".npz")) {
        LEDGE_TRY(write_npz(set, &out, err));
    } else if (set->n != 1) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: %zu tensors need an .npz file", path, set->n);
    } else if (ends_with(path, ".npy")) {
        LEDGE_TRY(data_npy_write(&set->items[0].view, &out, err));
    } else if (ends_with(path, ".pb")) {
        LEDGE_TRY(ledge_export_tensor_proto(&set->items[0].view, set->items[0].name, &out, err));
    } else {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: write to .npy, .npz or .pb", path);
    }
    return sys_file_write(path, out.data, out.len, 0644, err);
}

const char *cli_shape_text(enum ledge_dtype dtype, int32_t rank, const int64_t *dims,
                           char text[CLI_SHAPE_TEXT])
{
    size_t at = (size_t)snprintf(text, CLI_SHAPE_TEXT, "%s[", ledge_dtype_text(dtype));
    for (int32_t i = 0; i < rank && at < CLI_SHAPE_TEXT - 24; i++) {
        const char *comma = i > 0 ? "," : "";
        at += (size_t)(dims[i] < 0 ? snprintf(text + at, CLI_SHAPE_TEXT - at, "%s?", comma)
                                   : snprintf(text + at, CLI_SHAPE_TEXT - at, "%s%lld", comma,
                                              (long long)dims[i]));
    }
    (void)snprintf(text + at, CLI_SHAPE_TEXT - at, rank < 0 ? "...]" : "]");
    return text;
}
