/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_login.c -- `ledge login`: remember the hub, so that other verbs need no options. */
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/rest.h"
#include "sys/json.h"

int cli_cmd_login(int argc, char **argv)
{
    struct cli_rest_options rest_options = {.hub = NULL};
    const struct cli_option options[] = {CLI_REST_OPTIONS(rest_options)};
    const struct cli_command command = {
        .usage = "ledge login --hub URL --token TOKEN --ca FILE",
        .summary =
            "Check the token and remember hub, token and CA (mode 0600) for the fleet verbs.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples =
            "  ledge login --hub https://127.0.0.1:8443 --ca ledge-hub/ca.crt --token la1.8f…\n"
            "  ledge device list",
    };
    struct cli_args args;
    struct ledge_error err = {0};
    LEDGE_CLEANUP(cli_rest_done) struct cli_rest rest = {.tls = NULL};
    LEDGE_CLEANUP(sys_json_free) json_t *summary = NULL;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (cli_rest_open(&rest_options, &rest, &err) != LEDGE_OK ||
        cli_rest_call(&rest, "GET", "/summary", NULL, &summary, &err) != LEDGE_OK ||
        cli_rest_remember(&rest, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    if (rest_options.json) {
        return cli_print_json(json_incref(summary));
    }
    printf("%s\n", cli_rest_text(summary, "sentence"));
    return SYS_EXIT_OK;
}
