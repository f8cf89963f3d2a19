/* SPDX-License-Identifier: Apache-2.0 */
/* values.c -- rows to JSON, and what names and labels may be. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hub/hub.h"
#include "sys/file.h"
#include "sys/json.h"

const char *hub_path(const struct hub *hub, char out[HUB_PATH], const char *format, ...)
{
    char tail[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(tail, sizeof tail, format, args);
    va_end(args);
    (void)snprintf(out, HUB_PATH, "%.700s/%s", hub->state, tail);
    return out;
}

json_t *hub_json_time(int64_t ms)
{
    char text[32], precise[40];
    sys_time_text(ms, text);
    (void)snprintf(precise, sizeof precise, "%.19s.%03dZ", text, (int)(ms % 1000 + 1000) % 1000);
    return json_string(precise);
}

json_t *hub_json_time_or_null(const struct sys_row *row, int column)
{
    return sys_row_null(row, column) ? json_null() : hub_json_time(sys_row_int(row, column));
}

json_t *hub_json_text(const struct sys_row *row, int column)
{
    const char *text = sys_row_text(row, column);
    json_t *value = text != NULL ? json_string(text) : NULL; /* NULL also when it is not UTF-8 */
    return value != NULL ? value : json_null();
}

json_t *hub_json_real(const struct sys_row *row, int column)
{
    json_t *value = sys_row_null(row, column) ? NULL : json_real(sys_row_double(row, column));
    return value != NULL ? value : json_null();
}

json_t *hub_json_stored(const char *text, bool array)
{
    json_t *value = NULL;
    if (text != NULL && sys_json_parse(text, strlen(text), &value, NULL) == LEDGE_OK &&
        (array ? json_is_array(value) : json_is_object(value))) {
        return value;
    }
    json_decref(value);
    return array ? json_array() : json_object();
}

bool hub_label_valid(const char *text)
{
    size_t n = strlen(text);
    if (n < 1 || n > HUB_LABEL || text[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\') {
            return false;
        }
    }
    return true;
}
