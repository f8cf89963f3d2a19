/* SPDX-License-Identifier: Apache-2.0 */
/* strings.c -- operators that make strings: Cast, StringConcat, StringSplit, StringNormalizer. They
 * run late because the texts they make need memory of a size known only then. Case is that of
 * ASCII; other characters stay as they are. Source: ONNX operators of these names, version 20. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"
#include "base/checked.h"
#include "base/status.h"
#include "engine/kernels/onnx_number.h"
#include "engine/run/late_ops.h"

static enum ledge_status no_memory(const struct ledge_late_call *call)
{
    return ledge_late_fail(call, LEDGE_ERR_NOMEM, "no memory for strings");
}

static enum ledge_status strings_of(const struct ledge_late_call *call, int32_t i,
                                    const struct ledge_view **view)
{
    LEDGE_TRY(ledge_late_tensor(call, i, view));
    return (*view)->dtype == LEDGE_STRING
               ? LEDGE_OK
               : ledge_late_fail(call, LEDGE_ERR_DTYPE, "input %d is %s, not string", (int)i,
                                 ledge_dtype_text((*view)->dtype));
}

/* -- Cast to strings: real numbers with 8 digits, as ONNX Runtime writes them -- */

enum { NUMBER_TEXT = 32 };

static void write_number(const struct ledge_view *x, int64_t i, char *text)
{
    double real = 0;
    int64_t whole = 0;
    if (!ledge_is_real(x->dtype)) {
        ledge_load_whole(x->data, x->dtype, i, 1, &whole);
        if (x->dtype == LEDGE_U64) {
            (void)snprintf(text, NUMBER_TEXT, "%llu", (unsigned long long)whole);
        } else {
            (void)snprintf(text, NUMBER_TEXT, "%lld", (long long)whole);
        }
        return;
    }
    ledge_load_real(x->data, x->dtype, i, 1, &real);
    if (!isfinite(real)) {
        (void)snprintf(text, NUMBER_TEXT, "%s", isnan(real) ? "NaN" : real < 0 ? "-INF" : "INF");
        return;
    }
    (void)snprintf(text, NUMBER_TEXT, "%.8g", real);
    char *comma = strchr(text, ','); /* of the process's locale */
    if (comma != NULL) {
        *comma = '.';
    }
}

enum ledge_status ledge_late_cast_to_string(const struct ledge_late_call *call)
{
    const struct ledge_view *x = NULL;
    void *data;
    LEDGE_TRY(ledge_late_tensor(call, 0, &x));
    LEDGE_TRY(ledge_late_make(call, 0, LEDGE_STRING, x->rank, x->dims, &data));
    int64_t n = ledge_view_count(x);
    struct ledge_string *texts = data;
    for (int64_t i = 0; i < n; i++) {
        char number[NUMBER_TEXT];
        if (x->dtype == LEDGE_STRING) {
            texts[i] = ((const struct ledge_string *)x->data)[i];
            continue;
        }
        write_number(x, i, number);
        texts[i].bytes = strlen(number);
        texts[i].text = ledge_arena_text(call->memory, number, texts[i].bytes);
        if (texts[i].text == NULL) {
            return no_memory(call);
        }
    }
    return LEDGE_OK;
}

/* -- StringConcat -- */

static enum ledge_status join(const struct ledge_late_call *call, struct ledge_string a,
                              struct ledge_string b, struct ledge_string *out)
{
    size_t n;
    if (!ledge_add_size(a.bytes, b.bytes, &n)) {
        return no_memory(call);
    }
    char *text = ledge_arena_alloc(call->memory, n, 1);
    if (text == NULL) {
        return no_memory(call);
    }
    if (a.bytes > 0) {
        memcpy(text, a.text, a.bytes);
    }
    if (b.bytes > 0) {
        memcpy(text + a.bytes, b.text, b.bytes);
    }
    *out = (struct ledge_string){text, n};
    return LEDGE_OK;
}

