/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c -- libyaml events -> JSON with lines remembered. See yaml.h; the table check is
 * yaml_check.c. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "sys/file.h"
#include "sys/yaml.h"

/* Where a key of a mapping stands. JSON values cannot say it (true and null are shared), so the
 * mapping and key do. */
struct line {
    const json_t *parent; /* compared, never followed */
    char *key;            /* OWNED */
    size_t line;
};

struct sys_yaml {
    json_t *root;
    char *name;
    struct line *lines;
    size_t n_lines, cap_lines;
};

/* One open mapping or sequence. */
struct level {
    json_t *value;
    char *key; /* OWNED: read, its value not yet; NULL: a key is due */
    size_t key_line;
};

struct builder {
    struct sys_yaml *doc;
    struct ledge_error *err;
    yaml_parser_t parser;
    struct level levels[SYS_YAML_MAX_DEPTH];
    int depth;
    size_t nodes;
    json_t *result;
};

static enum ledge_status fail_line(struct builder *b, size_t line, const char *what)
{
    return ledge_fail(b->err, LEDGE_ERR_FORMAT, "%s:%zu: %s", b->doc->name, line + 1, what);
}

static enum ledge_status no_memory(struct ledge_error *err)
{
    return ledge_fail(err, LEDGE_ERR_NOMEM, "yaml: out of memory");
}

/* Takes key over when it succeeds. */
static bool remember(struct sys_yaml *doc, const json_t *parent, char *key, size_t line)
{
    if (doc->n_lines == doc->cap_lines) {
        size_t cap = doc->cap_lines == 0 ? 64 : doc->cap_lines * 2;
        struct line *lines = realloc(doc->lines, cap * sizeof *lines);
        if (lines == NULL) {
            return false;
        }
        doc->lines = lines;
        doc->cap_lines = cap;
    }
    doc->lines[doc->n_lines++] = (struct line){parent, key, line};
    return true;
}

static void forget_all(struct sys_yaml *doc)
{
    for (size_t i = 0; i < doc->n_lines; i++) {
        free(doc->lines[i].key);
    }
    free(doc->lines);
    doc->lines = NULL;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

/* Integers: decimal without leading zeros, 0o octal, 0x hexadecimal. */
static bool integer_of(const char *text, long long *value)
{
    char *end;
    errno = 0;
    if (strncmp(text, "0x", 2) == 0 && text[2] != '\0') {
        *value = strtoll(text + 2, &end, 16);
    } else if (strncmp(text, "0o", 2) == 0 && text[2] != '\0') {
        *value = strtoll(text + 2, &end, 8);
    } else {
        const char *digits = text + strspn(text, "+-");
        if (strspn(digits, "0123456789") != strlen(digits) ||
            (digits[0] == '0' && digits[1] != '\0')) {
            return false; /* 007 stays text: it is a name, not a count */
        }
        *value = strtoll(text, &end, 10);
    }
    return end != text && *end == '\0' && errno == 0;
}

static json_t *plain_scalar(struct builder *b, const char *text, size_t line)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls)) {
        return json_null();
    }
    if (is_one_of(text, trues)) {
        return json_true();
    }
    if (is_one_of(text, falses)) {
        return json_false();
    }
    static const char *const endless[] = {".inf", "-.inf", "+.inf", ".nan", NULL};
    long long integer;
    if (integer_of(text, &integer)) {
        return json_integer(integer);
    }
    bool numeric = strspn(text, "+-.0123456789eE") == strlen(text) &&
                   strpbrk(text, ".eE") != NULL && strpbrk(text, "0123456789") != NULL;
    if (numeric || is_one_of(text, endless)) {
        char *end = NULL;
        double real = numeric ? strtod(text, &end) : INFINITY;
        if (numeric && *end != '\0') {
            return json_string(text); /* 1.2.3 */
        }
        if (!isfinite(real)) {
            (void)fail_line(b, line, "a number that is not finite");
            return NULL;
        }
        return json_real(real);
    }
    return json_string(text);
}

static json_t *scalar_value(struct builder *b, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        (void)fail_line(b, event->start_mark.line, "a NUL character");
        return NULL;
    }
    json_t *value = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
                        ? plain_scalar(b, text, event->start_mark.line)
                        : json_string(text);
    if (value == NULL && b->err->status == LEDGE_OK) {
        (void)fail_line(b, event->start_mark.line, "text that is not UTF-8");
    }
    return value;
}

/* Hang value (reference stolen) into the innermost open collection, or make it the result. */
static enum ledge_status hang(struct builder *b, json_t *value, size_t line)
{
    if (b->depth == 0) {
        b->result = value;
        return LEDGE_OK;
    }
    struct level *top = &b->levels[b->depth - 1];
    if (json_is_array(top->value)) {
        return json_array_append_new(top->value, value) == 0 ? LEDGE_OK : no_memory(b->err);
    }
    if (top->key == NULL) {
        json_decref(value);
        return fail_line(b, line, "a key must be text");
    }
    if (json_object_set_new(top->value, top->key, value) != 0 ||
        !remember(b->doc, top->value, top->key, top->key_line)) {
        return no_memory(b->err);
    }
    top->key = NULL;
    return LEDGE_OK;
}

