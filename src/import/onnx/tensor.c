/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.c -- TensorProto: dims 1, data_type 2, float_data 4, int32_data 5, string_data 6,
 * int64_data 7, name 8, raw_data 9, double_data 10, uint64_data 11, data_location 14.
 *
 * Elements are read in place when they stand as raw little-endian bytes at their own alignment, or
 * are large and the caller takes them at any byte (loose);
 * typed fields are decoded into the arena, but only after the count of elements in the file was
 * found equal to the product of dims: a small file cannot ask for much memory.
 */
#include <limits.h>
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "engine/kernels/onnx_tiny.h"
#include "import/import.h"
#include "import/onnx/onnx.h"

enum {
    F_DIMS = 1,
    F_TYPE = 2,
    F_SEGMENT = 3,
    F_FLOATS = 4,
    F_INT32S = 5,
    F_STRINGS = 6,
    F_INT64S = 7,
    F_NAME = 8,
    F_RAW = 9,
    F_DOUBLES = 10,
    F_UINT64S = 11,
    F_EXTERNAL = 13,
    F_LOCATION = 14,
};

struct tensor {
    const char *where; /* name, or what the caller called it */
    enum ledge_dtype dtype;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    size_t count;
    struct ledge_span raw;
    bool has_raw;
    uint32_t typed; /* number of the typed field in use, 0: none */
    size_t n_typed;
};

static enum ledge_status malformed(const struct tensor *t, const char *field,
                                   struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_FORMAT, "tensor %.80s: malformed %s", t->where, field);
}

enum ledge_status ledge_onnx_dtype(uint64_t type, const char *where, enum ledge_dtype *dtype,
                                   struct ledge_error *err)
{
    static const char *const names[] = {

        [14] = "complex64",
        [15] = "complex128",
    };
    if (type < INT_MAX && ledge_dtype_size((enum ledge_dtype)type) > 0) {
        *dtype = (enum ledge_dtype)type;
        return LEDGE_OK;
    }
    if (type < sizeof names / sizeof names[0] && names[type] != NULL) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "tensor %.80s: element type %s is not supported", where, names[type]);
    }
    return ledge_fail(err, LEDGE_ERR_FORMAT, "tensor %.80s: unknown element type %llu", where,
                      (unsigned long long)type);
}

const char *ledge_onnx_text(struct ledge_arena *arena, const struct ledge_wire_field *field)
{
    if (field->wire != LEDGE_WIRE_BYTES ||
        (field->size > 0 && memchr(field->bytes, '\0', field->size) != NULL)) {
        return NULL;
    }
    return ledge_arena_text(arena, (const char *)field->bytes, field->size);
}

static uint32_t wire_of(uint32_t number)
{
    return number == F_FLOATS    ? LEDGE_WIRE_32
           : number == F_DOUBLES ? LEDGE_WIRE_64
                                 : LEDGE_WIRE_VARINT;
}

static enum ledge_status read_dims(struct tensor *t, const struct ledge_wire_field *field,
                                   struct ledge_error *err)
{
    size_t n;
    if (!ledge_wire_count(field, LEDGE_WIRE_VARINT, &n)) {
        return malformed(t, "dims", err);
    }
    if (n > (size_t)(LEDGE_MAX_RANK - t->rank)) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "tensor %.80s: more than %d dimensions",
                          t->where, LEDGE_MAX_RANK);
    }
    struct ledge_reader packed = ledge_reader_make(field->bytes, field->size);
    for (size_t i = 0; i < n; i++) {
        uint64_t value = field->value;
        if ((field->wire == LEDGE_WIRE_BYTES &&
             !ledge_wire_element(&packed, LEDGE_WIRE_VARINT, &value)) ||
            value > INT64_MAX) {
            return malformed(t, "dims", err);
        }
        t->dims[t->rank++] = (int64_t)value;
    }
    return LEDGE_OK;
}

static enum ledge_status read_typed(struct tensor *t, const struct ledge_wire_field *field,
                                    struct ledge_error *err)
{
    size_t n;
    if ((t->typed != 0 && t->typed != field->number) ||
        !ledge_wire_count(field, wire_of(field->number), &n)) {
        return malformed(t, "elements", err);
    }
    t->typed = field->number;
    t->n_typed += n; /* at most the bytes of the file */
    return LEDGE_OK;
}

