/* SPDX-License-Identifier: Apache-2.0 */
/* gc.c -- removes blobs that nothing refers to, and files that no blob stands for.
 *
 * Flow:    POST /gc -> mark and drop rows in one transaction, their digests into the journal and
 *          who asked into the audit -> remove their files -> look through the folders for strays
 *          -> answer, if who asked is still there
 * Guarantees: what is in the view blobs_used stays, whatever its age; what is younger than the
 * grace period stays, whatever refers to it (a probe comes before the version that names it); a
 * push of the same bytes makes a blob young again. A row goes before its file, so a row never
 * stands for a file that was collected; killed between the two, the journal has the rest, taken up
 * at the next start. A file goes only when at that moment no row stands for it; the hub is one
 * thread, so no push can come between the question and the unlink. The foreign keys of the schema
 * would refuse a row that the view forgot.
 * Stalls:  the transaction is one (0.6 s for 100,000 blobs and the documents of 10,000 devices);
 * files go 256 at a time, folders one at a time, with the loop in between. A file that is being
 * sent stays open until it is sent.
 * Fails:   when a step cannot be done or the loop cannot be asked for another turn, who asked is
 * told so and the collection is over; the next one, or the next start, takes the journal up.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/log.h"

enum { GRACE_S = 86400, GRACE_LEAST_S = 600, GRACE_MOST_S = 366 * 86400, FOLDERS = 256 };
enum { SHOWN = 1000, BATCH = 256, NAME_HEX = 64 };

struct hub_gc {
    struct hub *hub;
    struct sys_http_request *http;
    struct sys_timer *timer;
    char actor[FLEET_NAME_SIZE];
    bool dry, unlinking;
    int64_t grace_s, cutoff, cursor;
    int folder;
    json_t *items; /* the first SHOWN */
    int64_t blobs, blob_bytes, files, file_bytes, kept, kept_bytes, failed;
};

/* -- what is found -- */

static void show(struct hub_gc *gc, const char *name, int64_t size, int64_t created,
                 const char *why)
{
    if (json_array_size(gc->items) < SHOWN) {
        (void)json_array_append_new(gc->items, json_pack("{s:s,s:I,s:o,s:s}", "sha256", name,
                                                         "size", (json_int_t)size, "created",
                                                         hub_json_time(created), "why", why));
    }
}

static bool add_unused(void *arg, const struct sys_row *row)
{
    struct hub_gc *gc = arg;
    gc->blobs++;
    gc->blob_bytes += sys_row_int(row, 1);
    show(gc, sys_row_text(row, 0), sys_row_int(row, 1), sys_row_int(row, 2),
         "nothing refers to it");
    return true;
}

static bool read_kept(void *arg, const struct sys_row *row)
{
    struct hub_gc *gc = arg;
    gc->kept = sys_row_int(row, 0);
    gc->kept_bytes = sys_row_int(row, 1);
    return false;
}

static enum ledge_status audit(struct hub_gc *gc, const char *what, int64_t n, int64_t bytes,
                               struct ledge_error *err)
{
    char detail[100];
    (void)snprintf(detail, sizeof detail, "%lld, %lld bytes", (long long)n, (long long)bytes);
    return hub_audit(gc->hub, gc->actor, "blob.collect", what, detail, err);
}

/* Inside a transaction. */
static enum ledge_status mark(struct hub_gc *gc, struct ledge_error *err)
{
    struct sys_sql *sql = gc->hub->sql;
    int64_t last = 0;
    if (gc->dry) {
        LEDGE_TRY(sys_sql_do(sql, err, add_unused, gc, hub_sql_gc_unused, "i", gc->cutoff));
    } else {
        LEDGE_TRY(sys_sql_do(sql, err, hub_row_int, &last, hub_sql_gc_journal_last, ""));
        LEDGE_TRY(
            sys_sql_do(sql, err, NULL, NULL, hub_sql_gc_journal, "ii", gc->cutoff, sys_now_ms()));
        LEDGE_TRY(sys_sql_do(sql, err, add_unused, gc, hub_sql_gc_journalled, "i", last));
        LEDGE_TRY(sys_sql_do(sql, err, NULL, NULL, hub_sql_gc_rows, "i", last));
    }
    LEDGE_TRY(sys_sql_do(sql, err, read_kept, gc, hub_sql_gc_kept, ""));
    if (gc->dry) { /* as it would be */
        gc->kept -= gc->blobs;
        gc->kept_bytes -= gc->blob_bytes;
        return LEDGE_OK;
    }
    return audit(gc, "blobs", gc->blobs, gc->blob_bytes, err);
}

/* -- files of the journal -- */

struct batch {
    struct {
        int64_t id;
        char sha256[NAME_HEX + 1];
    } rows[BATCH];
    size_t n;
};

static bool add_open(void *arg, const struct sys_row *row)
{
    struct batch *batch = arg;
    const char *sha256 = sys_row_text(row, 1);
    batch->rows[batch->n].id = sys_row_int(row, 0);
    (void)snprintf(batch->rows[batch->n].sha256, sizeof batch->rows[0].sha256, "%s", sha256);
    return ++batch->n < BATCH;
}

