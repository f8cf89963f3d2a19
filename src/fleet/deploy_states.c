/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/deploy_states.h"

#include <string.h>

static const struct fleet_state_row rows[] = {
#define FLEET_ROW(name, entered, deadline_s, on_kill, on_error, meaning)                           \
    {#name,  FLEET_ENTERED_##entered, deadline_s, FLEET_KILL_##on_kill, FLEET_STATE_##on_error,    \
     meaning},
    FLEET_DEPLOY_STATES(FLEET_ROW)
#undef FLEET_ROW
};

const struct fleet_state_row *fleet_state_row(enum fleet_deploy_state state)
{
    return &rows[(unsigned)state < FLEET_STATE_COUNT ? state : FLEET_STATE_COUNT - 1];
}

enum fleet_deploy_state fleet_state_parse(const char *name)
{
    int i = 0;
    while (i < FLEET_STATE_COUNT && strcmp(rows[i].name, name) != 0) {
        i++;
    }
    return (enum fleet_deploy_state)i;
}
