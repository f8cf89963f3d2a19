/* SPDX-License-Identifier: Apache-2.0 */
/* folder.c -- a folder of pictures, class = first folder below the root, and a file that overrides
 * labels by path. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "data/dataset_source.h"
#include "sys/file.h"

enum { MAX_DEPTH = 8, MAX_PATH = 4096 };
#define OVERLAY_MAX_BYTES ((size_t)64 << 20)

struct walk {
    struct data_set *set;
    json_t *overlay; /* path -> label; NULL: none */
    struct ledge_error *err;
    struct ledge_buf bytes; /* of the picture at hand */
    char path[MAX_PATH];    /* grows and shrinks with the walk */
    size_t root;            /* length of the root with its slash */
};

static void free_json(json_t **value)
{
    json_decref(*value);
}

static bool is_picture(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".bmp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcasecmp(dot, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Label of the picture at w->path: the overlay's, else the first folder's name; -1 and no error
 * when it has none. */
static enum ledge_status label_of(struct walk *w, int32_t *label)
{
    const char *key = w->path + w->root;
    const char *name = json_string_value(json_object_get(w->overlay, key));
    size_t length = name != NULL ? strlen(name) : strcspn(key, "/");
    if (name == NULL && key[length] == '\0') {
        *label = -1; /* beside the class folders: has no label */
        return LEDGE_OK;
    }
    *label = data_source_class(w->set, name != NULL ? name : key, length);
    return *label >= 0 ? LEDGE_OK
                       : ledge_fail(w->err, LEDGE_ERR_RANGE, "%s: more than %d classes",
                                    w->set->path, DATA_MAX_CLASSES);
}

static enum ledge_status add_picture(struct walk *w)
{
    int32_t label;
    LEDGE_TRY(label_of(w, &label));
    if (label < 0) {
        return LEDGE_OK;
    }
    ledge_buf_clear(&w->bytes);
    LEDGE_TRY(sys_file_read(w->path, &w->bytes, w->err));
    return data_source_add(w->set, w->path + w->root, label, 0, w->bytes.data, w->bytes.len,
                           w->err);
}

static enum ledge_status walk_folder(struct walk *w, size_t length, int depth);

static enum ledge_status visit(struct walk *w, size_t length, const char *name, int depth)
{
    struct stat info;
    int n = snprintf(w->path + length, sizeof w->path - length, "%s", name);
    if (n < 0 || length + (size_t)n + 2 > sizeof w->path) {
        return ledge_fail(w->err, LEDGE_ERR_RANGE, "%s: a path is too long", w->set->path);
    }
    if (stat(w->path, &info) != 0) {
        return ledge_fail(w->err, LEDGE_ERR_IO, "%s: %s", w->path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        size_t next = length + (size_t)n;
        w->path[next] = '/';
        w->path[next + 1] = '\0';
        return depth < MAX_DEPTH ? walk_folder(w, next + 1, depth + 1) : LEDGE_OK;
    }
    return S_ISREG(info.st_mode) && is_picture(name) ? add_picture(w) : LEDGE_OK;
}

static enum ledge_status walk_folder(struct walk *w, size_t length, int depth)
{
    struct dirent **entries;
    int n = scandir(w->path, &entries, visible, by_name);
    if (n < 0) {
        return ledge_fail(w->err, errno == ENOENT ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_IO, "%s: %s",
                          w->path, strerror(errno));
    }
    enum ledge_status status = LEDGE_OK;
    for (int i = 0; i < n; i++) {
        if (status == LEDGE_OK) {
            status = visit(w, length, entries[i]->d_name, depth);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* "path,label" lines; a first line "path,label" is a heading. */
static enum ledge_status overlay_csv(const char *path, const struct ledge_buf *text,
                                     json_t *overlay, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf key = LEDGE_BUF_INIT(MAX_PATH);
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf label = LEDGE_BUF_INIT(MAX_PATH);
    const char *at = text->data;
    const char *end = text->data + text->len;
    for (int line = 1; at < end; line++) {
        int stop = data_csv_field(&at, end, &key);
        if (stop == '\n' && key.len == 0) {
            continue;
        }
        int last = stop == ',' ? data_csv_field(&at, end, &label) : -1;
        if (last != '\n' && last != 0) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "%s:%d: must read path,label", path, line);
        }
        bool heading = line == 1 && strcmp(key.data, "path") == 0;
        if (!heading && label.len > 0 &&
            json_object_set_new(overlay, key.data, json_string(label.data)) != 0) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "%s:%d: not UTF-8", path, line);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status overlay_json(const char *path, const struct ledge_buf *text,
                                      json_t *overlay, struct ledge_error *err)
{
    json_error_t problem;
    LEDGE_CLEANUP(free_json)
    json_t *root = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, &problem);
    const char *key;
    json_t *value;
    if (!json_is_object(root)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: not a JSON object of paths and labels", path);
    }
    json_object_foreach(root, key, value)
    {
        if (!json_is_string(value)) {
            return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: the label of %s is not text", path, key);
        }
    }
    return json_object_update(overlay, root) == 0
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_NOMEM, "data set: out of memory");
}

static enum ledge_status read_overlay(const char *path, json_t *overlay, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(OVERLAY_MAX_BYTES);
    LEDGE_TRY(sys_file_read(path, &text, err));
    if (text.len == 0) {
        return LEDGE_OK;
    }
    size_t blank = strspn(text.data, " \t\r\n");
    return text.data[blank] == '{' ? overlay_json(path, &text, overlay, err)
                                   : overlay_csv(path, &text, overlay, err);
}

enum ledge_status data_folder_open(struct data_set *set, const struct data_set_spec *spec,
                                   struct ledge_error *err)
{
    struct walk w = {.set = set, .err = err, .bytes = LEDGE_BUF_INIT(SYS_IMAGE_MAX_FILE)};
    int n = snprintf(w.path, sizeof w.path, "%s/", spec->path);
    if (n < 0 || (size_t)n >= sizeof w.path) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "%.80s...: the path is too long", spec->path);
    }
    w.root = (size_t)n;
    LEDGE_CLEANUP(free_json) json_t *overlay = json_object();
    if (overlay == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "data set: out of memory");
    }
    w.overlay = overlay;
    if (spec->labels != NULL) {
        LEDGE_TRY(read_overlay(spec->labels, overlay, err));
    }
    enum ledge_status status = walk_folder(&w, w.root, 0);
    ledge_buf_done(&w.bytes);
    return status;
}

enum ledge_status data_folder_image(const struct data_set *set, const struct data_sample *sample,
                                    int32_t channels, struct sys_image *image,
                                    struct ledge_error *err)
{
    char path[MAX_PATH];
    (void)snprintf(path, sizeof path, "%s/%s", set->path, sample->key);
    return sys_image_load(path, channels, image, err);
}
