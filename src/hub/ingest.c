/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.c -- segments into the store: many in one transaction, acknowledged after its commit.
 *
 * Flow:    u/data, POST /segments -> queue -> one transaction (records, pictures, watermark) ->
 * acks, events Guarantees: a record is a row exactly once, by (device, epoch, seq), and, when its
 * producer gave it a key, by (device, kind, function, key), whatever seq it came under; what was
 * acknowledged is durable; a segment that is malformed has no effect; a full disk costs the
 * acknowledgement, never the process. Why a queue: a commit is an fsync (1 to 10 ms); what comes
 * within 5 ms shares it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/status.h"
#include "fleet/segment.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/log.h"

enum { GATHER_MS = 5, MANY_RECORDS = 2000, MAX_QUEUED = 64 * 1024 * 1024, MAX_NEW_SAMPLES = 64 };

struct job { /* one segment */
    struct job *next;
    char device[FLEET_NAME_SIZE];
    char *bytes;
    size_t n;
    struct fleet_segment_header header;
    char epoch[FLEET_EPOCH_HEX];
    void (*done)(void *arg, const char *epoch, int64_t acked, const struct ledge_error *err);
    void *arg;
    /* found while it is stored */
    struct hub *hub;
    int64_t acked, stored, duplicates;
    int64_t samples[MAX_NEW_SAMPLES];
    size_t n_samples, predictions;
    char label[HUB_LABEL + 1];
    double score;
    int64_t label_ts, picture_ts;
    bool malformed_meta;
    enum ledge_status status;
    struct ledge_error err;
};

struct hub_ingest {
    struct hub *hub;
    struct job *first, **last;
    size_t queued;
    uint64_t records;
    struct sys_timer *timer;
    bool failing; /* the last transaction failed: the log has said so */
};

static void commit_all(struct hub_ingest *ingest);

enum ledge_status hub_ingest_create(struct hub *hub, struct ledge_error *err)
{
    struct hub_ingest *ingest = calloc(1, sizeof *ingest);
    if (ingest == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    ingest->hub = hub;
    ingest->last = &ingest->first;
    hub->ingest = ingest;
    return LEDGE_OK;
}

void hub_ingest_free(struct hub_ingest *ingest)
{
    if (ingest == NULL) {
        return;
    }
    commit_all(ingest);
    sys_timer_free(ingest->timer);
    free(ingest);
}

static bool look(void *arg, const struct fleet_record *record)
{
    (void)arg;
    return record->seq < (uint64_t)INT64_MAX / 2; /* the store's integers are signed */
}

static void on_timer(void *arg)
{
    commit_all(arg);
}

/* A commit is on its way: soon, or, when much waits, next. Never inside this call: the caller of
 * hub_ingest_add() may not expect done yet. */
static enum ledge_status ask_commit(struct hub_ingest *ingest, uint64_t records,
                                    struct ledge_error *err)
{
    bool many = records >= MANY_RECORDS;
    if (ingest->timer != NULL && !many) {
        return LEDGE_OK;
    }
    struct sys_timer *timer =
        sys_timer_try(ingest->hub->loop, many ? 0 : GATHER_MS, 0, on_timer, ingest);
    if (timer == NULL && ingest->timer == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory for a commit");
    }
    if (timer != NULL) {
        sys_timer_free(ingest->timer);
        ingest->timer = timer;
    }
    return LEDGE_OK;
}

enum ledge_status hub_ingest_add(struct hub *hub, const char *device, const void *bytes, size_t n,
                                 void (*done)(void *arg, const char *epoch, int64_t acked,
                                              const struct ledge_error *err),
                                 void *arg, struct ledge_error *err)
{
    struct hub_ingest *ingest = hub->ingest;
    struct fleet_segment_header header;
    enum ledge_status status = fleet_segment_read(bytes, n, &header, look, NULL, err);
    if (status == LEDGE_OK && header.count == 0) {
        status = ledge_fail(err, LEDGE_ERR_FORMAT, "a segment without records");
    }
    if (status != LEDGE_OK) {
        hub->counts.segments_refused++;
        return status;
    }
    if (ingest->queued + n > MAX_QUEUED) {
        return ledge_fail(err, LEDGE_ERR_FULL, "more than %d MB of records wait for the store",
                          MAX_QUEUED >> 20);
    }
    LEDGE_TRY(ask_commit(ingest, ingest->records + header.count, err));
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL || (job->bytes = malloc(n)) == NULL) {
        free(job);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory for a segment");
    }
    memcpy(job->bytes, bytes, n);
    job->n = n;
    job->hub = hub;
    job->header = header;
    job->done = done;
    job->arg = arg;
    ledge_hex(header.epoch, FLEET_EPOCH, job->epoch);
    (void)snprintf(job->device, sizeof job->device, "%s", device);
    *ingest->last = job;
    ingest->last = &job->next;
    ingest->queued += n;
    ingest->records += header.count;
    return LEDGE_OK;
}

/* -- one record -- */

