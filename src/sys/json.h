/* SPDX-License-Identifier: Apache-2.0 */
/* json.h -- bounded JSON (jansson): parse with a limit, read fields with one clear error, write in
 * canonical form. */
#ifndef LEDGE_SYS_JSON_H
#define LEDGE_SYS_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

void sys_json_free(json_t **value); /* for LEDGE_CLEANUP */

/* Text of n bytes; objects with a repeated key are refused. *value OWNED: json_decref(). Errors:
 * ERR_FORMAT (line and column). */
LEDGE_NODISCARD enum ledge_status sys_json_parse(const void *text, size_t n, json_t **value,
                                                 struct ledge_error *err);

/* Fields of an object; what names the object in errors ("desired document"). Errors: ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status sys_json_text(const json_t *object, const char *what,
                                                const char *key, const char **text,
                                                struct ledge_error *err);
LEDGE_NODISCARD enum ledge_status sys_json_int(const json_t *object, const char *what,
                                               const char *key, int64_t low, int64_t high,
                                               int64_t *value, struct ledge_error *err);

/* Keys sorted, no spaces, UTF-8: the same value is the same bytes. */
LEDGE_NODISCARD enum ledge_status sys_json_write(const json_t *value, struct ledge_buf *out);

#endif
