/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_check.c -- a table of keys against a document: unknown keys, types, ranges, defaults, help.
 * See yaml.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "sys/yaml.h"

static const char *const type_names[] = {
    [SYS_YAML_TEXT] = "text",
    [SYS_YAML_BOOL] = "true or false",
    [SYS_YAML_INT] = "integer",
    [SYS_YAML_NUMBER] = "number",
    [SYS_YAML_TEXTS] = "list of text",
    [SYS_YAML_NUMBERS] = "list of numbers",
    [SYS_YAML_ANY] = "any",
};

/* Edit distance (Levenshtein) of two short texts, at most SHORT. */
enum { SHORT = 63 };

static size_t distance(const char *a, const char *b)
{
    size_t row[SHORT + 1];
    size_t na = strnlen(a, SHORT);
    size_t nb = strnlen(b, SHORT);
    for (size_t j = 0; j <= nb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
            diagonal = row[j];
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            row[j] = best;
        }
    }
    return row[nb];
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

/* The known key that is nearest: by the whole path, or by the last part (a key in the wrong
 * section). */
static const char *nearest(const char *path, const struct sys_yaml_key *keys, size_t n)
{
    const char *best = NULL;
    size_t best_distance = 4;
    for (size_t i = 0; i < n; i++) {
        size_t whole = distance(path, keys[i].path);
        size_t tail = distance(last_part(path), last_part(keys[i].path));
        size_t d = whole < tail + 1 ? whole : tail + 1;
        if (d < best_distance && tail < strlen(last_part(path))) {
            best_distance = d;
            best = keys[i].path;
        }
    }
    return best;
}

static enum ledge_status fail_key(const struct sys_yaml *doc, const char *path,
                                  struct ledge_error *err, const char *what)
{
    char place[SYS_YAML_PLACE_BYTES];
    return ledge_fail(err, LEDGE_ERR_ARG, "%s: %s: %s", sys_yaml_place(doc, path, place), path,
                      what);
}

static enum ledge_status fail_unknown(const struct sys_yaml *doc, const char *path,
                                      const struct sys_yaml_key *keys, size_t n,
                                      struct ledge_error *err)
{
    char place[SYS_YAML_PLACE_BYTES];
    const char *near = nearest(path, keys, n);
    (void)sys_yaml_place(doc, path, place);
    if (near == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: unknown key '%s'", place, path);
    }
    return ledge_fail(err, LEDGE_ERR_ARG, "%s: unknown key '%s'; did you mean '%s'?", place, path,
                      near);
}

static bool is_section(const char *path, const struct sys_yaml_key *keys, size_t n)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(keys[i].path, path, length) == 0 && keys[i].path[length] == '.') {
            return true;
        }
    }
    return false;
}

/* Every key below object is known; prefix is the object's own path with a dot, or "". */
static enum ledge_status check_known(const struct sys_yaml *doc, json_t *object, const char *prefix,
                                     const struct sys_yaml_key *keys, size_t n,
                                     struct ledge_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char path[SYS_YAML_PLACE_BYTES];
        bool known = false;
        (void)snprintf(path, sizeof path, "%s%s", prefix, name);
        for (size_t i = 0; i < n && !known; i++) {
            known = strcmp(keys[i].path, path) == 0;
        }
        if (known) {
            continue;
        }
        if (!is_section(path, keys, n)) {
            return fail_unknown(doc, path, keys, n, err);
        }
        if (!json_is_object(value)) {
            return fail_key(doc, path, err, "must be a mapping");
        }
        size_t length = strlen(path);
        if (length + 1 < sizeof path) {
            path[length] = '.';
            path[length + 1] = '\0';
        }
        LEDGE_TRY(check_known(doc, value, path, keys, n, err));
    }
    return LEDGE_OK;
}

static bool in_choices(const char *text, const char *choices)
{
    size_t length = strlen(text);
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, text, length) == 0 && (at[length] == '|' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static enum ledge_status check_range(const struct sys_yaml *doc, const struct sys_yaml_key *key,
                                     double value, struct ledge_error *err)
{
    if (key->low < key->high && !(value >= key->low && value <= key->high)) {
        char text[96];
        (void)snprintf(text, sizeof text, "%g is not between %g and %g", value, key->low,
                       key->high);
        return fail_key(doc, key->path, err, text);
    }
    return LEDGE_OK;
}

/* A list of text may be written with numbers in it (class names such as 0, 1, 2). */
static enum ledge_status check_texts(const struct sys_yaml *doc, const struct sys_yaml_key *key,
                                     json_t *list, struct ledge_error *err)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        char text[32];
        if (json_is_integer(item)) {
            (void)snprintf(text, sizeof text, "%lld", (long long)json_integer_value(item));
            if (json_array_set_new(list, i, json_string(text)) != 0) {
                return ledge_fail(err, LEDGE_ERR_NOMEM, "yaml: out of memory");
            }
        } else if (!json_is_string(item)) {
            return fail_key(doc, key->path, err, "must be a list of text");
        }
    }
    return LEDGE_OK;
}

