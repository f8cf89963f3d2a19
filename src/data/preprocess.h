/* SPDX-License-Identifier: Apache-2.0 */
/* preprocess.h -- picture -> input tensor, the same arithmetic in training, evaluation, classify
 * and serving.
 *
 * Flow:    sys/image.h -> [preprocess.h] -> session input
 * Steps:   1. grey or RGB
 *          2. a centred box of the picture (fit, crop)
 *          3. the box resampled to width x height in integers: the same bytes on every machine
 *          4. x = (pixel / 255 - mean) / std per channel; an integer input gets its quantised value
 *          docs/model-metadata.md defines the JSON form.
 * Threads: any; nothing is kept.
 * Memory:  the caller's, except a picture made by data_preprocess_resize().
 */
#ifndef DATA_PREPROCESS_H
#define DATA_PREPROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledge/model.h"
#include "sys/image.h"

/* Metadata keys of a model. */
#define DATA_KEY_PREPROCESS "ledge.preprocess"
#define DATA_KEY_LABELS     "ledge.labels"

enum data_fit {
    DATA_FIT_STRETCH, /* the box has the picture's own aspect ratio: the result is squeezed */
    DATA_FIT_CROP,    /* the box has the tensor's aspect ratio: the sides are cut off */
};

enum data_layout { DATA_NCHW, DATA_NHWC };

enum { DATA_PREPROCESS_MAX_SIDE = 8192, DATA_PREPROCESS_JSON = 512 };

struct data_preprocess {
    int32_t width;
    int32_t height;
    int32_t channels; /* 1 grey, 3 red green blue */
    enum data_layout layout;
    enum data_fit fit;
    double crop;    /* part of the largest centred box that is kept, 0 < crop <= 1 */
    double mean[3]; /* of pixel / 255 */
    double std[3];
    bool raw; /* integer inputs: the bytes of the picture unchanged (as bit patterns for i8) */
};

/* Parse the JSON form. width, height, channels and layout may be left out: they stay as they are in
 * *preprocess, so start from data_preprocess_guess(). Unknown keys are ignored. Errors: ERR_FORMAT,
 * ERR_RANGE; err names the key; *preprocess is untouched then. */
LEDGE_NODISCARD enum ledge_status data_preprocess_parse(const char *json,
                                                        struct data_preprocess *preprocess,
                                                        struct ledge_error *err);

/* The JSON form, NUL-terminated, on one line; text has DATA_PREPROCESS_JSON bytes. */
void data_preprocess_text(const struct data_preprocess *preprocess,
                          char text[DATA_PREPROCESS_JSON]);

/* What the input's shape and type tell: sizes and layout from rank 4 (batch, then HWC when the last
 * dimension is 1 or 3, else CHW) or rank 3, stretch, no crop; mean 0 and std 1 for f32; for an
 * integer input that is quantised, such that pixel 0..255 becomes the whole range of the type.
 * Errors: ERR_SHAPE when it is no picture or has free sides, ERR_DTYPE. */
LEDGE_NODISCARD enum ledge_status data_preprocess_guess(const struct ledge_tensor_info *input,
                                                        struct data_preprocess *preprocess,
                                                        struct ledge_error *err);

/* data_preprocess_guess(), then the model's own metadata on top when it has some. */
LEDGE_NODISCARD enum ledge_status data_preprocess_of_model(const struct ledge_model *model,
                                                           struct data_preprocess *preprocess,
                                                           struct ledge_error *err);

/* Does the parameter set describe this input (type f32, u8 or i8, rank and dimensions)? Errors:
 * ERR_SHAPE, ERR_DTYPE. */
LEDGE_NODISCARD enum ledge_status data_preprocess_check(const struct data_preprocess *preprocess,
                                                        const struct ledge_tensor *input,
                                                        struct ledge_error *err);

/* Channels, box and resampling only: 8-bit picture of width x height x channels.
 *   image  of any size
 *   out    FILLED; OWNED: sys_image_done()
 * Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status data_preprocess_resize(const struct data_preprocess *preprocess,
                                                         const struct sys_image *image,
                                                         struct sys_image *out,
                                                         struct ledge_error *err);

/* Pixels of a picture that data_preprocess_resize() made (or that already has the right size) ->
 * one item of a batch. pixels  width * height * channels bytes, rows from the top input   dtype,
 * scale and zero_point are read item    FILLED: width * height * channels elements of input->dtype
 * in the layout of preprocess */
void data_preprocess_fill(const struct data_preprocess *preprocess, const uint8_t *pixels,
                          const struct ledge_tensor *input, void *item);

/* Both steps for one picture. Errors: ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status data_preprocess_run(const struct data_preprocess *preprocess,
                                                      const struct sys_image *image,
                                                      const struct ledge_tensor *input, void *item,
                                                      struct ledge_error *err);

#endif
