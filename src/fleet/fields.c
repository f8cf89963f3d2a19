/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fields.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "fleet/names.h"

enum ledge_status fleet_fields_parse(const void *text, size_t n, size_t max, const char *what,
                                     json_t **object, struct ledge_error *err)
{
    json_error_t at;
    if (n > max) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "%s: %zu bytes, the limit is %zu", what, n, max);
    }
    json_t *value = json_loadb(n == 0 ? "" : text, n, JSON_REJECT_DUPLICATES, &at);
    if (value == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: line %d, column %d: %.120s", what, at.line,
                          at.column, at.text);
    }
    if (!json_is_object(value)) {
        json_decref(value);
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: not a JSON object", what);
    }
    *object = value;
    return LEDGE_OK;
}

enum ledge_status fleet_field_text(const json_t *object, const char *what, const char *key,
                                   const char **text, struct ledge_error *err)
{
    /* jansson refuses \u0000 in text (JSON_ALLOW_NUL is not given), so strlen is the length. */
    const char *value = json_string_value(json_object_get(object, key));
    if (value == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: \"%s\" is missing or no text", what, key);
    }
    *text = value;
    return LEDGE_OK;
}

enum ledge_status fleet_field_int(const json_t *object, const char *what, const char *key,
                                  int64_t low, int64_t high, int64_t *value,
                                  struct ledge_error *err)
{
    const json_t *found = json_object_get(object, key);
    if (!json_is_integer(found)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: \"%s\" is missing or no whole number", what,
                          key);
    }
    int64_t number = (int64_t)json_integer_value(found);
    if (number < low || number > high) {
        return ledge_fail(err, LEDGE_ERR_RANGE,
                          "%s: \"%s\" is %" PRId64 ", not within %" PRId64 "..%" PRId64, what, key,
                          number, low, high);
    }
    *value = number;
    return LEDGE_OK;
}

enum ledge_status fleet_field_name(const json_t *object, const char *what, const char *key,
                                   char name[65], struct ledge_error *err)
{
    const char *text = NULL;
    LEDGE_TRY(fleet_field_text(object, what, key, &text, err));
    if (!fleet_name_ok(text)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: \"%s\" is no name: %.64s", what, key, text);
    }
    memcpy(name, text, strlen(text) + 1);
    return LEDGE_OK;
}

enum ledge_status fleet_field_digest(const json_t *object, const char *what, const char *key,
                                     char digest[65], struct ledge_error *err)
{
    const char *text = NULL;
    LEDGE_TRY(fleet_field_text(object, what, key, &text, err));
    if (!fleet_digest_ok(text)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: \"%s\" is not 64 hexadecimal digits", what,
                          key);
    }
    memcpy(digest, text, 65);
    return LEDGE_OK;
}
