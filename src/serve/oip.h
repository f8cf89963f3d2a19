/* SPDX-License-Identifier: Apache-2.0 */
/* oip.h -- bodies of Open Inference Protocol v2: request bytes -> tensors, tensors -> answer bytes.
 *
 * Flow:    http body -> serve_request_parse() -> serve_input_fill() -> session ->
 * serve_answer_write() Bytes are hostile: depth, counts, shapes and sizes are checked before memory
 * is used, and nothing is allocated by a claimed size. Source: kserve/open-inference-protocol
 * (inference_rest) and Triton's extensions binary_tensor_data and classification. Threads: any;
 * nothing is shared. Memory: a request BORROWS the body and OWNS its parsed JSON.
 *
 * A body is JSON, or JSON followed by raw little-endian tensors (header
 * Inference-Header-Content-Length = bytes of JSON), or one raw tensor (that header = 0), or one
 * picture (Content-Type image/jpeg or image/png).
 */
#ifndef SERVE_OIP_H
#define SERVE_OIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "ledge/tensor.h"

enum { SERVE_MAX_TENSORS = 32, SERVE_MAX_CLASSES = 1000 };

struct serve_input {
    const char *name; /* BORROWED from the request's JSON */
    bool text;        /* datatype BYTES; dtype is then LEDGE_DTYPE_NONE */
    enum ledge_dtype dtype;
    int32_t rank;
    int64_t dims[LEDGE_MAX_RANK];
    int64_t elements;         /* product of dims */
    const json_t *data;       /* JSON form, or NULL */
    const uint8_t *binary;    /* binary form, or NULL */
    size_t binary_bytes;      /* for a numeric datatype always elements * size */
    const char *content_type; /* of a BYTES input, or NULL */
};

struct serve_wanted {
    const char *name;
    int32_t classes; /* classification extension: k greatest; 0: the tensor itself */
    bool binary;
};

enum serve_body { SERVE_BODY_TENSORS, SERVE_BODY_RAW, SERVE_BODY_PICTURE };

struct serve_request {
    enum serve_body body;
    json_t *json;       /* OWNED; NULL for raw and picture bodies */
    const char *id;     /* or NULL */
    bool binary_output; /* of outputs that do not say */
    int32_t classes;    /* of every output, for bodies that cannot say (?classification=k) */
    struct serve_input inputs[SERVE_MAX_TENSORS]; /* raw, picture: one nameless entry, binary set */
    int32_t n_inputs;
    struct serve_wanted wanted[SERVE_MAX_TENSORS];
    int32_t n_wanted; /* 0: all outputs */
};

/* What HTTP says beside the body; each may be NULL. */
struct serve_headers {
    const char *content_type;
    const char *inference_header_length; /* "Inference-Header-Content-Length" */
    const char *classification;          /* query parameter */
};

/* Parse a body.
 *   body     BORROWED until serve_request_done()
 *   request  FILLED; OWNED: serve_request_done()
 * Errors: ERR_FORMAT, ERR_RANGE, ERR_SHAPE, ERR_DTYPE, ERR_UNSUPPORTED: all the client's fault. */
LEDGE_NODISCARD enum ledge_status serve_request_parse(const void *body, size_t n,
                                                      const struct serve_headers *headers,
                                                      struct serve_request *request,
                                                      struct ledge_error *err);

/* The same from a parsed object, which the caller keeps (a probe file). */
LEDGE_NODISCARD enum ledge_status serve_request_read(json_t *json, const void *binary, size_t n,
                                                     struct serve_request *request,
                                                     struct ledge_error *err);
void serve_request_done(struct serve_request *request);

/* Write elements of a numeric input as the session wants them.
 *   tensor  dtype, dims and bytes of one row of the batch; data FILLED by the call
 *   row     which row of the batch: elements row * n ... row * n + n - 1, n = elements of tensor
 * The input must have been checked by serve_input_rows(). Errors: ERR_FORMAT, ERR_RANGE (err names
 * input and element), ERR_SHAPE (nested lists that are not the shape). */
LEDGE_NODISCARD enum ledge_status serve_input_fill(const struct serve_input *input, int64_t row,
                                                   const struct ledge_tensor *tensor,
                                                   struct ledge_error *err);

/* How many rows of a session's input the request's input holds: dims must equal the tensor's, or
 * differ in dimension 0 alone when the model leaves that free. Errors: ERR_SHAPE, ERR_DTYPE. */
LEDGE_NODISCARD enum ledge_status serve_input_rows(const struct serve_input *input,
                                                   const struct ledge_tensor *tensor,
                                                   bool free_rows, int64_t *rows,
                                                   struct ledge_error *err);

/* Bytes of element number index of a BYTES input: in place for the binary form, decoded from base64
 * into buf for the JSON form. Errors: ERR_FORMAT, ERR_RANGE, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status serve_input_bytes(const struct serve_input *input, int64_t index,
                                                    struct ledge_buf *buf, const uint8_t **bytes,
                                                    size_t *n, struct ledge_error *err);

/* One output of an answer. */
struct serve_output {
    const char *name;
    struct ledge_tensor tensor;
    int32_t classes; /* > 0: BYTES "score:index:label" of the greatest of each row */
    bool binary;
};

struct serve_answer {
    const char *model, *version;
    const char *id;     /* or NULL */
    const char *labels; /* one per line, class 0 first, or NULL */
    const struct serve_output *outputs;
    int32_t n_outputs;
};

/* Append the answer: JSON, then raw tensors when an output is binary.
 *   json_bytes  FILLED: bytes of JSON; equal to what was appended when nothing is binary
 * Values that JSON has no word for (NaN, infinity) are null. Errors: ERR_FULL (out's maximum). */
LEDGE_NODISCARD enum ledge_status serve_answer_write(const struct serve_answer *answer,
                                                     struct ledge_buf *out, size_t *json_bytes,
                                                     struct ledge_error *err);

/* text as a JSON string with its quotes; control characters and bytes that are not UTF-8 are
 * escaped or replaced by U+FFFD. */
void serve_json_text(struct ledge_buf *out, const char *text, size_t n);

/* LEDGE_DTYPE_NONE when text is not the name of a numeric datatype. */
enum ledge_dtype serve_dtype_of(const char *text);

#endif
