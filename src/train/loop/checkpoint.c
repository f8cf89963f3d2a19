/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.c -- see checkpoint.h. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/reader.h"
#include "base/status.h"
#include "sys/file.h"
#include "sys/json.h"
#include "train/loop/checkpoint.h"

#define MAX_BYTES ((size_t)4 << 30)
static const char magic[8] = {'L', 'D', 'G', 'T', 'R', 'N', '\0', '\1'};

static json_t *params_of(const struct train_network *network)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < train_network_n_params(network); i++) {
        const struct train_param *p = train_network_param(network, i);
        (void)json_array_append_new(list, json_pack("[sI]", p->name, (json_int_t)p->count));
    }
    return list;
}

static json_t *header_of(const struct train_checkpoint *c, const struct train_progress *p)
{
    return json_pack("{ss ss sI sI sI sf sI sI sf sI sI sb so}", "recipe", c->recipe_sha256, "data",
                     c->data_sha256, "epoch", (json_int_t)p->epoch, "cursor", (json_int_t)p->cursor,
                     "step", (json_int_t)p->step, "loss_sum", p->loss_sum, "seen",
                     (json_int_t)p->seen, "hits", (json_int_t)p->hits, "best_accuracy",
                     p->best_accuracy, "best_epoch", (json_int_t)p->best_epoch, "metrics_bytes",
                     (json_int_t)p->metrics_bytes, "moments", c->optimiser->second != NULL,
                     "params", params_of(c->network));
}

/* Block number block of parameter i: 0 the parameter, 1 and 2 moments, 3 the best; NULL when there
 * is none. */
static float *block_of(const struct train_checkpoint *c, int block, int32_t i)
{
    switch (block) {
    case 0:
        return train_network_param(c->network, i)->data;
    case 1:
        return c->optimiser->first[i];
    case 2:
        return c->optimiser->second != NULL ? c->optimiser->second[i] : NULL;
    default:
        return c->best[i];
    }
}

static void free_json(json_t **value)
{
    json_decref(*value);
}

enum ledge_status train_checkpoint_save(const struct train_checkpoint *c,
                                        const struct train_progress *progress,
                                        struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf out = LEDGE_BUF_INIT(MAX_BYTES);
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(64 << 20);
    LEDGE_CLEANUP(free_json) json_t *header = header_of(c, progress);
    if (header == NULL || sys_json_write(header, &text) != LEDGE_OK) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "checkpoint: out of memory");
    }
    (void)ledge_buf_add(&out, magic, sizeof magic);
    (void)ledge_buf_u32(&out, (unsigned long)text.len);
    (void)ledge_buf_add(&out, text.data, text.len);
    for (int block = 0; block < 4; block++) {
        for (int32_t i = 0; i < train_network_n_params(c->network); i++) {
            const float *data = block_of(c, block, i);
            if (data != NULL) {
                size_t count = (size_t)train_network_param(c->network, i)->count;
                (void)ledge_buf_add(&out, data, count * sizeof *data);
            }
        }
    }
    uint8_t digest[LEDGE_SHA256_BYTES];
    ledge_sha256(out.data, out.len, digest);
    if (!ledge_buf_add(&out, digest, sizeof digest) || out.failed) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "checkpoint: out of memory");
    }
    return sys_file_write(c->path, out.data, out.len, 0644, err);
}

static enum ledge_status compare(const struct train_checkpoint *c, const json_t *header,
                                 struct ledge_error *err)
{
    LEDGE_CLEANUP(free_json) json_t *params = params_of(c->network);
    const char *recipe = json_string_value(json_object_get(header, "recipe"));
    const char *data = json_string_value(json_object_get(header, "data"));
    if (recipe == NULL || strcmp(recipe, c->recipe_sha256) != 0) {
        return ledge_fail(err, LEDGE_ERR_STATE, "%s: was written for another recipe", c->path);
    }
    if (data == NULL || strcmp(data, c->data_sha256) != 0) {
        return ledge_fail(err, LEDGE_ERR_STATE, "%s: was written for other data", c->path);
    }
    if (!json_equal(params, json_object_get(header, "params")) ||
        json_is_true(json_object_get(header, "moments")) != (c->optimiser->second != NULL)) {
        return ledge_fail(err, LEDGE_ERR_STATE, "%s: was written for another model", c->path);
    }
    return LEDGE_OK;
}

