/* SPDX-License-Identifier: Apache-2.0 */
/* importer.h -- state of one TFLite import, and what the translations of operators share (private
 * to this folder).
 *
 * Flow:  model.c reads tables -> translate.c finds the operator's translation -> ops_*.c add nodes.
 *
 * Float operators become ONNX operators with layout = LEDGE_NHWC; quantised ones go to domain "tfl"
 * (engine/ops/tfl.h), except those that only move elements. Operators without translation are
 * collected, so that one error names them all.
 */
#ifndef LEDGE_IMPORT_TFLITE_IMPORTER_H
#define LEDGE_IMPORT_TFLITE_IMPORTER_H

#include "engine/graph/graph.h"
#include "import/tflite/flatbuf.h"
#include "import/tflite/schema.h"

/* More than this is no model but an attack on memory. */
enum {
    TFLITE_MAX_TENSORS = 1 << 16,
    TFLITE_MAX_NAME = 256,
    TFLITE_MAX_STATES = 1024,
    TFLITE_MAX_CALLS = 16
};

struct ledge_tflite_tensor {
    struct ledge_fb_vector name;
    enum ledge_dtype dtype; /* LEDGE_DTYPE_NONE: a type no operator here takes */
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK]; /* -1 where the signature says free */
    const uint8_t *data;          /* constant: its elements in the file, else NULL */
    size_t bytes;
    struct ledge_fb_vector scales; /* f32; n == 0: not quantised */
    struct ledge_fb_vector zeros;  /* i64 */
    int32_t quant_dim;
    int32_t value;    /* graph value, -1 until asked for */
    int32_t as_float; /* f32 copy of a constant of another type, -1 until asked for */
    int32_t state;    /* variable tensor: number of its state in the graph, else -1 */
    int32_t variable; /* resource: number of the variable it names, else -1 */
    bool is_complex;  /* f32 with one more dimension of 2: (re, im) */
    bool given;       /* an input, a constant, or written by an operator already read */
};

/* A named variable (VAR_HANDLE). */
struct ledge_tflite_variable {
    struct ledge_fb_vector container, name;
    int32_t now;                   /* graph value it has behind the operators read, -1: unread */
    int32_t state;                 /* its state in the graph, -1 while it was never read first */
    struct ledge_tflite_tensor is; /* type and shape, once known: rank -1 before */
    int32_t init;                  /* constant given by CALL_ONCE, -1: none */
};

/* An operator that cannot be run. */
struct ledge_tflite_missing {
    const char *name;
    struct ledge_tflite_missing *next;
};

struct ledge_tflite {
    struct ledge_fb fb;
    struct ledge_graph *graph;
    struct ledge_error *err;
    struct ledge_fb_table model;
    struct ledge_fb_table subgraph;
    struct ledge_fb_vector subgraphs;
    struct ledge_fb_vector opcodes;
    struct ledge_fb_vector buffers;
    struct ledge_tflite_tensor *tensors;
    int32_t n_tensors;
    struct ledge_tflite_variable *variables; /* TFLITE_MAX_STATES, NULL until one is named */
    int32_t n_variables;
    int32_t n_calls;                      /* CALL_ONCE operators read */
    bool once;                            /* reading the subgraph of one */
    struct ledge_tflite_missing *missing; /* newest first */
    size_t budget; /* bytes of lists and copied constants that may still be made */
};

/* One operator while it is translated. Tensor numbers are checked; -1 is an absent input. */
struct ledge_tflite_op {
    int32_t code;     /* enum ledge_tflite_operator */
    const char *name; /* the schema's or the custom operator's */
    struct ledge_fb_table options;
    struct ledge_fb_vector custom; /* a custom operator's options: flexbuf.h */
    struct ledge_fb_vector intermediates;
    const int32_t *in;
    int32_t n_in;
    const int32_t *out;
    int32_t n_out;
    const char *onnx; /* of the table of translations: what this code maps to */
};

typedef enum ledge_status (*ledge_tflite_translate_fn)(struct ledge_tflite *t,
                                                       const struct ledge_tflite_op *op);

/* -- model.c -- */

/* Read tensors and operators of subgraph number i; what t knows of the present one is put aside. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_read_inner(struct ledge_tflite *t, int32_t i);

/* Subgraph number i, inputs and outputs included, into t->graph, which is sorted then. Each tensor
 * takes so many bytes off the budget. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_read_body(struct ledge_tflite *t, int32_t i,
                                                         size_t price);

/* -- translate.c -- */

/* Is there a translation? */
bool ledge_tflite_reads(int32_t code);

LEDGE_NODISCARD enum ledge_status ledge_tflite_translate(struct ledge_tflite *t,
                                                         struct ledge_tflite_op *op);

/* Note an operator that cannot be run; note says which variant, e.g. "i16", or is NULL. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_unsupported(struct ledge_tflite *t,
                                                           const struct ledge_tflite_op *op,
                                                           const char *note);

/* ERR_UNSUPPORTED that names each operator noted, once; LEDGE_OK when there is none. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_refuse(struct ledge_tflite *t);

/* -- build.c: tensors as values, and nodes -- */

/* A copy of a name, at most TFLITE_MAX_NAME bytes, control characters replaced; NULL when there is
 * no memory. */
const char *ledge_tflite_text(struct ledge_tflite *t, struct ledge_fb_vector text);

/* Tensor behind input i of op, NULL when absent. */
const struct ledge_tflite_tensor *ledge_tflite_in(const struct ledge_tflite *t,
                                                  const struct ledge_tflite_op *op, int32_t i);
