/* SPDX-License-Identifier: Apache-2.0 */
/* ops_library.c -- see ops_library.h. */
#include "sys/ops_library.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

enum ledge_status sys_ops_library_load(const char *path, const struct ledge_ops_host *host,
                                       struct ledge_ops_library *library, struct ledge_error *err)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        return ledge_fail(err, access(path, F_OK) != 0 ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_IO,
                          "operator library: %.400s", dlerror());
    }
    ledge_ops_library_fn function = NULL;
    void *symbol = dlsym(handle, LEDGE_OPS_LIBRARY_SYMBOL);
    memcpy(&function, &symbol, sizeof function); /* POSIX: an object pointer holds it */
    if (function == NULL) {
        (void)dlclose(handle);
        return ledge_fail(err, LEDGE_ERR_UNSUPPORTED,
                          "operator library %.300s: it has no symbol " LEDGE_OPS_LIBRARY_SYMBOL,
                          path);
    }
    struct ledge_ops_library made = {.name = NULL};
    enum ledge_status status = function(host, &made);
    if (status == LEDGE_OK && (made.n_ops < 0 || (made.n_ops > 0 && made.ops == NULL))) {
        status = LEDGE_ERR_FORMAT;
    }
    if (status != LEDGE_OK) {
        return ledge_fail(err, status, "operator library %.300s: %s", path,
                          ledge_status_text(status));
    }
    *library = made;
    return LEDGE_OK;
}
