/* SPDX-License-Identifier: Apache-2.0 */
/* output.c -- errors, JSON and numbers for people. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* Control characters become '?' (kept: those in `but`), also those of ISO 6429 in UTF-8, C2 80 to
 * C2 9F: what a file, a hub or a device calls itself shall command no terminal. */
static void tame(char *text, const char *but)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        bool high = at[0] == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F;
        if (high || ((*at < ' ' || *at == 0x7F) && strchr(but, *at) == NULL)) {
            at[0] = '?';
            at[1] = high ? '?' : at[1];
        }
    }
}

/* Tamed and with `before` and `after` around it; what does not fit into memory is cut. */
static void put(FILE *out, const char *before, const char *after, const char *but,
                const char *format, va_list args)
{
    char small[512];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    char *text = n >= (int)sizeof small ? malloc((size_t)n + 1) : NULL;
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)n + 1, format, again);
    }
    va_end(again);
    tame(text != NULL ? text : small, but);
    fprintf(out, "%s%s%s", before, text != NULL ? text : small, after);
    free(text);
}

int cli_fail(const struct ledge_error *err)
{
    return cli_failf(sys_exit_of(err->status), "%s", err->text);
}

int cli_failf(enum sys_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(stderr, "ledge: ", "\n", "", format, args);
    va_end(args);
    return (int)code;
}

void cli_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(stdout, "", "", "\n\t", format, args);
    va_end(args);
}

enum sys_exit cli_both(enum sys_exit so_far, enum sys_exit code)
{
    return so_far == SYS_EXIT_OK || so_far == code ? code
           : code == SYS_EXIT_OK                   ? so_far
                                                   : SYS_EXIT_FAILED;
}

int cli_print_json(json_t *value)
{
    if (value == NULL) {
        return cli_failf(SYS_EXIT_FAILED, "no memory for the JSON");
    }
    bool printed = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(value);
    return printed && puts("") != EOF ? SYS_EXIT_OK : SYS_EXIT_FAILED;
}

static const char *scaled(double value, const char *const units[4], char text[CLI_TEXT_BYTES])
{
    int unit = 0;
    while (value >= 1000.0 && unit < 3) {
        value /= 1000.0;
        unit++;
    }
    (void)snprintf(text, CLI_TEXT_BYTES, unit == 0 ? "%.0f%s" : "%.2f%s", value, units[unit]);
    return text;
}

const char *cli_text_bytes(double bytes, char text[CLI_TEXT_BYTES])
{
    static const char *const units[4] = {" B", " kB", " MB", " GB"};
    return scaled(bytes, units, text);
}

const char *cli_text_count(double count, char text[CLI_TEXT_BYTES])
{
    static const char *const units[4] = {"", " k", " M", " G"};
    return scaled(count, units, text);
}
