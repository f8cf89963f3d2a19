/* SPDX-License-Identifier: Apache-2.0 */
/* augment.c -- see augment.h. One pass: each target pixel looks up its source by the inverse affine
 * map, in 16.16. */
#include <math.h>
#include <string.h>

#include "data/augment.h"
#include "data/philox.h"

enum { ONE = 1 << 16 };

struct map {
    int32_t xx, xy, yx, yy; /* source = map * target + (x0, y0), 16.16 */
    int64_t x0, y0;
    int32_t gain, offset; /* of the value, 16.16 */
};

bool data_augment_any(const struct data_augment *a)
{
    return a->flip || a->shift > 0 || a->rotate > 0 || a->scale > 0 || a->brightness > 0 ||
           a->contrast > 0;
}

static int32_t fixed(double x)
{
    return (int32_t)lrint(x * ONE);
}

static struct map draw(const struct data_augment *a, int32_t width, int32_t height, uint64_t seed,
                       uint64_t epoch, uint64_t sample)
{
    struct data_philox r = data_philox(seed, epoch, sample * 2);
    struct data_philox s = data_philox(seed, epoch, sample * 2 + 1);
    bool flip = a->flip && (r.word[0] & 1) != 0;
    double dx = a->shift * width * (double)data_philox_signed(r.word[1]);
    double dy = a->shift * height * (double)data_philox_signed(r.word[2]);
    double angle = a->rotate * (double)data_philox_signed(r.word[3]) * 3.14159265358979323846 / 180;
    double zoom = 1 / (1 + a->scale * (double)data_philox_signed(s.word[0]));
    double c = cos(angle) * zoom;
    double n = sin(angle) * zoom;
    double side = flip ? -1 : 1;
    double middle_x = (width - 1) / 2.0;
    double middle_y = (height - 1) / 2.0;
    double gain = 1 + a->contrast * (double)data_philox_signed(s.word[1]);
    double light = a->brightness * (double)data_philox_signed(s.word[2]) * 255 + 127.5 * (1 - gain);
    struct map m = {.xx = fixed(side * c),
                    .xy = fixed(n),
                    .yx = fixed(-side * n),
                    .yy = fixed(c),
                    .gain = fixed(gain),
                    .offset = fixed(light)};
    m.x0 =
        fixed(middle_x - dx) - (int64_t)llrint((double)m.xx * middle_x + (double)m.xy * middle_y);
    m.y0 =
        fixed(middle_y - dy) - (int64_t)llrint((double)m.yx * middle_x + (double)m.yy * middle_y);
    return m;
}

static int32_t limit(int64_t value, int32_t high)
{
    return value < 0 ? 0 : value > high ? high : (int32_t)value;
}

static uint8_t tone(const struct map *m, int32_t value)
{
    int64_t v = ((int64_t)m->gain * value + m->offset + ONE / 2) >> 16;
    return (uint8_t)limit(v, 255);
}

/* Bilinear in 8 bits of fraction. */
static int32_t sample_at(const uint8_t *from, int32_t width, int32_t height, int32_t channels,
                         int64_t x, int64_t y)
{
    int32_t fx = (int32_t)(x >> 8 & 255);
    int32_t fy = (int32_t)(y >> 8 & 255);
    int32_t x0 = limit(x >> 16, width - 1);
    int32_t y0 = limit(y >> 16, height - 1);
    int32_t x1 = limit((x >> 16) + 1, width - 1);
    int32_t y1 = limit((y >> 16) + 1, height - 1);
    const uint8_t *a = from + (int64_t)y0 * width * channels;
    const uint8_t *b = from + (int64_t)y1 * width * channels;
    int32_t top = a[x0 * channels] * (256 - fx) + a[x1 * channels] * fx;
    int32_t bottom = b[x0 * channels] * (256 - fx) + b[x1 * channels] * fx;
    return (top * (256 - fy) + bottom * fy + (1 << 15)) >> 16;
}

void data_augment_apply(const struct data_augment *augment, int32_t width, int32_t height,
                        int32_t channels, uint64_t seed, uint64_t epoch, uint64_t sample,
                        const uint8_t *from, uint8_t *to)
{
    struct map m = draw(augment, width, height, seed, epoch, sample);
    for (int32_t y = 0; y < height; y++) {
        int64_t sx = m.x0 + (int64_t)m.xy * y;
        int64_t sy = m.y0 + (int64_t)m.yy * y;
        for (int32_t x = 0; x < width; x++) {
            for (int32_t c = 0; c < channels; c++) {
                *to++ = tone(&m, sample_at(from + c, width, height, channels, sx, sy));
            }
            sx += m.xx;
            sy += m.yx;
        }
    }
}
