/* SPDX-License-Identifier: Apache-2.0 */
/* idx.c -- fuzz the header of IDX files: what it accepts must lie inside the bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "data/dataset_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int32_t rank = 1; rank <= 3; rank += 2) {
        struct ledge_error err;
        int64_t dims[3] = {1, 1, 1};
        size_t at = 0;
        if (data_idx_header(data, size, rank, dims, &at, &err) == LEDGE_OK &&
            at + (size_t)(dims[0] * dims[1] * dims[2]) != size) {
            abort();
        }
    }
    return 0;
}
