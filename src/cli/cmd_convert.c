/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_convert.c -- `ledge convert`: .onnx or .tflite -> .ledge, or -> .onnx in one opset. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/model_io.h"
#include "engine/port/port.h"
#include "export/export.h"
#include "sys/file.h"

#define OUT_MAX ((size_t)1 << 32)

enum { MAX_TARGETS = 8 };

int cli_cmd_convert(int argc, char **argv);

/* The instruction sets to pack for, from the command line; none given: this processor's. */
struct targets {
    enum ledge_rung rungs[MAX_TARGETS];
    int32_t n;
};

static int read_targets(const struct cli_list *names, struct targets *targets)
{
    targets->n = 0;
    if (names->n == 0) {
        targets->rungs[targets->n++] = ledge_port_rung();
    }
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i], "none") == 0) {
            continue;
        }
        if (targets->n == MAX_TARGETS ||
            !ledge_rung_find(names->items[i], &targets->rungs[targets->n])) {
            return cli_failf(SYS_EXIT_USAGE, "--target %s: this program has no such kernels",
                             names->items[i]);
        }
        targets->n++;
    }
    return SYS_EXIT_OK;
}

static enum ledge_status write_ledge(const struct ledge_graph *graph, const struct targets *targets,
                                     const char *path, size_t *size, int32_t *packed,
                                     struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf out = LEDGE_BUF_INIT(OUT_MAX);
    LEDGE_TRY(ledge_export_ledge(graph, targets->rungs, targets->n, &out, packed, err));
    *size = out.len;
    return sys_file_write(path, out.data, out.len, 0644, err);
}

static enum ledge_status write_onnx(const struct ledge_graph *graph, const char *path, size_t *size,
                                    struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf out = LEDGE_BUF_INIT(OUT_MAX);
    LEDGE_TRY(ledge_export_onnx(graph, &out, err));
    *size = out.len;
    return sys_file_write(path, out.data, out.len, 0644, err);
}

static int convert(const char *from, const char *to, const struct cli_list *names)
{
    struct targets targets;
    int32_t packed = 0;
    struct cli_file file;
    struct ledge_error err;
    size_t n = strlen(to), size = 0;
    bool ledge = n > 6 && strcmp(to + n - 6, ".ledge") == 0;
    bool onnx = n > 5 && strcmp(to + n - 5, ".onnx") == 0;
    if (!ledge && !onnx) {
        return cli_failf(SYS_EXIT_USAGE, "%s: write to .ledge or .onnx", to);
    }
    int code = read_targets(names, &targets);
    if (code != SYS_EXIT_OK) {
        return code;
    }
    if (cli_file_open(from, &file, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    enum ledge_status status = ledge ? write_ledge(&file.graph, &targets, to, &size, &packed, &err)
                                     : write_onnx(&file.graph, to, &size, &err);
    char a[CLI_TEXT_BYTES], b[CLI_TEXT_BYTES];
    if (status == LEDGE_OK) {
        char note[64] = "";
        if (ledge && targets.n > 0 && packed == 0) {
            (void)snprintf(note, sizeof note, ", no packed weights");
        } else if (ledge && packed < targets.n) {
            (void)snprintf(note, sizeof note, ", weights packed for %d of %d targets", (int)packed,
                           (int)targets.n);
        }
        printf("%s (%s) -> %s (%s)%s\n", from, cli_text_bytes((double)file.map.size, a), to,
               cli_text_bytes((double)size, b), note);
    }
    cli_file_close(&file);
    return status == LEDGE_OK ? SYS_EXIT_OK : cli_fail(&err);
}

int cli_cmd_convert(int argc, char **argv)
{
    const char *output = NULL;
    struct cli_list names = {.n = 0};
    const struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FILE", "the file to write: .ledge or .onnx"},
        {"target", 0, CLI_LIST, &names, "ISA",
         "pack the weights for it: c, avx2, avx512, ...; none (this processor)"},
    };
    const struct cli_command command = {
        .usage = "ledge convert MODEL -o OUT.ledge",
        .summary = "Write a model in Ledge's own format, which is mapped and read in place; or as "
                   "ONNX in one opset\n"
                   "(what has no form in ai.onnx is refused by name). A .ledge file also holds "
                   "the weights as\n"
                   "the kernels of the target processors want them, so that opening it there "
                   "copies nothing;\n"
                   "elsewhere it opens as any model does.",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge convert mobilenet.tflite -o mobilenet.ledge\n"
                    "  ledge convert net.onnx -o net.ledge --target avx2 --target avx512vnni\n"
                    "  ledge convert old_opset.onnx -o new_opset.onnx",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        cli_list_done(&names);
        return code;
    }
    code = output != NULL ? convert(args.items[0], output, &names)
                          : cli_failf(SYS_EXIT_USAGE, "give the file to write: -o OUT.ledge");
    cli_list_done(&names);
    return code;
}
