/* SPDX-License-Identifier: Apache-2.0 */
/* value.c -- SequenceProto (tensor_values 3) and OptionalProto (tensor_value 3, sequence_value 5):
 * test data of operators that take something else than tensors. */
#include "base/banned.h"
#include "import/import.h"
#include "import/onnx/onnx.h"

enum { S_TENSOR = 3, S_SEQUENCE = 5 };

static enum ledge_status read_sequence(struct ledge_span span, struct ledge_arena *arena,
                                       struct ledge_any *any, struct ledge_error *err)
{
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    int64_t n = 0;
    while (ledge_wire_next(&r, &field)) {
        n += field.number == S_TENSOR;
    }
    if (r.failed) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "malformed SequenceProto");
    }
    struct ledge_view *items = LEDGE_NEW_ARRAY(arena, struct ledge_view, (size_t)n);
    if (items == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for a sequence");
    }
    r = ledge_span_reader(span);
    n = 0;
    while (ledge_wire_next(&r, &field)) {
        if (field.number == S_TENSOR) {
            LEDGE_TRY(ledge_onnx_tensor(ledge_field_span(&field), arena, "item", &items[n++], NULL,
                                        NULL, err));
        }
    }
    *any = (struct ledge_any){.kind = LEDGE_ANY_SEQUENCE, .items = items, .n = n};
    return LEDGE_OK;
}

static enum ledge_status read_tensor(struct ledge_span span, struct ledge_arena *arena,
                                     struct ledge_any *any, struct ledge_error *err)
{
    struct ledge_view view;
    LEDGE_TRY(ledge_onnx_tensor(span, arena, "", &view, NULL, NULL, err));
    *any = ledge_any_tensor(view);
    return LEDGE_OK;
}

enum ledge_status ledge_import_value_proto(const void *bytes, size_t size,
                                           enum ledge_value_kind kind, struct ledge_arena *arena,
                                           struct ledge_any *any, struct ledge_error *err)
{
    struct ledge_span span = {bytes, size};
    struct ledge_reader r = ledge_span_reader(span);
    struct ledge_wire_field field;
    if (kind == LEDGE_VALUE_SEQUENCE) {
        return read_sequence(span, arena, any, err);
    }
    if (kind == LEDGE_VALUE_TENSOR) {
        return read_tensor(span, arena, any, err);
    }
    *any = (struct ledge_any){.kind = LEDGE_ANY_NONE};
    while (ledge_wire_next(&r, &field)) {
        if (field.number == S_TENSOR) {
            LEDGE_TRY(read_tensor(ledge_field_span(&field), arena, any, err));
        } else if (field.number == S_SEQUENCE) {
            LEDGE_TRY(read_sequence(ledge_field_span(&field), arena, any, err));
        }
    }
    return r.failed ? ledge_fail(err, LEDGE_ERR_FORMAT, "malformed OptionalProto") : LEDGE_OK;
}
