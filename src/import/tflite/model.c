/* SPDX-License-Identifier: Apache-2.0 */
/* model.c -- the tables of a TFLite file: buffers, tensors, operators, inputs and outputs of
 * subgraph 0.
 *
 * Other subgraphs are bodies of control flow (control.c). That of CALL_ONCE is read as far as it
 * gives variables constants (state.c).
 */
#include <stddef.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "import/import.h"
#include "import/tflite/importer.h"

static enum ledge_status damaged(struct ledge_tflite *t, const char *what)
{
    return ledge_fail(t->err, LEDGE_ERR_FORMAT, "TFLite: damaged %s", what);
}

static enum ledge_dtype dtype_of(uint8_t type)
{
    switch (type) {
    case TFLITE_FLOAT32:
    case TFLITE_COMPLEX64:
        return LEDGE_F32;
    case TFLITE_FLOAT16:
        return LEDGE_F16;
    case TFLITE_INT32:
        return LEDGE_I32;
    case TFLITE_UINT8:
        return LEDGE_U8;
    case TFLITE_INT64:
        return LEDGE_I64;
    case TFLITE_BOOL:
        return LEDGE_BOOL;
    case TFLITE_INT16:
        return LEDGE_I16;
    case TFLITE_INT8:
        return LEDGE_I8;
    case TFLITE_FLOAT64:
        return LEDGE_F64;
    case TFLITE_UINT64:
        return LEDGE_U64;
    case TFLITE_UINT32:
        return LEDGE_U32;
    case TFLITE_UINT16:
        return LEDGE_U16;
    case TFLITE_BFLOAT16:
        return LEDGE_BF16;
    default:
        return LEDGE_DTYPE_NONE;
    }
}

enum ledge_status ledge_tflite_buffer(struct ledge_tflite *t, uint32_t i, const uint8_t **data,
                                      size_t *bytes)
{
    *data = NULL;
    *bytes = 0;
    if (i >= t->buffers.n) {
        return damaged(t, "buffer number");
    }
    struct ledge_fb_table buffer = ledge_fb_item(&t->fb, t->buffers, i);
    struct ledge_fb_vector inside = ledge_fb_vector(&t->fb, buffer, BUFFER_data, 1);
    uint64_t offset = ledge_fb_u64(&t->fb, buffer, BUFFER_offset, 0);
    uint64_t size = ledge_fb_u64(&t->fb, buffer, BUFFER_size, 0);
    if (t->fb.failed) {
        return damaged(t, "buffer");
    }
    if (inside.n > 0) {
        *data = inside.data;
        *bytes = inside.n;
    } else if (offset > 1) { /* appended behind the tables: files of more than 2 GiB */
        if (offset > t->fb.size || size > t->fb.size - offset) {
            return damaged(t, "buffer offset");
        }
        *data = size > 0 ? t->fb.bytes + offset : NULL;
        *bytes = (size_t)size;
    }
    return LEDGE_OK;
}

static enum ledge_status read_shape(struct ledge_tflite *t, struct ledge_fb_table table,
                                    struct ledge_tflite_tensor *tensor)
{
    struct ledge_fb_vector shape = ledge_fb_vector(&t->fb, table, TENSOR_shape, 4);
    struct ledge_fb_vector signature = ledge_fb_vector(&t->fb, table, TENSOR_shape_signature, 4);
    if (shape.n > LEDGE_MAX_RANK) {
        return ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED, "TFLite: a tensor has rank %u, at most %d",
                          (unsigned)shape.n, LEDGE_MAX_RANK);
    }
    tensor->rank = (int32_t)shape.n;
    for (uint32_t i = 0; i < shape.n; i++) {
        tensor->dims[i] = ledge_fb_item_i32(shape, i);
        if (tensor->dims[i] < 0) {
            return damaged(t, "shape");
        }
        if (signature.n == shape.n && ledge_fb_item_i32(signature, i) < 0) {
            tensor->dims[i] = -1;
        }
    }
    if (tensor->is_complex) {
        if (tensor->rank == LEDGE_MAX_RANK) {
            return ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED, "TFLite: a complex tensor of rank %d",
                              (int)tensor->rank);
        }
        tensor->dims[tensor->rank++] = 2;
    }
    return LEDGE_OK;
}

