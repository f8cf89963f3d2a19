/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c -- segments from hostile bytes: as a whole (hub) and record by record (outbox files).
 *
 * What is accepted and written again must be the same bytes. The CRCs would hide everything behind
 * them from a fuzzer, so with a first byte that is odd they are made right before reading. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "fleet/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_crc(uint8_t *at, uint32_t crc)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(crc >> (8 * i));
    }
}

static void repair(uint8_t *bytes, size_t size)
{
    if (size < FLEET_SEGMENT_HEADER) {
        return;
    }
    put_crc(bytes + 60, ledge_crc32c(0, bytes, 60));
    size_t at = FLEET_SEGMENT_HEADER;
    while (size - at >= FLEET_RECORD_HEADER) {
        size_t length = bytes[at] | (size_t)bytes[at + 1] << 8 | (size_t)bytes[at + 2] << 16;
        if (bytes[at + 3] != 0 || length > size - at - FLEET_RECORD_HEADER) {
            return;
        }
        length += FLEET_RECORD_HEADER;
        put_crc(bytes + at + 4, ledge_crc32c(0, bytes + at + 8, length - 8));
        at += length;
    }
}

static bool write_again(void *arg, const struct fleet_record *record)
{
    return fleet_record_put(arg, record);
}

static void whole(const uint8_t *bytes, size_t size)
{
    struct fleet_segment_header header;
    struct ledge_buf records = LEDGE_BUF_INIT(size + 1);
    if (fleet_segment_read(bytes, size, &header, write_again, &records, NULL) == LEDGE_OK) {
        if (records.len != size - FLEET_SEGMENT_HEADER ||
            memcmp(records.data, bytes + FLEET_SEGMENT_HEADER, records.len) != 0) {
            abort();
        }
    }
    ledge_buf_done(&records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data + 1, size - 1);
    size--;
    if ((data[0] & 1) != 0) {
        repair(bytes, size);
    }
    whole(bytes, size);
    for (size_t at = 0; at < size;) {
        struct fleet_record record;
        size_t used = 0;
        if (fleet_record_take(bytes + at, size - at, &record, &used) != FLEET_TAKE_RECORD) {
            break;
        }
        if (used < FLEET_RECORD_HEADER || used > size - at) {
            abort();
        }
        at += used;
    }
    free(bytes);
    return 0;
}
