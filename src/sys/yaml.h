/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h -- YAML (libyaml's events) to a JSON value, and a table that checks it.
 *
 * Flow:    recipe or gate file -> [yaml.h] -> a JSON object in which every key of the table has a
 * value Taken:   one document of block and flow mappings, sequences and scalars. Plain scalars
 * follow the YAML 1.2 core schema (null, true, false, integers, floats; `yes` and `no` are text).
 * Refused: anchors, aliases, tags, duplicate keys, keys that are not text, non-finite numbers, more
 * than the limits below. Threads: one at a time per document. Memory: a document OWNS its JSON
 * value: sys_yaml_free().
 */
#ifndef LEDGE_SYS_YAML_H
#define LEDGE_SYS_YAML_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "ledge/error.h"

enum { SYS_YAML_MAX_BYTES = 1 << 20, SYS_YAML_MAX_DEPTH = 16, SYS_YAML_MAX_NODES = 20000 };

struct sys_yaml;

/* Parse text.
 *   name  what error lines call it ("recipe.yaml:3: ..."), copied
 *   doc   OWNED: sys_yaml_free()
 * Errors: ERR_FORMAT (err names the line), ERR_RANGE (a limit), ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status sys_yaml_parse(const char *text, size_t size, const char *name,
                                                 struct sys_yaml **doc, struct ledge_error *err);

/* The same from a file. Errors: also ERR_IO, ERR_NOT_FOUND. */
LEDGE_NODISCARD enum ledge_status sys_yaml_load(const char *path, struct sys_yaml **doc,
                                                struct ledge_error *err);
void sys_yaml_free(struct sys_yaml *doc);

/* The root, always an object; BORROWED from the document. */
json_t *sys_yaml_root(const struct sys_yaml *doc);

/* Value at a dotted path ("train.epochs"), NULL when absent; BORROWED. */
json_t *sys_yaml_at(const struct sys_yaml *doc, const char *path);

/* "name:line" of the key at path, or "name" when it was not in the file; text is FILLED and
 * returned. */
enum { SYS_YAML_PLACE_BYTES = 128 };
const char *sys_yaml_place(const struct sys_yaml *doc, const char *path,
                           char text[SYS_YAML_PLACE_BYTES]);

/* Put a value given on the command line, "path=value", value being YAML (`[a, b]` is a list). Parts
 * of the path that do not exist are made. Errors: ERR_ARG, ERR_FORMAT, ERR_NOMEM. */
LEDGE_NODISCARD enum ledge_status sys_yaml_set(struct sys_yaml *doc, const char *assignment,
                                               struct ledge_error *err);

/* -- a table of keys: checks, fills defaults, makes help -- */

enum sys_yaml_type {
    SYS_YAML_TEXT,
    SYS_YAML_BOOL,
    SYS_YAML_INT,
    SYS_YAML_NUMBER,
    SYS_YAML_TEXTS,   /* list of text; numbers in it are taken as text */
    SYS_YAML_NUMBERS, /* list of numbers */
    SYS_YAML_ANY,     /* anything, checked by the caller */
};

struct sys_yaml_key {
    const char *path; /* dotted; the parts before the last dot are mappings */
    enum sys_yaml_type type;
    double low, high;     /* INT, NUMBER, items of NUMBERS; low == high: no limit */
    const char *choices;  /* TEXT: "a|b|c", or NULL */
    const char *fallback; /* YAML of the default; NULL: stays absent; "!" the key must be given */
    const char *help;     /* one line */
};

/* Every key of the document is in the table, with its type and in its range; absent keys get their
 * default. Errors: ERR_ARG with the place, the path and, for an unknown key, the nearest known one.
 */
LEDGE_NODISCARD enum ledge_status sys_yaml_check(struct sys_yaml *doc,
                                                 const struct sys_yaml_key *keys, size_t n,
                                                 struct ledge_error *err);

/* The table as Markdown rows: key, type, default, meaning. */
bool sys_yaml_help(const struct sys_yaml_key *keys, size_t n, struct ledge_buf *out);

/* Values after a check; the fallback counts only for keys that may be absent. Text is BORROWED from
 * the document. */
const char *sys_yaml_text(const struct sys_yaml *doc, const char *path, const char *fallback);
bool sys_yaml_bool(const struct sys_yaml *doc, const char *path, bool fallback);
long long sys_yaml_int(const struct sys_yaml *doc, const char *path, long long fallback);
double sys_yaml_number(const struct sys_yaml *doc, const char *path, double fallback);

#endif
