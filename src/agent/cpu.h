/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.h -- the engine's rung this device would climb to, told to the hub; the agent itself links no
 * engine. */
#ifndef AGENT_CPU_H
#define AGENT_CPU_H

/* "avx512vnni", "avx512", "avxvnni", "avx2", "dotprod", "neon" or "c"; LEDGE_CPU overrides, as it
 * does in the engine. Static text. */
const char *agent_cpu_rung(void);

#endif
