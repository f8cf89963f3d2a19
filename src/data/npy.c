/* SPDX-License-Identifier: Apache-2.0 */
/* npy.c -- one array. See npy.h. */
#include "data/npy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/reader.h"
#include "base/status.h"

enum { HEADER_MAX = 4096, ALIGN = 64 };

static const struct {
    const char *code;
    enum ledge_dtype dtype;
} types[] = {
    {"f4", LEDGE_F32}, {"f8", LEDGE_F64}, {"f2", LEDGE_F16}, {"i1", LEDGE_I8},
    {"i2", LEDGE_I16}, {"i4", LEDGE_I32}, {"i8", LEDGE_I64}, {"u1", LEDGE_U8},
    {"u2", LEDGE_U16}, {"u4", LEDGE_U32}, {"u8", LEDGE_U64}, {"b1", LEDGE_BOOL},
};

/* What follows 'key': in the header, or NULL. */
static const char *find_key(const char *header, const char *key)
{
    char quoted[32];
    (void)snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    at = at != NULL ? strchr(at + strlen(quoted), ':') : NULL;
    return at != NULL ? at + 1 + strspn(at + 1, " ") : NULL;
}

static enum ledge_status read_descr(const char *header, struct ledge_view *view,
                                    struct ledge_error *err)
{
    const char *descr = find_key(header, "descr");
    if (descr == NULL || descr[0] != '\'' || strlen(descr) < 5) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "npy: the header has no descr");
    }
    char order = descr[1];
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        bool one_byte = types[i].code[1] == '1';
        if (strncmp(descr + 2, types[i].code, 2) == 0 && descr[4] == '\'' &&
            (order == '<' || order == '|' || (order == '>' && one_byte))) {
            view->dtype = types[i].dtype;
            return LEDGE_OK;
        }
    }
    return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "npy: element type %.8s", descr);
}

static enum ledge_status read_shape(const char *header, struct ledge_view *view,
                                    struct ledge_error *err)
{
    const char *at = find_key(header, "shape");
    if (at == NULL || *at != '(') {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "npy: the header has no shape");
    }
    at++;
    for (view->rank = 0;; view->rank++) {
        char *end;
        at += strspn(at, " ,");
        if (*at == ')') {
            return LEDGE_OK;
        }
        long long dim = strtoll(at, &end, 10);
        if (end == at || dim < 0) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "npy: malformed shape");
        }
        if (view->rank == LEDGE_MAX_RANK) {
            return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "npy: more than %d dimensions",
                              LEDGE_MAX_RANK);
        }
        view->dims[view->rank] = dim;
        at = end;
    }
}

static enum ledge_status read_header(struct ledge_reader *r, struct ledge_view *view,
                                     struct ledge_error *err)
{
    char header[HEADER_MAX];
    const uint8_t *magic = ledge_reader_take(r, 6);
    uint8_t major = ledge_reader_u8(r);
    (void)ledge_reader_u8(r);
    if (magic == NULL || memcmp(magic, "\x93NUMPY", 6) != 0 || major < 1 || major > 3) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "npy: not an .npy file");
    }
    size_t n = major == 1 ? ledge_reader_u16(r) : ledge_reader_u32(r);
    const uint8_t *text = n < HEADER_MAX ? ledge_reader_take(r, n) : NULL;
    if (text == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "npy: header of %zu bytes", n);
    }
    memcpy(header, text, n);
    header[n] = '\0';
    const char *fortran = find_key(header, "fortran_order");
    LEDGE_TRY(read_descr(header, view, err));
    LEDGE_TRY(read_shape(header, view, err));
    if (fortran == NULL || strncmp(fortran, "False", 5) != 0) {
        return view->rank > 1 ? ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "npy: Fortran order")
                              : LEDGE_OK;
    }
    return LEDGE_OK;
}

enum ledge_status data_npy_read(const void *bytes, size_t size, struct ledge_arena *arena,
                                struct ledge_view *view, struct ledge_error *err)
{
    struct ledge_reader r = ledge_reader_make(bytes, size);
    struct ledge_view made = {0};
    LEDGE_TRY(read_header(&r, &made, err));
    size_t need = ledge_dtype_size(made.dtype);
    for (int32_t i = 0; i < made.rank; i++) {
        if (!ledge_mul_size(need, (size_t)made.dims[i], &need)) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "npy: the shape overflows");
        }
    }
    const uint8_t *data = ledge_reader_take(&r, need);
    if (data == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "npy: %zu bytes of elements, the shape needs %zu",
                          ledge_reader_left(&r), need);
    }
    made.data = (void *)data;
    if ((uintptr_t)data % ledge_dtype_size(made.dtype) != 0) {
        made.data = ledge_arena_alloc(arena, need, ALIGN);
        if (made.data == NULL) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "npy: no memory");
        }
        memcpy(made.data, data, need);
    }
    *view = made;
    return LEDGE_OK;
}

enum ledge_status data_npy_write(const struct ledge_view *view, struct ledge_buf *out,
                                 struct ledge_error *err)
{
    struct ledge_buf header = LEDGE_BUF_INIT(HEADER_MAX);
    const char *code = NULL;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        code = types[i].dtype == view->dtype ? types[i].code : code;
    }
    if (code == NULL) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "npy: no element type for %s",
                          ledge_dtype_text(view->dtype));
    }
    ledge_buf_printf(&header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                     code[1] == '1' ? '|' : '<', code);
    for (int32_t i = 0; i < view->rank; i++) {
        ledge_buf_printf(&header, "%lld%s", (long long)view->dims[i],
                         view->rank == 1 || i < view->rank - 1 ? ", " : "");
    }
    ledge_buf_text(&header, "), }");
    while ((10 + header.len + 1) % ALIGN != 0 && !header.failed) {
        ledge_buf_text(&header, " ");
    }
    ledge_buf_text(&header, "\n");
    const unsigned char length[2] = {(unsigned char)header.len, (unsigned char)(header.len >> 8)};
    ledge_buf_add(out, "\x93NUMPY\x01\x00", 8);
    ledge_buf_add(out, length, 2);
    ledge_buf_add(out, header.data, header.len);
    ledge_buf_add(out, view->data, ledge_view_bytes(view));
    bool failed = out->failed || header.failed;
    ledge_buf_done(&header);
    return failed ? ledge_fail(err, LEDGE_ERR_NOMEM, "npy: the array does not fit its buffer")
                  : LEDGE_OK;
}
