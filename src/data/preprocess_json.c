/* SPDX-License-Identifier: Apache-2.0 */
/* preprocess_json.c -- the JSON form of struct data_preprocess (docs/model-metadata.md). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "data/preprocess.h"

static void json_done(json_t **value)
{
    json_decref(*value);
}

static enum ledge_status bad(struct ledge_error *err, const char *key, const char *why)
{
    return ledge_fail(err, LEDGE_ERR_FORMAT, DATA_KEY_PREPROCESS ": %s %s", key, why);
}

static enum ledge_status read_int(const json_t *object, const char *key, int32_t high,
                                  int32_t *value, struct ledge_error *err)
{
    const json_t *item = json_object_get(object, key);
    if (item == NULL) {
        return LEDGE_OK;
    }
    json_int_t number = json_integer_value(item);
    if (!json_is_integer(item) || number < 1 || number > high) {
        return bad(err, key, "is not a number in range");
    }
    *value = (int32_t)number;
    return LEDGE_OK;
}

/* One of two words. */
static enum ledge_status read_word(const json_t *object, const char *key,
                                   const char *const words[2], int *value, struct ledge_error *err)
{
    const json_t *item = json_object_get(object, key);
    if (item == NULL) {
        return LEDGE_OK;
    }
    const char *text = json_string_value(item);
    for (int i = 0; text != NULL && i < 2; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i;
            return LEDGE_OK;
        }
    }
    return bad(err, key, "is none of the known words");
}

/* One number for all channels, or one per channel. */
static enum ledge_status read_channels(const json_t *object, const char *key, int32_t channels,
                                       double values[3], struct ledge_error *err)
{
    const json_t *item = json_object_get(object, key);
    if (item == NULL) {
        return LEDGE_OK;
    }
    size_t n = json_is_array(item) ? json_array_size(item) : 1;
    if (n != 1 && n != (size_t)channels) {
        return bad(err, key, "has neither one value nor one per channel");
    }
    for (size_t c = 0; c < 3; c++) {
        size_t at = n == 1 ? 0 : (c < n ? c : n - 1);
        const json_t *number = json_is_array(item) ? json_array_get(item, at) : item;
        double value = json_number_value(number);
        if (!json_is_number(number) || !isfinite(value)) {
            return bad(err, key, "is not a number");
        }
        values[c] = value;
    }
    return LEDGE_OK;
}

static enum ledge_status read_fields(const json_t *object, struct data_preprocess *p,
                                     struct ledge_error *err)
{
    static const char *const layouts[2] = {"nchw", "nhwc"};
    static const char *const fits[2] = {"stretch", "crop"};
    int layout = (int)p->layout;
    int fit = (int)p->fit;
    LEDGE_TRY(read_int(object, "width", DATA_PREPROCESS_MAX_SIDE, &p->width, err));
    LEDGE_TRY(read_int(object, "height", DATA_PREPROCESS_MAX_SIDE, &p->height, err));
    LEDGE_TRY(read_int(object, "channels", 3, &p->channels, err));
    LEDGE_TRY(read_word(object, "layout", layouts, &layout, err));
    LEDGE_TRY(read_word(object, "fit", fits, &fit, err));
    LEDGE_TRY(read_channels(object, "mean", p->channels, p->mean, err));
    LEDGE_TRY(read_channels(object, "std", p->channels, p->std, err));
    p->layout = (enum data_layout)layout;
    p->fit = (enum data_fit)fit;
    const json_t *crop = json_object_get(object, "crop");
    if (crop != NULL) {
        p->crop = json_number_value(crop);
    }
    const json_t *raw = json_object_get(object, "raw");
    if (raw != NULL) {
        p->raw = json_is_true(raw);
    }
    return LEDGE_OK;
}

enum ledge_status data_preprocess_parse(const char *json, struct data_preprocess *preprocess,
                                        struct ledge_error *err)
{
    json_error_t where;
    LEDGE_CLEANUP(json_done) json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(object)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, DATA_KEY_PREPROCESS ": not a JSON object%s%s",
                          object == NULL ? ": " : "", object == NULL ? where.text : "");
    }
    struct data_preprocess p = *preprocess;
    LEDGE_TRY(read_fields(object, &p, err));
    if (p.channels == 2) {
        return bad(err, "channels", "is neither 1 nor 3");
    }
    if (!(p.crop > 0 && p.crop <= 1)) {
        return bad(err, "crop", "is not in (0, 1]");
    }
    for (int c = 0; c < 3; c++) {
        if (p.std[c] == 0) {
            return bad(err, "std", "is zero");
        }
    }
    *preprocess = p;
    return LEDGE_OK;
}

static void put_channels(const double values[3], int32_t channels, char *text, size_t size)
{
    if (channels == 1) {
        (void)snprintf(text, size, "[%.9g]", values[0]);
    } else {
        (void)snprintf(text, size, "[%.9g,%.9g,%.9g]", values[0], values[1], values[2]);
    }
}

void data_preprocess_text(const struct data_preprocess *p, char text[DATA_PREPROCESS_JSON])
{
    char mean[80];
    char std[80];
    put_channels(p->mean, p->channels, mean, sizeof mean);
    put_channels(p->std, p->channels, std, sizeof std);
    (void)snprintf(text, DATA_PREPROCESS_JSON,
                   "{\"width\":%d,\"height\":%d,\"channels\":%d,\"layout\":\"%s\",\"fit\":\"%s\","
                   "\"crop\":%.9g,\"mean\":%s,\"std\":%s%s}",
                   (int)p->width, (int)p->height, (int)p->channels,
                   p->layout == DATA_NHWC ? "nhwc" : "nchw",
                   p->fit == DATA_FIT_CROP ? "crop" : "stretch", p->crop, mean, std,
                   p->raw ? ",\"raw\":true" : "");
}
