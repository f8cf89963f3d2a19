/* SPDX-License-Identifier: Apache-2.0 */
/* zip.h -- one file out of a ZIP archive that may stand behind other data (APPNOTE.TXT 6.3): stored
 * or deflated, no encryption, no ZIP64. Every offset is checked, the CRC-32 too. */
#ifndef LEDGE_IMPORT_TFLITE_ZIP_H
#define LEDGE_IMPORT_TFLITE_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* The contents of `name`: NUL-terminated, *n bytes, in arena; NULL when there is no such file, it
 * is longer than max, damaged or packed in another way. */
char *ledge_zip_read(const uint8_t *bytes, size_t size, const uint8_t *name, size_t name_n,
                     size_t max, struct ledge_arena *arena, size_t *n);

#endif