static enum ledge_status check_numbers(const struct sys_yaml *doc, const struct sys_yaml_key *key,
                                       json_t *list, struct ledge_error *err)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (!json_is_number(item)) {
            return fail_key(doc, key->path, err, "must be a list of numbers");
        }
        LEDGE_TRY(check_range(doc, key, json_number_value(item), err));
    }
    return LEDGE_OK;
}

static enum ledge_status check_value(const struct sys_yaml *doc, const struct sys_yaml_key *key,
                                     json_t *value, struct ledge_error *err)
{
    const bool fits[] = {
        [SYS_YAML_TEXT] = json_is_string(value),
        [SYS_YAML_BOOL] = json_is_boolean(value),
        [SYS_YAML_INT] = json_is_integer(value),
        [SYS_YAML_NUMBER] = json_is_number(value),
        [SYS_YAML_TEXTS] = json_is_array(value),
        [SYS_YAML_NUMBERS] = json_is_array(value),
        [SYS_YAML_ANY] = true,
    };
    if (!fits[key->type]) {
        char text[64];
        (void)snprintf(text, sizeof text, "must be %s", type_names[key->type]);
        return fail_key(doc, key->path, err, text);
    }
    switch (key->type) {
    case SYS_YAML_TEXT:
        if (key->choices != NULL && !in_choices(json_string_value(value), key->choices)) {
            char text[160];
            (void)snprintf(text, sizeof text, "'%.40s' is not one of %s", json_string_value(value),
                           key->choices);
            return fail_key(doc, key->path, err, text);
        }
        return LEDGE_OK;
    case SYS_YAML_INT:
    case SYS_YAML_NUMBER:
        return check_range(doc, key, json_number_value(value), err);
    case SYS_YAML_TEXTS:
        return check_texts(doc, key, value, err);
    case SYS_YAML_NUMBERS:
        return check_numbers(doc, key, value, err);
    default:
        return LEDGE_OK;
    }
}

enum ledge_status sys_yaml_check(struct sys_yaml *doc, const struct sys_yaml_key *keys, size_t n,
                                 struct ledge_error *err)
{
    LEDGE_TRY(check_known(doc, sys_yaml_root(doc), "", keys, n, err));
    for (size_t i = 0; i < n; i++) {
        json_t *value = sys_yaml_at(doc, keys[i].path);
        if (value == NULL || json_is_null(value)) {
            if (keys[i].fallback == NULL) {
                continue;
            }
            if (strcmp(keys[i].fallback, "!") == 0) {
                return fail_key(doc, keys[i].path, err, "must be given");
            }
            char assignment[256];
            (void)snprintf(assignment, sizeof assignment, "%s=%s", keys[i].path, keys[i].fallback);
            LEDGE_TRY(sys_yaml_set(doc, assignment, err));
            value = sys_yaml_at(doc, keys[i].path);
        }
        LEDGE_TRY(check_value(doc, &keys[i], value, err));
    }
    return LEDGE_OK;
}

bool sys_yaml_help(const struct sys_yaml_key *keys, size_t n, struct ledge_buf *out)
{
    (void)ledge_buf_text(out, "| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++) {
        const struct sys_yaml_key *k = &keys[i];
        (void)ledge_buf_printf(out, "| `%s` | %s", k->path, type_names[k->type]);
        for (const char *at = k->choices; at != NULL && *at != '\0'; at++) {
            (void)ledge_buf_printf(out, "%s%s", at == k->choices ? ": " : "",
                                   *at == '|' ? ", " : (const char[]){*at, '\0'});
        }
        if (k->low < k->high) {
            (void)ledge_buf_printf(out, ", %g to %g", k->low, k->high);
        }
        bool must = k->fallback != NULL && strcmp(k->fallback, "!") == 0;
        if (k->fallback == NULL || must) {
            (void)ledge_buf_text(out, must ? " | required" : " | none");
        } else {
            (void)ledge_buf_printf(out, " | `%s`", k->fallback);
        }
        (void)ledge_buf_printf(out, " | %s |\n", k->help);
    }
    return !out->failed;
}

const char *sys_yaml_text(const struct sys_yaml *doc, const char *path, const char *fallback)
{
    const char *text = json_string_value(sys_yaml_at(doc, path));
    return text != NULL ? text : fallback;
}

bool sys_yaml_bool(const struct sys_yaml *doc, const char *path, bool fallback)
{
    json_t *value = sys_yaml_at(doc, path);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

long long sys_yaml_int(const struct sys_yaml *doc, const char *path, long long fallback)
{
    json_t *value = sys_yaml_at(doc, path);
    return json_is_integer(value) ? (long long)json_integer_value(value) : fallback;
}

double sys_yaml_number(const struct sys_yaml *doc, const char *path, double fallback)
{
    json_t *value = sys_yaml_at(doc, path);
    return json_is_number(value) ? json_number_value(value) : fallback;
}
