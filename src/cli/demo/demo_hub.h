/* SPDX-License-Identifier: Apache-2.0 */
/* demo_hub.h -- the demo's view of the hub: its REST interface and nothing else. */
#ifndef CLI_DEMO_DEMO_HUB_H
#define CLI_DEMO_DEMO_HUB_H

#include <stdbool.h>

#include <jansson.h>

#include "cli/demo/demo_run.h"

struct sys_tls;

struct demo_hub {
    char url[64];
    char token[160];
    char state[SYS_PATH];
    struct sys_tls *tls; /* OWNED: demo_hub_done() */
};

/* Start ledge-hub on free loopback ports and wait until it answers. OWNED: demo_hub_done(). */
LEDGE_NODISCARD enum ledge_status demo_hub_start(struct demo_run *run, struct demo_hub *hub,
                                                 struct ledge_error *err);
void demo_hub_done(struct demo_hub *hub);

/* One call; path is below /api/v1. value (NULL: none) is BORROWED. *answer (NULL: not wanted) is
 * OWNED, NULL for an empty body. Errors: the problem's detail. */
LEDGE_NODISCARD enum ledge_status demo_call(struct demo_hub *hub, const char *method,
                                            const char *path, const json_t *value, json_t **answer,
                                            struct ledge_error *err);

/* All items of a list, page by page; *items OWNED. */
LEDGE_NODISCARD enum ledge_status demo_items(struct demo_hub *hub, const char *path, json_t **items,
                                             struct ledge_error *err);

/* Call ready(arg) every 100 ms until it is true. Errors: ERR_TIMEOUT naming what, ERR_STATE (a
 * daemon of run has ended). */
LEDGE_NODISCARD enum ledge_status demo_wait(struct demo_run *run, const char *what, int seconds,
                                            bool (*ready)(void *arg), void *arg,
                                            struct ledge_error *err);

#endif
