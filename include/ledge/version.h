/* SPDX-License-Identifier: Apache-2.0 */
/* version.h -- version of the library: compiled against (macros) and linked (function). */
#ifndef LEDGE_VERSION_H
#define LEDGE_VERSION_H

#include "ledge/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LEDGE_VERSION_MAJOR  0
#define LEDGE_VERSION_MINOR  1
#define LEDGE_VERSION_PATCH  0
#define LEDGE_VERSION_STRING "0.1.0"

/* Version of the linked library, e.g. "0.1.0"; static storage. */
LEDGE_API const char *ledge_version(void);

/* The kernel rung in use on this machine: "c", "avx2", "avxvnni", "avx512", "avx512vnni". Honours
 * LEDGE_CPU. Static storage. */
LEDGE_API const char *ledge_cpu_rung(void);

#ifdef __cplusplus
}
#endif
#endif
