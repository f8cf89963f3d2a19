/* SPDX-License-Identifier: Apache-2.0 */
/* rung_test.c -- which rungs this process may use: of the processor, of this build, and not above
 * LEDGE_CPU, which is read once. AVX-VNNI is not implied by what is above it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/port/port.h"

/* Has Linux found it? */
static bool cpu_has(const char *flag)
{
    static char line[16384];
    char word[64];
    bool found = false;
    (void)snprintf(word, sizeof word, " %s ", flag);
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && !found) {
        line[strcspn(line, "\n")] = ' ';
        found = strncmp(line, "flags", 5) == 0 && strstr(line, word) != NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static void those_of_the_processor_are_used(void **state)
{
    (void)state;
    enum ledge_rung built = LEDGE_RUNG_C, most = ledge_port_rung();
    assert_true(most <= LEDGE_RUNG_AVXVNNI);
    if (ledge_rung_find("avxvnni", &built) && cpu_has("avx_vnni") && cpu_has("avx2")) {
        assert_int_equal(most, LEDGE_RUNG_AVXVNNI);
    } else if (ledge_rung_find("avx2", &built) && cpu_has("avx2") && cpu_has("fma")) {
        assert_int_equal(most, LEDGE_RUNG_AVX2);
    } else {
        assert_int_equal(most, LEDGE_RUNG_C);
    }
}

static void none_is_above_what_is_asked_for(void **state)
{
    (void)state;
    for (int rung = LEDGE_RUNG_C; rung <= LEDGE_RUNG_NEON_I8MM; rung++) {
        enum ledge_rung got = ledge_port_rung_below((enum ledge_rung)rung);
        assert_true((int)got <= rung && got <= ledge_port_rung());
        assert_string_not_equal(ledge_rung_text(got), "unknown");
        assert_int_equal(ledge_port_rung_below(got), got);
    }
    assert_string_equal(ledge_rung_text((enum ledge_rung)2), "unknown"); /* numbers of old files */
    assert_string_equal(ledge_rung_text((enum ledge_rung)3), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(those_of_the_processor_are_used),
                                       cmocka_unit_test(none_is_above_what_is_asked_for)};
    if (setenv("LEDGE_CPU", "avxvnni", 1) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
