/* SPDX-License-Identifier: Apache-2.0 */
/* late_table.c -- operators that are whole functions, by name. */
#include <string.h>

#include "base/banned.h"
#include "engine/ops/late.h"
#include "engine/port/select.h"
#include "engine/run/late_ops.h"

ledge_late_fn ledge_late_find(const struct ledge_node *node)
{
    static const struct {
        const char *domain, *op;
        ledge_late_fn run;
    } table[] = {
#define ENTRY(domain_text, op_name, function)                                                      \
    LEDGE_KEEP(LEDGE_OP_##op_name)({domain_text, #op_name, ledge_late_##function}, )
        LEDGE_LATE_LIST(ENTRY){NULL, NULL, NULL}
#undef ENTRY
    };
    bool text = ledge_late_is_text_cast(node);
    const char *op = text ? "CastToString" : node->op, *domain = text ? "ledge" : node->domain;
    for (size_t i = 0; table[i].op != NULL; i++) {
        if (strcmp(table[i].op, op) == 0 && strcmp(table[i].domain, domain) == 0) {
            return table[i].run;
        }
    }
    return NULL;
}
