/* SPDX-License-Identifier: Apache-2.0 */
/* augment.h -- random changes of a training picture: a function of (seed, epoch, sample), so any
 * order gives the same. */
#ifndef DATA_AUGMENT_H
#define DATA_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

/* Everything zero: no change. Amounts are drawn evenly from [-x, x]. */
struct data_augment {
    bool flip;         /* left and right, every second time */
    double shift;      /* part of width and height */
    double rotate;     /* degrees */
    double scale;      /* part: 0.1 is 0.9 to 1.1 */
    double brightness; /* part of full scale, added */
    double contrast;   /* part, about the middle grey */
};

bool data_augment_any(const struct data_augment *augment);

/* Change height * width * channels 8-bit pixels.
 *   from, to  no overlap; to FILLED
 * Resampling is bilinear; what comes from outside repeats the border. */
void data_augment_apply(const struct data_augment *augment, int32_t width, int32_t height,
                        int32_t channels, uint64_t seed, uint64_t epoch, uint64_t sample,
                        const uint8_t *from, uint8_t *to);

#endif
