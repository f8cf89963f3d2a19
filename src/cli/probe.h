/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h -- golden inputs of a model: a device runs them on every new version before it takes
 * over.
 *
 * Flow:    model file -> [probe.h] -> blob beside the model -> ledge-serve (docs/local-api.md,
 * "Probe file")
 */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include "base/buf.h"
#include "ledge/error.h"

/* Run the model once on fixed pseudo-random inputs and append the probe file to out. Errors: what
 * opening and running report; ERR_UNSUPPORTED (an input that is not a number). */
LEDGE_NODISCARD enum ledge_status cli_probe_make(const char *model_path, struct ledge_buf *out,
                                                 struct ledge_error *err);

#endif