static enum ledge_status read_field(struct tensor *t, const struct ledge_wire_field *field,
                                    struct ledge_arena *arena, struct ledge_error *err)
{
    switch (field->number) {
    case F_NAME: {
        const char *name = ledge_onnx_text(arena, field);
        if (name == NULL) {
            return malformed(t, "name", err);
        }
        t->where = name;
        return LEDGE_OK;
    }
    case F_DIMS:
        return read_dims(t, field, err);
    case F_TYPE:
        if (field->wire != LEDGE_WIRE_VARINT) {
            return malformed(t, "data_type", err);
        }
        return ledge_onnx_dtype(field->value, t->where, &t->dtype, err);
    case F_FLOATS:
    case F_INT32S:
    case F_INT64S:
    case F_DOUBLES:
    case F_UINT64S:
        return read_typed(t, field, err);
    case F_STRINGS:
        if (field->wire != LEDGE_WIRE_BYTES || (t->typed != 0 && t->typed != F_STRINGS)) {
            return malformed(t, "elements", err);
        }
        t->typed = F_STRINGS;
        t->n_typed++;
        return LEDGE_OK;
    case F_RAW:
        if (field->wire != LEDGE_WIRE_BYTES) {
            return malformed(t, "raw_data", err);
        }
        t->raw = ledge_field_span(field);
        t->has_raw = true;
        return LEDGE_OK;
    case F_LOCATION:
        if (field->value == 0) {
            return LEDGE_OK;
        }
        return ledge_fail(
            err, LEDGE_ERR_UNSUPPORTED,
            "tensor %.80s: its data is in another file (external data); save the model "
            "in one file",
            t->where);
    case F_SEGMENT:
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "tensor %.80s: segments are not supported",
                          t->where);
    default:
        return LEDGE_OK;
    }
}

/* The typed field that holds elements of dtype. */
static uint32_t field_for(enum ledge_dtype dtype)
{
    switch (dtype) {
    case LEDGE_F32:
        return F_FLOATS;
    case LEDGE_F64:
        return F_DOUBLES;
    case LEDGE_I64:
        return F_INT64S;
    case LEDGE_U32:
    case LEDGE_U64:
        return F_UINT64S;
    case LEDGE_STRING:
        return F_STRINGS;
    default:
        return F_INT32S;
    }
}

/* Bytes that count elements take in the file: types of 4 and 2 bits are packed, the first element
 * in the low bits. */
static size_t file_bytes(const struct tensor *t)
{
    size_t bits = (size_t)ledge_dtype_bits(t->dtype);
    return bits >= 8 ? t->count * (bits / 8) : t->count / (8 / bits) + (t->count % (8 / bits) != 0);
}

static bool is_packed(const struct tensor *t)
{
    return ledge_dtype_bits(t->dtype) < 8;
}

/* A byte an element from packed bytes; from may be the first bytes of to. */
static void unpack(const struct tensor *t, const uint8_t *from, uint8_t *to)
{
    size_t bits = (size_t)ledge_dtype_bits(t->dtype), per = 8 / bits;
    for (size_t i = t->count; i-- > 0;) {
        uint8_t value = (uint8_t)(from[i / per] >> (i % per * bits));
        to[i] = t->dtype == LEDGE_F4E2M1 ? value & 15 : (uint8_t)ledge_tiny_whole(value, t->dtype);
    }
}

/* Decode every element of the typed field into memory, little-endian, in the width of dtype. */
static bool decode(const struct tensor *t, struct ledge_span span, uint8_t *out)
{
    size_t size = ledge_dtype_size(t->dtype);
    uint32_t kind = wire_of(t->typed);
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    while (ledge_wire_next(&r, &field)) {
        if (field.number != t->typed) {
            continue;
        }
        struct ledge_reader packed = ledge_reader_make(field.bytes, field.size);
        uint64_t value = field.value;
        bool single = field.wire == kind;
        while (single || ledge_wire_element(&packed, kind, &value)) {
            memcpy(out, &value, size); /* little-endian hosts only: the low bytes */
            out += size;
            if (single) {
                break;
            }
        }
        if (packed.failed) {
            return false;
        }
    }
    return !r.failed;
}

static enum ledge_status use_raw(const struct tensor *t, size_t bytes, struct ledge_arena *arena,
                                 const void **data, bool *loose, struct ledge_error *err)
{
    enum { LARGE = 4096 };
    if (t->raw.size != file_bytes(t)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "tensor %.80s: raw_data has %zu bytes, its shape needs %zu", t->where,
                          t->raw.size, file_bytes(t));
    }
    if ((uintptr_t)t->raw.bytes % ledge_dtype_size(t->dtype) == 0 && t->dtype != LEDGE_BOOL &&
        !is_packed(t)) {
        *data = t->raw.bytes;
        return LEDGE_OK;
    }
    if (loose != NULL && t->dtype == LEDGE_F32 && bytes >= LARGE) {
        *data = t->raw.bytes;
        *loose = true;
        return LEDGE_OK;
    }
    uint8_t *copy = ledge_arena_raw(arena, bytes, 64);
    if (copy == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "tensor %.80s: no memory", t->where);
    }
    if (is_packed(t)) {
        unpack(t, t->raw.bytes, copy);
    } else if (bytes > 0) {
        memcpy(copy, t->raw.bytes, bytes);
    }
    for (size_t i = 0; t->dtype == LEDGE_BOOL && i < bytes; i++) {
        copy[i] = copy[i] != 0;
    }
    *data = copy;
    return LEDGE_OK;
}

