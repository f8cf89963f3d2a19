/* SPDX-License-Identifier: Apache-2.0 */
/* options.c -- a table of options -> getopt_long, --help, values. */
#include <ctype.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/whole.h"
#include "cli/cli.h"

enum { MAX_OPTIONS = 48, FIRST = 256, HELP_CODE = FIRST + MAX_OPTIONS };

void cli_list_done(struct cli_list *list)
{
    free(list->items);
    *list = (struct cli_list){0};
}

static void print_help(const struct cli_command *command)
{
    printf("usage: %s\n\n%s\n", command->usage, command->summary);
    printf("\noptions:\n");
    for (size_t i = 0; i < command->n_options; i++) {
        const struct cli_option *o = &command->options[i];
        char left[64];
        char letter[4] = {' ', ' ', ' ', '\0'};
        if (o->letter != 0) {
            (void)snprintf(letter, sizeof letter, "-%c,", o->letter);
        }
        (void)snprintf(left, sizeof left, "%s --%s%s%s", letter, o->name,
                       o->argument != NULL ? " " : "", o->argument != NULL ? o->argument : "");
        printf("  %-28s %s\n", left, o->help);
    }
    printf("  %-28s %s\n", "    --help", "this text");
    if (command->examples != NULL) {
        printf("\nexamples:\n%s\n", command->examples);
    }
    printf("\n" SYS_EXIT_HELP);
}

static bool add_item(struct cli_list *list, const char *text)
{
    const char **items = realloc(list->items, (list->n + 1) * sizeof *items);
    if (items == NULL) {
        return false;
    }
    items[list->n++] = text;
    list->items = items;
    return true;
}

/* A decimal number: no blank, no hexadecimal, neither infinite nor NaN. */
static bool read_number(const char *text, double *value)
{
    char *end = NULL;
    size_t sign = text[0] == '-' ? 1 : 0;
    bool plain = text[sign] == '.' || isdigit((unsigned char)text[sign]) != 0;
    double read = strtod(text, &end);
    if (!plain || *end != '\0' || strpbrk(text, "xX") != NULL || !isfinite(read)) {
        return false;
    }
    *value = read;
    return true;
}

/* False when the text is not what the option takes. */
static bool set_option(const struct cli_option *option, const char *text)
{
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)option->target = true;
        return true;
    case CLI_TEXT:
        *(const char **)option->target = text;
        return *text != '\0';
    case CLI_LIST:
        return *text != '\0' && add_item(option->target, text);
    case CLI_INT:
        return ledge_whole_read(text, INT64_MIN, INT64_MAX, option->target);
    case CLI_NUMBER:
        return read_number(text, option->target);
    }
    return false;
}

static int usage_error(const struct cli_command *command)
{
    fprintf(stderr, "usage: %s\n", command->usage);
    return SYS_EXIT_USAGE;
}

static int bad_value(const struct cli_command *command, const struct cli_option *option,
                     const char *text)
{
    const char *what = option->kind == CLI_INT      ? "whole number"
                       : option->kind == CLI_NUMBER ? "number"
                                                    : NULL;
    if (what != NULL) {
        (void)cli_failf(SYS_EXIT_USAGE, "--%s: '%s' is not a %s", option->name, text, what);
    } else {
        (void)cli_failf(SYS_EXIT_USAGE, "--%s: the value is empty", option->name);
    }
    return usage_error(command);
}

static int unknown_option(const struct cli_command *command, const char *typed)
{
    const char *names[MAX_OPTIONS];
    char bare[40];
    for (size_t i = 0; i < command->n_options; i++) {
        names[i] = command->options[i].name;
    }
    (void)snprintf(bare, sizeof bare, "%.*s", (int)strcspn(typed + strspn(typed, "-"), "="),
                   typed + strspn(typed, "-"));
    const char *near = cli_nearest(bare, names, command->n_options);
    if (near != NULL) {
        (void)cli_failf(SYS_EXIT_USAGE, "unknown option '%s'; did you mean '--%s'?", typed, near);
    } else {
        (void)cli_failf(SYS_EXIT_USAGE, "unknown option '%s'", typed);
    }
    return usage_error(command);
}

