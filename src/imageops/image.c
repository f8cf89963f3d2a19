/* SPDX-License-Identifier: Apache-2.0 */
/* image.c -- libledge_image.so: picture codecs as operators (ledge/ops_library.h).
 *
 *   com.microsoft.extensions  DecodeImage   bytes u8 [n] -> u8 [height, width, 3]
 *                             EncodeImage   u8 [height, width, 3] -> bytes u8 [n]
 *   ai.onnx                   ImageDecoder  bytes u8 [n] -> u8 [height, width, 3 or 1]
 *
 * Flow:    the engine's infer -> sys/image.h (JPEG, PNG, BMP, PGM, PPM; sizes bounded there)
 * Shapes follow from bytes, so each operator waits for its input and gives its whole output at
 * once: nothing is decoded twice, and there is no run.
 * Memory:  a picture lives for one call. Threads: any.
 */
#include <string.h>

#include "base/cleanup.h"
#include "ledge/ops_library.h"
#include "sys/image.h"

enum { MAX_FILE = 256 * 1024 * 1024, DEFAULT_QUALITY = 95 };

static const struct ledge_ops_host *host;

static enum ledge_status pass_on(const struct ledge_custom_call *call,
                                 const struct ledge_error *err)
{
    return host->fail(call, err->status, "%.200s", err->text);
}

/* Input 0 is u8 of this rank; its value is known after this. */
static enum ledge_status take_input(const struct ledge_custom_call *call, int32_t rank)
{
    if (call->n_inputs < 1 || call->n_outputs != 1 || call->inputs[0].dtype != LEDGE_U8 ||
        call->inputs[0].rank != rank) {
        return host->fail(call, LEDGE_ERR_DTYPE, "it takes one u8 tensor of rank %d", (int)rank);
    }
    call->outputs[0].dtype = LEDGE_U8;
    return call->inputs[0].data == NULL ? host->wait(call, 0) : LEDGE_OK;
}

static void swap_red_and_blue(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++, pixels += 3) {
        uint8_t red = pixels[0];
        pixels[0] = pixels[2];
        pixels[2] = red;
    }
}

/* ITU-R BT.601 in 16 bits after the point, as ONNX's reference (Pillow) has it. */
static void to_grey(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = pixels + 3 * i;
        pixels[i] = (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
    }
}

enum order { ORDER_RGB, ORDER_BGR, ORDER_GREY };

static enum ledge_status decode(const struct ledge_custom_call *call, enum order order)
{
    LEDGE_CLEANUP(sys_image_done) struct sys_image image = {0};
    struct ledge_error err = {.status = LEDGE_OK};
    const struct ledge_tensor *in = &call->inputs[0];
    struct ledge_tensor *out = &call->outputs[0];
    if (sys_image_decode(in->data, in->bytes, 3, &image, &err) != LEDGE_OK) {
        return pass_on(call, &err);
    }
    size_t n = (size_t)image.width * (size_t)image.height, channels = order == ORDER_GREY ? 1 : 3;
    if (order == ORDER_BGR) {
        swap_red_and_blue(image.pixels, n);
    } else if (order == ORDER_GREY) {
        to_grey(image.pixels, n);
    }
    out->rank = 3;
    out->dims[0] = image.height;
    out->dims[1] = image.width;
    out->dims[2] = (int64_t)channels;
    return host->give(call, 0, image.pixels, n * channels);
}

static bool is(const struct ledge_custom_call *call, const char *name, const char *fallback,
               const char *value)
{
    return strcmp(host->get_string(call->node, name, fallback), value) == 0;
}

/* color_space of the extensions' operators: bgr is what OpenCV made of files. */
static enum ledge_status colour_space(const struct ledge_custom_call *call, enum order *order)
{
    *order = is(call, "color_space", "bgr", "rgb") ? ORDER_RGB : ORDER_BGR;
    return *order == ORDER_RGB || is(call, "color_space", "bgr", "bgr")
               ? LEDGE_OK
               : host->fail(call, LEDGE_ERR_UNSUPPORTED, "color_space is neither bgr nor rgb");
}