static enum ledge_status read_quant(struct ledge_tflite *t, struct ledge_fb_table table,
                                    struct ledge_tflite_tensor *tensor)
{
    struct ledge_fb_table quant = ledge_fb_child(&t->fb, table, TENSOR_quantization);
    struct ledge_fb_vector scales = ledge_fb_vector(&t->fb, quant, QUANT_scale, 4);
    struct ledge_fb_vector zeros = ledge_fb_vector(&t->fb, quant, QUANT_zero_point, 8);
    int32_t axis = ledge_fb_i32(&t->fb, quant, QUANT_dimension, 0);
    if (ledge_fb_u8(&t->fb, quant, QUANT_details_type, 0) != 0) {
        return ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED, "TFLite: custom quantisation of a tensor");
    }
    bool small =
        tensor->dtype == LEDGE_I8 || tensor->dtype == LEDGE_U8 || tensor->dtype == LEDGE_I16;
    small = small || (tensor->dtype == LEDGE_I32 && scales.n == 1);
    if (scales.n == 0 || !small) { /* the scales of an i32 bias follow from the other operands */
        return LEDGE_OK;
    }
    bool per_axis = axis >= 0 && axis < tensor->rank && tensor->dims[axis] == (int64_t)scales.n;
    if ((scales.n != 1 && !per_axis) || (zeros.n != 0 && zeros.n != scales.n)) {
        return damaged(t, "quantisation parameters");
    }
    LEDGE_TRY(ledge_tflite_spend(t, (size_t)scales.n * 16));
    for (uint32_t i = 0; i < scales.n; i++) {
        float scale = ledge_fb_item_f32(scales, i);
        int64_t zero = zeros.n > 0 ? ledge_fb_item_i64(zeros, i) : 0;
        if (!(scale >= 0 && scale < 3e38f) || zero < -65536 || zero > 65536) {
            return damaged(t, "quantisation scale or zero point");
        }
    }
    tensor->scales = scales;
    tensor->zeros = zeros;
    tensor->quant_dim = axis;
    return LEDGE_OK;
}

static enum ledge_status read_data(struct ledge_tflite *t, struct ledge_fb_table table,
                                   struct ledge_tflite_tensor *tensor)
{
    uint32_t buffer = (uint32_t)ledge_fb_i32(&t->fb, table, TENSOR_buffer, 0);
    LEDGE_TRY(ledge_tflite_buffer(t, buffer, &tensor->data, &tensor->bytes));
    if (tensor->data == NULL) {
        return LEDGE_OK;
    }
    tensor->given = true;
    size_t want = ledge_dtype_size(tensor->dtype);
    for (int32_t i = 0; i < tensor->rank && want > 0; i++) {
        if (tensor->dims[i] < 0 || !ledge_mul_size(want, (size_t)tensor->dims[i], &want)) {
            return damaged(t, "shape of a constant");
        }
    }
    if (tensor->dtype != LEDGE_DTYPE_NONE && want != tensor->bytes) {
        return ledge_fail(t->err, LEDGE_ERR_FORMAT,
                          "TFLite: a constant of %zu bytes has a shape of %zu", tensor->bytes,
                          want);
    }
    return LEDGE_OK;
}

static enum ledge_status read_tensor(struct ledge_tflite *t, struct ledge_fb_table table,
                                     struct ledge_tflite_tensor *tensor)
{
    tensor->value = -1;
    tensor->as_float = -1;
    tensor->state = -1;
    tensor->variable = -1;
    tensor->name = ledge_fb_vector(&t->fb, table, TENSOR_name, 1);
    uint8_t type = ledge_fb_u8(&t->fb, table, TENSOR_type, TFLITE_FLOAT32);
    tensor->dtype = dtype_of(type);
    tensor->is_complex = type == TFLITE_COMPLEX64;
    if (ledge_fb_child(&t->fb, table, TENSOR_sparsity).at != 0) {
        return ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED, "TFLite: sparse tensors");
    }
    LEDGE_TRY(read_shape(t, table, tensor));
    LEDGE_TRY(read_quant(t, table, tensor));
    LEDGE_TRY(read_data(t, table, tensor));
    return t->fb.failed ? damaged(t, "tensor") : LEDGE_OK;
}

