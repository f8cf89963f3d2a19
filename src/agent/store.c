/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/failpoint.h"
#include "base/status.h"
#include "sys/http.h"
#include "sys/log.h"
#include "sys/tls.h"

/* One fetch; outlives its store's interest in it until the HTTP call has ended. */
struct fetch {
    struct agent_store *store; /* NULL: cancelled */
    struct fleet_blob blob;
    void (*done)(void *arg, const struct ledge_error *err);
    void *arg;
    int fd;
    int64_t have;             /* bytes in the partial file */
    bool in_call;             /* the HTTP client holds a pointer to this */
    bool answered;            /* the body of the current answer has begun */
    bool corrupted;           /* it was begun anew once because its bytes were wrong */
    int failures;             /* of the network, in a row */
    struct ledge_error fault; /* why on_data ended the call; status OK: it did not */
};

struct agent_store {
    struct sys_loop *loop;
    struct sys_tls *tls;
    struct sys_timer *timer;
    struct fetch *fetch;
    int32_t backoff_ms, backoff_max_ms;
    char dir[SYS_PATH];
    char hub[SYS_PATH];
};

static void begin(void *arg);

/* -- paths ---------------------------------------------------------------------------------------
 */

enum ledge_status agent_store_path(const struct agent_store *store, const char *sha256,
                                   char path[SYS_PATH], struct ledge_error *err)
{
    return sys_path(path, err, "%s/sha256/%.2s/%s", store->dir, sha256, sha256);
}

static enum ledge_status partial_path(const struct agent_store *store, const char *sha256,
                                      char path[SYS_PATH], struct ledge_error *err)
{
    return sys_path(path, err, "%s/partial/%s", store->dir, sha256);
}

bool agent_store_has(const struct agent_store *store, const struct fleet_blob *blob)
{
    char path[SYS_PATH];
    struct stat st;
    return agent_store_path(store, blob->sha256, path, NULL) == LEDGE_OK && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode) && st.st_size == blob->size;
}

enum ledge_status agent_store_check(const struct agent_store *store, const char *sha256,
                                    struct ledge_error *err)
{
    char path[SYS_PATH];
    char hex[65];
    LEDGE_TRY(agent_store_path(store, sha256, path, err));
    LEDGE_TRY(sys_file_sha256(path, hex, err));
    if (strcmp(hex, sha256) != 0) {
        (void)unlink(path);
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "blob %.16s has gone bad on disk", sha256);
    }
    return LEDGE_OK;
}

/* -- life ----------------------------------------------------------------------------------------
 */

enum ledge_status agent_store_create(struct sys_loop *loop,
                                     const struct agent_store_options *options,
                                     struct agent_store **out, struct ledge_error *err)
{
    struct agent_store *store = calloc(1, sizeof *store);
    char path[SYS_PATH];
    if (store == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "store: out of memory");
    }
    store->loop = loop;
    store->tls = options->tls;
    store->backoff_ms = options->backoff_ms > 0 ? options->backoff_ms : 500;
    store->backoff_max_ms = options->backoff_max_ms > 0 ? options->backoff_max_ms : 60000;
    enum ledge_status status = sys_path(store->dir, err, "%s", options->dir);
    if (status == LEDGE_OK) {
        status = sys_path(store->hub, err, "%s", options->hub);
    }
    if (status == LEDGE_OK) {
        status = sys_path(path, err, "%s/partial", store->dir);
    }
    if (status == LEDGE_OK) {
        status = sys_dir_make(path, err);
    }
    if (status != LEDGE_OK) {
        agent_store_free(store);
        return status;
    }
    *out = store;
    return LEDGE_OK;
}

void agent_store_free(struct agent_store *store)
{
    if (store != NULL) {
        agent_store_cancel(store);
        free(store);
    }
}

static void drop(struct fetch *fetch)
{
    if (fetch->fd >= 0) {
        close(fetch->fd);
    }
    free(fetch);
}

void agent_store_cancel(struct agent_store *store)
{
    struct fetch *fetch = store->fetch;
    sys_timer_free(store->timer);
    store->timer = NULL;
    store->fetch = NULL;
    if (fetch != NULL) {
        fetch->store = NULL;
        if (!fetch->in_call) {
            drop(fetch);
        }
    }
}

/* The fetch is over; err NULL: the blob is there. */
static void finish(struct fetch *fetch, const struct ledge_error *err)
{
    void (*done)(void *arg, const struct ledge_error *err) = fetch->done;
    void *arg = fetch->arg;
    fetch->store->fetch = NULL;
    drop(fetch);
    done(arg, err);
}

