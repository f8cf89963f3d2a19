/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h -- reading JSON that others wrote: one clear error that names the field. Private to
 * fleet/. */
#ifndef FLEET_FIELDS_H
#define FLEET_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

/* An object of at most max bytes of text; repeated keys are refused. OWNED: json_decref(). */
enum ledge_status fleet_fields_parse(const void *text, size_t n, size_t max, const char *what,
                                     json_t **object, struct ledge_error *err);

/* what names the object in errors. Text is BORROWED from the object and holds no NUL. */
enum ledge_status fleet_field_text(const json_t *object, const char *what, const char *key,
                                   const char **text, struct ledge_error *err);
enum ledge_status fleet_field_int(const json_t *object, const char *what, const char *key,
                                  int64_t low, int64_t high, int64_t *value,
                                  struct ledge_error *err);
/* A name by fleet_name_ok(), or a digest by fleet_digest_ok(), copied. */
enum ledge_status fleet_field_name(const json_t *object, const char *what, const char *key,
                                   char name[65], struct ledge_error *err);
enum ledge_status fleet_field_digest(const json_t *object, const char *what, const char *key,
                                     char digest[65], struct ledge_error *err);

#endif