/* getopt's tables from ours. */
static void make_tables(const struct cli_command *command, struct option *table, char *letters)
{
    size_t n = 0;
    letters[n++] = ':';
    for (size_t i = 0; i < command->n_options; i++) {
        const struct cli_option *o = &command->options[i];
        int takes = o->kind == CLI_FLAG ? no_argument : required_argument;
        table[i] = (struct option){o->name, takes, NULL, FIRST + (int)i};
        if (o->letter != 0) {
            letters[n++] = o->letter;
            if (takes != no_argument) {
                letters[n++] = ':';
            }
        }
    }
    table[command->n_options] = (struct option){"help", no_argument, NULL, HELP_CODE};
    table[command->n_options + 1] = (struct option){NULL, 0, NULL, 0};
    letters[n] = '\0';
}

static const struct cli_option *option_of(const struct cli_command *command, int code)
{
    if (code >= FIRST && code < FIRST + (int)command->n_options) {
        return &command->options[code - FIRST];
    }
    for (size_t i = 0; i < command->n_options; i++) {
        if (command->options[i].letter == code && code != 0) {
            return &command->options[i];
        }
    }
    return NULL;
}

bool cli_in_range(const char *option, int64_t value, int64_t low, int64_t high)
{
    if (value < low || value > high) {
        (void)cli_failf(SYS_EXIT_USAGE, "%s: '%lld' is not a whole number from %lld to %lld",
                        option, (long long)value, (long long)low, (long long)high);
        return false;
    }
    return true;
}

/* The usage's nth word in capitals is the argument that is missing. */
static int missing_argument(const struct cli_command *command, int nth)
{
    const char *word = command->usage;
    size_t length = 0;
    for (int found = -1; found < nth; word += strspn(word, " ")) {
        word += length;
        word += strspn(word, " ");
        length = strcspn(word, " ");
        if (length == 0) {
            break;
        }
        found += isupper((unsigned char)*word) != 0;
    }
    (void)cli_failf(SYS_EXIT_USAGE, "%.*s is missing", length > 0 ? (int)length : 11,
                    length > 0 ? word : "an argument");
    return usage_error(command);
}

static int parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args)
{
    struct option table[MAX_OPTIONS + 2];
    char letters[2 * MAX_OPTIONS + 2];
    if (command->n_options > MAX_OPTIONS) {
        return cli_failf(SYS_EXIT_FAILED, "%s: more than %d options", command->usage, MAX_OPTIONS);
    }
    make_tables(command, table, letters);
    opterr = 0;
    optind = 0; /* glibc: start afresh, also after an earlier parse */
    for (;;) {
        int at = optind > 0 ? optind : 1;
        int code = getopt_long(argc, argv, letters, table, NULL);
        if (code == -1) {
            break;
        }
        if (code == HELP_CODE) {
            print_help(command);
            return SYS_EXIT_OK;
        }
        if (code == ':') {
            (void)cli_failf(SYS_EXIT_USAGE, "option '%s' needs a value", argv[optind - 1]);
            return usage_error(command);
        }
        const struct cli_option *option = code == '?' ? NULL : option_of(command, code);
        if (option == NULL) {
            return unknown_option(command, optind > at ? argv[optind - 1] : argv[at]);
        }
        if (!set_option(option, optarg)) {
            return bad_value(command, option, optarg);
        }
    }
    *args = (struct cli_args){argv + optind, argc - optind};
    if (args->n < command->min_args) {
        return missing_argument(command, args->n);
    }
    if (command->max_args >= 0 && args->n > command->max_args) {
        (void)cli_failf(SYS_EXIT_USAGE, "unexpected argument '%s'", args->items[command->max_args]);
        return usage_error(command);
    }
    for (int i = 0; i < args->n; i++) {
        if (args->items[i][0] == '\0') {
            return missing_argument(command, i);
        }
    }
    return -1;
}

int cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args)
{
    int code = parse(command, argc, argv, args);
    for (size_t i = 0; code >= 0 && i < command->n_options; i++) {
        if (command->options[i].kind == CLI_LIST) {
            cli_list_done(command->options[i].target);
        }
    }
    return code;
}