static void remember_label(struct job *job, const json_t *meta, int64_t ts)
{
    const char *label = json_string_value(json_object_get(meta, "label"));
    const json_t *score = json_object_get(meta, "score");
    job->predictions++;
    if (label != NULL && hub_label_valid(label)) {
        (void)snprintf(job->label, sizeof job->label, "%s", label);
        job->score = json_is_number(score) ? json_number_value(score) : 0;
        job->label_ts = ts;
    }
}

static enum ledge_status keep_picture(struct job *job, const struct fleet_record *record,
                                      const json_t *meta, struct ledge_error *err)
{
    int64_t id = 0;
    bool fresh = false;
    LEDGE_TRY(hub_sample_put(job->hub, job->device, record->time_ms, meta, record->body,
                             record->body_bytes, &id, &fresh, err));
    job->picture_ts = record->time_ms;
    if (fresh && job->n_samples < MAX_NEW_SAMPLES) {
        job->samples[job->n_samples++] = id;
    }
    return LEDGE_OK;
}

/* "<function>/<key>" of the meta; false: it has no key. One behind a gap in the stream that is not
 * stored because of its key leaves a hole for next_mark(): the device sends from there once more.
 */
static bool put_key(const json_t *meta, struct ledge_buf *out)
{
    const char *function = json_string_value(json_object_get(meta, "function"));
    const char *key = json_string_value(json_object_get(meta, "key"));
    return key != NULL && *key != '\0' && strlen(key) <= FLEET_KEY_MAX &&
           ledge_buf_printf(out, "%s/%s", function != NULL ? function : "", key);
}

/* Insert; what is there already is counted and left alone. */
static enum ledge_status store_record(struct job *job, const struct fleet_record *record,
                                      struct ledge_error *err)
{
    struct sys_sql *sql = job->hub->sql;
    json_t *meta = NULL;
    char *text = NULL;
    struct ledge_buf key = LEDGE_BUF_INIT(FLEET_META_MAX + 2);
    bool picture = record->kind == FLEET_KIND_sample && record->body_bytes > 0;
    const void *body = picture || record->body_bytes == 0 ? NULL : record->body;
    size_t body_bytes = body != NULL ? record->body_bytes : 0;
    if (sys_json_parse(record->meta, record->meta_bytes, &meta, NULL) != LEDGE_OK ||
        !json_is_object(meta)) {
        /* The device may not be stuck on it for ever: it is kept, and its meta is empty. */
        json_decref(meta);
        meta = json_object();
        job->malformed_meta = true;
    }
    text = json_dumps(meta, JSON_COMPACT);
    bool keyed = put_key(meta, &key);
    enum ledge_status status =
        text == NULL ? ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory")
                     : sys_sql_do(sql, err, NULL, NULL, hub_sql_record_add, "ssiiiisbs",
                                  job->device, job->epoch, (int64_t)record->seq, record->time_ms,
                                  (int64_t)record->kind, (int64_t)record->class_of_service, text,
                                  body, body_bytes, keyed ? key.data : NULL);
    if (status == LEDGE_OK && sys_sql_changes(sql) == 0) {
        job->duplicates++;
    } else if (status == LEDGE_OK) {
        job->stored++;
        if (record->kind == FLEET_KIND_prediction) {
            remember_label(job, meta, record->time_ms);
        } else if (picture) {
            status = keep_picture(job, record, meta, err);
        }
    }
    ledge_buf_done(&key);
    free(text);
    json_decref(meta);
    return status;
}

static bool on_record(void *arg, const struct fleet_record *record)
{
    struct job *job = arg;
    job->status = store_record(job, record, &job->err);
    return job->status == LEDGE_OK;
}

/* -- one segment -- */

struct marks {
    int64_t acked, highest;
};

static bool read_marks(void *arg, const struct sys_row *row)
{
    struct marks *marks = arg;
    marks->acked = sys_row_int(row, 0);
    marks->highest = sys_row_int(row, 1);
    return true;
}

static bool next_mark(void *arg, const struct sys_row *row)
{
    struct marks *marks = arg;
    if (sys_row_int(row, 0) != marks->acked + 1) {
        return false; /* a gap: what is behind it waits */
    }
    marks->acked++;
    return true;
}

