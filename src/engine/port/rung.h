/* SPDX-License-Identifier: Apache-2.0 */
/* rung.h -- how far up the ladder of instruction sets this CPU goes. */
#ifndef LEDGE_ENGINE_PORT_RUNG_H
#define LEDGE_ENGINE_PORT_RUNG_H

/* CPU rungs: a higher rung implies the lower ones. */
enum ledge_rung {
    LEDGE_RUNG_C = 0,
    LEDGE_RUNG_AVX2 = 1,
    LEDGE_RUNG_AVX512 = 2,
    LEDGE_RUNG_AVX512VNNI = 3,
};

#endif