static enum ledge_status read_tensors(struct ledge_tflite *t)
{
    struct ledge_fb_vector tensors = ledge_fb_vector(&t->fb, t->subgraph, SUBGRAPH_tensors, 4);
    if (t->fb.failed || tensors.n > TFLITE_MAX_TENSORS) {
        return damaged(t, "list of tensors");
    }
    t->n_tensors = (int32_t)tensors.n;
    t->tensors = LEDGE_NEW_ARRAY(&t->graph->arena, struct ledge_tflite_tensor, tensors.n);
    if (t->tensors == NULL) {
        return ledge_fail(t->err, LEDGE_ERR_NOMEM, "TFLite: no memory");
    }
    for (uint32_t i = 0; i < tensors.n; i++) {
        struct ledge_fb_table table = ledge_fb_item(&t->fb, tensors, i);
        enum ledge_status status = read_tensor(t, table, &t->tensors[i]);
        if (status != LEDGE_OK) {
            return status;
        }
    }
    return LEDGE_OK;
}

/* A vector of tensor numbers as a checked list in the arena. */
static enum ledge_status read_list(struct ledge_tflite *t, struct ledge_fb_vector vector,
                                   const int32_t **list, int32_t *n)
{
    LEDGE_TRY(ledge_tflite_spend(t, (size_t)vector.n * 16));
    int32_t *made = LEDGE_NEW_ARRAY(&t->graph->arena, int32_t, vector.n);
    if (made == NULL) {
        return ledge_fail(t->err, LEDGE_ERR_NOMEM, "TFLite: no memory");
    }
    for (uint32_t i = 0; i < vector.n; i++) {
        made[i] = ledge_fb_item_i32(vector, i);
        if (made[i] < -1 || made[i] >= t->n_tensors) {
            return damaged(t, "tensor number");
        }
    }
    *list = made;
    *n = (int32_t)vector.n;
    return LEDGE_OK;
}

/* Names stand in one block, found by offsets: no pointers that a loader would have to set. */
static const struct names {
    char unknown[sizeof("UNKNOWN_OPERATOR")];
#define LEDGE_FIELD(name, value) char name[sizeof(#name)];
    LEDGE_TFLITE_OPERATORS(LEDGE_FIELD)
#undef LEDGE_FIELD
} names = {"UNKNOWN_OPERATOR",
#define LEDGE_NAME(name, value) #name,
           LEDGE_TFLITE_OPERATORS(LEDGE_NAME)
#undef LEDGE_NAME
};

static const char *operator_name(int32_t code)
{
    static const uint16_t at[] = {
#define LEDGE_AT(name, value) [value] = offsetof(struct names, name),
        LEDGE_TFLITE_OPERATORS(LEDGE_AT)
#undef LEDGE_AT
    };
    bool known = code >= 0 && code < LEDGE_TFLITE_N_OPERATORS;
    return (const char *)&names + (known ? at[code] : 0);
}

const char *ledge_import_tflite_operator(int32_t code, bool *reads)
{
    if (code < 0 || code >= LEDGE_TFLITE_N_OPERATORS) {
        return NULL;
    }
    *reads = ledge_tflite_reads(code);
    return operator_name(code);
}

static int32_t code_of(struct ledge_fb *fb, struct ledge_fb_table opcode)
{
    int32_t old = (int8_t)ledge_fb_u8(fb, opcode, OPCODE_deprecated_builtin_code, 0);
    int32_t code = ledge_fb_i32(fb, opcode, OPCODE_builtin_code, 0);
    return code > old ? code : old;
}

const char *ledge_import_tflite_needs(const void *bytes, size_t size, uint32_t i)
{
    struct ledge_fb fb = {.bytes = bytes, .size = size};
    struct ledge_fb_table model = ledge_fb_root(&fb, "TFL3");
    struct ledge_fb_vector opcodes = ledge_fb_vector(&fb, model, MODEL_operator_codes, 4);
    if (fb.failed || i >= opcodes.n) {
        return NULL;
    }
    int32_t code = code_of(&fb, ledge_fb_item(&fb, opcodes, i));
    return fb.failed ? NULL : operator_name(code);
}