/* False: its file could not be removed, and stays in the journal. */
static enum ledge_status close_row(struct hub *hub, int64_t id, const char *sha256, bool *gone,
                                   struct ledge_error *err)
{
    char path[HUB_PATH];
    int64_t size = -1;
    LEDGE_TRY(sys_sql_do(hub->sql, err, hub_row_int, &size, hub_sql_blob_get, "s", sha256));
    *gone = true;
    if (size < 0 && unlink(hub_blob_path(hub, sha256, path)) != 0 && errno != ENOENT) {
        sys_log(SYS_LOG_ERROR, "blob %.16s cannot be removed: %s", sha256, strerror(errno));
        *gone = false;
        return LEDGE_OK;
    }
    return sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_gc_outcome, "is", id,
                      size < 0 ? "removed" : "back");
}

/* The next rows of the journal behind *cursor; *n 0: there are none. */
static enum ledge_status unlink_some(struct hub *hub, int64_t *cursor, size_t *n, int64_t *failed,
                                     struct ledge_error *err)
{
    static struct batch batch; /* one thread */
    batch.n = 0;
    LEDGE_TRY(sys_sql_do(hub->sql, err, add_open, &batch, hub_sql_gc_open, "i", *cursor));
    *n = batch.n;
    if (batch.n == 0) {
        return LEDGE_OK;
    }
    *cursor = batch.rows[batch.n - 1].id;
    LEDGE_TRY(sys_sql_begin(hub->sql, err));
    enum ledge_status status = LEDGE_OK;
    for (size_t i = 0; i < batch.n && status == LEDGE_OK; i++) {
        bool gone = true;
        status = close_row(hub, batch.rows[i].id, batch.rows[i].sha256, &gone, err);
        *failed += gone ? 0 : 1;
    }
    return hub_end(hub, status, err);
}

enum ledge_status hub_gc_resume(struct hub *hub, struct ledge_error *err)
{
    int64_t cursor = 0, failed = 0;
    size_t all = 0, n = 1;
    while (n > 0) {
        LEDGE_TRY(unlink_some(hub, &cursor, &n, &failed, err));
        all += n;
    }
    if (all > 0) {
        sys_log(SYS_LOG_INFO, "%zu collected blobs were still on disk", all);
    }
    return LEDGE_OK;
}

/* -- strays: what a crash left between a file and its row -- */

/* Why a file may go, or NULL. */
static enum ledge_status judge(struct hub_gc *gc, const char *name, const char **why,
                               struct ledge_error *err)
{
    char sha256[NAME_HEX + 1] = "";
    int64_t size = -1;
    *why = NULL;
    size_t n = strlen(name);
    memcpy(sha256, name, n < NAME_HEX ? n : NAME_HEX);
    if (!fleet_digest_ok(sha256)) {
        return LEDGE_OK; /* nobody knows what it is */
    }
    if (strcmp(name + NAME_HEX, ".tmp") == 0) {
        *why = "half written";
        return LEDGE_OK;
    }
    LEDGE_TRY(sys_sql_do(gc->hub->sql, err, hub_row_int, &size, hub_sql_blob_get, "s", sha256));
    *why = n == NAME_HEX && size < 0 ? "no row knows it" : NULL;
    return LEDGE_OK;
}

static enum ledge_status stray(struct hub_gc *gc, const char *folder, const char *name,
                               struct ledge_error *err)
{
    char path[HUB_PATH + 300];
    const char *why = NULL;
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        (int64_t)st.st_mtim.tv_sec * 1000 >= gc->cutoff) {
        return LEDGE_OK;
    }
    LEDGE_TRY(judge(gc, name, &why, err));
    if (why == NULL) {
        return LEDGE_OK;
    }
    gc->files++;
    gc->file_bytes += st.st_size;
    show(gc, name, st.st_size, (int64_t)st.st_mtim.tv_sec * 1000, why);
    if (gc->dry) {
        return LEDGE_OK;
    }
    if (unlink(path) != 0) {
        sys_log(SYS_LOG_ERROR, "%s cannot be removed: %s", path, strerror(errno));
        gc->failed++;
        return LEDGE_OK;
    }
    return sys_sql_do(gc->hub->sql, err, NULL, NULL, hub_sql_gc_stray, "siisi", name,
                      (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec * 1000, why, sys_now_ms());
}

static enum ledge_status look_through(struct hub_gc *gc, int number, struct ledge_error *err)
{
    char folder[HUB_PATH];
    DIR *dir = opendir(hub_path(gc->hub, folder, "blobs/sha256/%02x", (unsigned)number));
    if (dir == NULL) {
        return errno == ENOENT ? LEDGE_OK
                               : ledge_fail(err, LEDGE_ERR_IO, "%s: %s", folder, strerror(errno));
    }
    enum ledge_status status = sys_sql_begin(gc->hub->sql, err);
    const struct dirent *entry;
    if (status == LEDGE_OK) {
        while (status == LEDGE_OK && (entry = readdir(dir)) != NULL) {
            status = stray(gc, folder, entry->d_name, err);
        }
        status = hub_end(gc->hub, status, err);
    }
    closedir(dir);
    return status;
}

