/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_demo.c -- `ledge demo`: the whole story on one machine. The chapters stand in
 * demo/demo_story.c. */
#include <signal.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/demo/demo_story.h"

int cli_cmd_demo(int argc, char **argv)
{
    struct demo_options demo = {.fps = 12};
    const struct cli_option options[] = {
        {"data", 'd', CLI_TEXT, &demo.data, "DIR", "pictures, one folder a class (default: found)"},
        {"keep", 'k', CLI_FLAG, &demo.keep, NULL, "leave hub, agents and console up until Ctrl-C"},
        {"work", 'w', CLI_TEXT, &demo.work, "DIR",
         "where everything is written (default: a new folder)"},
        {"threads", 't', CLI_INT, &demo.threads, "N", "threads for training (default: all cores)"},
        {"fps", 0, CLI_INT, &demo.fps, "N", "frames a second and camera (12)"},
        {"generate", 0, CLI_TEXT, &demo.generate, "DIR",
         "only write the simulated pictures into DIR"},
        {"json", 0, CLI_FLAG, &demo.json, NULL, "print the closing table as JSON"},
    };
    const struct cli_command command = {
        .usage = "ledge demo [options]",
        .summary =
            "Labelled pictures -> a model -> a fleet that predicts -> labels -> a better model, "
            "swapped live.\n"
            "Three devices watch pictures; junior knows three classes; what the devices are "
            "unsure\n"
            "about is labelled (here by an automatic labeller that reveals true labels), senior "
            "is\n"
            "trained from it and replaces junior in the running functions. Pictures: --data, else\n"
            "sign-digits under LEDGE_DATA, else downloaded, else SIMULATED machine parts.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .examples =
            "  ledge demo\n"
            "  ledge demo --keep             # then open the printed address in a browser\n"
            "  ledge demo --data pictures/   # your own: one folder a class, 4 to 10 classes",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    if (!cli_in_range("--fps", demo.fps, 1, 100) ||
        !cli_in_range("--threads", demo.threads, 0, 256)) {
        return SYS_EXIT_USAGE;
    }
    return demo_tell(&demo);
}
