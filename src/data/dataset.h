/* SPDX-License-Identifier: Apache-2.0 */
/* dataset.h -- labelled samples from a folder of pictures, IDX files or a CSV table, split by
 * content.
 *
 * Flow:    files -> [dataset.h] -> train, quantize (calibration), evaluate
 * Order:   samples keep the order of their keys (folder: relative path; IDX and CSV: position), the
 * same on every machine. Split:   a sample is in the validation part when SHA-256(its bytes, seed)
 * falls in the lowest val_fraction of the range. So a picture stays in its part when others come or
 * go, when it is renamed, and duplicates never cross the border. stratified instead takes the
 * lowest val_fraction of each class: exact shares, but members may change with the set. Classes:
 * sorted by name (by value when all are whole numbers), unless the spec lists them. Threads: after
 * open, every function may be called from any thread. Memory:  a set OWNS everything it gives:
 * data_set_close(). Pixels are kept in memory (8-bit, resized) up to cache_bytes, beyond that
 * pictures are decoded at each read. IDX files and CSV tables are held whole.
 */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/preprocess.h"
#include "ledge/error.h"
#include "ledge/tensor.h"

enum data_kind { DATA_KIND_GUESS, DATA_KIND_FOLDER, DATA_KIND_IDX, DATA_KIND_CSV };
enum data_part { DATA_ALL, DATA_TRAIN, DATA_VAL };

enum {
    DATA_MAX_SAMPLES = 10 * 1000 * 1000,
    DATA_MAX_CLASSES = 10000,
    DATA_MAX_FEATURES = 4096,
    DATA_DIGEST_HEX = 65,
};

/* Everything is BORROWED during data_set_open() only. Zero and NULL are defaults. */
struct data_set_spec {
    enum data_kind kind; /* DATA_KIND_GUESS: by what stands at path */
    /* folder: <path>/<class>/<picture>.{jpg,jpeg,png,bmp}, classes may hold folders of their own
     * idx:    the images file (its labels file is found by name), or a folder with
     * train-images-idx3-ubyte[.gz] csv:    one row per sample */
    const char *path;
    /* folder: a file that gives labels by path, "path,label" lines or a JSON object; it wins over
     * the folder's name csv:    the name of the label column (default: the last) */
    const char *labels;
    enum data_part part;
    double val_fraction; /* 0..1 */
    uint64_t seed;
    bool stratified;
    const char *const *classes; /* only these, in this order */
    int32_t n_classes;
    int32_t first_classes; /* without a list: only the first so many; 0: all */
    bool may_lack_classes; /* a listed class without a sample is no error */
    int64_t limit;         /* at most this many of the part, chosen by content and seed; 0: all */
    /* How a picture becomes a tensor; NULL: as large as the first picture, its channels, mean 0,
     * std 1. */
    const struct data_preprocess *preprocess;
    size_t cache_bytes; /* 0: DATA_CACHE_BYTES */
};

#define DATA_CACHE_BYTES ((size_t)1 << 30)

struct data_set;

/* "image-folder", "idx", "csv" or "auto" -> kind; false for any other text. */
bool data_kind_parse(const char *text, enum data_kind *kind);

/* Read names, labels and digests; pictures are decoded on demand.
 *   set  OWNED: data_set_close()
 * Errors: ERR_NOT_FOUND, ERR_IO, ERR_FORMAT (err names file and place), ERR_RANGE, ERR_NOMEM;
 * ERR_ARG when the set is empty or a listed class does not occur
 *         (unless may_lack_classes). */
LEDGE_NODISCARD enum ledge_status data_set_open(const struct data_set_spec *spec,
                                                struct data_set **set, struct ledge_error *err);
void data_set_close(struct data_set *set);

int64_t data_set_count(const struct data_set *set);
int32_t data_set_n_classes(const struct data_set *set);
const char *data_set_class(const struct data_set *set, int32_t index);

/* Of sample number i: class index; key, e.g. "3/IMG_0042.jpg", "17". */
int32_t data_set_label(const struct data_set *set, int64_t i);
const char *data_set_key(const struct data_set *set, int64_t i);

/* How pictures become tensors; NULL for a table. */
const struct data_preprocess *data_set_preprocess(const struct data_set *set);

/* Shape of one sample without the batch: C, H, W or features. Returns the rank (3 or 1). */
int32_t data_set_dims(const struct data_set *set, int64_t dims[3]);

/* One sample as the item of a batch.
 *   input  dtype, scale and zero_point are read; NULL: f32
 *   item   FILLED: elements of input->dtype in the layout of the preprocessing
 * Errors: ERR_IO, ERR_FORMAT (err names the file), ERR_NOMEM, ERR_DTYPE (a table into an integer
 * input). */
LEDGE_NODISCARD enum ledge_status data_set_read(struct data_set *set, int64_t i,
                                                const struct ledge_tensor *input, void *item,
                                                struct ledge_error *err);

/* Pictures: the resized 8-bit pixels, height * width * channels, FILLED. For augmentation before
 * data_preprocess_fill(). Errors: as data_set_read(); ERR_STATE for a table. */
LEDGE_NODISCARD enum ledge_status data_set_pixels(struct data_set *set, int64_t i, uint8_t *pixels,
                                                  struct ledge_error *err);

/* How many samples of a have the same bytes as a sample of b: a test set that was trained on says
 * nothing. -1: no memory. */
int64_t data_set_shared(const struct data_set *a, const struct data_set *b);

/* SHA-256 over the sorted (sample digest, label) pairs of this set: the same samples give the same
 * digest wherever they lie. */
void data_set_digest(const struct data_set *set, char hex[DATA_DIGEST_HEX]);

#endif
