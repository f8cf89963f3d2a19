/* SPDX-License-Identifier: Apache-2.0 */
/* rung.h -- how far up the ladder of instruction sets this CPU goes. */
#ifndef LEDGE_ENGINE_PORT_RUNG_H
#define LEDGE_ENGINE_PORT_RUNG_H

/* CPU rungs: a higher rung implies the lower ones of its architecture. */
enum ledge_rung {
    LEDGE_RUNG_C = 0,
    LEDGE_RUNG_AVX2 = 1,
    LEDGE_RUNG_AVX512 = 2,
    LEDGE_RUNG_AVX512VNNI = 3,
    LEDGE_RUNG_NEON = 16, /* aarch64 */
    LEDGE_RUNG_NEON_DOTPROD = 17,
    LEDGE_RUNG_NEON_I8MM = 18,
};

#endif
