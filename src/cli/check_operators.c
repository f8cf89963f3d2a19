/* SPDX-License-Identifier: Apache-2.0 */
/* check_operators.c -- every operator of the built-in tables: `ledge check --operators`, from which
 * tools/ops_page.py writes docs/ops.md. */
#include <stdio.h>
#include <string.h>

#include "cli/check.h"
#include "engine/ops/op.h"
#include "import/import.h"
#include "sys/table.h"

/* The instruction sets with kernels of their own, from the list that declares them. */
static json_t *rungs_json(void)
{
    json_t *f32 = json_array(), *i8 = json_array();
#define LEDGE_KERNELS_F32(isa, rung) json_array_append_new(f32, json_string(#isa));
#define LEDGE_KERNELS_I8(isa, rung)  json_array_append_new(i8, json_string(#isa));
#include "engine/kernels/kernels.inc"
#undef LEDGE_KERNELS_F32
#undef LEDGE_KERNELS_I8
    return json_pack("{s:o, s:o}", "f32", f32, "i8", i8);
}

/* TFLite's builtin operators that have a form here, and the others. */
static json_t *tflite_json(void)
{
    json_t *lists[2] = {json_array(), json_array()};
    bool reads = false;
    for (int32_t code = 0; ledge_import_tflite_operator(code, &reads) != NULL; code++) {
        json_array_append_new(lists[reads ? 0 : 1],
                              json_string(ledge_import_tflite_operator(code, &reads)));
    }
    return json_pack("{s:o, s:o}", "read", lists[0], "refused", lists[1]);
}

static const char *domain_text(const struct ledge_op *op)
{
    return op->domain[0] != '\0' ? op->domain : "ai.onnx";
}

int check_print_operators(bool json)
{
    static const struct ledge_op_table *const tables[] = {
        &ledge_ops_core, &ledge_ops_onnx, &ledge_ops_late, &ledge_ops_ml, &ledge_ops_tfl};
    const char *heads[] = {"domain", "operator"};
    struct sys_table *table = sys_table_create(heads, CLI_COUNT(heads));
    json_t *list = json_array();
    if (table == NULL) {
        json_decref(list);
        return cli_failf(SYS_EXIT_FAILED, "no memory for a table");
    }
    for (size_t t = 0; t < CLI_COUNT(tables); t++) {
        for (const struct ledge_op_table *at = tables[t]; at != NULL; at = at->next) {
            for (int32_t i = 0; i < at->n; i++) {
                if (strcmp(at->ops[i].domain, "ledge") == 0) {
                    continue; /* the passes' own */
                }
                const char *cells[] = {domain_text(&at->ops[i]), at->ops[i].name};
                sys_table_row(table, cells, CLI_COUNT(cells));
                json_array_append_new(
                    list, json_pack("{s:s, s:s}", "domain", cells[0], "operator", cells[1]));
            }
        }
    }
    int code = SYS_EXIT_OK;
    if (json) {
        code = cli_print_json(json_pack("{s:o, s:O, s:o}", "kernels", rungs_json(), "operators",
                                        list, "tflite", tflite_json()));
    } else {
        code = sys_table_print(table, stdout) == 0 ? SYS_EXIT_OK : SYS_EXIT_FAILED;
    }
    sys_table_free(table);
    json_decref(list);
    return code;
}