static void retry(struct fetch *fetch, const char *why)
{
    struct agent_store *store = fetch->store;
    int64_t delay = store->backoff_ms;
    uint32_t random = 0;
    for (int k = 0; k < fetch->failures && delay < store->backoff_max_ms; k++) {
        delay *= 2;
    }
    delay = delay > store->backoff_max_ms ? store->backoff_max_ms : delay;
    if (sys_random(&random, sizeof random, NULL) == LEDGE_OK) {
        delay = delay / 2 + (int64_t)(random % (uint32_t)(delay / 2 + 1));
    }
    fetch->failures++;
    sys_log(SYS_LOG_WARNING,
            "blob %.16s: %s; %" PRId64 " of %" PRId64 " bytes, again in %" PRId64 " ms",
            fetch->blob.sha256, why, fetch->have, fetch->blob.size, delay);
    store->timer = sys_timer_start(store->loop, delay, 0, begin, fetch);
}

/* -- a whole partial file ------------------------------------------------------------------------
 */

/* Check, flush, give it its name. */
static enum ledge_status settle(struct fetch *fetch, struct ledge_error *err)
{
    char partial[SYS_PATH];
    char path[SYS_PATH];
    char folder[SYS_PATH];
    char hex[65];
    struct agent_store *store = fetch->store;
    LEDGE_TRY(partial_path(store, fetch->blob.sha256, partial, err));
    LEDGE_TRY(agent_store_path(store, fetch->blob.sha256, path, err));
    LEDGE_TRY(sys_path(folder, err, "%s/sha256/%.2s", store->dir, fetch->blob.sha256));
    if (fsync(fetch->fd) != 0) {
        return ledge_fail(err, errno == ENOSPC || errno == EDQUOT ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                          "blob %.16s: cannot flush: %s", fetch->blob.sha256, strerror(errno));
    }
    LEDGE_TRY(sys_file_sha256(partial, hex, err));
    if (strcmp(hex, fetch->blob.sha256) != 0) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT,
                          "blob %.16s: the bytes that came have digest %.16s", fetch->blob.sha256,
                          hex);
    }
    LEDGE_TRY(sys_dir_make(folder, err));
    if (rename(partial, path) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "blob %.16s: cannot rename: %s", fetch->blob.sha256,
                          strerror(errno));
    }
    return sys_dir_sync(folder, err);
}

static void take_whole(struct fetch *fetch)
{
    struct ledge_error err;
    enum ledge_status status = settle(fetch, &err);
    if (status == LEDGE_ERR_CORRUPT && !fetch->corrupted) {
        fetch->corrupted = true;
        if (ftruncate(fetch->fd, 0) == 0) {
            fetch->have = 0;
            retry(fetch, err.text);
            return;
        }
    }
    finish(fetch, status == LEDGE_OK ? NULL : &err);
}

/* -- the call ------------------------------------------------------------------------------------
 */

static bool fault(struct fetch *fetch, enum ledge_status status, const char *what)
{
    (void)ledge_fail(&fetch->fault, status, "blob %.16s: %s", fetch->blob.sha256, what);
    return false;
}

static bool on_data(void *arg, int status, const void *bytes, size_t n)
{
    struct fetch *fetch = arg;
    if (fetch->store == NULL) {
        return false;
    }
    if (status != 200 && status != 206) {
        return true; /* the words of an error */
    }
    if (!fetch->answered && status == 200) {
        fetch->have = 0; /* the hub begins at the beginning */
    }
    fetch->answered = true;
    fetch->failures = 0;
    if ((int64_t)n > fetch->blob.size - fetch->have) {
        return fault(fetch, LEDGE_ERR_CORRUPT, "more bytes came than it has");
    }
    const char *at = bytes;
    while (n > 0) {
        ssize_t done = pwrite(fetch->fd, at, n, (off_t)fetch->have);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            return fault(fetch, full ? LEDGE_ERR_FULL : LEDGE_ERR_IO, strerror(errno));
        }
        at += done;
        n -= (size_t)done;
        fetch->have += done;
    }
    return !agent_failpoint("BLOB_PART");
}

static bool is_final(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 416 && status != 429;
}

