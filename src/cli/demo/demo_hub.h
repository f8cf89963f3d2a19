/* SPDX-License-Identifier: Apache-2.0 */
/* demo_hub.h -- start the demo's hub and wait for things to happen on it. */
#ifndef CLI_DEMO_DEMO_HUB_H
#define CLI_DEMO_DEMO_HUB_H

#include <stdbool.h>

#include "cli/demo/demo_run.h"
#include "cli/rest.h"

struct demo_hub {
    char url[64];
    char token[160];
    char state[SYS_PATH];
    char ca[SYS_PATH];
    struct cli_rest rest; /* OWNED: demo_hub_done() */
};

/* Start ledge-hub on free loopback ports and wait until it answers; LEDGE_HUB, LEDGE_TOKEN and
 * LEDGE_CA are set for the tools that follow. OWNED: demo_hub_done(). */
LEDGE_NODISCARD enum ledge_status demo_hub_start(struct demo_run *run, struct demo_hub *hub,
                                                 struct ledge_error *err);
void demo_hub_done(struct demo_hub *hub);

/* Call ready(arg) every 100 ms until it is true. Errors: ERR_TIMEOUT naming what, ERR_STATE (a
 * daemon of run has ended). */
LEDGE_NODISCARD enum ledge_status demo_wait(struct demo_run *run, const char *what, int seconds,
                                            bool (*ready)(void *arg), void *arg,
                                            struct ledge_error *err);

#endif
