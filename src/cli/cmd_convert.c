/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_convert.c -- `ledge convert`: .onnx or .tflite -> .ledge, or -> .onnx in one opset. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/status.h"
#include "cli/model_io.h"
#include "engine/format/ledge_file.h"
#include "export/export.h"
#include "sys/file.h"

#define OUT_MAX ((size_t)1 << 31)

int cli_cmd_convert(int argc, char **argv);

static enum ledge_status write_ledge(const struct ledge_graph *graph, const char *path,
                                     size_t *size, struct ledge_error *err)
{
    LEDGE_TRY(ledge_file_write(graph, NULL, size, err));
    void *bytes = malloc(*size);
    if (bytes == NULL) {
        return ledge_fail(err, LEDGE_ERR_NOMEM, "no memory for %zu bytes", *size);
    }
    enum ledge_status status = ledge_file_write(graph, bytes, size, err);
    if (status == LEDGE_OK) {
        status = sys_file_write(path, bytes, *size, 0644, err);
    }
    free(bytes);
    return status;
}

static enum ledge_status write_onnx(const struct ledge_graph *graph, const char *path, size_t *size,
                                    struct ledge_error *err)
{
    LEDGE_CLEANUP(ledge_buf_done) struct ledge_buf out = LEDGE_BUF_INIT(OUT_MAX);
    LEDGE_TRY(ledge_export_onnx(graph, &out, err));
    *size = out.len;
    return sys_file_write(path, out.data, out.len, 0644, err);
}

static int convert(const char *from, const char *to)
{
    struct cli_file file;
    struct ledge_error err;
    size_t n = strlen(to), size = 0;
    bool ledge = n > 6 && strcmp(to + n - 6, ".ledge") == 0;
    bool onnx = n > 5 && strcmp(to + n - 5, ".onnx") == 0;
    if (!ledge && !onnx) {
        return cli_failf(CLI_USAGE, "%s: write to .ledge or .onnx", to);
    }
    if (cli_file_open(from, &file, &err) != LEDGE_OK) {
        return cli_fail(&err);
    }
    enum ledge_status status = ledge ? write_ledge(&file.graph, to, &size, &err)
                                     : write_onnx(&file.graph, to, &size, &err);
    char a[CLI_TEXT_BYTES], b[CLI_TEXT_BYTES];
    if (status == LEDGE_OK) {
        printf("%s (%s) -> %s (%s)\n", from, cli_text_bytes((double)file.map.size, a), to,
               cli_text_bytes((double)size, b));
    }
    cli_file_close(&file);
    return status == LEDGE_OK ? CLI_OK : cli_fail(&err);
}

int cli_cmd_convert(int argc, char **argv)
{
    const char *output = NULL;
    const struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FILE", "the file to write: .ledge or .onnx"},
    };
    const struct cli_command command = {
        .usage = "ledge convert MODEL -o OUT.ledge",
        .summary = "Write a model in Ledge's own format, which is mapped and read in place; or as "
                   "ONNX in one opset\n"
                   "(what has no form in ai.onnx is refused by name).",
        .options = options,
        .n_options = CLI_COUNT(options),
        .min_args = 1,
        .max_args = 1,
        .examples = "  ledge convert mobilenet.tflite -o mobilenet.ledge\n"
                    "  ledge convert old_opset.onnx -o new_opset.onnx",
    };
    struct cli_args args;
    int code = cli_parse(&command, argc, argv, &args);
    if (code >= 0) {
        return code;
    }
    return output != NULL ? convert(args.items[0], output)
                          : cli_failf(CLI_USAGE, "give the file to write: -o OUT.ledge");
}