/* -- one run -- */

static void drop(struct hub_gc *gc)
{
    gc->hub->gc = NULL;
    sys_timer_free(gc->timer);
    json_decref(gc->items);
    free(gc);
}

static void end(struct hub_gc *gc, const struct ledge_error *err)
{
    struct hub_request request = {.hub = gc->hub, .http = gc->http};
    struct ledge_error ignored;
    if (err != NULL) {
        sys_log(SYS_LOG_ERROR, "collection of blobs: %s", err->text);
        hub_problem(gc->http, 500, "the collection failed; the hub's log says how");
    } else {
        if (!gc->dry) {
            sys_log(SYS_LOG_INFO, "collected %lld blobs, %lld bytes; %lld files, %lld bytes",
                    (long long)gc->blobs, (long long)gc->blob_bytes, (long long)gc->files,
                    (long long)gc->file_bytes);
            if (gc->files > 0) {
                (void)!audit(gc, "files", gc->files, gc->file_bytes, &ignored);
            }
        }
        hub_reply_json(&request, 200,
                       json_pack("{s:b,s:I,s:O,s:{s:I,s:I},s:{s:I,s:I},s:{s:I,s:I},s:I}", "dry_run",
                                 (int)gc->dry, "grace_s", gc->grace_s, "items", gc->items, "blobs",
                                 "n", gc->blobs, "bytes", gc->blob_bytes, "files", "n", gc->files,
                                 "bytes", gc->file_bytes, "kept", "n", gc->kept, "bytes",
                                 gc->kept_bytes, "failed", gc->failed));
    }
    drop(gc);
}

static void on_turn(void *arg);

static enum ledge_status ask_turn(struct hub_gc *gc, struct ledge_error *err)
{
    gc->timer = sys_timer_try(gc->hub->loop, 0, 0, on_turn, gc);
    return gc->timer != NULL ? LEDGE_OK : ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
}

/* One piece of work, then the loop has its turn. */
static void on_turn(void *arg)
{
    struct hub_gc *gc = arg;
    struct ledge_error err;
    enum ledge_status status = LEDGE_OK;
    size_t n = 0;
    sys_timer_free(gc->timer);
    gc->timer = NULL;
    if (gc->unlinking) {
        status = unlink_some(gc->hub, &gc->cursor, &n, &gc->failed, &err);
        gc->unlinking = n > 0;
    } else if (gc->folder < FOLDERS) {
        status = look_through(gc, gc->folder++, &err);
    } else {
        end(gc, NULL);
        return;
    }
    if (status == LEDGE_OK) {
        status = ask_turn(gc, &err);
    }
    if (status != LEDGE_OK) {
        end(gc, &err);
    }
}

void hub_gc_stop(struct hub *hub)
{
    if (hub->gc != NULL) { /* what is left stands in the journal */
        hub_problem(hub->gc->http, 503, "the hub is stopping");
        drop(hub->gc);
    }
}

static enum ledge_status begin(struct hub_request *request, const json_t *body,
                               struct ledge_error *err)
{
    struct hub *hub = request->hub;
    const json_t *dry = json_object_get(body, "dry_run");
    int64_t grace_s = GRACE_S;
    if (dry != NULL && !json_is_boolean(dry)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "collection: dry_run is true or false");
    }
    if (json_object_get(body, "grace_s") != NULL) {
        LEDGE_TRY(sys_json_int(body, "collection", "grace_s", GRACE_LEAST_S, GRACE_MOST_S, &grace_s,
                               err));
    }
    if (hub->gc != NULL) {
        return ledge_fail(err, LEDGE_ERR_STATE, "a collection is under way");
    }
    struct hub_gc *gc = calloc(1, sizeof *gc);
    if (gc == NULL || (gc->items = json_array()) == NULL) {
        free(gc);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    }
    gc->hub = hub;
    gc->http = request->http;
    gc->dry = json_is_true(dry);
    gc->unlinking = !gc->dry;
    gc->grace_s = grace_s;
    gc->cutoff = sys_now_ms() - grace_s * 1000;
    (void)snprintf(gc->actor, sizeof gc->actor, "%s", request->actor);
    hub->gc = gc;
    enum ledge_status status = ask_turn(gc, err); /* first: nothing has been done yet */
    if (status == LEDGE_OK) {
        status = sys_sql_begin(hub->sql, err);
    }
    if (status == LEDGE_OK) {
        status = hub_end(hub, mark(gc, err), err);
    }
    if (status != LEDGE_OK) {
        drop(gc);
    }
    return status;
}

void hub_on_gc(struct hub_request *request)
{
    struct ledge_error err;
    json_t *body = hub_request_json(request);
    if (body == NULL) {
        return;
    }
    if (begin(request, body, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
    }
    json_decref(body);
}