/* Element number k of dims, in a view that broadcasts to them. */
static int64_t broadcast_at(const struct ledge_view *view, int64_t k, const int64_t *dims,
                            int32_t rank)
{
    int64_t at = 0, step = 1;
    for (int32_t i = rank - 1; i >= 0; i--) {
        int32_t own = i - (rank - view->rank);
        int64_t index = k % dims[i];
        k /= dims[i];
        if (own >= 0) {
            at += view->dims[own] == 1 ? 0 : index * step;
            step *= view->dims[own];
        }
    }
    return at;
}

enum ledge_status ledge_late_string_concat(const struct ledge_late_call *call)
{
    const struct ledge_view *a = NULL, *b = NULL;
    int64_t dims[LEDGE_MAX_RANK];
    void *data;
    LEDGE_TRY(strings_of(call, 0, &a));
    LEDGE_TRY(strings_of(call, 1, &b));
    int32_t rank = a->rank > b->rank ? a->rank : b->rank;
    for (int32_t i = 0; i < rank; i++) {
        int32_t at_a = i - (rank - a->rank), at_b = i - (rank - b->rank);
        int64_t da = at_a >= 0 ? a->dims[at_a] : 1, db = at_b >= 0 ? b->dims[at_b] : 1;
        if (da != db && da != 1 && db != 1) {
            return ledge_late_fail(call, LEDGE_ERR_SHAPE, "%lld against %lld", (long long)da,
                                   (long long)db);
        }
        dims[i] = da == 1 ? db : da;
    }
    LEDGE_TRY(ledge_late_make(call, 0, LEDGE_STRING, rank, dims, &data));
    int64_t n = ledge_view_count(&call->out[0].view);
    for (int64_t k = 0; k < n; k++) {
        LEDGE_TRY(join(call, ((const struct ledge_string *)a->data)[broadcast_at(a, k, dims, rank)],
                       ((const struct ledge_string *)b->data)[broadcast_at(b, k, dims, rank)],
                       &((struct ledge_string *)data)[k]));
    }
    return LEDGE_OK;
}

/* -- StringSplit -- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A text being split; delimiter empty: runs of white space part, none at the ends. */
struct splitter {
    const char *at, *end;
    const char *delimiter;
    size_t bytes;
    int64_t left; /* splits that may be made; negative: any */
    bool done;
};

static bool next_by_space(struct splitter *s, struct ledge_string *part)
{
    while (s->at < s->end && is_space(*s->at)) {
        s->at++;
    }
    if (s->at == s->end) {
        return false;
    }
    const char *from = s->at;
    if (s->left == 0) {
        s->at = s->end;
    }
    while (s->at < s->end && !is_space(*s->at)) {
        s->at++;
    }
    s->left -= s->left > 0;
    *part = (struct ledge_string){from, (size_t)(s->at - from)};
    return true;
}

static bool next_part(struct splitter *s, struct ledge_string *part)
{
    if (s->bytes == 0) {
        return next_by_space(s, part);
    }
    if (s->done) {
        return false;
    }
    const char *from = s->at, *to = s->at;
    while (s->left != 0 && (size_t)(s->end - to) >= s->bytes &&
           memcmp(to, s->delimiter, s->bytes) != 0) {
        to++;
    }
    bool found = s->left != 0 && (size_t)(s->end - to) >= s->bytes;
    *part = (struct ledge_string){from, (size_t)((found ? to : s->end) - from)};
    s->at = found ? to + s->bytes : s->end;
    s->left -= s->left > 0;
    s->done = !found;
    return true;
}

static struct splitter splitter_of(const struct ledge_late_call *call,
                                   const struct ledge_string *text)
{
    const char *delimiter = ledge_node_string(call->node, "delimiter", "");
    int64_t most = ledge_node_int(call->node, "maxsplit", -1);
    const char *at = text->bytes > 0 ? text->text : "";
    return (struct splitter){.at = at,
                             .end = at + text->bytes,
                             .delimiter = delimiter,
                             .bytes = strlen(delimiter),
                             .left = most < 0 ? -1 : most};
}

