/* SPDX-License-Identifier: Apache-2.0 */
/* datasets.c -- frozen sets of labelled pictures, immutable, known by the digest of their list.
 *
 * A version is a manifest {"samples":[{"label","sha256","type"}]} in canonical form, itself a blob.
 * Its archive is a tar (POSIX ustar) laid out as ImageFolder, made when first asked for and kept
 * below cache/; the same version gives the same bytes, so an interrupted download goes on by Range.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "base/whole.h"
#include "hub/api.h"
#include "hub_sql.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/log.h"

enum { MAX_MANIFEST = 256 * 1024 * 1024, TAR_BLOCK = 512 };

/* -- lists -- */

static bool add_version(void *arg, const struct sys_row *row)
{
    (void)json_array_append_new(
        arg, json_pack("{s:I,s:o,s:I,s:o,s:o}", "version", (json_int_t)sys_row_int(row, 0),
                       "sha256", hub_json_text(row, 1), "samples", (json_int_t)sys_row_int(row, 2),
                       "classes", hub_json_stored(sys_row_text(row, 3), false), "created",
                       hub_json_time(sys_row_int(row, 4))));
    return true;
}

void hub_on_datasets(struct hub_request *request)
{
    hub_reply_versions(request, &(struct hub_versions){.names = hub_sql_dataset_names,
                                                       .versions = hub_sql_dataset_versions,
                                                       .add = add_version});
}

/* -- frozen -- */

struct frozen {
    json_t *samples, *classes;
    char sha256[65];
    int64_t version, n;
    bool known;
};

static bool add_sample(void *arg, const struct sys_row *row)
{
    struct frozen *frozen = arg;
    const char *label = sys_row_text(row, 1);
    json_t *before = json_object_get(frozen->classes, label);
    (void)json_object_set_new(frozen->classes, label, json_integer(json_integer_value(before) + 1));
    (void)json_array_append_new(frozen->samples,
                                json_pack("{s:o,s:s,s:o}", "sha256", hub_json_text(row, 0), "label",
                                          label, "type", hub_json_text(row, 2)));
    return true;
}

static bool read_same(void *arg, const struct sys_row *row)
{
    struct frozen *frozen = arg;
    frozen->known = true;
    frozen->version = sys_row_int(row, 0);
    return false;
}

static enum ledge_status store_manifest(struct hub *hub, struct frozen *frozen,
                                        struct ledge_error *err)
{
    struct ledge_buf text = LEDGE_BUF_INIT(MAX_MANIFEST);
    json_t *manifest = json_pack("{s:O}", "samples", frozen->samples);
    enum ledge_status status = sys_json_write(manifest, &text) == LEDGE_OK
                                   ? LEDGE_OK
                                   : ledge_fail(err, LEDGE_ERR_NOMEM, "out of memory");
    if (status == LEDGE_OK) {
        status = hub_blob_put(hub, text.data, text.len, frozen->sha256, err);
    }
    json_decref(manifest);
    ledge_buf_done(&text);
    return status;
}

/* Inside a transaction. */
static enum ledge_status freeze(struct hub *hub, const char *actor, const char *name,
                                struct frozen *frozen, struct ledge_error *err)
{
    LEDGE_TRY(sys_sql_do(hub->sql, err, add_sample, frozen, hub_sql_dataset_labelled, ""));
    frozen->n = (int64_t)json_array_size(frozen->samples);
    if (frozen->n == 0) {
        return ledge_fail(err, LEDGE_ERR_STATE, "no sample has a label yet");
    }
    LEDGE_TRY(store_manifest(hub, frozen, err));
    LEDGE_TRY(sys_sql_do(hub->sql, err, read_same, frozen, hub_sql_dataset_same, "ss", name,
                         frozen->sha256));
    if (frozen->known) {
        return LEDGE_OK;
    }
    LEDGE_TRY(
        sys_sql_do(hub->sql, err, hub_row_int, &frozen->version, hub_sql_dataset_next, "s", name));
    char *classes = json_dumps(frozen->classes, JSON_COMPACT | JSON_SORT_KEYS);
    enum ledge_status status =
        sys_sql_do(hub->sql, err, NULL, NULL, hub_sql_dataset_add, "sisisi", name, frozen->version,
                   frozen->sha256, frozen->n, classes, sys_now_ms());
    free(classes);
    LEDGE_TRY(status);
    return hub_audit(hub, actor, "dataset.freeze", name, frozen->sha256, err);
}

