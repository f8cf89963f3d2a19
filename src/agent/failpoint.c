/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/failpoint.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool agent_failpoint(const char *name)
{
    const char *armed = getenv("LEDGE_FAILPOINT");
    size_t n = strlen(name);
    if (armed == NULL || strncmp(armed, name, n) != 0 || armed[n] != ':') {
        return false;
    }
    if (strcmp(armed + n + 1, "kill") == 0) {
        kill(getpid(), SIGKILL);
        for (;;) {
            pause();
        }
    }
    return strcmp(armed + n + 1, "error") == 0;
}
