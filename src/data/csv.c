/* SPDX-License-Identifier: Apache-2.0 */
/* csv.c -- a table of numbers with a label column (RFC 4180, comma). See dataset.h,
 * dataset_source.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "data/dataset_source.h"
#include "sys/gzip.h"

#define CSV_MAX_BYTES ((size_t)1 << 30)
enum { FIELD_MAX = 4096 };

int data_csv_field(const char **text, const char *end, struct ledge_buf *field)
{
    const char *at = *text;
    bool quoted = at < end && *at == '"';
    int stop = 0;
    ledge_buf_clear(field);
    (void)ledge_buf_add(field, "", 0);
    at += quoted ? 1 : 0;
    for (; at < end; at++) {
        if (quoted && *at == '"') {
            if (at + 1 < end && at[1] == '"') {
                at++;
            } else {
                quoted = false;
                continue;
            }
        } else if (!quoted && (*at == ',' || *at == '\n')) {
            stop = *at++;
            break;
        } else if (!quoted && *at == '\r') {
            continue;
        }
        if (*at == '\0' || !ledge_buf_add(field, at, 1)) {
            return -1;
        }
    }
    *text = at;
    return quoted || field->failed ? -1 : stop;
}

static bool number_of(const char *text, float *value)
{
    char *end;
    if (text == NULL || *text == '\0') {
        return false;
    }
    *value = strtof(text, &end);
    end += strspn(end, " \t");
    return *end == '\0' && isfinite(*value);
}

/* The state of one pass over the text. */
struct table {
    struct data_set *set;
    const char *at, *end;
    struct ledge_buf *field;
    int64_t n_columns;
    int64_t label; /* column */
    int64_t line;
    size_t capacity; /* of set->features, in floats */
    struct ledge_error *err;
};

static enum ledge_status fail_row(const struct table *t, const char *what)
{
    return ledge_fail(t->err, LEDGE_ERR_FORMAT, "%s:%lld: %s",
                      t->set->path != NULL ? t->set->path : "table", (long long)t->line, what);
}

/* Columns of the first row; is it a heading (a text in another column than the label's)? */
static enum ledge_status look_at_first(struct table *t, const char *label_column, bool *heading)
{
    const char *at = t->at;
    int stop = ',';
    int64_t texts = 0;
    int64_t last_text = -1;
    t->label = -1;
    while (stop == ',') {
        float value;
        stop = data_csv_field(&at, t->end, t->field);
        if (stop < 0 || t->n_columns == DATA_MAX_FEATURES) {
            return fail_row(t, stop < 0 ? "a quote is not closed, a field is too long, or a NUL"
                                        : "too many columns");
        }
        if (label_column != NULL && strcmp(t->field->data, label_column) == 0) {
            t->label = t->n_columns;
        }
        if (!number_of(t->field->data, &value)) {
            texts++;
            last_text = t->n_columns;
        }
        t->n_columns++;
    }
    if (t->n_columns < 2) {
        return fail_row(t, "needs a label and at least one number");
    }
    if (label_column != NULL && t->label < 0) {
        return fail_row(t, "the label column is not in the heading");
    }
    *heading = t->label >= 0 || texts > 1 || (texts == 1 && last_text != t->n_columns - 1);
    t->label = t->label >= 0 ? t->label : t->n_columns - 1;
    return LEDGE_OK;
}

static enum ledge_status grow(struct table *t)
{
    size_t need = (size_t)(t->set->n + 1) * (size_t)t->set->n_features;
    if (need > t->capacity) {
        size_t capacity = need * 2 + 1024;
        float *features = realloc(t->set->features, capacity * sizeof *features);
        if (features == NULL) {
            return ledge_fail(t->err, LEDGE_ERR_NOMEM, "data set: out of memory");
        }
        t->set->features = features;
        t->capacity = capacity;
    }
    return LEDGE_OK;
}

static enum ledge_status read_row(struct table *t)
{
    LEDGE_TRY(grow(t));
    float *row = t->set->features + t->set->n * t->set->n_features;
    const char *start = t->at;
    int32_t label = -1;
    int stop = ',';
    for (int64_t column = 0; column < t->n_columns; column++) {
        if (stop != ',') {
            return fail_row(t, "too few columns");
        }
        stop = data_csv_field(&t->at, t->end, t->field);
        if (stop < 0) {
            return fail_row(t, "a quote is not closed, a field is too long, or a NUL");
        }
        if (column == t->label) {
            label = data_source_class(t->set, t->field->data, t->field->len);
            if (label < 0) {
                return fail_row(t, "too many classes; is the label column right?");
            }
        } else if (!number_of(t->field->data, row++)) {
            return fail_row(t, "a feature is not a finite number");
        }
    }
    if (stop == ',') {
        return fail_row(t, "too many columns");
    }
    char key[24];
    (void)snprintf(key, sizeof key, "%lld", (long long)t->line);
    return data_source_add(t->set, key, label, t->set->n, start, (size_t)(t->at - start), t->err);
}

static bool blank_line(const struct table *t)
{
    return *t->at == '\n' || (*t->at == '\r' && (t->at + 1 == t->end || t->at[1] == '\n'));
}

enum ledge_status data_csv_parse(struct data_set *set, const char *text, size_t size,
                                 const char *label_column, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf field = LEDGE_BUF_INIT(FIELD_MAX);
    struct table t = {.set = set, .at = text, .end = text + size, .field = &field, .err = err};
    bool heading = false;
    t.line = 1;
    LEDGE_TRY(look_at_first(&t, label_column, &heading));
    set->n_features = t.n_columns - 1;
    for (; t.at < t.end; t.line++) {
        if (heading || blank_line(&t)) {
            const char *next = memchr(t.at, '\n', (size_t)(t.end - t.at));
            t.at = next != NULL ? next + 1 : t.end;
            heading = false;
            continue;
        }
        LEDGE_TRY(read_row(&t));
    }
    return LEDGE_OK;
}

enum ledge_status data_csv_open(struct data_set *set, const struct data_set_spec *spec,
                                struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(CSV_MAX_BYTES);
    LEDGE_TRY(sys_gzip_read(spec->path, &text, err));
    return data_csv_parse(set, text.data != NULL ? text.data : "", text.len, spec->labels, err);
}
