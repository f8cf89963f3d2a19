/* SPDX-License-Identifier: Apache-2.0 */
/* dtype.c -- sizes and names of element types, from the one list in ledge/tensor.h. All names stand
 * in one block, found by offsets: no pointers that a loader would have to set. Threads: any. */
#include <stddef.h>

#include "ledge/tensor.h"

/* What is not in the list has offset 0, where "?" is. */
static const struct texts {
    char none[2];
#define LEDGE_FIELD(name, value, bytes, text, oip) char name[sizeof(text)];
    LEDGE_DTYPE_LIST(LEDGE_FIELD)
#undef LEDGE_FIELD
} texts = {"?",
#define LEDGE_TEXT(name, value, bytes, text, oip) text,
           LEDGE_DTYPE_LIST(LEDGE_TEXT)
#undef LEDGE_TEXT
};

static const struct oips {
    char none[2];
#define LEDGE_FIELD(name, value, bytes, text, oip) char name[sizeof(oip)];
    LEDGE_DTYPE_LIST(LEDGE_FIELD)
#undef LEDGE_FIELD
} oips = {"?",
#define LEDGE_TEXT(name, value, bytes, text, oip) oip,
          LEDGE_DTYPE_LIST(LEDGE_TEXT)
#undef LEDGE_TEXT
};

static const struct {
    uint8_t bytes, text, oip;
} types[] = {
#define LEDGE_TYPE(name, value, bytes, text, oip)                                                  \
    [value] = {bytes, offsetof(struct texts, name), offsetof(struct oips, name)},
    LEDGE_DTYPE_LIST(LEDGE_TYPE)
#undef LEDGE_TYPE
};

_Static_assert(sizeof texts <= UINT8_MAX && sizeof oips <= UINT8_MAX, "offsets are bytes");

/* Number of the type, 0 when it is unknown. */
static unsigned number(enum ledge_dtype dtype)
{
    unsigned i = (unsigned)dtype;
    return i < sizeof types / sizeof types[0] ? i : 0;
}

size_t ledge_dtype_size(enum ledge_dtype dtype)
{
    return types[number(dtype)].bytes;
}

const char *ledge_dtype_text(enum ledge_dtype dtype)
{
    return (const char *)&texts + types[number(dtype)].text;
}

const char *ledge_dtype_oip(enum ledge_dtype dtype)
{
    return (const char *)&oips + types[number(dtype)].oip;
}
