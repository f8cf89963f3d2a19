/* SPDX-License-Identifier: Apache-2.0 */
/* tfl_space_c.c -- SpaceToBatchND and BatchToSpaceND of NHWC pictures: element (b, y, x) of the
 * picture, counted in the padded picture, is element (b + batch * (y % block * block + x % block),
 * y / block, x / block) of the batch. */
#include <string.h>

#include "engine/kernels/tfl.h"

/* Pixel number small of the batch tensor and number big of the picture are the same one; outside
 * the picture is padding. */
static void copy_pixel(const struct ledge_kernel_call *call, int64_t small, int64_t big,
                       bool inside)
{
    const struct ledge_tfl_space_params *p = call->params;
    size_t bytes = (size_t)p->big[3] * p->size;
    const char *in = call->in[0]->data;
    char *out = call->out[0]->data;
    if (p->to_batch && inside) {
        memcpy(out + (size_t)small * bytes, in + (size_t)big * bytes, bytes);
    } else if (p->to_batch) {
        memset(out + (size_t)small * bytes, p->pad, bytes);
    } else if (inside) {
        memcpy(out + (size_t)big * bytes, in + (size_t)small * bytes, bytes);
    }
}

enum ledge_status ledge_tfl_space_c(const struct ledge_kernel_call *call)
{
    const struct ledge_tfl_space_params *p = call->params;
    int64_t at = 0;
    for (int64_t b = 0; b < p->small[0]; b++) {
        int64_t offset = b / p->big[0];
        for (int64_t y = 0; y < p->small[1]; y++) {
            for (int64_t x = 0; x < p->small[2]; x++, at++) {
                int64_t row = y * p->block[0] + offset / p->block[1] - p->before[0];
                int64_t col = x * p->block[1] + offset % p->block[1] - p->before[1];
                bool inside = row >= 0 && row < p->big[1] && col >= 0 && col < p->big[2];
                int64_t to = (b % p->big[0] * p->big[1] + row) * p->big[2] + col;
                copy_pixel(call, at, to, inside);
            }
        }
    }
    return LEDGE_OK;
}
