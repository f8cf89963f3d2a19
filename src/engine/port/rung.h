/* SPDX-License-Identifier: Apache-2.0 */
/* rung.h -- how far up the ladder of instruction sets this CPU goes. */
#ifndef LEDGE_ENGINE_PORT_RUNG_H
#define LEDGE_ENGINE_PORT_RUNG_H

/* CPU rungs, slowest first. A CPU that has one has the lower ones of its architecture, but
 * AVX-VNNI, which many with AVX-512 lack: ledge_port_rung_below(). The numbers stand in .ledge
 * files; 2 and 3 were those of AVX-512 before there was AVX-VNNI. */
enum ledge_rung {
    LEDGE_RUNG_C = 0,
    LEDGE_RUNG_AVX2 = 1,
    LEDGE_RUNG_AVXVNNI = 4,
    LEDGE_RUNG_AVX512 = 5,
    LEDGE_RUNG_AVX512VNNI = 6,
    LEDGE_RUNG_NEON = 16, /* aarch64 */
    LEDGE_RUNG_NEON_DOTPROD = 17,
    LEDGE_RUNG_NEON_I8MM = 18,
};

#endif
