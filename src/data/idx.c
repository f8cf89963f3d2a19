/* SPDX-License-Identifier: Apache-2.0 */
/* idx.c -- IDX files of MNIST's kind, plain or gzip. See dataset.h, dataset_source.h.
 *
 * Bytes: 0 0 type(0x08 = u8) rank, then rank sizes as big-endian u32, then the elements, last
 * dimension fastest.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/status.h"
#include "data/dataset_source.h"
#include "sys/gzip.h"

#define IDX_MAX_BYTES ((size_t)2 << 30)

enum ledge_status data_idx_header(const void *bytes, size_t size, int32_t rank, int64_t dims[3],
                                  size_t *at, struct ledge_error *err)
{
    const uint8_t *b = bytes;
    size_t start = 4 + 4 * (size_t)rank;
    size_t total = 1;
    if (size < start || b[0] != 0 || b[1] != 0 || b[2] != 8 || b[3] != rank) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "not an IDX file of %d-dimensional bytes", rank);
    }
    for (int32_t i = 0; i < rank; i++) {
        const uint8_t *d = b + 4 + 4 * i;
        dims[i] = (int64_t)d[0] << 24 | (int64_t)d[1] << 16 | (int64_t)d[2] << 8 | d[3];
        if (dims[i] == 0 || !ledge_mul_size(total, (size_t)dims[i], &total)) {
            return ledge_fail(err, LEDGE_ERR_RANGE, "IDX dimension %d is %lld", i,
                              (long long)dims[i]);
        }
    }
    if (total != size - start) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "IDX header says %zu bytes, there are %zu", total,
                          size - start);
    }
    *at = start;
    return LEDGE_OK;
}

static int is_images(const struct dirent *entry)
{
    static const char *const ends[] = {"images-idx3-ubyte", "images-idx3-ubyte.gz"};
    size_t n = strlen(entry->d_name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t m = strlen(ends[i]);
        if (n >= m && strcmp(entry->d_name + n - m, ends[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The images file in a folder: the only one, or the only one whose name starts with "train". */
static bool find_images(char *text, size_t size, const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_images, NULL);
    int chosen = n == 1 ? 0 : -1;
    int training = 0;
    for (int i = 0; i < n; i++) {
        if (n > 1 && strncmp(entries[i]->d_name, "train", 5) == 0) {
            chosen = i;
            training++;
        }
    }
    bool found = chosen >= 0 && training <= 1;
    if (found) {
        (void)snprintf(text, size, "%s/%s", folder, entries[chosen]->d_name);
    }
    for (int i = 0; i < n; i++) {
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
    return found;
}

bool data_idx_is_folder(const char *path)
{
    char text[4096];
    return find_images(text, sizeof text, path);
}

static enum ledge_status read_idx(const char *path, int32_t rank, struct ledge_buf *bytes,
                                  int64_t dims[3], size_t *at, struct ledge_error *err)
{
    struct ledge_error local;
    LEDGE_TRY(sys_gzip_read(path, bytes, err));
    enum ledge_status status = data_idx_header(bytes->data, bytes->len, rank, dims, at, &local);
    return status == LEDGE_OK ? LEDGE_OK : ledge_fail(err, status, "%s: %s", path, local.text);
}

/* ".../train-images-idx3-ubyte.gz" -> ".../train-labels-idx1-ubyte.gz" */
static bool labels_name(const char *images, char *text, size_t size)
{
    static const char from[] = "images-idx3";
    const char *at = NULL;
    for (const char *next = images; (next = strstr(next, from)) != NULL; next++) {
        at = next;
    }
    if (at == NULL) {
        return false;
    }
    int n =
        snprintf(text, size, "%.*slabels-idx1%s", (int)(at - images), images, at + sizeof from - 1);
    return n > 0 && (size_t)n < size;
}

static enum ledge_status add_all(struct data_set *set, const uint8_t *labels, int64_t n, size_t at,
                                 struct ledge_error *err)
{
    size_t one = (size_t)set->rows * (size_t)set->columns;
    for (int64_t i = 0; i < n; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%d", labels[i]);
        int32_t label = data_source_class(set, text, strlen(text));
        if (label < 0) {
            return ledge_fail(err, LEDGE_ERR_NOMEM, "data set: out of memory");
        }
        size_t start = at + (size_t)i * one;
        (void)snprintf(text, sizeof text, "%lld", (long long)i);
        LEDGE_TRY(
            data_source_add(set, text, label, (int64_t)start, set->bytes.data + start, one, err));
    }
    return LEDGE_OK;
}

enum ledge_status data_idx_open(struct data_set *set, const struct data_set_spec *spec,
                                struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf labels = LEDGE_BUF_INIT(IDX_MAX_BYTES);
    char images_path[4096];
    char labels_path[4096];
    int64_t dims[3];
    int64_t n_labels[3];
    size_t at;
    size_t labels_at;
    (void)snprintf(images_path, sizeof images_path, "%s", spec->path);
    if (find_images(labels_path, sizeof labels_path, spec->path)) {
        memcpy(images_path, labels_path, sizeof images_path);
    }
    if (!labels_name(images_path, labels_path, sizeof labels_path)) {
        return ledge_fail(
            err, LEDGE_ERR_NOT_FOUND,
            "%s: no single images-idx3-ubyte[.gz] file (training set) with labels beside it",
            spec->path);
    }
    set->bytes.max = IDX_MAX_BYTES;
    LEDGE_TRY(read_idx(images_path, 3, &set->bytes, dims, &at, err));
    LEDGE_TRY(read_idx(labels_path, 1, &labels, n_labels, &labels_at, err));
    if (dims[0] != n_labels[0]) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: %lld pictures but %lld labels", images_path,
                          (long long)dims[0], (long long)n_labels[0]);
    }
    if (dims[1] > SYS_IMAGE_MAX_SIDE || dims[2] > SYS_IMAGE_MAX_SIDE) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "%s: pictures of %lld x %lld", images_path,
                          (long long)dims[2], (long long)dims[1]);
    }
    set->rows = (int32_t)dims[1];
    set->columns = (int32_t)dims[2];
    return add_all(set, (const uint8_t *)labels.data + labels_at, dims[0], at, err);
}

enum ledge_status data_idx_image(const struct data_set *set, const struct data_sample *sample,
                                 int32_t channels, struct sys_image *image, struct ledge_error *err)
{
    LEDGE_TRY(sys_image_create(set->columns, set->rows, 1, image, err));
    memcpy(image->pixels, set->bytes.data + sample->at, (size_t)set->rows * (size_t)set->columns);
    if (channels == 3) {
        enum ledge_status status = sys_image_convert(image, 3, err);
        if (status != LEDGE_OK) {
            sys_image_done(image);
        }
        return status;
    }
    return LEDGE_OK;
}