static enum ledge_status read_operator(struct ledge_tflite *t, struct ledge_fb_table table,
                                       struct ledge_tflite_op *op)
{
    uint32_t index = (uint32_t)ledge_fb_i32(&t->fb, table, OPERATOR_opcode_index, 0);
    if (t->fb.failed || index >= t->opcodes.n) {
        return damaged(t, "operator code");
    }
    struct ledge_fb_table opcode = ledge_fb_item(&t->fb, t->opcodes, index);
    op->code = code_of(&t->fb, opcode);
    op->name = operator_name(op->code);
    if (op->code == LEDGE_TFLITE_CUSTOM) {
        struct ledge_fb_vector custom = ledge_fb_vector(&t->fb, opcode, OPCODE_custom_code, 1);
        op->name = custom.n > 0 ? ledge_tflite_text(t, custom) : "CUSTOM";
        if (op->name == NULL) {
            return ledge_fail(t->err, LEDGE_ERR_NOMEM, "TFLite: no memory");
        }
    }
    op->options = ledge_fb_child(&t->fb, table, OPERATOR_options);
    op->custom = ledge_fb_vector(&t->fb, table, OPERATOR_custom_options, 1);
    op->intermediates = ledge_fb_vector(&t->fb, table, OPERATOR_intermediates, 4);
    LEDGE_TRY(read_list(t, ledge_fb_vector(&t->fb, table, OPERATOR_inputs, 4), &op->in, &op->n_in));
    LEDGE_TRY(
        read_list(t, ledge_fb_vector(&t->fb, table, OPERATOR_outputs, 4), &op->out, &op->n_out));
    return t->fb.failed ? damaged(t, "operator") : LEDGE_OK;
}

static enum ledge_status read_operators(struct ledge_tflite *t)
{
    struct ledge_fb_vector operators = ledge_fb_vector(&t->fb, t->subgraph, SUBGRAPH_operators, 4);
    if (t->fb.failed || operators.n > TFLITE_MAX_TENSORS) {
        return damaged(t, "list of operators");
    }
    for (uint32_t i = 0; i < operators.n; i++) {
        struct ledge_tflite_op op = {0};
        LEDGE_TRY(read_operator(t, ledge_fb_item(&t->fb, operators, i), &op));
        LEDGE_TRY(ledge_tflite_translate(t, &op));
        for (int32_t k = 0; k < op.n_out; k++) {
            if (op.out[k] >= 0) {
                t->tensors[op.out[k]].given = true;
            }
        }
    }
    return t->fb.failed ? damaged(t, "operator options") : LEDGE_OK;
}

static enum ledge_status check_border(struct ledge_tflite *t, int32_t tensor)
{
    if (t->tensors[tensor].is_complex) {
        return ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED,
                          "TFLite: a complex tensor as input or output of the model");
    }
    return LEDGE_OK;
}

static enum ledge_status read_inputs(struct ledge_tflite *t)
{
    const int32_t *list;
    int32_t n;
    LEDGE_TRY(read_list(t, ledge_fb_vector(&t->fb, t->subgraph, SUBGRAPH_inputs, 4), &list, &n));
    for (int32_t i = 0; i < n; i++) {
        if (list[i] < 0 || t->tensors[list[i]].given) {
            return damaged(t, "list of inputs");
        }
        LEDGE_TRY(check_border(t, list[i]));
        t->tensors[list[i]].given = true;
        int32_t value = ledge_tflite_value(t, list[i]);
        LEDGE_TRY(ledge_tflite_done(t, value >= 0 && ledge_graph_add_input(t->graph, value) >= 0));
    }
    return LEDGE_OK;
}

