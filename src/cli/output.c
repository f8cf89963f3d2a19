/* SPDX-License-Identifier: Apache-2.0 */
/* output.c -- errors, JSON and numbers for people. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

int cli_fail(const struct ledge_error *err)
{
    fprintf(stderr, "ledge: %s\n", err->text);
    return (int)sys_exit_of(err->status);
}

int cli_failf(enum sys_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("ledge: ", stderr);
    (void)vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return (int)code;
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
