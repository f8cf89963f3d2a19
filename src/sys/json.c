/* SPDX-License-Identifier: Apache-2.0 */
/* json.c -- jansson behind json.h. */
#include "sys/json.h"

#include <string.h>

#include "base/status.h"

enum { MAX_JSON_BYTES = 64 * 1024 * 1024 };

void sys_json_free(json_t **value)
{
    json_decref(*value);
    *value = NULL;
}

enum ledge_status sys_json_parse(const void *text, size_t n, json_t **value,
                                 struct ledge_error *err)
{
    json_error_t at;
    if (n > MAX_JSON_BYTES) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "JSON: %zu bytes, at most %d are read", n,
                          MAX_JSON_BYTES);
    }
    json_t *parsed =
        json_loadb(n > 0 ? text : "", n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
    if (parsed == NULL) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "JSON line %d column %d: %s", at.line, at.column,
                          at.text);
    }
    *value = parsed;
    return LEDGE_OK;
}

enum ledge_status sys_json_text(const json_t *object, const char *what, const char *key,
                                const char **text, struct ledge_error *err)
{
    const json_t *field = json_object_get(object, key);
    if (!json_is_string(field)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: field '%s' %s", what, key,
                          field == NULL ? "is missing" : "is not text");
    }
    /* A NUL inside would let C code see another text than the one that was signed or stored. */
    if (strlen(json_string_value(field)) != json_string_length(field)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: field '%s' holds a NUL", what, key);
    }
    *text = json_string_value(field);
    return LEDGE_OK;
}

enum ledge_status sys_json_int(const json_t *object, const char *what, const char *key, int64_t low,
                               int64_t high, int64_t *value, struct ledge_error *err)
{
    const json_t *field = json_object_get(object, key);
    if (!json_is_integer(field)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: field '%s' %s", what, key,
                          field == NULL ? "is missing" : "is not a whole number");
    }
    int64_t got = json_integer_value(field);
    if (got < low || got > high) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: field '%s' is %lld, not in %lld..%lld", what,
                          key, (long long)got, (long long)low, (long long)high);
    }
    *value = got;
    return LEDGE_OK;
}

static int add(const char *bytes, size_t n, void *out)
{
    return ledge_buf_add(out, bytes, n) ? 0 : -1;
}

enum ledge_status sys_json_write(const json_t *value, struct ledge_buf *out)
{
    size_t before = out->len;
    int flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY;
    if (json_dump_callback(value, add, out, flags) != 0) {
        bool full = out->failed;
        out->len = before;
        if (out->data != NULL) {
            out->data[before] = '\0';
        }
        return full ? LEDGE_ERR_RANGE : LEDGE_ERR_ARG;
    }
    return LEDGE_OK;
}