static enum ledge_status read_outputs(struct ledge_tflite *t)
{
    const int32_t *list;
    int32_t n;
    LEDGE_TRY(read_list(t, ledge_fb_vector(&t->fb, t->subgraph, SUBGRAPH_outputs, 4), &list, &n));
    for (int32_t i = 0; i < n; i++) {
        if (list[i] < 0) {
            return damaged(t, "list of outputs");
        }
        LEDGE_TRY(check_border(t, list[i]));
        int32_t value = ledge_tflite_value(t, list[i]);
        LEDGE_TRY(ledge_tflite_done(t, value >= 0 && ledge_graph_add_output(t->graph, value) >= 0));
    }
    return LEDGE_OK;
}

/* Put subgraph number i in the place of the present one. */
static enum ledge_status enter(struct ledge_tflite *t, int32_t i)
{
    if (i < 1 || (uint32_t)i >= t->subgraphs.n) {
        return damaged(t, "subgraph number");
    }
    t->subgraph = ledge_fb_item(&t->fb, t->subgraphs, (uint32_t)i);
    return t->fb.failed ? damaged(t, "subgraph") : read_tensors(t);
}

static void leave(struct ledge_tflite *t, const struct ledge_tflite *before)
{
    t->subgraph = before->subgraph;
    t->tensors = before->tensors;
    t->n_tensors = before->n_tensors;
}

enum ledge_status ledge_tflite_read_inner(struct ledge_tflite *t, int32_t i)
{
    const struct ledge_tflite before = *t;
    enum ledge_status status = enter(t, i);
    if (status == LEDGE_OK) {
        status = read_operators(t);
    }
    leave(t, &before);
    return status;
}

static enum ledge_status read_all(struct ledge_tflite *t, size_t price)
{
    LEDGE_TRY(ledge_tflite_spend(t, (size_t)t->n_tensors * price));
    LEDGE_TRY(read_inputs(t));
    LEDGE_TRY(read_operators(t));
    return read_outputs(t);
}

enum ledge_status ledge_tflite_read_body(struct ledge_tflite *t, int32_t i, size_t price)
{
    const struct ledge_tflite before = *t;
    enum ledge_status status = enter(t, i);
    if (status == LEDGE_OK) {
        status = read_all(t, price);
    }
    if (status == LEDGE_OK && t->missing == NULL) { /* else some value has no producer */
        status = ledge_graph_sort(t->graph, t->err);
    }
    leave(t, &before);
    return status;
}

static enum ledge_status read_model(struct ledge_tflite *t)
{
    t->model = ledge_fb_root(&t->fb, "TFL3");
    if (t->fb.failed) {
        return ledge_fail(t->err, LEDGE_ERR_FORMAT, "not a TFLite model");
    }
    int32_t version = ledge_fb_i32(&t->fb, t->model, MODEL_version, 0);
    if (version != 3) {
        return ledge_fail(t->err, LEDGE_ERR_UNSUPPORTED, "TFLite: schema version %d", (int)version);
    }
    t->subgraphs = ledge_fb_vector(&t->fb, t->model, MODEL_subgraphs, 4);
    t->opcodes = ledge_fb_vector(&t->fb, t->model, MODEL_operator_codes, 4);
    t->buffers = ledge_fb_vector(&t->fb, t->model, MODEL_buffers, 4);
    if (t->fb.failed || t->subgraphs.n == 0) {
        return damaged(t, "model");
    }
    t->subgraph = ledge_fb_item(&t->fb, t->subgraphs, 0);
    return t->fb.failed ? damaged(t, "subgraph") : LEDGE_OK;
}

enum ledge_status ledge_import_tflite(const void *bytes, size_t size, struct ledge_graph *graph,
                                      struct ledge_error *err)
{
    struct ledge_tflite t = {.fb = {.bytes = bytes, .size = size}, .graph = graph, .err = err};
    if (!ledge_mul_size(size, 16, &t.budget)) {
        t.budget = SIZE_MAX;
    }
    LEDGE_TRY(read_model(&t));
    graph->producer = "TFLite";
    LEDGE_TRY(read_tensors(&t));
    LEDGE_TRY(read_all(&t, 0));
    LEDGE_TRY(ledge_tflite_refuse(&t));
    ledge_tflite_metadata(&t);
    return LEDGE_OK;
}
