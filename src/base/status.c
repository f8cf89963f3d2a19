/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* All texts stand in one block, found by offsets: no pointers that a loader would have to set. */
static const struct texts {
    char unknown[sizeof("unknown status")];
#define LEDGE_FIELD(name, value, text) char name[sizeof(text)];
    LEDGE_STATUS_LIST(LEDGE_FIELD)
#undef LEDGE_FIELD
} texts = {"unknown status",
#define LEDGE_TEXT(name, value, text) text,
           LEDGE_STATUS_LIST(LEDGE_TEXT)
#undef LEDGE_TEXT
};

static const struct names {
    char unknown[sizeof("ERR_UNKNOWN")];
#define LEDGE_FIELD(name, value, text) char name[sizeof(#name)];
    LEDGE_STATUS_LIST(LEDGE_FIELD)
#undef LEDGE_FIELD
} names = {"ERR_UNKNOWN",
#define LEDGE_TEXT(name, value, text) #name,
           LEDGE_STATUS_LIST(LEDGE_TEXT)
#undef LEDGE_TEXT
};

static const struct {
    uint16_t text, name;
} at[] = {
#define LEDGE_AT(name, value, text)                                                                \
    [value] = {offsetof(struct texts, name), offsetof(struct names, name)},
    LEDGE_STATUS_LIST(LEDGE_AT)
#undef LEDGE_AT
};

const char *ledge_status_text(enum ledge_status status)
{
    unsigned i = (unsigned)status;
    return (const char *)&texts + (i < sizeof at / sizeof at[0] ? at[i].text : 0);
}

const char *ledge_status_name(enum ledge_status status)
{
    unsigned i = (unsigned)status;
    return (const char *)&names + (i < sizeof at / sizeof at[0] ? at[i].name : 0);
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
