/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h (private) -- numbers of the byte table in ledge_file.h, shared by reader and writer. */
#ifndef LEDGE_ENGINE_FORMAT_LAYOUT_H
#define LEDGE_ENGINE_FORMAT_LAYOUT_H

#include <stdint.h>

#define LEDGE_FILE_MAGIC "LEDGE\0\r\n"

enum {
    LEDGE_FILE_MAJOR = 1,
    LEDGE_FILE_MINOR = 1,
    LEDGE_FILE_ALIGN = 64,
    LEDGE_FILE_HEADER = 64,
    LEDGE_FILE_DIGEST_AT = 32,
    LEDGE_FILE_ENTRY = 32,
    LEDGE_FILE_CRC_AT = 24, /* in an entry */
    LEDGE_FILE_MAX_SECTIONS = 64,
    LEDGE_VALUE_CONSTANT = 1,
    LEDGE_VALUE_QUANTISED = 2,
};

enum ledge_file_section {
    LEDGE_SECTION_STRINGS = 1,
    LEDGE_SECTION_GRAPH = 2,
    LEDGE_SECTION_WEIGHTS = 3,
    LEDGE_SECTION_METADATA = 4,
    LEDGE_SECTION_END = 5,
};

#define LEDGE_NO_STRING UINT32_MAX

#endif