static enum ledge_status take_key(struct builder *b, struct level *top, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t line = event->start_mark.line;
    if (strlen(text) != event->data.scalar.length || text[0] == '\0') {
        return fail_line(b, line, "an empty key");
    }
    if (json_object_get(top->value, text) != NULL) {
        return ledge_fail(b->err, LEDGE_ERR_FORMAT, "%s:%zu: key '%.60s' stands twice",
                          b->doc->name, line + 1, text);
    }
    top->key = strdup(text);
    top->key_line = line;
    return top->key != NULL ? LEDGE_OK : no_memory(b->err);
}

static enum ledge_status on_scalar(struct builder *b, const yaml_event_t *event)
{
    if (event->data.scalar.anchor != NULL ||
        (event->data.scalar.tag != NULL && event->data.scalar.tag[0] != '\0')) {
        return fail_line(b, event->start_mark.line, "anchors and tags are not taken");
    }
    struct level *top = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;
    if (top != NULL && json_is_object(top->value) && top->key == NULL) {
        return take_key(b, top, event);
    }
    json_t *value = scalar_value(b, event);
    return value != NULL ? hang(b, value, event->start_mark.line) : b->err->status;
}

static enum ledge_status open_level(struct builder *b, const yaml_event_t *event, json_t *value,
                                    bool decorated)
{
    size_t line = event->start_mark.line;
    enum ledge_status status;
    if (value == NULL) {
        return no_memory(b->err);
    }
    if (decorated || b->depth == SYS_YAML_MAX_DEPTH) {
        json_decref(value);
        return fail_line(b, line,
                         decorated ? "anchors and tags are not taken" : "nested too deeply");
    }
    json_t *kept = json_incref(value);
    status = hang(b, value, line);
    if (status == LEDGE_OK) {
        b->levels[b->depth++] = (struct level){.value = kept};
    }
    json_decref(kept); /* the parent (or result) holds it */
    return status;
}

static enum ledge_status close_level(struct builder *b)
{
    b->depth--;
    free(b->levels[b->depth].key);
    b->levels[b->depth] = (struct level){0};
    return LEDGE_OK;
}

static enum ledge_status on_event(struct builder *b, const yaml_event_t *event)
{
    size_t line = event->start_mark.line;
    if (++b->nodes > SYS_YAML_MAX_NODES) {
        return ledge_fail(b->err, LEDGE_ERR_RANGE, "%s:%zu: more than %d values", b->doc->name,
                          line + 1, SYS_YAML_MAX_NODES);
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_MAPPING_START_EVENT:
        return open_level(b, event, json_object(),
                          event->data.mapping_start.anchor != NULL ||
                              event->data.mapping_start.tag != NULL);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(b, event, json_array(),
                          event->data.sequence_start.anchor != NULL ||
                              event->data.sequence_start.tag != NULL);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return close_level(b);
    case YAML_ALIAS_EVENT:
        return fail_line(b, line, "aliases are not taken");
    case YAML_DOCUMENT_START_EVENT:
        return b->result == NULL ? LEDGE_OK : fail_line(b, line, "a second document");
    default:
        return LEDGE_OK;
    }
}

static enum ledge_status build(struct builder *b)
{
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event)) {
            return fail_line(b, b->parser.problem_mark.line,
                             b->parser.problem != NULL ? b->parser.problem : "not YAML");
        }
        enum ledge_status status = on_event(b, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        LEDGE_TRY(status);
    }
    return LEDGE_OK;
}

/* One YAML value; lines are remembered in doc. OWNED json_t in *value. */
static enum ledge_status parse_value(struct sys_yaml *doc, const char *text, size_t size,
                                     json_t **value, struct ledge_error *err)
{
    struct ledge_error local = {0};
    struct builder b = {.doc = doc, .err = &local};
    if (size > SYS_YAML_MAX_BYTES) {
        return ledge_fail(err, LEDGE_ERR_RANGE, "%s: larger than %d bytes", doc->name,
                          SYS_YAML_MAX_BYTES);
    }
    if (!yaml_parser_initialize(&b.parser)) {
        return no_memory(err);
    }
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, size);
    enum ledge_status status = build(&b);
    yaml_parser_delete(&b.parser);
    while (b.depth > 0) {
        (void)close_level(&b);
    }
    if (status != LEDGE_OK) {
        json_decref(b.result);
        return ledge_fail(err, status, "%s", local.text);
    }
    *value = b.result != NULL ? b.result : json_null();
    return LEDGE_OK;
}

