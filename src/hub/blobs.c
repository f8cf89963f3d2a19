/* SPDX-License-Identifier: Apache-2.0 */
/* blobs.c -- bytes under their SHA-256: files below blobs/sha256/<2 hex>/<64 hex>, and a row each.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/status.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/log.h"

const char *hub_blob_path(const struct hub *hub, const char *sha256, char out[HUB_PATH])
{
    return hub_path(hub, out, "blobs/sha256/%.2s/%s", sha256, sha256);
}

enum ledge_status hub_blob_put(struct hub *hub, const void *bytes, size_t n, char sha256[65],
                               struct ledge_error *err)
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    char path[HUB_PATH], folder[HUB_PATH], there[65];
    ledge_sha256(bytes, n, digest);
    ledge_hex(digest, sizeof digest, sha256);
    /* What has gone bad on disk is made whole by pushing it again. */
    if (sys_file_sha256(hub_blob_path(hub, sha256, path), there, NULL) != LEDGE_OK ||
        strcmp(there, sha256) != 0) {
        LEDGE_TRY(sys_dir_make(hub_path(hub, folder, "blobs/sha256/%.2s", sha256), err));
        LEDGE_TRY(sys_file_write(path, bytes, n, 0600, err));
    }
    return sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_blob_add, "sii", sha256, (int64_t)n,
                      sys_now_ms());
}

void hub_on_blob_push(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    char sha256[65];
    size_t n = 0;
    const void *bytes = sys_http_body(request->http, &n);
    if (n == 0) {
        hub_reply_problem(request, 400, "the body is empty");
        return;
    }
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = hub_blob_put(hub, bytes, n, sha256, &err);
    }
    if (status == LEDGE_OK) {
        status = hub_audit(hub, request->actor, "blob.add", sha256, NULL, &err);
    }
    if (hub_end(hub, status, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    hub_reply_json(request, 201, json_pack("{s:s,s:I}", "sha256", sha256, "size", (json_int_t)n));
}

/* A file of another length has been damaged: better no answer than a wrong one. */
static bool is_whole(const char *path, const char *sha256, int64_t size)
{
    struct stat st = {.st_size = 0};
    if (stat(path, &st) == 0 && st.st_size == size) {
        return true;
    }
    sys_log(SYS_LOG_ERROR,
            "blob %.16s: %lld of %lld bytes are on disk; push it again, or restore %s", sha256,
            (long long)st.st_size, (long long)size, path);
    return false;
}

/* A device reads what its own documents name, and nothing else. */
void hub_on_blob(struct hub_request *request)
{
    struct ledge_error err;
    const char *sha256 = request->params[0];
    char path[HUB_PATH], digest[160];
    int64_t size = -1, named = 0;
    if (!fleet_digest_ok(sha256)) {
        hub_reply_problem(request, 400, "a blob is named by 64 hexadecimal digits");
        return;
    }
    enum ledge_status status =
        sys_sql_do(request->hub->sql, &err, hub_row_int, &size, hub_sql_blob_get, "s", sha256);
    if (status == LEDGE_OK && request->device) {
        status = sys_sql_do(request->hub->sql, &err, hub_row_int, &named, hub_sql_blob_of_device,
                            "ss", request->actor, sha256);
    }
    if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
        return;
    }
    if (size < 0 || (request->device && named == 0)) {
        hub_reply_problem(request, 404, "there is no such blob");
        return;
    }
    if (!is_whole(hub_blob_path(request->hub, sha256, path), sha256, size)) {
        hub_reply_problem(request, 503, "blob %.16s is damaged in the hub's store", sha256);
        return;
    }
    hub_security_headers(request->http, false);
    (void)snprintf(digest, sizeof digest, "sha-256=%.64s", sha256);
    sys_http_reply_header(request->http, "Digest", digest);
    sys_http_reply_header(request->http, "Cache-Control", "private, max-age=31536000, immutable");
    sys_http_reply_file(request->http, path, "application/octet-stream", sha256);
}
