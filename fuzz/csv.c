/* SPDX-License-Identifier: Apache-2.0 */
/* csv.c -- fuzz tables of samples; byte 0: is the label column named. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "data/dataset_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledge_error err;
    struct data_set *set = calloc(1, sizeof *set);
    if (set == NULL || size == 0 || size > 1 << 20) {
        free(set);
        return 0;
    }
    const char *column = data[0] & 1 ? "kind" : NULL;
    if (data_csv_parse(set, (const char *)data + 1, size - 1, column, &err) == LEDGE_OK &&
        set->n_features < 1) {
        abort();
    }
    data_source_done(set);
    free(set);
    return 0;
}
