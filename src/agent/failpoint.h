/* SPDX-License-Identifier: Apache-2.0 */
/* failpoint.h -- places where a test may kill the agent or make a step fail.
 *
 * LEDGE_FAILPOINT=NAME:kill or NAME:error arms one place; unset (as it always is in use) each call
 * is one comparison. Names are the states of fleet/deploy_states.h, entered and journalled, and the
 * steps named at their calls. */
#ifndef AGENT_FAILPOINT_H
#define AGENT_FAILPOINT_H

#include <stdbool.h>

/* True: the caller shall fail as if the step had. With :kill the process is gone instead. */
bool agent_failpoint(const char *name);

#endif
