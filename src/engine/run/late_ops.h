/* SPDX-License-Identifier: Apache-2.0 */
/* late_ops.h (private) -- the whole operators; names and meaning are those of ops/late.h. */
#ifndef LEDGE_ENGINE_RUN_LATE_OPS_H
#define LEDGE_ENGINE_RUN_LATE_OPS_H

#include "engine/ops/late.h"
#include "engine/run/late.h"

#define LEDGE_LATE_DECLARE(domain, op, function)                                                   \
    enum ledge_status ledge_late_##function(const struct ledge_late_call *call);
LEDGE_LATE_LIST(LEDGE_LATE_DECLARE)
#undef LEDGE_LATE_DECLARE

#endif
