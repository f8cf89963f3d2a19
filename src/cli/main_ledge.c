/* SPDX-License-Identifier: Apache-2.0 */
/* main_ledge.c -- `ledge VERB ...`: the toolbox. Every verb is a line of verbs.inc. */
#include "cli/cli.h"

static const struct cli_verb verbs[] = {
#define CLI_VERB(group, name, summary)    {group, #name, summary, cli_cmd_##name},
#define CLI_PROGRAM(group, name, summary) {group, #name, summary, NULL},
#include "cli/verbs.inc"
#undef CLI_VERB
#undef CLI_PROGRAM
};

int main(int argc, char **argv)
{
    sys_exit_begin();
    return sys_exit_end("ledge", cli_dispatch("ledge", verbs, CLI_COUNT(verbs), argc, argv));
}
