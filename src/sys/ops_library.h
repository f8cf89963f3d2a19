/* SPDX-License-Identifier: Apache-2.0 */
/* ops_library.h -- load a shared object of operators (ledge/ops_library.h).
 *
 * Flow:    --ops-library PATH -> [ops_library.h] -> ledge_model_options.custom_ops
 * Threads: any. Memory: a library stays loaded until the process ends: models may use it.
 */
#ifndef SYS_OPS_LIBRARY_H
#define SYS_OPS_LIBRARY_H

#include "ledge/ops_library.h"

/* Load path (a bare name is looked up as the dynamic linker does) and ask it for its operators.
 *   host     ledge_ops_host_get()
 *   library  FILLED, BORROWED for ever
 * Errors: ERR_IO (cannot be loaded), ERR_UNSUPPORTED (no such symbol: made for another version, or
 * no library of operators), whatever its function says. err names the path. */
LEDGE_NODISCARD enum ledge_status sys_ops_library_load(const char *path,
                                                       const struct ledge_ops_host *host,
                                                       struct ledge_ops_library *library,
                                                       struct ledge_error *err);

#endif
