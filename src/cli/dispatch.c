/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c -- find the verb, run it, or say which one was meant. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ledge/version.h"

enum { NAME_MAX_BYTES = 32, NEAR = 2 };

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Damerau-Levenshtein distance (optimal string alignment): Damerau 1964. */
static int distance(const char *a, const char *b)
{
    int rows[3][NAME_MAX_BYTES + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];
    int na = (int)strlen(a), nb = (int)strlen(b);
    for (int j = 0; j <= nb; j++) {
        above[j] = j;
    }
    for (int i = 1; i <= na; i++) {
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
        int *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[nb];
}

const char *cli_nearest(const char *typed, const char *const *names, size_t n)
{
    const char *best = NULL;
    int least = NEAR + 1;
    if (strlen(typed) > NAME_MAX_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (strlen(names[i]) > NAME_MAX_BYTES) {
            continue;
        }
        int d = distance(typed, names[i]);
        if (d < least && d < (int)strlen(typed)) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

/* The verbs of `ledge` are listed by the step of the flow they belong to. */
static const char *group_title(const char *group)
{
    static const char *const titles[][2] = {
        {"model", "model file -> prediction"},
        {"learn", "labelled data -> a better, smaller model"},
        {"fleet", "cloud <-> devices (speaks to a hub by its REST API)"},
        {"programs", "long-running programs"},
    };
    for (size_t i = 0; i < CLI_COUNT(titles); i++) {
        if (strcmp(group, titles[i][0]) == 0) {
            return titles[i][1];
        }
    }
    return NULL;
}

static void print_help(const char *program, const struct cli_verb *verbs, size_t n)
{
    const char *group = "";
    int width = 0;
    for (size_t i = 0; i < n; i++) {
        int length = (int)strlen(verbs[i].name);
        width = length > width ? length : width;
    }
    printf("usage: %s VERB [arguments]        (%s VERB --help for its options and examples)\n",
           program, program);
    for (size_t i = 0; i < n; i++) {
        if (verbs[i].group == NULL && i == 0) {
            printf("\n");
        } else if (verbs[i].group != NULL && strcmp(verbs[i].group, group) != 0) {
            const char *title = group_title(verbs[i].group);
            group = verbs[i].group;
            printf("\n%s%s%s\n", group, title != NULL ? ": " : "", title != NULL ? title : "");
        }
        printf("  %-*s  %s\n", width, verbs[i].name, verbs[i].summary);
    }
    printf("\n" SYS_EXIT_HELP);
}

/* ledge-<name> beside this executable, else on PATH. Returns only on failure. */
static int run_program(const char *name, char **argv)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) {
        path[length] = '\0';
        char *slash = strrchr(path, '/');
        size_t room = slash != NULL ? sizeof path - (size_t)(slash + 1 - path) : 0;
        if (slash != NULL && snprintf(slash + 1, room, "ledge-%s", name) < (int)room) {
            argv[0] = path;
            (void)execv(path, argv);
        }
    }
    char base[NAME_MAX_BYTES + 8];
    (void)snprintf(base, sizeof base, "ledge-%s", name);
    argv[0] = base;
    (void)execvp(base, argv);
    return cli_failf(SYS_EXIT_FAILED, "%s: cannot run: %s", base, strerror(errno));
}

static int unknown(const char *program, const struct cli_verb *verbs, size_t n, const char *typed)
{
    const char **names = calloc(n > 0 ? n : 1, sizeof *names);
    const char *near = NULL;
    for (size_t i = 0; names != NULL && i < n; i++) {
        names[i] = verbs[i].name;
    }
    if (names != NULL) {
        near = cli_nearest(typed, names, n);
    }
    if (near != NULL) {
        fprintf(stderr, "%s: unknown verb '%s'; did you mean '%s'?\n", program, typed, near);
    } else {
        fprintf(stderr, "%s: unknown verb '%s'; see %s --help\n", program, typed, program);
    }
    free(names);
    return SYS_EXIT_USAGE;
}

int cli_dispatch(const char *program, const struct cli_verb *verbs, size_t n, int argc, char **argv)
{
    const char *typed = argc > 1 ? argv[1] : NULL;
    if (typed == NULL || strcmp(typed, "--help") == 0 || strcmp(typed, "-h") == 0 ||
        strcmp(typed, "help") == 0) {
        print_help(program, verbs, n);
        return typed == NULL ? SYS_EXIT_USAGE : SYS_EXIT_OK;
    }
    if (strcmp(typed, "--version") == 0) {
        printf("ledge %s\n", LEDGE_VERSION_STRING);
        return SYS_EXIT_OK;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(verbs[i].name, typed) == 0) {
            return verbs[i].run != NULL ? verbs[i].run(argc - 1, argv + 1)
                                        : run_program(verbs[i].name, argv + 1);
        }
    }
    return unknown(program, verbs, n, typed);
}
