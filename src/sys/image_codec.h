/* SPDX-License-Identifier: Apache-2.0 */
/* image_codec.h -- one decoder per file format, private to image.c. Each gives 1 or 3 channels as
 * the file has them. */
#ifndef SYS_IMAGE_CODEC_H
#define SYS_IMAGE_CODEC_H

#include <stdbool.h>

#include "sys/image.h"

bool sys_image_is_jpeg(const uint8_t *bytes, size_t size);
bool sys_image_is_png(const uint8_t *bytes, size_t size);
bool sys_image_is_bmp(const uint8_t *bytes, size_t size);
bool sys_image_is_pnm(const uint8_t *bytes, size_t size);

enum ledge_status sys_image_decode_jpeg(const uint8_t *bytes, size_t size, struct sys_image *image,
                                        struct ledge_error *err);
enum ledge_status sys_image_decode_png(const uint8_t *bytes, size_t size, struct sys_image *image,
                                       struct ledge_error *err);
enum ledge_status sys_image_decode_bmp(const uint8_t *bytes, size_t size, struct sys_image *image,
                                       struct ledge_error *err);
enum ledge_status sys_image_decode_pnm(const uint8_t *bytes, size_t size, struct sys_image *image,
                                       struct ledge_error *err);

#endif