static enum ledge_status read_progress(const char *path, const json_t *header,
                                       struct train_progress *progress, struct ledge_error *err)
{
    struct train_progress p = {0};
    json_int_t epoch, cursor, step, seen, hits, best_epoch, metrics;
    json_error_t problem;
    if (json_unpack_ex((json_t *)header, &problem, 0, "{sI sI sI sF sI sI sF sI sI}", "epoch",
                       &epoch, "cursor", &cursor, "step", &step, "loss_sum", &p.loss_sum, "seen",
                       &seen, "hits", &hits, "best_accuracy", &p.best_accuracy, "best_epoch",
                       &best_epoch, "metrics_bytes", &metrics) != 0 ||
        epoch < 0 || cursor < 0 || step < 0 || metrics < 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: header: %s", path, problem.text);
    }
    p.epoch = epoch;
    p.cursor = cursor;
    p.step = step;
    p.seen = seen;
    p.hits = hits;
    p.best_epoch = best_epoch;
    p.metrics_bytes = metrics;
    *progress = p;
    return LEDGE_OK;
}

static enum ledge_status read_body(const struct train_checkpoint *c, const struct ledge_buf *bytes,
                                   struct train_progress *progress, struct ledge_error *err)
{
    struct ledge_reader r = ledge_reader_make(bytes->data, bytes->len - LEDGE_SHA256_BYTES);
    const uint8_t *start = ledge_reader_take(&r, sizeof magic);
    uint32_t length = ledge_reader_u32(&r);
    const uint8_t *text = ledge_reader_take(&r, length);
    if (start == NULL || text == NULL || memcmp(start, magic, sizeof magic) != 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: not a checkpoint", c->path);
    }
    json_t *parsed = NULL;
    LEDGE_TRY(sys_json_parse(text, length, &parsed, err));
    LEDGE_CLEANUP(free_json) json_t *header = parsed;
    LEDGE_TRY(compare(c, header, err));
    struct train_progress p;
    LEDGE_TRY(read_progress(c->path, header, &p, err));
    size_t floats = 0;
    for (int32_t i = 0; i < train_network_n_params(c->network); i++) {
        floats += (size_t)train_network_param(c->network, i)->count;
    }
    if (ledge_reader_left(&r) != floats * (c->optimiser->second != NULL ? 4 : 3) * sizeof(float)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: wrong size", c->path);
    }
    for (int block = 0; block < 4; block++) {
        for (int32_t i = 0; i < train_network_n_params(c->network); i++) {
            float *data = block_of(c, block, i);
            if (data != NULL) {
                size_t n = (size_t)train_network_param(c->network, i)->count * sizeof *data;
                memcpy(data, ledge_reader_take(&r, n), n);
            }
        }
    }
    *progress = p;
    return LEDGE_OK;
}

enum ledge_status train_checkpoint_load(const struct train_checkpoint *c,
                                        struct train_progress *progress, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf bytes = LEDGE_BUF_INIT(MAX_BYTES);
    uint8_t digest[LEDGE_SHA256_BYTES];
    LEDGE_TRY(sys_file_read(c->path, &bytes, err));
    if (bytes.len <= LEDGE_SHA256_BYTES) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "%s: too short for a checkpoint", c->path);
    }
    size_t body = bytes.len - LEDGE_SHA256_BYTES;
    ledge_sha256(bytes.data, body, digest);
    if (memcmp(digest, bytes.data + body, sizeof digest) != 0) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "%s: its SHA-256 does not match", c->path);
    }
    return read_body(c, &bytes, progress, err);
}
