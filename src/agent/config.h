/* SPDX-License-Identifier: Apache-2.0 */
/* config.h -- what enrolment left in the state folder, and the paths in it.
 *
 *   lock  agent.json  device.key  device.csr  device.crt  ca.crt  agent.sock  serve.sock
 *   rotation  next.key  next.csr  next.crt  prev.key  prev.crt (rotate.h)
 *   journal  desired.json  current  gen/  blobs/  outbox/  functions/ */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <stdint.h>

#include "fleet/envelope.h"
#include "fleet/names.h"
#include "sys/file.h"

#define AGENT_STATE_DEFAULT "/var/lib/ledge-agent"

struct agent_config {
    char state[SYS_PATH]; /* absolute */
    char device[FLEET_NAME_SIZE];
    char hub[SYS_PATH]; /* "https://host:port", no slash at its end */
    char broker_host[256];
    uint16_t broker_port;
    uint8_t director_key[FLEET_PUBLIC_KEY];
    char key[SYS_PATH], certificate[SYS_PATH], ca[SYS_PATH];
    char agent_socket[SYS_PATH], serve_socket[SYS_PATH];
};

/* Only the paths, for a state folder. Errors: ERR_NOT_FOUND, ERR_IO, ERR_RANGE (a socket's path
 * would be over 107 bytes). */
LEDGE_NODISCARD enum ledge_status agent_config_paths(const char *state, struct agent_config *config,
                                                     struct ledge_error *err);

/* All of it; makes nothing. Errors: ERR_NOT_FOUND (not enrolled), ERR_FORMAT. */
LEDGE_NODISCARD enum ledge_status agent_config_load(const char *state, struct agent_config *config,
                                                    struct ledge_error *err);

/* Write agent.json: the last step of enrolment. */
LEDGE_NODISCARD enum ledge_status agent_config_save(const struct agent_config *config,
                                                    struct ledge_error *err);

/* The other programs of the family: beside this one, else by name in PATH. */
void agent_program_path(const char *name, char path[SYS_PATH]);

#endif
