/* SPDX-License-Identifier: Apache-2.0 */
/* ops_library.c -- see ops_library.h. */
#include "cli/ops_library.h"

#include "base/status.h"
#include "engine/api/custom.h"
#include "sys/ops_library.h"

enum { MAX_OPS = 256 };

static struct {
    struct ledge_custom_op ops[MAX_OPS];
    int32_t n;
} loaded;

static enum ledge_status load(const char *path, struct ledge_error *err)
{
    struct ledge_ops_library library;
    LEDGE_TRY(sys_ops_library_load(path, ledge_ops_host_get(), &library, err));
    if (library.n_ops > MAX_OPS - loaded.n) {
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "operator library %.300s: more than %d", path,
                          MAX_OPS);
    }
    for (int32_t i = 0; i < library.n_ops; i++) {
        loaded.ops[loaded.n++] = library.ops[i];
    }
    return LEDGE_OK;
}

int cli_ops_load(struct cli_list *paths)
{
    struct ledge_error err;
    enum ledge_status status = LEDGE_OK;
    for (size_t i = 0; i < paths->n && status == LEDGE_OK; i++) {
        status = load(paths->items[i], &err);
    }
    cli_list_done(paths);
    return status == LEDGE_OK ? -1 : cli_fail(&err);
}

struct ledge_model_options cli_model_options(int32_t verify)
{
    return (struct ledge_model_options){
        .custom_ops = loaded.ops, .n_custom_ops = loaded.n, .verify = verify};
}

enum ledge_status cli_ops_register(struct ledge_graph *graph, struct ledge_error *err)
{
    return ledge_custom_register(graph, loaded.ops, loaded.n, err);
}
