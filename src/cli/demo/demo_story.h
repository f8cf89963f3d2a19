/* SPDX-License-Identifier: Apache-2.0 */
/* demo_story.h -- the chapters of the demo and its closing table.
 *
 * Flow:    demo_data.h, demo_hub.h -> [demo_story.h] -> table on standard output
 * Everything runs through the programs a user would run (ledge train, quantize, evaluate, model
 * push; ledge-hub, ledge-agent) and the hub's REST interface. The only thing simulated is named so:
 * cameras are folders, the labeller is automatic.
 */
#ifndef CLI_DEMO_DEMO_STORY_H
#define CLI_DEMO_DEMO_STORY_H

#include <stdbool.h>
#include <stdint.h>

struct demo_options {
    const char *data;     /* or NULL */
    const char *work;     /* or NULL */
    const char *generate; /* or NULL: only write simulated pictures there */
    bool keep;
    bool json;
    int64_t threads;
    int64_t fps;
};

/* Returns an exit code. */
int demo_tell(const struct demo_options *options);

#endif