static enum ledge_status use_typed(const struct tensor *t, struct ledge_span span, size_t bytes,
                                   struct ledge_arena *arena, const void **data,
                                   struct ledge_error *err)
{
    size_t expected = is_packed(t) ? file_bytes(t) : t->count;
    if (t->n_typed != expected || (t->typed != 0 && t->typed != field_for(t->dtype))) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "tensor %.80s: %zu elements of %s expected, the file has %zu", t->where,
                          expected, ledge_dtype_text(t->dtype), t->n_typed);
    }
    uint8_t *copy = ledge_arena_alloc(arena, bytes, 64);
    if (copy == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "tensor %.80s: no memory", t->where);
    }
    if (t->typed != 0 && !decode(t, span, copy)) {
        return malformed(t, "elements", err);
    }
    for (size_t i = 0; t->dtype == LEDGE_BOOL && i < bytes; i++) {
        copy[i] = copy[i] != 0;
    }
    if (is_packed(t)) {
        unpack(t, copy, copy);
    }
    *data = copy;
    return LEDGE_OK;
}

/* Elements that point to the bytes of the file. */
static enum ledge_status use_strings(const struct tensor *t, struct ledge_span span, size_t bytes,
                                     struct ledge_arena *arena, const void **data,
                                     struct ledge_error *err)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    size_t n = 0;
    if (t->has_raw || t->n_typed != t->count) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "tensor %.80s: %zu strings expected, there are %zu", t->where, t->count,
                          t->n_typed);
    }
    struct ledge_string *strings = ledge_arena_alloc(arena, bytes, 64);
    if (strings == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "tensor %.80s: no memory", t->where);
    }
    while (ledge_wire_next(&r, &field)) {
        if (field.number == F_STRINGS) {
            strings[n++] = (struct ledge_string){(const char *)field.bytes, field.size};
        }
    }
    *data = strings;
    return LEDGE_OK;
}

static enum ledge_status shape_bytes(struct tensor *t, size_t *bytes, struct ledge_error *err)
{
    t->count = 1;
    if (t->dtype == LEDGE_DTYPE_NONE) {
        return malformed(t, "data_type", err);
    }
    for (int32_t i = 0; i < t->rank; i++) {
        if (!ledge_mul_size(t->count, (size_t)t->dims[i], &t->count)) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "tensor %.80s: dims overflow", t->where);
        }
    }
    if (!ledge_mul_size(t->count, ledge_dtype_size(t->dtype), bytes) || *bytes > PTRDIFF_MAX) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "tensor %.80s: dims overflow", t->where);
    }
    return LEDGE_OK;
}

enum ledge_status ledge_onnx_tensor(struct ledge_span span, struct ledge_arena *arena,
                                    const char *where, struct ledge_view *view, const char **name,
                                    bool *loose, struct ledge_error *err)
{
    struct tensor t = {.where = where};
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    const void *data = NULL;
    size_t bytes = 0;
    while (ledge_wire_next(&r, &field)) {
        LEDGE_TRY(read_field(&t, &field, arena, err));
    }
    if (r.failed) {
        return malformed(&t, "TensorProto", err);
    }
    LEDGE_TRY(shape_bytes(&t, &bytes, err));
    if (t.dtype == LEDGE_STRING) {
        LEDGE_TRY(use_strings(&t, span, bytes, arena, &data, err));
    } else if (t.has_raw && t.typed == 0) {
        LEDGE_TRY(use_raw(&t, bytes, arena, &data, loose, err));
    } else {
        LEDGE_TRY(use_typed(&t, span, bytes, arena, &data, err));
    }
    *view = (struct ledge_view){.data = (void *)data, .dtype = t.dtype, .rank = t.rank};
    memcpy(view->dims, t.dims, sizeof t.dims);
    if (name != NULL) {
        *name = t.where;
    }
    return LEDGE_OK;
}

enum ledge_status ledge_import_tensor_proto(const void *bytes, size_t size,
                                            struct ledge_arena *arena, struct ledge_view *view,
                                            const char **name, struct ledge_error *err)
{
    return ledge_onnx_tensor((struct ledge_span){bytes, size}, arena, "", view, name, NULL, err);
}
