/* SPDX-License-Identifier: Apache-2.0 */
/* status.h -- fill an error object; the codes themselves are public (ledge/error.h). */
#ifndef LEDGE_BASE_STATUS_H
#define LEDGE_BASE_STATUS_H

#include "ledge/error.h"

/* Fill err (NULL is allowed) with a code and one formatted line; returns the code, so that a
 * failure reads `return ledge_fail(err, LEDGE_ERR_SHAPE, "node %s: ...", name);`. Text longer than
 * the field is cut. */
enum ledge_status ledge_fail(struct ledge_error *err, enum ledge_status status, const char *format,
                             ...) LEDGE_PRINTF(3, 4);

/* Put "what: " in front of the text of err; returns its code. For callers that know the place
 * better. */
enum ledge_status ledge_fail_at(struct ledge_error *err, const char *what);

/* Propagate a failure. */
#define LEDGE_TRY(expression)                                                                      \
    do {                                                                                           \
        enum ledge_status ledge_try_status_ = (expression);                                        \
        if (ledge_try_status_ != LEDGE_OK) {                                                       \
            return ledge_try_status_;                                                              \
        }                                                                                          \
    } while (0)

#endif
