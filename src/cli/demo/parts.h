/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h -- a generator of SIMULATED machine parts on a belt, for a demo without a data set.
 *
 * Flow:    [parts.h] -> folder of class folders -> ledge train
 * Design:  each part is a signed distance function (negative inside), turned, moved and lit at
 * random; the belt is streaked noise. The same seed draws the same pictures on every machine up to
 * libm's last bit.
 */
#ifndef CLI_DEMO_PARTS_H
#define CLI_DEMO_PARTS_H

#include <stdint.h>

#include "sys/image.h"

enum { DEMO_PARTS = 10, DEMO_PART_SIDE = 100 };

/* English name of part number part (0 .. DEMO_PARTS - 1), e.g. "washer". */
const char *demo_part_name(int part);

/* Draw one grey picture of a part; seed picks pose, size, light and noise. OWNED: sys_image_done().
 */
LEDGE_NODISCARD enum ledge_status demo_part_draw(int part, uint64_t seed, struct sys_image *image,
                                                 struct ledge_error *err);

#endif
