/* SPDX-License-Identifier: Apache-2.0 */
#include "import/tflite/flexmap.h"

#include <math.h>
#include <string.h>

enum {
    FLEX_INT = 1,
    FLEX_UINT = 2,
    FLEX_FLOAT = 3,
    FLEX_INDIRECT_INT = 6,
    FLEX_INDIRECT_UINT = 7,
    FLEX_INDIRECT_FLOAT = 8,
    FLEX_MAP = 9,
    FLEX_BOOL = 26,
};

/* The little-endian number of n bytes at `at`; false when it is not all inside. */
static bool number(const struct ledge_flexmap *map, size_t at, size_t n, uint64_t *value)
{
    if (at > map->size || n > map->size - at) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        *value |= (uint64_t)map->bytes[at + i] << (8 * i);
    }
    return true;
}

/* The place that lies as far before `at` as the number there says. */
static bool back(const struct ledge_flexmap *map, size_t at, size_t n, size_t *to)
{
    uint64_t distance;
    if (!number(map, at, n, &distance) || distance > at) {
        return false;
    }
    *to = at - (size_t)distance;
    return true;
}

static bool is_width(uint64_t n)
{
    return n == 1 || n == 2 || n == 4 || n == 8;
}

bool ledge_flexmap_open(struct ledge_flexmap *map, const uint8_t *bytes, size_t size)
{
    *map = (struct ledge_flexmap){.bytes = bytes, .size = size};
    if (size == 0) {
        return true;
    }
    uint64_t n, keys_n, key_width;
    size_t root = size >= 3 ? bytes[size - 1] : 0;
    if (!is_width(root) || size < 2 + root || bytes[size - 2] >> 2 != FLEX_MAP) {
        return false;
    }
    size_t width = (size_t)1 << (bytes[size - 2] & 3);
    if (!back(map, size - 2 - root, root, &map->values) || map->values < 3 * width ||
        !number(map, map->values - width, width, &n) ||
        !number(map, map->values - 2 * width, width, &key_width) || !is_width(key_width) ||
        !back(map, map->values - 3 * width, width, &map->keys) || map->keys < key_width ||
        !number(map, map->keys - (size_t)key_width, (size_t)key_width, &keys_n) || keys_n != n ||
        n > (size - map->values) / (width + 1) || n > (size - map->keys) / (size_t)key_width) {
        return false;
    }
    map->n = (size_t)n;
    map->width = width;
    map->key_width = (size_t)key_width;
    return true;
}

/* Place of the value of this name, its type and width; false when it is absent. */
static bool find(const struct ledge_flexmap *map, const char *name, size_t *at, int *type,
                 size_t *width)
{
    size_t length = strlen(name) + 1;
    for (size_t i = 0; i < map->n; i++) {
        size_t key;
        if (!back(map, map->keys + i * map->key_width, map->key_width, &key) ||
            length > map->size - key || memcmp(map->bytes + key, name, length) != 0) {
            continue;
        }
        uint8_t packed = map->bytes[map->values + map->n * map->width + i];
        *at = map->values + i * map->width;
        *type = packed >> 2;
        *width = map->width;
        if (*type >= FLEX_INDIRECT_INT && *type <= FLEX_INDIRECT_FLOAT) {
            *width = (size_t)1 << (packed & 3);
            *type -= FLEX_INDIRECT_INT - FLEX_INT;
            return back(map, *at, map->width, at);
        }
        return true;
    }
    return false;
}

int64_t ledge_flexmap_int(const struct ledge_flexmap *map, const char *name, int64_t fallback)
{
    size_t at, width;
    int type;
    uint64_t bits;
    if (!find(map, name, &at, &type, &width) || !number(map, at, width, &bits)) {
        return fallback;
    }
    if (type == FLEX_INT && width < 8) { /* extend the sign */
        uint64_t sign = (uint64_t)1 << (8 * width - 1);
        return (int64_t)((bits ^ sign) - sign);
    }
    return type == FLEX_INT || type == FLEX_UINT || type == FLEX_BOOL ? (int64_t)bits : fallback;
}

float ledge_flexmap_float(const struct ledge_flexmap *map, const char *name, float fallback)
{
    size_t at, width;
    int type;
    uint64_t bits;
    if (!find(map, name, &at, &type, &width) || !number(map, at, width, &bits)) {
        return fallback;
    }
    if (type != FLEX_FLOAT) {
        return type >= FLEX_INT && type <= FLEX_UINT ? (float)ledge_flexmap_int(map, name, 0)
                                                     : fallback;
    }
    if (width == 8) {
        double wide;
        memcpy(&wide, &bits, sizeof wide);
        return (float)wide;
    }
    uint32_t half = (uint32_t)bits;
    float value;
    memcpy(&value, &half, sizeof value);
    return width == 4 ? value : fallback;
}
