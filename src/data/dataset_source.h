/* SPDX-License-Identifier: Apache-2.0 */
/* dataset_source.h -- between dataset.c (classes, split, cache) and the readers folder.c, idx.c,
 * csv.c. */
#ifndef DATA_DATASET_SOURCE_H
#define DATA_DATASET_SOURCE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/digest.h"
#include "data/dataset.h"

struct data_sample {
    char *key;
    int32_t label; /* class index; while a source fills: index into names */
    int64_t at;    /* the source's own number of the sample */
    uint8_t digest[LEDGE_SHA256_BYTES];
    uint64_t rank; /* place in the split, from digest and seed */
};

struct data_set {
    enum data_kind kind;
    char *path;
    char **classes;
    int32_t n_classes, cap_classes;
    struct data_sample *samples;
    int64_t n, cap;
    struct data_preprocess preprocess;
    bool pictures;
    /* cache of resized pixels: one slot per sample */
    uint8_t *pixels;
    size_t pixel_bytes;
    atomic_uchar *states;
    /* idx: the unpacked images file; csv: n x n_features */
    struct ledge_buf bytes;
    int32_t rows, columns, channels;
    float *features;
    int64_t n_features;
};

/* Class name -> index, added when new; -1 when there is no memory or there are too many. */
int32_t data_source_class(struct data_set *set, const char *name, size_t length);

/* Append a sample; digest NULL: of bytes. Errors: ERR_NOMEM, ERR_RANGE. */
LEDGE_NODISCARD enum ledge_status data_source_add(struct data_set *set, const char *key,
                                                  int32_t label, int64_t at, const void *bytes,
                                                  size_t n, struct ledge_error *err);

/* Readers: fill classes, samples and what pixels() or features need. */
LEDGE_NODISCARD enum ledge_status
data_folder_open(struct data_set *set, const struct data_set_spec *spec, struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status
data_idx_open(struct data_set *set, const struct data_set_spec *spec, struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status
data_csv_open(struct data_set *set, const struct data_set_spec *spec, struct ledge_error *err);

/* The picture of a sample as it stands in the file; OWNED. */
LEDGE_NODISCARD enum ledge_status data_folder_image(const struct data_set *set,
                                                    const struct data_sample *sample,
                                                    int32_t channels, struct sys_image *image,
                                                    struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status data_idx_image(const struct data_set *set,
                                                 const struct data_sample *sample, int32_t channels,
                                                 struct sys_image *image, struct ledge_error *err);

/* A folder that holds train-images-idx3-ubyte or the like. */
bool data_idx_is_folder(const char *path);

/* -- pure parsers over bytes, also driven by the fuzzers -- */

/* IDX header: magic 0x00000803 (images) or 0x00000801 (labels), big-endian sizes. Source: the MNIST
 * file format. dims  FILLED: rank sizes (3 or 1); at: where the data starts Errors: ERR_FORMAT,
 * ERR_RANGE. */
LEDGE_NODISCARD enum ledge_status data_idx_header(const void *bytes, size_t size, int32_t rank,
                                                  int64_t dims[3], size_t *at,
                                                  struct ledge_error *err);

/* CSV text (RFC 4180, comma) into set. Errors: ERR_FORMAT (line), ERR_RANGE, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status data_csv_parse(struct data_set *set, const char *text,
                                                 size_t size, const char *label_column,
                                                 struct ledge_error *err);

/* One field of a CSV row. field is FILLED (a growing buffer, cleared first). Returns what ended it:
 * ',', '\n' or 0 at the end of the text, -1 when a quote is not closed, the field is too long or
 * holds a NUL. */
int data_csv_field(const char **text, const char *end, struct ledge_buf *field);

/* Free what the sources hold; for data_set_close() and fuzzers. */
void data_source_done(struct data_set *set);

#endif
