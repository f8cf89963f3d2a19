/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ledge_status_text(enum ledge_status status)
{
    switch (status) {
#define LEDGE_CASE(name, value, text)                                                              \
    case LEDGE_##name:                                                                             \
        return text;
        LEDGE_STATUS_LIST(LEDGE_CASE)
#undef LEDGE_CASE
    }
    return "unknown status";
}

const char *ledge_status_name(enum ledge_status status)
{
    switch (status) {
#define LEDGE_CASE(name, value, text)                                                              \
    case LEDGE_##name:                                                                             \
        return #name;
        LEDGE_STATUS_LIST(LEDGE_CASE)
#undef LEDGE_CASE
    }
    return "ERR_UNKNOWN";
}

enum ledge_status ledge_fail(struct ledge_error *err, enum ledge_status status, const char *format,
                             ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->status = status;
        (void)vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return status;
}

enum ledge_status ledge_fail_at(struct ledge_error *err, const char *what)
{
    if (err == NULL) {
        return LEDGE_ERR_INTERNAL;
    }
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    (void)snprintf(err->text, sizeof err->text, "%.120s: %.380s", what, old);
    return err->status;
}
