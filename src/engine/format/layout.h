/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h (private) -- numbers of the byte table in ledge_file.h, shared by reader and writer. */
#ifndef LEDGE_ENGINE_FORMAT_LAYOUT_H
#define LEDGE_ENGINE_FORMAT_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define LEDGE_FILE_MAGIC "LEDGE\0\r\n"

enum {
    LEDGE_FILE_MAJOR = 1,
    LEDGE_FILE_MINOR = 2,
    LEDGE_FILE_ALIGN = 64,
    LEDGE_FILE_HEADER = 64,
    LEDGE_FILE_DIGEST_AT = 32,
    LEDGE_FILE_ENTRY = 32,
    LEDGE_FILE_CRC_AT = 24, /* in an entry */
    LEDGE_FILE_MAX_SECTIONS = 64,
    LEDGE_VALUE_CONSTANT = 1,
    LEDGE_VALUE_QUANTISED = 2,
    LEDGE_VALUE_ABSENT = 4,
    LEDGE_PACKED_HEADER = 16,
    LEDGE_PACKED_ENTRY = 32,
};

enum ledge_file_section {
    LEDGE_SECTION_STRINGS = 1,
    LEDGE_SECTION_GRAPH = 2,
    LEDGE_SECTION_WEIGHTS = 3,
    LEDGE_SECTION_METADATA = 4,
    LEDGE_SECTION_PREPARED = 5, /* from here on: all or none */
    LEDGE_SECTION_KEPT = 6,
    LEDGE_SECTION_PARTS = 7,
    LEDGE_SECTION_PACKED = 8,
    LEDGE_SECTION_TEXTS = 9,
    LEDGE_SECTION_ABOUT = 10,
    LEDGE_SECTION_END = 11,
};

/* Sections of elements: their CRC covers the table's entry alone, so that opening touches no page
 * of them. */
static inline bool ledge_section_is_bulk(uint32_t kind)
{
    return kind == LEDGE_SECTION_WEIGHTS || kind == LEDGE_SECTION_KEPT ||
           kind == LEDGE_SECTION_PACKED;
}

#define LEDGE_NO_STRING UINT32_MAX

#endif
