/* SPDX-License-Identifier: Apache-2.0 */
/* demo_fleet.h -- the demo's three devices: enrol, watch, collect, swap, and count what arrived. */
#ifndef CLI_DEMO_DEMO_FLEET_H
#define CLI_DEMO_DEMO_FLEET_H

#include "cli/demo/demo_data.h"
#include "cli/demo/demo_hub.h"

struct demo_swap {
    int64_t requests, failed; /* while the swap was under way, by the functions' own counters */
    int measured;             /* predictions around the flip whose time was taken */
    double pause_p99_ms;      /* of these: time of one request, waiting included */
    double pause_max_ms;      /* longest flip that a device reported */
};

struct demo_ledger {
    int64_t stored, lost, duplicated;
};

/* Enrol cam-1 .. cam-3 with one-time tokens, start their agents, wait until they are online. */
LEDGE_NODISCARD enum ledge_status demo_fleet_enrol(struct demo_run *run, struct demo_hub *hub,
                                                   struct ledge_error *err);

/* Push the function, deploy it with the newest model, each device with its own camera; wait until
 * confirmed. */
LEDGE_NODISCARD enum ledge_status demo_fleet_watch(struct demo_run *run, struct demo_hub *hub,
                                                   int fps, struct ledge_error *err);

/* Wait until every camera has gone once through its pictures and what was sampled has arrived. */
LEDGE_NODISCARD enum ledge_status demo_fleet_collect(struct demo_run *run, struct demo_hub *hub,
                                                     int pictures, int *samples,
                                                     struct ledge_error *err);

/* Freeze the labels, pull them and junior's pictures into work/<name>/<label>/. */
LEDGE_NODISCARD enum ledge_status demo_fleet_dataset(struct demo_run *run, struct demo_hub *hub,
                                                     const char *name, struct ledge_error *err);

/* Deploy the newest model to all devices while their functions run. Errors: ERR_STATE when a
 * function was restarted. */
LEDGE_NODISCARD enum ledge_status demo_fleet_swap(struct demo_run *run, struct demo_hub *hub,
                                                  struct demo_swap *swap, struct ledge_error *err);

/* Compare each function's own position with the predictions the hub has. */
LEDGE_NODISCARD enum ledge_status demo_fleet_ledger(struct demo_run *run, struct demo_hub *hub,
                                                    struct demo_ledger *ledger,
                                                    struct ledge_error *err);

#endif
