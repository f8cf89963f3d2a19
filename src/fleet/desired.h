/* SPDX-License-Identifier: Apache-2.0 */
/* desired.h -- the desired-state document of one device, parsed and checked
 * (docs/fleet-protocol.md).
 *
 * Flow:    hub -> envelope -> [desired] -> agent's deployment
 * Bytes are hostile until the signature held, and are checked as if they still were: names become
 * file names, sizes become allocations on a small disk. Members that are not known are ignored.
 * Threads: any. Memory: OWNED by the struct: fleet_desired_done(). */
#ifndef FLEET_DESIRED_H
#define FLEET_DESIRED_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "fleet/names.h"
#include "ledge/error.h"

enum {
    FLEET_MODELS_MAX = 16,
    FLEET_FUNCTIONS_MAX = 16,
    FLEET_ARGS_MAX = 64,
    FLEET_ENV_MAX = 64,
    FLEET_TRIAL_MAX_S = 3600,
    FLEET_MODEL_MAX_BYTES = 1 << 30,
    FLEET_FUNCTION_MAX_BYTES = 1 << 28,
    FLEET_PROBE_MAX_BYTES = 1 << 24,
};

struct fleet_blob {
    char sha256[65];
    int64_t size;
};

struct fleet_model {
    char name[FLEET_NAME_SIZE];
    int64_t version;
    struct fleet_blob blob;
    char file[FLEET_NAME_SIZE];
    struct fleet_blob probe; /* sha256 "" when there is none */
};

struct fleet_function {
    char name[FLEET_NAME_SIZE];
    int64_t version;
    struct fleet_blob blob;
    char file[FLEET_NAME_SIZE];
    const json_t *args;   /* array of text, or NULL; BORROWED from the document */
    const json_t *env;    /* object of text, or NULL */
    const json_t *config; /* object, or NULL */
};

struct fleet_desired {
    char device[FLEET_NAME_SIZE];
    int64_t gen;
    size_t n_models, n_functions;
    struct fleet_model models[FLEET_MODELS_MAX];
    struct fleet_function functions[FLEET_FUNCTIONS_MAX];
    int32_t trial_s;
    json_t *root; /* what the functions point into */
};

/* Errors: ERR_FORMAT, ERR_RANGE (over a limit), ERR_UNSUPPORTED (v, mode, on_fail). */
LEDGE_NODISCARD enum ledge_status fleet_desired_parse(const void *text, size_t n,
                                                      struct fleet_desired *desired,
                                                      struct ledge_error *err);
void fleet_desired_done(struct fleet_desired *desired);

/* Digest of everything whose change means that the function must be restarted: its content, file
 * name, arguments, environment and configuration, but not its version number. */
LEDGE_NODISCARD enum ledge_status fleet_function_key(const struct fleet_function *function,
                                                     char key[65], struct ledge_error *err);

#endif
