/* SPDX-License-Identifier: Apache-2.0 */
/* version.h -- one opened version of a model: its file, and a lane (session, input memory) for each
 * worker thread, so that an inference allocates no tensor memory.
 *
 * Flow:    load: serve_version_open() -> probe -> slot; request -> serve_version_infer() -> answer
 * Threads: open, close: any; infer: lane i belongs to worker i; the rest is read-only.
 * Memory:  everything is allocated by open and freed by close. */
#ifndef SERVE_VERSION_H
#define SERVE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "data/preprocess.h"
#include "ledge/ledge.h"
#include "serve/oip.h"

enum { SERVE_NAME_BYTES = 65 };

/* What a version is made from; strings are copied. */
struct serve_source {
    const char *name;
    const char *version;
    const char *path;
    const char *sha256; /* expected, or NULL */
    const char *probe;  /* file, or NULL */
};

struct serve_lane {
    struct ledge_session *session;
    struct ledge_tensor inputs[SERVE_MAX_TENSORS]; /* data OWNED, 64-byte aligned */
    struct ledge_tensor outputs[SERVE_MAX_TENSORS];
};

struct serve_version {
    char name[SERVE_NAME_BYTES];
    char version[SERVE_NAME_BYTES];
    char sha256[65];
    struct ledge_model *model;
    int32_t n_inputs, n_outputs;
    struct ledge_tensor_info inputs[SERVE_MAX_TENSORS];
    struct ledge_tensor_info outputs[SERVE_MAX_TENSORS];
    bool free_rows;     /* dimension 0 of every input and output is free: any number of rows */
    const char *labels; /* BORROWED from the model, or NULL */
    bool takes_picture; /* the first input can be filled from a picture by `preprocess` */
    struct data_preprocess preprocess;
    struct serve_lane *lanes;
    int32_t n_lanes;
    size_t memory_bytes; /* of all sessions */

    /* The rest belongs to slots.c: loop's thread only. */
    int32_t refs;
    void (*drained)(void *arg); /* when set and refs falls to 0: called once */
    void *drained_arg;
    struct serve_counts *counts;
};

/* [a-zA-Z0-9._-]{1,64}, neither "." nor "..". */
bool serve_name_ok(const char *name);

/* Open a version: digest, model, lanes. *version OWNED: serve_version_close(). Errors: of
 * ledge_model_open() and ledge_session_open(), ERR_NOT_FOUND, ERR_CORRUPT (digest),
 * ERR_UNSUPPORTED; err names the file. */
LEDGE_NODISCARD enum ledge_status serve_version_open(const struct serve_source *source,
                                                     int32_t n_lanes,
                                                     struct serve_version **version,
                                                     struct ledge_error *err);
void serve_version_close(struct serve_version *version);

/* Seconds that the stages of an inference took, in nanoseconds. */
struct serve_times {
    int64_t pre_ns, compute_ns, post_ns;
};

/* Answer a parsed request.
 *   out         the answer's body is appended
 *   json_bytes  FILLED, as in serve_answer_write()
 * Errors: the client's (see oip.h), ERR_NOT_FOUND (an output's name), or of ledge_session_run(). */
LEDGE_NODISCARD enum ledge_status serve_version_infer(struct serve_version *version, int32_t lane,
                                                      const struct serve_request *request,
                                                      struct ledge_buf *out, size_t *json_bytes,
                                                      struct serve_times *times,
                                                      struct ledge_error *err);

/* Run the inputs of a probe file and compare every output it names: |answer - expected| <=
 * tolerance * max(1, |expected|). Errors: ERR_GATE (err names output, element and both values),
 * ERR_FORMAT, ERR_IO. */
LEDGE_NODISCARD enum ledge_status serve_version_probe(struct serve_version *version,
                                                      const char *path, struct ledge_error *err);

/* The protocol's metadata answer, a JSON object. */
void serve_version_describe(const struct serve_version *version, struct ledge_buf *out);

/* Sessions that are open in this process now. */
int64_t serve_sessions_open(void);

/* Nanoseconds of a clock that never jumps. */
int64_t serve_now_ns(void);

#endif
