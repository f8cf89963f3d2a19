/* SPDX-License-Identifier: Apache-2.0 */
/* dataset.c -- classes, split, limit, cache and digest, the same for every source. See dataset.h.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/status.h"
#include "data/dataset_source.h"

enum { EMPTY = 0, FILLING = 1, READY = 2 };

static enum ledge_status no_memory(struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_NOMEM, "data set: out of memory");
}

bool data_kind_parse(const char *text, enum data_kind *kind)
{
    static const struct {
        const char *text;
        enum data_kind kind;
    } kinds[] = {{"auto", DATA_KIND_GUESS},
                 {"image-folder", DATA_KIND_FOLDER},
                 {"idx", DATA_KIND_IDX},
                 {"csv", DATA_KIND_CSV}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(text, kinds[i].text) == 0) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* -- for the sources -- */

int32_t data_source_class(struct data_set *set, const char *name, size_t length)
{
    for (int32_t i = 0; i < set->n_classes; i++) {
        if (strlen(set->classes[i]) == length && memcmp(set->classes[i], name, length) == 0) {
            return i;
        }
    }
    if (set->n_classes == set->cap_classes) {
        int32_t cap = set->cap_classes == 0 ? 16 : set->cap_classes * 2;
        char **classes = set->n_classes >= DATA_MAX_CLASSES
                             ? NULL
                             : realloc(set->classes, (size_t)cap * sizeof *classes);
        if (classes == NULL) {
            return -1;
        }
        set->classes = classes;
        set->cap_classes = cap;
    }
    char *copy = strndup(name, length);
    if (copy == NULL) {
        return -1;
    }
    set->classes[set->n_classes] = copy;
    return set->n_classes++;
}

enum ledge_status data_source_add(struct data_set *set, const char *key, int32_t label, int64_t at,
                                  const void *bytes, size_t n, struct ledge_error *err)
{
    if (set->n == DATA_MAX_SAMPLES) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "%s: more than %d samples",
                          set->path != NULL ? set->path : "data set", DATA_MAX_SAMPLES);
    }
    if (set->n == set->cap) {
        int64_t cap = set->cap == 0 ? 256 : set->cap * 2;
        struct data_sample *samples = realloc(set->samples, (size_t)cap * sizeof *samples);
        if (samples == NULL) {
            return no_memory(err);
        }
        set->samples = samples;
        set->cap = cap;
    }
    struct data_sample *sample = &set->samples[set->n];
    *sample = (struct data_sample){.key = strdup(key), .label = label, .at = at};
    if (sample->key == NULL) {
        return no_memory(err);
    }
    ledge_sha256(bytes, n, sample->digest);
    set->n++;
    return LEDGE_OK;
}

void data_source_done(struct data_set *set)
{
    for (int64_t i = 0; i < set->n; i++) {
        free(set->samples[i].key);
    }
    for (int32_t i = 0; i < set->n_classes; i++) {
        free(set->classes[i]);
    }
    free(set->samples);
    free(set->classes);
    free(set->path);
    free(set->pixels);
    free(set->states);
    free(set->features);
    ledge_buf_done(&set->bytes);
}

/* -- classes -- */

