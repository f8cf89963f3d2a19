/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/parts.h"

#include <math.h>

#include "base/status.h"

/* Distances are in units of half the picture's side. Source of the primitives: the definition of
 * distance to a circle, a half-plane and a segment; unions and cuts are min and max. */

static double circle(double x, double y, double r)
{
    return hypot(x, y) - r;
}

static double box(double x, double y, double half_width, double half_height)
{
    double dx = fabs(x) - half_width;
    double dy = fabs(y) - half_height;
    return hypot(fmax(dx, 0), fmax(dy, 0)) + fmin(fmax(dx, dy), 0);
}

static double capsule(double x, double y, double half_length, double r)
{
    double along = fmax(fmin(x, half_length), -half_length);
    return hypot(x - along, y) - r;
}

static double hexagon(double x, double y, double r)
{
    double distance = -INFINITY;
    for (int i = 0; i < 6; i++) {
        double angle = i * 1.0471975511965976;
        distance = fmax(distance, x * cos(angle) + y * sin(angle) - r);
    }
    return distance;
}

static double washer(double x, double y)
{
    return fmax(circle(x, y, 0.62), -circle(x, y, 0.36));
}

static double nut(double x, double y)
{
    return fmax(hexagon(x, y, 0.58), -circle(x, y, 0.28));
}

static double bolt(double x, double y)
{
    return fmin(hexagon(x + 0.45, y, 0.34), box(x - 0.25, y, 0.48, 0.15));
}

static double gear(double x, double y)
{
    double teeth = 0.06 * (cos(9 * atan2(y, x)) > 0 ? 1 : -1);
    return fmax(circle(x, y, 0.58 + teeth), -circle(x, y, 0.16));
}

static double plate(double x, double y)
{
    double holes = circle(fabs(x) - 0.36, fabs(y) - 0.36, 0.1);
    return fmax(box(x, y, 0.56, 0.56), -holes);
}

static double bracket(double x, double y)
{
    return fmin(box(x + 0.38, y, 0.17, 0.6), box(x, y - 0.43, 0.55, 0.17));
}

static double pin(double x, double y)
{
    return capsule(x, y, 0.58, 0.14);
}

static double tee(double x, double y)
{
    return fmin(box(x, y + 0.42, 0.6, 0.16), box(x, y, 0.16, 0.58));
}

static double spring(double x, double y)
{
    double wave = fabs(y - 0.3 * sin(14 * x)) * 0.35 - 0.04;
    return fmax(wave, box(x, y, 0.66, 0.42));
}

static double flange(double x, double y)
{
    double bolts = INFINITY;
    for (int i = 0; i < 3; i++) {
        double angle = i * 2.0943951023931953;
        bolts = fmin(bolts, circle(x - 0.42 * cos(angle), y - 0.42 * sin(angle), 0.12));
    }
    return fmax(circle(x, y, 0.64), -bolts);
}

static const struct {
    const char *name;
    double (*distance)(double x, double y);
} parts[DEMO_PARTS] = {
    {"washer", washer},   {"nut", nut}, {"bolt", bolt}, {"gear", gear},     {"plate", plate},
    {"bracket", bracket}, {"pin", pin}, {"tee", tee},   {"spring", spring}, {"flange", flange},
};

const char *demo_part_name(int part)
{
    return parts[part].name;
}

/* SplitMix64 (Steele, Lea, Flood 2014), as a number in [0, 1). */
static double uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double between(uint64_t *state, double low, double high)
{
    return low + (high - low) * uniform(state);
}

struct pose {
    double x, y, cosine, sine, size, part_light, belt_light, slope, noise;
};

static struct pose draw_pose(uint64_t *state)
{
    double angle = between(state, 0, 6.283185307179586);
    return (struct pose){
        .x = between(state, -0.25, 0.25),
        .y = between(state, -0.25, 0.25),
        .cosine = cos(angle),
        .sine = sin(angle),
        .size = between(state, 0.6, 1.0),
        .part_light = between(state, 120, 215),
        .belt_light = between(state, 35, 85),
        .slope = between(state, -25, 25),
        .noise = between(state, 6, 26),
    };
}

static uint8_t shade(const struct pose *pose, int part, double u, double v, double streak,
                     uint64_t *state)
{
    double x = (u - pose->x) / pose->size;
    double y = (v - pose->y) / pose->size;
    double turned_x = pose->cosine * x + pose->sine * y;
    double turned_y = pose->cosine * y - pose->sine * x;
    double distance = parts[part].distance(turned_x, turned_y) * pose->size;
    double cover = fmax(0, fmin(1, 0.5 - distance * DEMO_PART_SIDE / 2));
    double rim = 25 * exp(-fabs(distance) * 18);
    double belt = pose->belt_light + 12 * streak;
    double light = belt + cover * (pose->part_light + rim - belt) + pose->slope * u;
    light += pose->noise * (uniform(state) + uniform(state) - 1);
    return (uint8_t)fmax(0, fmin(255, light));
}

enum ledge_status demo_part_draw(int part, uint64_t seed, struct sys_image *image,
                                 struct ledge_error *err)
{
    if (part < 0 || part >= DEMO_PARTS) {
        return ledge_fail(err, LEDGE_ERR_ARG, "part %d: there are %d", part, DEMO_PARTS);
    }
    LEDGE_TRY(sys_image_create(DEMO_PART_SIDE, DEMO_PART_SIDE, 1, image, err));
    uint64_t state = seed * 0x2545f4914f6cdd1du + (uint64_t)part;
    struct pose pose = draw_pose(&state);
    for (int row = 0; row < DEMO_PART_SIDE; row++) {
        double streak = uniform(&state) * 2 - 1;
        for (int column = 0; column < DEMO_PART_SIDE; column++) {
            double u = (column + 0.5) * 2 / DEMO_PART_SIDE - 1;
            double v = (row + 0.5) * 2 / DEMO_PART_SIDE - 1;
            image->pixels[row * DEMO_PART_SIDE + column] = shade(&pose, part, u, v, streak, &state);
        }
    }
    return LEDGE_OK;
}