static void on_answer(void *arg, struct sys_http_reply *reply, const struct ledge_error *err)
{
    struct fetch *fetch = arg;
    struct ledge_error error;
    char text[64];
    fetch->in_call = false;
    if (fetch->store == NULL) {
        drop(fetch);
    } else if (fetch->fault.status == LEDGE_ERR_CORRUPT && !fetch->corrupted) {
        fetch->corrupted = true;
        fetch->have = ftruncate(fetch->fd, 0) == 0 ? 0 : fetch->have;
        retry(fetch, fetch->fault.text);
    } else if (fetch->fault.status != LEDGE_OK) {
        error = fetch->fault;
        finish(fetch, &error);
    } else if (err != NULL) {
        retry(fetch, err->text);
    } else if ((reply->status == 200 || reply->status == 206) && fetch->have == fetch->blob.size) {
        take_whole(fetch);
    } else if (is_final(reply->status)) {
        (void)ledge_fail(&error, reply->status == 404 ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_AUTH,
                         "blob %.16s: the hub answers %d", fetch->blob.sha256, reply->status);
        finish(fetch, &error);
    } else {
        if (reply->status == 416 && ftruncate(fetch->fd, 0) == 0) {
            fetch->have = 0;
        }
        (void)snprintf(text, sizeof text, "the hub answers %d", reply->status);
        retry(fetch, text);
    }
}

/* Open the partial file; what is in it counts. */
static enum ledge_status open_partial(struct fetch *fetch, struct ledge_error *err)
{
    char path[SYS_PATH];
    struct stat st;
    if (fetch->fd < 0) {
        LEDGE_TRY(partial_path(fetch->store, fetch->blob.sha256, path, err));
        fetch->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fetch->fd < 0 || fstat(fetch->fd, &st) != 0) {
            return ledge_fail(err, errno == ENOSPC ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                              "cannot open %.180s: %s", path, strerror(errno));
        }
        fetch->have = st.st_size;
    }
    if (fetch->have > fetch->blob.size) {
        fetch->have = 0;
    }
    if (ftruncate(fetch->fd, (off_t)fetch->have) != 0) {
        return ledge_fail(err, LEDGE_ERR_IO, "blob %.16s: %s", fetch->blob.sha256, strerror(errno));
    }
    return LEDGE_OK;
}

static void begin(void *arg)
{
    struct fetch *fetch = arg;
    struct agent_store *store = fetch->store;
    struct ledge_error err = {.status = LEDGE_OK};
    char url[2 * SYS_PATH];
    char range[64];
    sys_timer_free(store->timer);
    store->timer = NULL;
    fetch->fault = err;
    fetch->answered = false;
    if (open_partial(fetch, &err) != LEDGE_OK) {
        finish(fetch, &err);
        return;
    }
    if (fetch->have == fetch->blob.size) {
        take_whole(fetch);
        return;
    }
    (void)snprintf(url, sizeof url, "%s/api/v1/blobs/%s", store->hub, fetch->blob.sha256);
    (void)snprintf(range, sizeof range, "bytes=%" PRId64 "-", fetch->have);
    const char *const headers[] = {"Range", range, NULL};
    struct sys_http_call call = {.method = "GET",
                                 .url = url,
                                 .headers = fetch->have > 0 ? headers : NULL,
                                 .tls = store->tls,
                                 .on_data = on_data,
                                 .arg = fetch};
    fetch->in_call = true;
    if (sys_http_start(store->loop, &call, on_answer, fetch, &err) != LEDGE_OK) {
        fetch->in_call = false;
        retry(fetch, err.text);
    }
}

void agent_store_fetch(struct agent_store *store, const struct fleet_blob *blob,
                       void (*done)(void *arg, const struct ledge_error *err), void *arg)
{
    agent_store_cancel(store);
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        abort(); /* a few hundred bytes: nothing the agent could still do */
    }
    fetch->store = store;
    fetch->blob = *blob;
    fetch->done = done;
    fetch->arg = arg;
    fetch->fd = -1;
    store->fetch = fetch;
    store->timer = sys_timer_start(store->loop, 0, 0, begin, fetch);
}

/* -- garbage -------------------------------------------------------------------------------------
 */

static int collect_folder(const char *folder, bool (*keep)(void *arg, const char *sha256),
                          void *arg)
{
    int removed = 0;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (fleet_digest_ok(entry->d_name) && !keep(arg, entry->d_name) &&
            unlinkat(dirfd(dir), entry->d_name, 0) == 0) {
            removed++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return removed;
}

int agent_store_collect(struct agent_store *store, bool (*keep)(void *arg, const char *sha256),
                        void *arg)
{
    char path[SYS_PATH];
    int removed = 0;
    for (int i = 0; i < 256; i++) {
        if (sys_path(path, NULL, "%s/sha256/%02x", store->dir, (unsigned)i) == LEDGE_OK) {
            removed += collect_folder(path, keep, arg);
        }
    }
    if (sys_path(path, NULL, "%s/partial", store->dir) == LEDGE_OK) {
        removed += collect_folder(path, keep, arg);
    }
    return removed;
}
