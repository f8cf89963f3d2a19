/* SPDX-License-Identifier: Apache-2.0 */
/* whole.h -- a whole number out of a text that a user or a peer wrote: decimal digits, a '-' before
 * them or nothing, and nothing else; no blank, no sign '+', no digit more than 64 bits hold. */
#ifndef LEDGE_BASE_WHOLE_H
#define LEDGE_BASE_WHOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "ledge/error.h"

/* False, and *value untouched, when text is no whole number or is not in low..high. */
bool ledge_whole_read(const char *text, int64_t low, int64_t high, int64_t *value);

/* The same for a command line; name is what the user typed before it ("--threads").
 * Errors: LEDGE_ERR_ARG, err names the option, its value and the range. */
LEDGE_NODISCARD enum ledge_status ledge_whole_option(const char *name, const char *text,
                                                     int64_t low, int64_t high, int64_t *value,
                                                     struct ledge_error *err);

#endif
