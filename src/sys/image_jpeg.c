/* SPDX-License-Identifier: Apache-2.0 */
/* image_jpeg.c -- JPEG by libjpeg-turbo. The library reports errors by longjmp; nothing but plain
 * locals that are not changed after setjmp stands across it. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/status.h"
#include "sys/image_codec.h"

struct failure {
    struct jpeg_error_mgr manager; /* first: the library hands back a pointer to it */
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr info)
{
    struct failure *failure = (struct failure *)info->err;
    info->err->format_message(info, failure->text);
    longjmp(failure->back, 1);
}

/* Corrupt data that the library could paper over ("premature end of file", ...) is refused: level
 * -1 is a warning. */
static void on_message(j_common_ptr info, int level)
{
    if (level < 0) {
        on_error(info);
    }
}

static void silent(j_common_ptr info)
{
    (void)info;
}

static struct jpeg_error_mgr *failure_init(struct failure *failure)
{
    (void)jpeg_std_error(&failure->manager);
    failure->manager.error_exit = on_error;
    failure->manager.emit_message = on_message;
    failure->manager.output_message = silent;
    failure->text[0] = '\0';
    return &failure->manager;
}

bool sys_image_is_jpeg(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

/* A progressive file may hold thousands of scans over the whole picture: more than this is an
 * attack on time. */
enum { MAX_SCANS = 100 };

struct scan_limit {
    struct jpeg_progress_mgr manager;
};

static void on_progress(j_common_ptr info)
{
    if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > MAX_SCANS) {
        struct failure *failure = (struct failure *)info->err;
        (void)snprintf(failure->text, sizeof failure->text, "more than %d scans", MAX_SCANS);
        longjmp(failure->back, 1);
    }
}

enum ledge_status sys_image_decode_jpeg(const uint8_t *bytes, size_t size, struct sys_image *image,
                                        struct ledge_error *err)
{
    struct jpeg_decompress_struct info;
    struct failure failure;
    struct scan_limit limit = {.manager.progress_monitor = on_progress};
    struct sys_image *volatile made = NULL;
    enum ledge_status status;
    info.err = failure_init(&failure);
    if (setjmp(failure.back) != 0) {
        jpeg_destroy_decompress(&info);
        if (made != NULL) {
            sys_image_done(made);
        }
        return ledge_fail(err, LEDGE_ERR_FORMAT, "JPEG: %s", failure.text);
    }
    jpeg_create_decompress(&info);
    info.progress = &limit.manager;
    jpeg_mem_src(&info, bytes, (unsigned long)size);
    (void)jpeg_read_header(&info, TRUE);
    if (info.num_components != 1 && info.num_components != 3) {
        status = ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "JPEG: %d colour components",
                            info.num_components);
        goto out_info;
    }
    if (info.image_width > SYS_IMAGE_MAX_SIDE || info.image_height > SYS_IMAGE_MAX_SIDE) {
        status = ledge_fail(err, LEDGE_ERR_RANGE, "JPEG: %ux%u pixels are too many",
                            info.image_width, info.image_height);
        goto out_info;
    }
    info.out_color_space = info.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    status = sys_image_create((int32_t)info.image_width, (int32_t)info.image_height,
                              info.num_components, image, err);
    if (status != LEDGE_OK) {
        goto out_info;
    }
    made = image;
    (void)jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = image->pixels + (size_t)info.output_scanline * (size_t)image->width *
                                           (size_t)image->channels;
        (void)jpeg_read_scanlines(&info, &row, 1);
    }
    (void)jpeg_finish_decompress(&info);
out_info:
    jpeg_destroy_decompress(&info);
    return status;
}

enum ledge_status sys_image_encode_jpeg(const struct sys_image *image, int32_t quality,
                                        struct ledge_buf *out, struct ledge_error *err)
{
    if (quality < 1 || quality > 100) {
        return ledge_fail(err, LEDGE_ERR_ARG, "JPEG: quality %d is not in 1..100", (int)quality);
    }
    struct jpeg_compress_struct info;
    struct failure failure;
    /* On the heap so that their values survive the longjmp. */
    struct destination {
        unsigned char *bytes;
        unsigned long size;
    } *to = calloc(1, sizeof *to);
    if (to == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "JPEG: no memory");
    }
    info.err = failure_init(&failure);
    if (setjmp(failure.back) != 0) {
        jpeg_destroy_compress(&info);
        free(to->bytes);
        free(to);
        return ledge_fail(err, LEDGE_ERR_NOMEM, "JPEG: %s", failure.text);
    }
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &to->bytes, &to->size);
    info.image_width = (JDIMENSION)image->width;
    info.image_height = (JDIMENSION)image->height;
    info.input_components = image->channels;
    info.in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = image->pixels +
                       (size_t)info.next_scanline * (size_t)image->width * (size_t)image->channels;
        (void)jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    bool fits = ledge_buf_add(out, to->bytes, to->size);
    free(to->bytes);
    free(to);
    return fits ? LEDGE_OK
                : ledge_fail(err, LEDGE_ERR_FULL, "JPEG: larger than %zu bytes", out->max);
}
