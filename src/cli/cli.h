/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h -- the frame every verb of `ledge` stands in: options as tables, errors, JSON.
 *
 * A verb is one file cmd_<verb>.c with `int cli_cmd_<verb>(int argc, char **argv)` (argv[0] is the
 * verb) and one line in verbs.inc. It describes itself by a struct cli_command; parsing, --help and
 * "did you mean" come from that table.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "ledge/error.h"
#include "sys/exit.h"

/* -- verbs -- */

struct cli_verb {
    const char *group;   /* heading in --help: "model", "learn", "fleet", "programs"; NULL: none */
    const char *name;    /* what the user types */
    const char *summary; /* one line */
    int (*run)(int argc, char **argv); /* NULL: a program of its own, ledge-<name>, is executed */
};

/* Run the verb named by argv[1] out of a table; `program` is what stands before it ("ledge", "ledge
 * device"). Unknown: prints the nearest name, returns SYS_EXIT_USAGE. No verb or --help: prints the
 * list. */
int cli_dispatch(const char *program, const struct cli_verb *verbs, size_t n, int argc,
                 char **argv);

/* The nearest of n names to `typed` (Damerau-Levenshtein distance at most 2 and less than its
 * length), or NULL. */
const char *cli_nearest(const char *typed, const char *const *names, size_t n);

/* -- options -- */

struct cli_list {
    const char **items; /* OWNED by the list: cli_list_done(); texts BORROWED from argv */
    size_t n;
};

void cli_list_done(struct cli_list *list);

enum cli_option_kind {
    CLI_FLAG,   /* target bool * */
    CLI_INT,    /* target int64_t * */
    CLI_NUMBER, /* target double *; finite */
    CLI_TEXT,   /* target const char **; not empty */
    CLI_LIST,   /* target struct cli_list *; may be given several times, not empty */
};

struct cli_option {
    const char *name; /* long name without dashes */
    char letter;      /* 0: none */
    enum cli_option_kind kind;
    void *target;         /* holds the default before cli_parse() */
    const char *argument; /* e.g. "N", "FILE"; NULL for flags */
    const char *help;     /* one line, says the default */
};

struct cli_command {
    const char *usage;   /* e.g. "ledge run MODEL [options]" */
    const char *summary; /* one or more lines */
    const struct cli_option *options;
    size_t n_options;
    int min_args, max_args; /* of what is not an option; max -1: any number */
    const char *examples;   /* lines, each indented by two blanks */
};

#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What is left of argv after the options: BORROWED. */
struct cli_args {
    char **items;
    int n;
};

/* Parse. Returns -1 when the verb should go on, else the exit code to return (--help printed, or a
 * usage error told; lists are done then). */
int cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args);

/* False, and told as a usage error that names the option, when the value of a CLI_INT option is not
 * in low..high. */
bool cli_in_range(const char *option, int64_t value, int64_t low, int64_t high);

/* -- output -- */

/* "ledge: <text>" on stderr; returns the exit code for the status. */
int cli_fail(const struct ledge_error *err);

/* The same with a format of one's own. One line whatever the texts are: control characters become
 * '?'. */
int cli_failf(enum sys_exit code, const char *format, ...) LEDGE_PRINTF(2, 3);

/* printf() for texts out of files, hubs and devices: control characters but '\n' and '\t' become
 * '?'. (A sys_table shows them as \xNN.) */
void cli_printf(const char *format, ...) LEDGE_PRINTF(1, 2);

/* Of several things: the code that all failures so far share, else SYS_EXIT_FAILED. */
enum sys_exit cli_both(enum sys_exit so_far, enum sys_exit code);

/* Print value (reference stolen) as indented JSON and a newline on stdout. Returns SYS_EXIT_OK, or
 * SYS_EXIT_FAILED; that standard output failed, sys_exit_end() says. */
int cli_print_json(json_t *value);

/* Bytes as "1.2 MB" (powers of 1000), counts as "41.7 M"; text is FILLED and returned. */
enum { CLI_TEXT_BYTES = 32 };
const char *cli_text_bytes(double bytes, char text[CLI_TEXT_BYTES]);
const char *cli_text_count(double count, char text[CLI_TEXT_BYTES]);

/* cli_cmd_<name>() of every line of verbs.inc. */
#define CLI_VERB(group, name, summary) int cli_cmd_##name(int argc, char **argv);
#define CLI_PROGRAM(group, name, summary)
#include "cli/verbs.inc"
#undef CLI_VERB
#undef CLI_PROGRAM

#endif