enum ledge_status sys_yaml_parse(const char *text, size_t size, const char *name,
                                 struct sys_yaml **doc, struct ledge_error *err)
{
    struct sys_yaml *d = calloc(1, sizeof *d);
    if (d == NULL || (d->name = strdup(name)) == NULL) {
        free(d);
        return no_memory(err);
    }
    enum ledge_status status = parse_value(d, text, size, &d->root, err);
    if (status == LEDGE_OK && json_is_null(d->root)) {
        d->root = json_object(); /* an empty file: everything has its default */
        status = d->root != NULL ? LEDGE_OK : no_memory(err);
    }
    if (status == LEDGE_OK && !json_is_object(d->root)) {
        status = ledge_fail(err, LEDGE_ERR_FORMAT, "%s: not a mapping of keys to values", name);
    }
    if (status != LEDGE_OK) {
        sys_yaml_free(d);
        return status;
    }
    *doc = d;
    return LEDGE_OK;
}

enum ledge_status sys_yaml_load(const char *path, struct sys_yaml **doc, struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf text = LEDGE_BUF_INIT(SYS_YAML_MAX_BYTES);
    LEDGE_TRY(sys_file_read(path, &text, err));
    const char *slash = strrchr(path, '/');
    return sys_yaml_parse(text.data != NULL ? text.data : "", text.len,
                          slash != NULL ? slash + 1 : path, doc, err);
}

void sys_yaml_free(struct sys_yaml *doc)
{
    if (doc != NULL) {
        json_decref(doc->root);
        forget_all(doc);
        free(doc->name);
        free(doc);
    }
}

json_t *sys_yaml_root(const struct sys_yaml *doc)
{
    return doc->root;
}

/* The mapping that holds the last part of path; *last is that part. NULL when a part is missing. */
static json_t *holder(const struct sys_yaml *doc, const char *path, const char **last)
{
    json_t *at = doc->root;
    const char *dot;
    while ((dot = strchr(path, '.')) != NULL) {
        at = json_object_getn(at, path, (size_t)(dot - path));
        if (!json_is_object(at)) {
            return NULL;
        }
        path = dot + 1;
    }
    *last = path;
    return at;
}

json_t *sys_yaml_at(const struct sys_yaml *doc, const char *path)
{
    const char *last;
    json_t *at = holder(doc, path, &last);
    return at != NULL ? json_object_get(at, last) : NULL;
}

const char *sys_yaml_place(const struct sys_yaml *doc, const char *path,
                           char text[SYS_YAML_PLACE_BYTES])
{
    const char *last;
    json_t *at = holder(doc, path, &last);
    for (size_t i = 0; at != NULL && i < doc->n_lines; i++) {
        if (doc->lines[i].parent == at && strcmp(doc->lines[i].key, last) == 0) {
            (void)snprintf(text, SYS_YAML_PLACE_BYTES, "%.100s:%zu", doc->name,
                           doc->lines[i].line + 1);
            return text;
        }
    }
    (void)snprintf(text, SYS_YAML_PLACE_BYTES, "%.100s", doc->name);
    return text;
}

/* Lines of mappings that a replaced value took with it point nowhere: drop those below `gone`. */
static void forget(struct sys_yaml *doc, const json_t *gone, const json_t *parent, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < doc->n_lines; i++) {
        const struct line *l = &doc->lines[i];
        bool same = l->parent == parent && strcmp(l->key, key) == 0;
        if (!same && (gone == NULL || l->parent != gone)) {
            doc->lines[kept++] = *l;
        } else {
            free(l->key);
        }
    }
    doc->n_lines = kept;
}

enum ledge_status sys_yaml_set(struct sys_yaml *doc, const char *assignment,
                               struct ledge_error *err)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment || equals[-1] == '.' || assignment[0] == '.' ||
        (size_t)(equals - assignment) >= SYS_YAML_PLACE_BYTES) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--set %.100s: must read key.path=value", assignment);
    }
    char path[SYS_YAML_PLACE_BYTES];
    (void)snprintf(path, sizeof path, "%.*s", (int)(equals - assignment), assignment);
    struct sys_yaml scratch = {.name = path};
    json_t *value = NULL;
    enum ledge_status status = parse_value(&scratch, equals + 1, strlen(equals + 1), &value, err);
    forget_all(&scratch);
    LEDGE_TRY(status);
    json_t *at = doc->root;
    char *part = path;
    for (char *dot; (dot = strchr(part, '.')) != NULL; part = dot + 1) {
        *dot = '\0';
        json_t *next = json_object_get(at, part);
        if (next == NULL) {
            next = json_object();
            (void)json_object_set_new(at, part, next);
        }
        if (!json_is_object(next)) {
            json_decref(value);
            return ledge_fail(err, LEDGE_ERR_ARG, "--set %.100s: '%s' is not a mapping", assignment,
                              part);
        }
        at = next;
    }
    forget(doc, json_object_get(at, part), at, part);
    return json_object_set_new(at, part, value) == 0 ? LEDGE_OK : no_memory(err);
}