static enum ledge_status decode_image(const struct ledge_custom_call *call)
{
    enum order order;
    enum ledge_status status = take_input(call, 1);
    if (status == LEDGE_OK) {
        status = colour_space(call, &order);
    }
    return status == LEDGE_OK ? decode(call, order) : status;
}

static enum ledge_status image_decoder(const struct ledge_custom_call *call)
{
    enum ledge_status status = take_input(call, 1);
    if (status != LEDGE_OK) {
        return status;
    }
    if (is(call, "pixel_format", "RGB", "RGB")) {
        return decode(call, ORDER_RGB);
    }
    if (is(call, "pixel_format", "RGB", "BGR")) {
        return decode(call, ORDER_BGR);
    }
    return is(call, "pixel_format", "RGB", "Grayscale")
               ? decode(call, ORDER_GREY)
               : host->fail(call, LEDGE_ERR_UNSUPPORTED, "pixel_format is not known");
}

static enum ledge_status encode(const struct ledge_custom_call *call, const struct sys_image *image)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf file = LEDGE_BUF_INIT(MAX_FILE);
    struct ledge_error err = {.status = LEDGE_OK};
    struct ledge_tensor *out = &call->outputs[0];
    enum ledge_status status;
    if (is(call, "format", "jpg", "png")) {
        status = sys_image_encode_png(image, &file, &err);
    } else if (is(call, "format", "jpg", "jpg") || is(call, "format", "jpg", "jpeg")) {
        int64_t quality = host->get_int(call->node, "quality", DEFAULT_QUALITY);
        quality = quality < 0 ? 0 : quality > 101 ? 101 : quality; /* out of range stays so */
        status = sys_image_encode_jpeg(image, (int32_t)quality, &file, &err);
    } else {
        return host->fail(call, LEDGE_ERR_UNSUPPORTED, "format is neither png nor jpg");
    }
    if (status != LEDGE_OK) {
        return pass_on(call, &err);
    }
    out->rank = 1;
    out->dims[0] = (int64_t)file.len;
    return host->give(call, 0, file.data, file.len);
}

static enum ledge_status encode_image(const struct ledge_custom_call *call)
{
    enum order order;
    enum ledge_status status = take_input(call, 3);
    if (status == LEDGE_OK) {
        status = colour_space(call, &order);
    }
    if (status != LEDGE_OK) {
        return status;
    }
    const struct ledge_tensor *in = &call->inputs[0];
    if (in->dims[2] != 3 || in->dims[0] > SYS_IMAGE_MAX_SIDE || in->dims[1] > SYS_IMAGE_MAX_SIDE) {
        return host->fail(call, LEDGE_ERR_SHAPE, "%lld x %lld x %lld is no picture of 3 channels",
                          (long long)in->dims[0], (long long)in->dims[1], (long long)in->dims[2]);
    }
    LEDGE_CLEANUP(sys_image_done) struct sys_image image = {0};
    struct ledge_error err = {.status = LEDGE_OK};
    if (sys_image_create((int32_t)in->dims[1], (int32_t)in->dims[0], 3, &image, &err) != LEDGE_OK) {
        return pass_on(call, &err);
    }
    memcpy(image.pixels, in->data, in->bytes);
    if (order == ORDER_BGR) {
        swap_red_and_blue(image.pixels, in->bytes / 3);
    }
    return encode(call, &image);
}

static const struct ledge_custom_op ops[] = {
    {.domain = "com.microsoft.extensions", .name = "DecodeImage", .infer = decode_image},
    {.domain = "com.microsoft.extensions", .name = "EncodeImage", .infer = encode_image},
    {.domain = "", .name = "ImageDecoder", .infer = image_decoder},
};

LEDGE_API enum ledge_status ledge_ops_library_1(const struct ledge_ops_host *functions,
                                                struct ledge_ops_library *library);

enum ledge_status ledge_ops_library_1(const struct ledge_ops_host *functions,
                                      struct ledge_ops_library *library)
{
    if (functions->bytes < sizeof *functions) {
        return LEDGE_ERR_UNSUPPORTED;
    }
    host = functions;
    *library = (struct ledge_ops_library){
        .name = "ledge_image", .ops = ops, .n_ops = (int32_t)(sizeof ops / sizeof ops[0])};
    return LEDGE_OK;
}
