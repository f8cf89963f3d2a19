/* SPDX-License-Identifier: Apache-2.0 */
/* dtype.c -- sizes and names of element types, from the one list in ledge/tensor.h. */
#include "ledge/tensor.h"

size_t ledge_dtype_size(enum ledge_dtype dtype)
{
    switch (dtype) {
#define LEDGE_CASE(name, value, bytes, text, oip)                                                  \
    case LEDGE_##name:                                                                             \
        return bytes;
        LEDGE_DTYPE_LIST(LEDGE_CASE)
#undef LEDGE_CASE
    case LEDGE_DTYPE_NONE:
        break;
    }
    return 0;
}

const char *ledge_dtype_text(enum ledge_dtype dtype)
{
    switch (dtype) {
#define LEDGE_CASE(name, value, bytes, text, oip)                                                  \
    case LEDGE_##name:                                                                             \
        return text;
        LEDGE_DTYPE_LIST(LEDGE_CASE)
#undef LEDGE_CASE
    case LEDGE_DTYPE_NONE:
        break;
    }
    return "?";
}

const char *ledge_dtype_oip(enum ledge_dtype dtype)
{
    switch (dtype) {
#define LEDGE_CASE(name, value, bytes, text, oip)                                                  \
    case LEDGE_##name:                                                                             \
        return oip;
        LEDGE_DTYPE_LIST(LEDGE_CASE)
#undef LEDGE_CASE
    case LEDGE_DTYPE_NONE:
        break;
    }
    return "?";
}