void hub_on_dataset_freeze(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    const char *name = request->params[0];
    json_t *body = hub_request_json(request);
    if (body == NULL) {
        return;
    }
    const char *from = json_string_value(json_object_get(body, "from"));
    bool good = fleet_name_ok(name) && (from == NULL || strcmp(from, "labels") == 0);
    json_decref(body);
    if (!good) {
        hub_reply_problem(request, 400, "a name is [a-zA-Z0-9._-]{1,64}; from is \"labels\"");
        return;
    }
    struct frozen frozen = {.samples = json_array(), .classes = json_object()};
    enum ledge_status status = sys_sql_begin(hub->sql, &err);
    if (status == LEDGE_OK) {
        status = freeze(hub, request->actor, name, &frozen, &err);
    }
    if (hub_end(hub, status, &err) != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else {
        hub_reply_json(request, frozen.known ? 200 : 201,
                       json_pack("{s:I,s:s,s:I}", "version", (json_int_t)frozen.version, "sha256",
                                 frozen.sha256, "samples", (json_int_t)frozen.n));
    }
    json_decref(frozen.samples);
    json_decref(frozen.classes);
}

/* -- archive -- */

/* POSIX.1-1988 ustar: name 0, mode 100, uid 108, gid 116, size 124, mtime 136, checksum 148, type
 * 156, magic 257. Labels of at most 64 bytes and digests keep the name below its 100. */
static bool write_header(FILE *tar, const char *name, size_t size)
{
    unsigned char block[TAR_BLOCK] = {0};
    unsigned sum = 0;
    char *at = (char *)block;
    size_t n = strlen(name);
    if (n > 155) {
        return false;
    }
    const char *base = name;
    if (n > 100) { /* the label goes into the prefix field */
        base = strrchr(name, '/') + 1;
        memcpy(at + 345, name, (size_t)(base - name - 1));
    }
    memcpy(at, base, strlen(base));
    (void)snprintf(at + 100, 8, "%07o", 0644);
    (void)snprintf(at + 108, 8, "%07o", 0);
    (void)snprintf(at + 116, 8, "%07o", 0);
    (void)snprintf(at + 124, 12, "%011zo", size);
    (void)snprintf(at + 136, 12, "%011o", 0);
    memset(at + 148, ' ', 8);
    at[156] = '0';
    memcpy(at + 257, "ustar\00000", 8);
    for (int i = 0; i < TAR_BLOCK; i++) {
        sum += block[i];
    }
    (void)snprintf(at + 148, 8, "%06o", sum);
    return fwrite(block, 1, TAR_BLOCK, tar) == TAR_BLOCK;
}

static const char *suffix_of(const char *type)
{
    return type == NULL                      ? ""
           : strcmp(type, "image/jpeg") == 0 ? ".jpg"
           : strcmp(type, "image/png") == 0  ? ".png"
           : strcmp(type, "image/bmp") == 0  ? ".bmp"
                                             : ".bin";
}

static enum ledge_status write_entry(const struct hub *hub, FILE *tar, const json_t *sample,
                                     struct ledge_error *err)
{
    static const char zeros[TAR_BLOCK];
    char path[HUB_PATH], name[256];
    const char *sha256 = json_string_value(json_object_get(sample, "sha256"));
    const char *label = json_string_value(json_object_get(sample, "label"));
    const char *suffix = suffix_of(json_string_value(json_object_get(sample, "type")));
    struct ledge_buf bytes = LEDGE_BUF_INIT(HUB_MAX_PICTURE);
    if (sha256 == NULL || label == NULL || !fleet_digest_ok(sha256) || !hub_label_valid(label)) {
        return ledge_fail(err, LEDGE_ERR_CORRUPT, "the data set's list is damaged");
    }
    LEDGE_TRY(sys_file_read(hub_blob_path(hub, sha256, path), &bytes, err));
    (void)snprintf(name, sizeof name, "%s/%s%s", label, sha256, suffix);
    size_t pad = (TAR_BLOCK - bytes.len % TAR_BLOCK) % TAR_BLOCK;
    bool good = write_header(tar, name, bytes.len) &&
                fwrite(bytes.data, 1, bytes.len, tar) == bytes.len &&
                fwrite(zeros, 1, pad, tar) == pad;
    ledge_buf_done(&bytes);
    return good ? LEDGE_OK
                : ledge_fail(err, errno == ENOSPC ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                             "the archive cannot be written: %s", strerror(errno));
}

static enum ledge_status write_entries(const struct hub *hub, const json_t *samples, FILE *tar,
                                       struct ledge_error *err)
{
    static const char zeros[2 * TAR_BLOCK];
    for (size_t i = 0; i < json_array_size(samples); i++) {
        LEDGE_TRY(write_entry(hub, tar, json_array_get(samples, i), err));
    }
    if (fwrite(zeros, 1, sizeof zeros, tar) != sizeof zeros || fflush(tar) != 0) {
        return ledge_fail(err, errno == ENOSPC ? LEDGE_ERR_FULL : LEDGE_ERR_IO,
                          "the archive cannot be written: %s", strerror(errno));
    }
    return LEDGE_OK;
}

/* cache/<digest of the manifest>.tar, made when it is not there. It can be made again, so it is not
 * fsynced. */
static enum ledge_status make_archive(const struct hub *hub, const char *sha256, const char *path,
                                      struct ledge_error *err)
{
    char manifest_path[HUB_PATH], folder[HUB_PATH], temporary[HUB_PATH + 8];
    struct ledge_buf text = LEDGE_BUF_INIT(MAX_MANIFEST);
    json_t *manifest = NULL;
    LEDGE_TRY(sys_dir_make(hub_path(hub, folder, "cache"), err));
    LEDGE_TRY(sys_file_read(hub_blob_path(hub, sha256, manifest_path), &text, err));
    enum ledge_status status = sys_json_parse(text.data, text.len, &manifest, err);
    ledge_buf_done(&text);
    LEDGE_TRY(status);
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    FILE *tar = fopen(temporary, "we");
    if (tar == NULL) {
        json_decref(manifest);
        return ledge_fail(err, LEDGE_ERR_IO, "%s: %s", temporary, strerror(errno));
    }
    status = write_entries(hub, json_object_get(manifest, "samples"), tar, err);
    json_decref(manifest);
    if (fclose(tar) != 0 && status == LEDGE_OK) {
        status = ledge_fail(err, LEDGE_ERR_IO, "%s: %s", temporary, strerror(errno));
    }
    if (status == LEDGE_OK && rename(temporary, path) != 0) {
        status = ledge_fail(err, LEDGE_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (status != LEDGE_OK) {
        (void)unlink(temporary);
    }
    return status;
}

void hub_on_dataset_archive(struct hub_request *request)
{
    struct ledge_error err;
    struct hub *hub = request->hub;
    char *sha256 = NULL, path[HUB_PATH], name[256];
    int64_t version = 0;
    if (!ledge_whole_read(request->params[1], 0, INT64_MAX, &version)) {
        hub_reply_problem(request, 404, "a version is a number");
        return;
    }
    enum ledge_status status = sys_sql_do(hub->sql, &err, hub_row_text, &sha256,
                                          hub_sql_dataset_get, "si", request->params[0], version);
    if (status == LEDGE_OK && sha256 == NULL) {
        status = ledge_fail(&err, LEDGE_ERR_NOT_FOUND, "there is no data set %s version %lld",
                            request->params[0], (long long)version);
    }
    if (status == LEDGE_OK && !sys_file_exists(hub_path(hub, path, "cache/%s.tar", sha256))) {
        status = make_archive(hub, sha256, path, &err);
    }
    if (status != LEDGE_OK) {
        hub_reply_error(request, &err);
    } else {
        hub_security_headers(request->http, false);
        (void)snprintf(name, sizeof name, "attachment; filename=\"%.64s-v%lld.tar\"",
                       request->params[0], (long long)version);
        sys_http_reply_header(request->http, "Content-Disposition", name);
        sys_http_reply_file(request->http, path, "application/x-tar", sha256);
    }
    free(sha256);
}