static enum ledge_status store_segment(struct job *job, struct ledge_error *err)
{
    struct sys_sql *sql = job->hub->sql;
    struct marks marks = {0, 0};
    int64_t revoked = 1;
    int64_t last = (int64_t)(job->header.first + job->header.count - 1);
    LEDGE_TRY(sys_sql_do(sql, err, hub_row_int, &revoked, hub_sql_device_known, "s", job->device));
    if (revoked != 0) {
        job->status = ledge_fail(&job->err, LEDGE_ERR_AUTH, "%s is not enrolled", job->device);
        return LEDGE_OK; /* it alone fails */
    }
    LEDGE_TRY(sys_sql_do(sql, err, NULL, NULL, hub_sql_stream_add, "ss", job->device, job->epoch));
    LEDGE_TRY(sys_sql_do(sql, err, read_marks, &marks, hub_sql_stream_get, "ss", job->device,
                         job->epoch));
    enum ledge_status status =
        fleet_segment_read(job->bytes, job->n, &job->header, on_record, job, err);
    if (status == LEDGE_ERR_CANCELLED) {
        return ledge_fail(err, job->err.status, "%s", job->err.text);
    }
    LEDGE_TRY(status);
    marks.highest = last > marks.highest ? last : marks.highest;
    if ((int64_t)job->header.first <= marks.acked + 1 && last > marks.acked) {
        marks.acked = last;
    }
    if (marks.acked < marks.highest) {
        LEDGE_TRY(sys_sql_do(sql, err, next_mark, &marks, hub_sql_stream_ahead, "ssi", job->device,
                             job->epoch, marks.acked));
    }
    job->acked = marks.acked;
    if (job->label_ts != 0) {
        LEDGE_TRY(sys_sql_do(sql, err, NULL, NULL, hub_sql_device_last, "ssdi", job->device,
                             job->label, job->score, job->label_ts));
    }
    return sys_sql_do(sql, err, NULL, NULL, hub_sql_stream_set, "ssiiii", job->device, job->epoch,
                      marks.acked, marks.highest, job->stored, job->duplicates);
}

/* -- the transaction -- */

static enum ledge_status store_all(struct hub *hub, struct job *jobs, struct ledge_error *err)
{
    LEDGE_TRY(sys_sql_begin(hub->sql, err));
    enum ledge_status status = LEDGE_OK;
    for (struct job *job = jobs; job != NULL && status == LEDGE_OK; job = job->next) {
        status = store_segment(job, err);
    }
    return hub_end(hub, status, err);
}

static void announce(struct hub *hub, const struct job *job)
{
    hub->counts.segments++;
    if (job->malformed_meta) {
        sys_log(SYS_LOG_WARNING, "%s: a record's meta is not a JSON object; it was kept without",
                job->device);
    }
    if (job->predictions > 0) {
        hub_live_prediction(hub, job->device, job->predictions, job->label, job->score,
                            job->label_ts);
    }
    for (size_t i = 0; i < job->n_samples; i++) {
        hub_sample_event(hub, job->samples[i]);
    }
    if (job->picture_ts != 0) {
        hub_event(
            hub, "picture",
            json_pack("{s:s,s:o}", "device", job->device, "ts", hub_json_time(job->picture_ts)));
    }
    hub_device_seen(hub, job->device);
}

static void commit_all(struct hub_ingest *ingest)
{
    struct hub *hub = ingest->hub;
    struct job *jobs = ingest->first;
    struct ledge_error err;
    sys_timer_free(ingest->timer);
    ingest->timer = NULL;
    ingest->first = NULL;
    ingest->last = &ingest->first;
    ingest->queued = 0;
    ingest->records = 0;
    if (jobs == NULL) {
        return;
    }
    enum ledge_status status = store_all(hub, jobs, &err);
    if (status == LEDGE_OK) {
        hub->counts.commits++;
        ingest->failing = false;
    } else {
        hub->counts.commit_failures++;
        if (!ingest->failing) {
            sys_log(SYS_LOG_ERROR, "records cannot be stored and are not acknowledged: %s",
                    err.text);
        }
        ingest->failing = true;
    }
    while (jobs != NULL) {
        struct job *job = jobs;
        jobs = job->next;
        if (status != LEDGE_OK) {
            job->done(job->arg, job->epoch, 0, &err);
        } else if (job->status != LEDGE_OK) {
            sys_log(SYS_LOG_WARNING, "%s: segment refused: %s", job->device, job->err.text);
            job->done(job->arg, job->epoch, 0, &job->err);
        } else {
            job->done(job->arg, job->epoch, job->acked, NULL);
            announce(hub, job);
        }
        free(job->bytes);
        free(job);
    }
}

/* -- POST /segments -- */

struct waiting_post {
    struct hub_request request;
    char device[FLEET_NAME_SIZE];
};

static void on_posted(void *arg, const char *epoch, int64_t acked, const struct ledge_error *err)
{
    struct waiting_post *post = arg;
    if (err != NULL) {
        hub_reply_error(&post->request, err);
    } else {
        hub_reply_json(&post->request, 200,
                       json_pack("{s:s,s:I}", "epoch", epoch, "seq", (json_int_t)acked));
    }
    free(post);
}

void hub_on_segment(struct hub_request *request)
{
    struct ledge_error err;
    size_t n = 0;
    const void *bytes = sys_http_body(request->http, &n);
    struct waiting_post *post = malloc(sizeof *post);
    if (post == NULL) {
        hub_reply_problem(request, 503, "out of memory");
        return;
    }
    post->request = *request;
    (void)snprintf(post->device, sizeof post->device, "%s", request->actor);
    post->request.actor = post->device;
    if (hub_ingest_add(request->hub, post->device, bytes, n, on_posted, post, &err) != LEDGE_OK) {
        sys_log(SYS_LOG_WARNING, "%s: segment refused: %s", post->device, err.text);
        free(post);
        hub_reply_error(request, &err);
    }
}