const struct ledge_tflite_tensor *ledge_tflite_out(const struct ledge_tflite *t,
                                                   const struct ledge_tflite_op *op, int32_t i);

/* Value of input or output i, made when needed; -1 when absent or when memory ran out (t->err is
 * set then). */
int32_t ledge_tflite_value(struct ledge_tflite *t, int32_t tensor);
int32_t ledge_tflite_in_value(struct ledge_tflite *t, const struct ledge_tflite_op *op, int32_t i);
int32_t ledge_tflite_out_value(struct ledge_tflite *t, const struct ledge_tflite_op *op, int32_t i);

/* Like in_value, but a constant f16, i8 or u8 tensor is given as f32 (dequantised). *value is
 * FILLED. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_float_value(struct ledge_tflite *t, int32_t tensor,
                                                           int32_t *value);

/* True when the tensor is i8, u8 or i16 with quantisation parameters. */
bool ledge_tflite_quantised(const struct ledge_tflite_tensor *tensor);

/* Elements of a constant i32 or i64 tensor, FILLED up to max; false when it is no such constant. */
bool ledge_tflite_ints(const struct ledge_tflite_tensor *tensor, int64_t *values, int32_t max,
                       int32_t *n);

/* Take n bytes off the budget. Errors: ERR_RANGE. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_spend(struct ledge_tflite *t, size_t n);

int32_t ledge_tflite_temp(struct ledge_tflite *t);
int32_t ledge_tflite_const_i64(struct ledge_tflite *t, const int64_t *values, int32_t n);
int32_t ledge_tflite_const_f32(struct ledge_tflite *t, float value); /* scalar */

/* A node named after its first output; -1 when a value is missing for want of memory. opset 13 of
 * ai.onnx. */
int32_t ledge_tflite_node(struct ledge_tflite *t, const char *domain, const char *op,
                          const int32_t *in, int32_t n_in, const int32_t *out, int32_t n_out);
int32_t ledge_tflite_node1(struct ledge_tflite *t, const char *domain, const char *op, int32_t in,
                           int32_t out);
int32_t ledge_tflite_node2(struct ledge_tflite *t, const char *domain, const char *op, int32_t a,
                           int32_t b, int32_t out);

/* LEDGE_OK when ok (a builder or setter succeeded), else ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_done(struct ledge_tflite *t, bool ok);

/* Fused activation of float operators. `clamps`: the operator takes clamp_low and clamp_high.
 * target() is the value the operator's node must write; finish() adds the attributes to it or a
 * node behind it. */
int32_t ledge_tflite_act_target(struct ledge_tflite *t, uint8_t activation, bool clamps,
                                int32_t out);
LEDGE_NODISCARD enum ledge_status ledge_tflite_act_finish(struct ledge_tflite *t,
                                                          uint8_t activation, bool clamps,
                                                          int32_t node, int32_t target,
                                                          int32_t out);

/* -- state.c: what is kept from run to run -- */

/* Input i of op is a variable tensor: the value that it has now, and a new one (FILLED) that the
 * operator must write. *in is -1 when the variant was noted as unsupported. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_state(struct ledge_tflite *t,
                                                     const struct ledge_tflite_op *op, int32_t i,
                                                     int32_t *in, int32_t *out);

/* Give the graph value of a tensor its scales. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_set_quant(struct ledge_tflite *t,
                                                         const struct ledge_tflite_tensor *tensor,
                                                         int32_t value);

/* -- metadata.c -- */

/* Labels, normalisation and description as graph metadata. Damaged metadata are left out, never an
 * error. */
void ledge_tflite_metadata(struct ledge_tflite *t);

/* Bytes of buffer number i: FILLED, *data NULL when it is empty. Errors: ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status ledge_tflite_buffer(struct ledge_tflite *t, uint32_t i,
                                                      const uint8_t **data, size_t *bytes);

/* -- ops_*.c: translations -- */

enum ledge_status ledge_tflite_conv(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_depthwise(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_pool(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_fully_connected(struct ledge_tflite *t,
                                               const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_batch_matmul(struct ledge_tflite *t,
                                            const struct ledge_tflite_op *op);

enum ledge_status ledge_tflite_unary(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_binary(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_square(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_rsqrt(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_relu(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_leaky(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_softmax(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_reduce(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_quantize(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_dequantize(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_arg(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_select(struct ledge_tflite *t, const struct ledge_tflite_op *op);

enum ledge_status ledge_tflite_compute(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_few(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_add_n(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_topk(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_fill(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_gather_nd(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_embedding(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_reverse(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_select_rows(struct ledge_tflite *t,
                                           const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_depth(struct ledge_tflite *t, const struct ledge_tflite_op *op);

enum ledge_status ledge_tflite_if(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_while(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_call_once(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_var_handle(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_read_variable(struct ledge_tflite *t,
                                             const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_assign_variable(struct ledge_tflite *t,
                                               const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_svdf(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_lstm(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_transpose_conv(struct ledge_tflite *t,
                                              const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_rfft2d(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_complex_abs(struct ledge_tflite *t,
                                           const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_custom(struct ledge_tflite *t, const struct ledge_tflite_op *op);

enum ledge_status ledge_tflite_reshape(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_squeeze(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_expand_dims(struct ledge_tflite *t,
                                           const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_transpose(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_concat(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_pack(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_unpack(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_split(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_strided_slice(struct ledge_tflite *t,
                                             const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_slice(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_gather(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_shape(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_cast(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_pad(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_tile(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_resize(struct ledge_tflite *t, const struct ledge_tflite_op *op);
enum ledge_status ledge_tflite_space_batch(struct ledge_tflite *t,
                                           const struct ledge_tflite_op *op);

#endif
