/* SPDX-License-Identifier: Apache-2.0 */
/* image.c -- fuzz the picture decoders and the resampler behind them. */
#include <stddef.h>
#include <stdint.h>

#include "data/preprocess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sys_image image;
    if (sys_image_decode(data, size, size % 2 == 0 ? 3 : 1, &image, NULL) != LEDGE_OK) {
        return 0;
    }
    struct data_preprocess p = {.width = 8,
                                .height = 8,
                                .channels = 3,
                                .fit = DATA_FIT_CROP,
                                .crop = 0.9,
                                .std = {1, 1, 1}};
    struct ledge_tensor input = {.dtype = LEDGE_F32};
    float item[8 * 8 * 3];
    bool small = (int64_t)image.width * image.height <= 1 << 20;
    bool failed = small && data_preprocess_run(&p, &image, &input, item, NULL) != LEDGE_OK;
    sys_image_done(&image);
    return failed ? -1 : 0;
}
