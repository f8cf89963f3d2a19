/* SPDX-License-Identifier: Apache-2.0 */
/* version.c -- what library is linked, and how far up the ladder of CPU features it goes here. */
#include "ledge/version.h"

#include "engine/port/port.h"

const char *ledge_version(void)
{
    return LEDGE_VERSION_STRING;
}

const char *ledge_cpu_rung(void)
{
    return ledge_rung_text(ledge_port_rung());
}