enum ledge_status ledge_late_string_split(const struct ledge_late_call *call)
{
    const struct ledge_view *x = NULL;
    int64_t dims[LEDGE_MAX_RANK], most = 0;
    void *parts, *counts = NULL;
    struct ledge_string part;
    LEDGE_TRY(strings_of(call, 0, &x));
    if (x->rank >= LEDGE_MAX_RANK) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "rank %d", (int)x->rank);
    }
    const struct ledge_string *texts = x->data;
    int64_t n = ledge_view_count(x);
    for (int64_t i = 0; i < n; i++) {
        struct splitter s = splitter_of(call, &texts[i]);
        int64_t count = 0;
        while (next_part(&s, &part)) {
            count++;
        }
        most = count > most ? count : most;
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = most;
    LEDGE_TRY(ledge_late_make(call, 0, LEDGE_STRING, x->rank + 1, dims, &parts));
    if (call->n_out > 1) {
        LEDGE_TRY(ledge_late_make(call, 1, LEDGE_I64, x->rank, x->dims, &counts));
    }
    for (int64_t i = 0; i < n; i++) {
        struct splitter s = splitter_of(call, &texts[i]);
        struct ledge_string *to = (struct ledge_string *)parts + i * most;
        int64_t count = 0;
        while (next_part(&s, &part)) {
            to[count++] = part;
        }
        if (counts != NULL) {
            ((int64_t *)counts)[i] = count;
        }
    }
    return LEDGE_OK;
}

/* -- StringNormalizer -- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_stopword(const struct ledge_attr *stop, const struct ledge_string *text, bool exact)
{
    bool found = false;
    for (size_t i = 0; stop != NULL && i < stop->n && !found; i++) {
        const char *word = stop->strings[i];
        found = strlen(word) == text->bytes;
        for (size_t k = 0; found && k < text->bytes; k++) {
            found = exact ? word[k] == text->text[k] : lower(word[k]) == lower(text->text[k]);
        }
    }
    return found;
}

static enum ledge_status change_case(const struct ledge_late_call *call, const char *action,
                                     struct ledge_string *text)
{
    bool up = strcmp(action, "UPPER") == 0;
    if ((!up && strcmp(action, "LOWER") != 0) || text->bytes == 0) {
        return LEDGE_OK;
    }
    char *copy = ledge_arena_text(call->memory, text->text, text->bytes);
    if (copy == NULL) {
        return no_memory(call);
    }
    for (size_t i = 0; i < text->bytes; i++) {
        copy[i] = up ? upper(copy[i]) : lower(copy[i]);
    }
    text->text = copy;
    return LEDGE_OK;
}

enum ledge_status ledge_late_string_normalizer(const struct ledge_late_call *call)
{
    const struct ledge_view *x = NULL;
    LEDGE_TRY(strings_of(call, 0, &x));
    if (x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1)) {
        return ledge_late_fail(call, LEDGE_ERR_SHAPE, "input is neither [C] nor [1, C]");
    }
    const struct ledge_attr *stop = ledge_node_attr(call->node, "stopwords");
    stop = stop != NULL && stop->type == LEDGE_ATTR_STRINGS ? stop : NULL;
    bool exact = ledge_node_int(call->node, "is_case_sensitive", 0) != 0;
    const char *action = ledge_node_string(call->node, "case_change_action", "NONE");
    const struct ledge_string *texts = x->data;
    int64_t n = ledge_view_count(x), kept = 0;
    struct ledge_string *list = LEDGE_NEW_ARRAY(call->memory, struct ledge_string, (size_t)n + 1);
    if (list == NULL) {
        return no_memory(call);
    }
    for (int64_t i = 0; i < n; i++) {
        if (!is_stopword(stop, &texts[i], exact)) {
            list[kept] = texts[i];
            LEDGE_TRY(change_case(call, action, &list[kept++]));
        }
    }
    kept = kept > 0 ? kept : 1; /* nothing left: one empty string */
    struct ledge_view view = {.data = list, .dtype = LEDGE_STRING, .rank = x->rank};
    view.dims[0] = 1;
    view.dims[x->rank - 1] = kept;
    call->out[0] = ledge_any_tensor(view);
    return LEDGE_OK;
}