static bool is_whole(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && n < 10 && text[n] == '\0';
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_value(const void *a, const void *b)
{
    long x = strtol(*(char *const *)a, NULL, 10);
    long y = strtol(*(char *const *)b, NULL, 10);
    return x != y ? (x > y) - (x < y) : by_text(a, b);
}

static int32_t index_of(char *const *names, int32_t n, const char *name)
{
    for (int32_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The final class list: the spec's, or all names sorted. OWNED texts in *names. */
static enum ledge_status final_classes(const struct data_set *set, const struct data_set_spec *spec,
                                       char ***names, int32_t *n, struct ledge_error *err)
{
    bool listed = spec->n_classes > 0;
    int32_t count = listed ? spec->n_classes : set->n_classes;
    char **list = calloc((size_t)count + 1, sizeof *list);
    if (list == NULL) {
        return no_memory(err);
    }
    enum ledge_status status = LEDGE_OK;
    bool whole = true;
    for (int32_t i = 0; i < count && status == LEDGE_OK; i++) {
        const char *name = listed ? spec->classes[i] : set->classes[i];
        if (listed && !spec->may_lack_classes && index_of(set->classes, set->n_classes, name) < 0) {
            status =
                ledge_fail(err, LEDGE_ERR_ARG, "%s: no sample of class '%s'", spec->path, name);
        } else if (listed && index_of(list, i, name) >= 0) {
            status = ledge_fail(err, LEDGE_ERR_ARG, "class '%s' is listed twice", name);
        } else if ((list[i] = strdup(name)) == NULL) {
            status = no_memory(err);
        }
        whole = whole && is_whole(name);
    }
    if (status != LEDGE_OK) {
        for (int32_t i = 0; i < count; i++) {
            free(list[i]);
        }
        free(list);
        return status;
    }
    if (!listed) {
        qsort(list, (size_t)count, sizeof *list, whole ? by_value : by_text);
        while (spec->first_classes > 0 && count > spec->first_classes) {
            free(list[--count]);
        }
    }
    *names = list;
    *n = count;
    return LEDGE_OK;
}

/* Labels become indices of the final list; samples of other classes go. */
static enum ledge_status settle_classes(struct data_set *set, const struct data_set_spec *spec,
                                        struct ledge_error *err)
{
    char **names = NULL;
    int32_t n = 0;
    LEDGE_TRY(final_classes(set, spec, &names, &n, err));
    int64_t kept = 0;
    for (int64_t i = 0; i < set->n; i++) {
        struct data_sample sample = set->samples[i];
        sample.label = index_of(names, n, set->classes[sample.label]);
        if (sample.label < 0) {
            free(sample.key);
            continue;
        }
        set->samples[kept++] = sample;
    }
    set->n = kept;
    for (int32_t i = 0; i < set->n_classes; i++) {
        free(set->classes[i]);
    }
    free(set->classes);
    set->classes = names;
    set->n_classes = n;
    return LEDGE_OK;
}

/* -- split and limit -- */

static uint64_t rank_of(const uint8_t digest[LEDGE_SHA256_BYTES], uint64_t seed)
{
    uint8_t bytes[LEDGE_SHA256_BYTES + 8];
    uint8_t hash[LEDGE_SHA256_BYTES];
    uint64_t rank = 0;
    memcpy(bytes, digest, LEDGE_SHA256_BYTES);
    for (int i = 0; i < 8; i++) {
        bytes[LEDGE_SHA256_BYTES + i] = (uint8_t)(seed >> (8 * i));
    }
    ledge_sha256(bytes, sizeof bytes, hash);
    for (int i = 0; i < 8; i++) {
        rank = rank << 8 | hash[i];
    }
    return rank;
}

static int by_rank(const void *a, const void *b)
{
    const struct data_sample *x = *(const struct data_sample *const *)a;
    const struct data_sample *y = *(const struct data_sample *const *)b;
    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank) : strcmp(x->key, y->key);
}

static int by_label_and_rank(const void *a, const void *b)
{
    const struct data_sample *x = *(const struct data_sample *const *)a;
    const struct data_sample *y = *(const struct data_sample *const *)b;
    return x->label != y->label ? x->label - y->label : by_rank(a, b);
}

/* keep[i]: does sample i belong to the part the spec asks for? */
static void choose_by_threshold(const struct data_set *set, const struct data_set_spec *spec,
                                bool *keep)
{
    double limit = spec->val_fraction * 18446744073709551616.0; /* 2^64 */
    for (int64_t i = 0; i < set->n; i++) {
        bool val = (double)set->samples[i].rank < limit;
        keep[i] = val == (spec->part == DATA_VAL);
    }
}

static void choose_stratified(const struct data_set *set, const struct data_set_spec *spec,
                              struct data_sample **order, bool *keep)
{
    qsort(order, (size_t)set->n, sizeof *order, by_label_and_rank);
    for (int64_t first = 0; first < set->n;) {
        int64_t last = first;
        while (last < set->n && order[last]->label == order[first]->label) {
            last++;
        }
        int64_t n_val = (int64_t)(spec->val_fraction * (double)(last - first) + 0.5);
        for (int64_t i = first; i < last; i++) {
            keep[order[i] - set->samples] = (i - first < n_val) == (spec->part == DATA_VAL);
        }
        first = last;
    }
}

static void choose_limit(const struct data_set *set, int64_t limit, struct data_sample **order,
                         bool *keep)
{
    int64_t taken = 0;
    for (int64_t i = 0; i < set->n; i++) {
        order[i] = &set->samples[i];
    }
    qsort(order, (size_t)set->n, sizeof *order, by_rank);
    /* From the far end of the ranks, so that a limited training part does not hug the border. */
    for (int64_t i = set->n - 1; i >= 0; i--) {
        int64_t at = order[i] - set->samples;
        keep[at] = keep[at] && taken < limit;
        taken += keep[at] ? 1 : 0;
    }
}

static enum ledge_status settle_part(struct data_set *set, const struct data_set_spec *spec,
                                     struct ledge_error *err)
{
    struct data_sample **order = calloc((size_t)set->n + 1, sizeof(struct data_sample *));
    bool *keep = calloc((size_t)set->n + 1, sizeof *keep);
    if (order == NULL || keep == NULL) {
        free(order);
        free(keep);
        return no_memory(err);
    }
    for (int64_t i = 0; i < set->n; i++) {
        set->samples[i].rank = rank_of(set->samples[i].digest, spec->seed);
        order[i] = &set->samples[i];
        keep[i] = true;
    }
    if (spec->part != DATA_ALL && spec->stratified) {
        choose_stratified(set, spec, order, keep);
    } else if (spec->part != DATA_ALL) {
        choose_by_threshold(set, spec, keep);
    }
    if (spec->limit > 0) {
        choose_limit(set, spec->limit, order, keep);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < set->n; i++) {
        if (keep[i]) {
            set->samples[kept++] = set->samples[i];
        } else {
            free(set->samples[i].key);
        }
    }
    set->n = kept;
    free(order);
    free(keep);
    if (kept == 0) {
        static const char *const parts[] = {"", " in the training part", " in the validation part"};
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: no samples%s", spec->path, parts[spec->part]);
    }
    return LEDGE_OK;
}

/* -- pictures -- */

static enum ledge_status load_image(const struct data_set *set, const struct data_sample *sample,
                                    int32_t channels, struct sys_image *image,
                                    struct ledge_error *err)
{
    return set->kind == DATA_KIND_IDX ? data_idx_image(set, sample, channels, image, err)
                                      : data_folder_image(set, sample, channels, image, err);
}

static enum ledge_status settle_pictures(struct data_set *set, const struct data_set_spec *spec,
                                         struct ledge_error *err)
{
    if (spec->preprocess != NULL) {
        set->preprocess = *spec->preprocess;
    } else {
        struct sys_image first = {0};
        LEDGE_TRY(load_image(set, &set->samples[0], 0, &first, err));
        set->preprocess = (struct data_preprocess){
            .width = first.width,
            .height = first.height,
            .channels = first.channels,
            .layout = DATA_NCHW,
            .fit = DATA_FIT_STRETCH,
            .crop = 1,
            .std = {1, 1, 1},
        };
        sys_image_done(&first);
    }
    const struct data_preprocess *p = &set->preprocess;
    size_t total;
    set->pixel_bytes = (size_t)p->width * (size_t)p->height * (size_t)p->channels;
    size_t limit = spec->cache_bytes != 0 ? spec->cache_bytes : DATA_CACHE_BYTES;
    if (ledge_mul_size(set->pixel_bytes, (size_t)set->n, &total) && total <= limit) {
        set->pixels = malloc(total);
        set->states = calloc((size_t)set->n, sizeof *set->states);
        if (set->pixels == NULL || set->states == NULL) {
            return no_memory(err);
        }
    }
    return LEDGE_OK;
}

static enum ledge_status decode(const struct data_set *set, int64_t i, uint8_t *pixels,
                                struct ledge_error *err)
{
    struct sys_image image = {0};
    struct sys_image resized = {0};
    LEDGE_TRY(load_image(set, &set->samples[i], set->preprocess.channels, &image, err));
    enum ledge_status status = data_preprocess_resize(&set->preprocess, &image, &resized, err);
    sys_image_done(&image);
    if (status == LEDGE_OK) {
        memcpy(pixels, resized.pixels, set->pixel_bytes);
        sys_image_done(&resized);
    }
    return status;
}

enum ledge_status data_set_pixels(struct data_set *set, int64_t i, uint8_t *pixels,
                                  struct ledge_error *err)
{
    if (!set->pictures) {
        return ledge_fail(err, LEDGE_ERR_STATE, "a table has no pixels");
    }
    if (set->pixels == NULL) {
        return decode(set, i, pixels, err);
    }
    uint8_t *slot = set->pixels + (size_t)i * set->pixel_bytes;
    if (atomic_load_explicit(&set->states[i], memory_order_acquire) == READY) {
        memcpy(pixels, slot, set->pixel_bytes);
        return LEDGE_OK;
    }
    LEDGE_TRY(decode(set, i, pixels, err));
    unsigned char expected = EMPTY;
    if (atomic_compare_exchange_strong(&set->states[i], &expected, FILLING)) {
        memcpy(slot, pixels, set->pixel_bytes);
        atomic_store_explicit(&set->states[i], READY, memory_order_release);
    }
    return LEDGE_OK;
}

static enum ledge_status read_row(const struct data_set *set, int64_t i,
                                  const struct ledge_tensor *input, void *item,
                                  struct ledge_error *err)
{
    if (input != NULL && input->dtype != LEDGE_F32) {
        return ledge_fail(err, LEDGE_ERR_DTYPE, "%s: a table can only feed an f32 input",
                          set->path);
    }
    memcpy(item, set->features + set->samples[i].at * set->n_features,
           (size_t)set->n_features * sizeof(float));
    return LEDGE_OK;
}

enum ledge_status data_set_read(struct data_set *set, int64_t i, const struct ledge_tensor *input,
                                void *item, struct ledge_error *err)
{
    static const struct ledge_tensor real = {.dtype = LEDGE_F32};
    if (!set->pictures) {
        return read_row(set, i, input, item, err);
    }
    uint8_t *pixels = malloc(set->pixel_bytes);
    if (pixels == NULL) {
        return no_memory(err);
    }
    enum ledge_status status = data_set_pixels(set, i, pixels, err);
    if (status == LEDGE_OK) {
        data_preprocess_fill(&set->preprocess, pixels, input != NULL ? input : &real, item);
    }
    free(pixels);
    return status;
}

/* -- open -- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum ledge_status guess_kind(const char *path, enum data_kind *kind, struct ledge_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return ledge_fail(err, LEDGE_ERR_NOT_FOUND, "%s: no such data set", path);
    }
    if (S_ISDIR(info.st_mode)) {
        *kind = data_idx_is_folder(path) ? DATA_KIND_IDX : DATA_KIND_FOLDER;
        return LEDGE_OK;
    }
    if (ends_with(path, ".csv")) {
        *kind = DATA_KIND_CSV;
    } else if (strstr(path, "-ubyte") != NULL) {
        *kind = DATA_KIND_IDX;
    } else {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: neither a folder, a .csv nor an IDX file", path);
    }
    return LEDGE_OK;
}

static enum ledge_status open_source(struct data_set *set, const struct data_set_spec *spec,
                                     struct ledge_error *err)
{
    switch (set->kind) {
    case DATA_KIND_IDX:
        return data_idx_open(set, spec, err);
    case DATA_KIND_CSV:
        return data_csv_open(set, spec, err);
    default:
        return data_folder_open(set, spec, err);
    }
}

static enum ledge_status fill_set(struct data_set *set, const struct data_set_spec *spec,
                                  struct ledge_error *err)
{
    set->kind = spec->kind;
    set->path = strdup(spec->path);
    if (set->path == NULL) {
        return no_memory(err);
    }
    if (spec->kind == DATA_KIND_GUESS) {
        LEDGE_TRY(guess_kind(spec->path, &set->kind, err));
    }
    set->pictures = set->kind != DATA_KIND_CSV;
    LEDGE_TRY(open_source(set, spec, err));
    if (set->n == 0) {
        return ledge_fail(
            err, LEDGE_ERR_ARG, "%s: no samples%s", spec->path,
            set->kind == DATA_KIND_FOLDER ? "; expected a folder of pictures for each class" : "");
    }
    LEDGE_TRY(settle_classes(set, spec, err));
    LEDGE_TRY(settle_part(set, spec, err));
    return set->pictures ? settle_pictures(set, spec, err) : LEDGE_OK;
}

enum ledge_status data_set_open(const struct data_set_spec *spec, struct data_set **set,
                                struct ledge_error *err)
{
    if (spec->path == NULL || !(spec->val_fraction >= 0 && spec->val_fraction <= 1)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "data set: needs a path and a val_fraction of 0..1");
    }
    struct data_set *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return no_memory(err);
    }
    enum ledge_status status = fill_set(s, spec, err);
    if (status != LEDGE_OK) {
        data_set_close(s);
        return status;
    }
    *set = s;
    return LEDGE_OK;
}

void data_set_close(struct data_set *set)
{
    if (set != NULL) {
        data_source_done(set);
        free(set);
    }
}

/* -- what is in it -- */

int64_t data_set_count(const struct data_set *set)
{
    return set->n;
}

int32_t data_set_n_classes(const struct data_set *set)
{
    return set->n_classes;
}

const char *data_set_class(const struct data_set *set, int32_t index)
{
    return set->classes[index];
}

int32_t data_set_label(const struct data_set *set, int64_t i)
{
    return set->samples[i].label;
}

const char *data_set_key(const struct data_set *set, int64_t i)
{
    return set->samples[i].key;
}

const struct data_preprocess *data_set_preprocess(const struct data_set *set)
{
    return set->pictures ? &set->preprocess : NULL;
}

int32_t data_set_dims(const struct data_set *set, int64_t dims[3])
{
    if (!set->pictures) {
        dims[0] = set->n_features;
        return 1;
    }
    dims[0] = set->preprocess.channels;
    dims[1] = set->preprocess.height;
    dims[2] = set->preprocess.width;
    return 3;
}

static int by_digest_and_label(const void *a, const void *b)
{
    const struct data_sample *x = *(const struct data_sample *const *)a;
    const struct data_sample *y = *(const struct data_sample *const *)b;
    int order = memcmp(x->digest, y->digest, sizeof x->digest);
    return order != 0 ? order : x->label - y->label;
}

/* Sorted by digest; OWNED list, NULL when there is no memory. */
static const struct data_sample **sorted(const struct data_set *set)
{
    const struct data_sample **order = calloc((size_t)set->n + 1, sizeof(struct data_sample *));
    for (int64_t i = 0; order != NULL && i < set->n; i++) {
        order[i] = &set->samples[i];
    }
    if (order != NULL) {
        qsort(order, (size_t)set->n, sizeof *order, by_digest_and_label);
    }
    return order;
}

void data_set_digest(const struct data_set *set, char hex[DATA_DIGEST_HEX])
{
    struct ledge_sha256 sha;
    uint8_t digest[LEDGE_SHA256_BYTES];
    const struct data_sample **order = sorted(set);
    ledge_sha256_init(&sha);
    for (int64_t i = 0; order != NULL && i < set->n; i++) {
        const char *name = set->classes[order[i]->label];
        ledge_sha256_add(&sha, order[i]->digest, sizeof order[i]->digest);
        ledge_sha256_add(&sha, name, strlen(name) + 1);
    }
    ledge_sha256_end(&sha, digest);
    ledge_hex(digest, sizeof digest, hex);
    free(order);
}

int64_t data_set_shared(const struct data_set *a, const struct data_set *b)
{
    const struct data_sample **x = sorted(a);
    const struct data_sample **y = sorted(b);
    int64_t shared = x == NULL || y == NULL ? -1 : 0;
    for (int64_t i = 0, k = 0; shared >= 0 && i < a->n && k < b->n;) {
        int order = memcmp(x[i]->digest, y[k]->digest, sizeof x[i]->digest);
        shared += order == 0;
        i += order <= 0;
        k += order > 0;
    }
    free(x);
    free(y);
    return shared;
}
