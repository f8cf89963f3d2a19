/* SPDX-License-Identifier: Apache-2.0 */
/* output.c -- errors, exit codes, JSON and numbers for people. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

enum cli_exit cli_exit_of(enum ledge_status status)
{
    switch (status) {
    case LEDGE_OK:
        return CLI_OK;
    case LEDGE_ERR_GATE:
        return CLI_GATE;
    case LEDGE_ERR_NOT_FOUND:
        return CLI_NOT_FOUND;
    case LEDGE_ERR_EXISTS:
    case LEDGE_ERR_STATE:
        return CLI_CONFLICT;
    case LEDGE_ERR_AUTH:
        return CLI_AUTH;
    case LEDGE_ERR_NETWORK:
        return CLI_UNREACHABLE;
    case LEDGE_ERR_TIMEOUT:
        return CLI_TIMED_OUT;
    default:
        return CLI_FAILED;
    }
}

int cli_fail(const struct ledge_error *err)
{
    fprintf(stderr, "ledge: %s\n", err->text);
    return (int)cli_exit_of(err->status);
}

int cli_failf(enum cli_exit code, const char *format, ...)
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
    int failed =
        value == NULL || json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(value);
    if (failed != 0 || puts("") == EOF) {
        return cli_failf(CLI_FAILED, "cannot write JSON");
    }
    return CLI_OK;
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
