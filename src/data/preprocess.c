/* SPDX-License-Identifier: Apache-2.0 */
#include "data/preprocess.h"

#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "data/resize.h"

/* The widest rectangle of the tensor's aspect ratio (or the whole picture), times crop, centred. */
static struct data_box box_of(const struct data_preprocess *p, const struct sys_image *image)
{
    double width = image->width;
    double height = image->height;
    if (p->fit == DATA_FIT_CROP) {
        double scale = fmin(width / p->width, height / p->height);
        width = fmin(width, p->width * scale);
        height = fmin(height, p->height * scale);
    }
    width *= p->crop;
    height *= p->crop;
    return (struct data_box){(image->width - width) / 2, (image->height - height) / 2, width,
                             height};
}

enum ledge_status data_preprocess_resize(const struct data_preprocess *p,
                                         const struct sys_image *image, struct sys_image *out,
                                         struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_image_done) struct sys_image converted = {0};
    if (image->channels != p->channels) {
        LEDGE_TRY(sys_image_create(image->width, image->height, image->channels, &converted, err));
        memcpy(converted.pixels, image->pixels,
               (size_t)image->width * (size_t)image->height * (size_t)image->channels);
        LEDGE_TRY(sys_image_convert(&converted, p->channels, err));
        image = &converted;
    }
    struct data_box box = box_of(p, image);
    return data_resize(image, &box, p->width, p->height, out, err);
}

/* What each of the 256 pixel values of one channel becomes. */
union value {
    float f32;
    uint8_t u8;
    int8_t i8;
};

static union value value_of(const struct data_preprocess *p, const struct ledge_tensor *input,
                            int32_t channel, int32_t pixel)
{
    union value value = {0};
    double x = (pixel / 255.0 - p->mean[channel]) / p->std[channel];
    if (input->dtype == LEDGE_F32) {
        value.f32 = (float)x;
        return value;
    }
    if (p->raw) {
        value.u8 = (uint8_t)pixel;
        return value;
    }
    double low = input->dtype == LEDGE_U8 ? 0 : -128;
    double q = nearbyint(x / (double)(input->scale > 0 ? input->scale : 1)) + input->zero_point;
    q = fmin(fmax(q, low), low + 255);
    if (input->dtype == LEDGE_U8) {
        value.u8 = (uint8_t)q;
    } else {
        value.i8 = (int8_t)q;
    }
    return value;
}

void data_preprocess_fill(const struct data_preprocess *p, const uint8_t *pixels,
                          const struct ledge_tensor *input, void *item)
{
    size_t area = (size_t)p->width * (size_t)p->height;
    size_t channels = (size_t)p->channels;
    for (size_t c = 0; c < channels; c++) {
        union value table[256];
        for (int32_t v = 0; v < 256; v++) {
            table[v] = value_of(p, input, (int32_t)c, v);
        }
        size_t step = p->layout == DATA_NHWC ? channels : 1;
        size_t at = p->layout == DATA_NHWC ? c : c * area;
        for (size_t i = 0; i < area; i++, at += step) {
            union value value = table[pixels[i * channels + c]];
            if (input->dtype == LEDGE_F32) {
                ((float *)item)[at] = value.f32;
            } else {
                ((uint8_t *)item)[at] = value.u8;
            }
        }
    }
}

enum ledge_status data_preprocess_run(const struct data_preprocess *p,
                                      const struct sys_image *image,
                                      const struct ledge_tensor *input, void *item,
                                      struct ledge_error *err)
{
    LEDGE_CLEANUP(sys_image_done) struct sys_image fitted = {0};
    LEDGE_TRY(data_preprocess_resize(p, image, &fitted, err));
    data_preprocess_fill(p, fitted.pixels, input, item);
    return LEDGE_OK;
}

static enum ledge_status check_dtype(enum ledge_dtype dtype, struct ledge_error *err)
{
    if (dtype != LEDGE_F32 && dtype != LEDGE_U8 && dtype != LEDGE_I8) {
        return ledge_fail(err, LEDGE_ERR_DTYPE, "input: %s cannot be filled from a picture",
                          ledge_dtype_text(dtype));
    }
    return LEDGE_OK;
}

/* Do the last n dimensions read want, after at most one batch dimension? */
static bool ends_with(const struct ledge_tensor *input, const int64_t *want, int32_t n)
{
    if (input->rank < n || input->rank > n + 1) {
        return false;
    }
    return memcmp(input->dims + input->rank - n, want, (size_t)n * sizeof *want) == 0;
}

enum ledge_status data_preprocess_check(const struct data_preprocess *p,
                                        const struct ledge_tensor *input, struct ledge_error *err)
{
    LEDGE_TRY(check_dtype(input->dtype, err));
    const int64_t nhwc[3] = {p->height, p->width, p->channels};
    const int64_t nchw[3] = {p->channels, p->height, p->width};
    bool fits = ends_with(input, p->layout == DATA_NHWC ? nhwc : nchw, 3) ||
                (p->channels == 1 && ends_with(input, nhwc, 2));
    return fits ? LEDGE_OK
                : ledge_fail(err, LEDGE_ERR_SHAPE,
                             "input: preprocessing to %dx%d pixels of %d channels does not fit the "
                             "model's shape",
                             (int)p->width, (int)p->height, (int)p->channels);
}

/* Pixel 0..255 over the whole range of an integer type: x = scale * (pixel + low - zero_point). */
static void guess_range(const struct ledge_tensor_info *input, struct data_preprocess *p)
{
    double scale = input->scale > 0 ? (double)input->scale : 1;
    double low = input->dtype == LEDGE_I8 ? -128 : 0;
    for (int c = 0; c < 3; c++) {
        p->std[c] = 1 / (255 * scale);
        p->mean[c] = (input->zero_point - low) / 255;
    }
}

enum ledge_status data_preprocess_guess(const struct ledge_tensor_info *input,
                                        struct data_preprocess *preprocess, struct ledge_error *err)
{
    LEDGE_TRY(check_dtype(input->dtype, err));
    if (input->rank != 3 && input->rank != 4) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: rank %d is no picture", input->name,
                          (int)input->rank);
    }
    const int64_t *dims = input->dims + input->rank - 3;
    bool last = dims[2] == 1 || dims[2] == 3;
    int64_t width = last ? dims[1] : dims[2];
    int64_t height = last ? dims[0] : dims[1];
    int64_t channels = last ? dims[2] : dims[0];
    if ((channels != 1 && channels != 3) || width <= 0 || height <= 0 ||
        width > DATA_PREPROCESS_MAX_SIDE || height > DATA_PREPROCESS_MAX_SIDE) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "input %s: the shape is no picture of known size",
                          input->name);
    }
    struct data_preprocess guess = {.width = (int32_t)width,
                                    .height = (int32_t)height,
                                    .channels = (int32_t)channels,
                                    .layout = last ? DATA_NHWC : DATA_NCHW,
                                    .fit = DATA_FIT_STRETCH,
                                    .crop = 1,
                                    .std = {1, 1, 1}};
    if (input->dtype != LEDGE_F32) {
        guess_range(input, &guess);
    }
    *preprocess = guess;
    return LEDGE_OK;
}
