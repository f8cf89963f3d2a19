/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In order, best first: the flag of /proc/cpuinfo that stands for the rung. */
static const struct {
    const char *flag, *rung;
} rungs[] = {
    {"avx512_vnni", "avx512vnni"},
    {"avx512bw", "avx512"},
    {"avx_vnni", "avxvnni"},
    {"avx2", "avx2"},
    {"i8mm", "i8mm"},
    {"asimddp", "dotprod"},
    {"asimd", "neon"},
    {"neon", "neon"},
};

static bool has_word(const char *line, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = strstr(line, word); at != NULL; at = strstr(at + 1, word)) {
        if (at[-1] == ' ' && (at[n] == ' ' || at[n] == '\n' || at[n] == '\0')) {
            return true;
        }
    }
    return false;
}

static const char *find_rung(void)
{
    static char line[8192];
    const char *found = "c";
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0) {
            continue;
        }
        for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
            if (has_word(line, rungs[i].flag)) {
                found = rungs[i].rung;
                break;
            }
        }
        break;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

const char *agent_cpu_rung(void)
{
    static const char *rung;
    const char *forced = getenv("LEDGE_CPU");
    if (forced != NULL) {
        for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
            if (strcmp(forced, rungs[i].rung) == 0) {
                return rungs[i].rung;
            }
        }
        return "c";
    }
    if (rung == NULL) {
        rung = find_rung();
    }
    return rung;
}
