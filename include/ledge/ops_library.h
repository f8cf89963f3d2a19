/* SPDX-License-Identifier: Apache-2.0 */
/* ops_library.h -- operators in a shared object, for programs that are told its path.
 *
 * Flow:    `ledge run --ops-library PATH`, ledge.Session(..., ops_libraries=[PATH]), or your own
 *          dlopen() -> ledge_ops_library_1() -> ledge_model_options.custom_ops
 * Threads: the function is called once, before any operator. Memory: what it fills in lives as long
 *          as the shared object; nobody closes it while a model uses it.
 *
 * The library needs no symbol of libledge and links with nothing: what its callbacks may call comes
 * in a struct. The version stands in the symbol's name; a change that old libraries could not
 * follow makes a new name.
 */
#ifndef LEDGE_OPS_LIBRARY_H
#define LEDGE_OPS_LIBRARY_H

#include "ledge/custom.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LEDGE_OPS_LIBRARY_SYMBOL "ledge_ops_library_1"

/* The functions of ledge/custom.h. */
struct ledge_ops_host {
    size_t bytes; /* of this struct: functions may be added behind */
    int64_t (*get_int)(const struct ledge_custom_node *node, const char *name, int64_t fallback);
    float (*get_float)(const struct ledge_custom_node *node, const char *name, float fallback);
    const char *(*get_string)(const struct ledge_custom_node *node, const char *name,
                              const char *fallback);
    const int64_t *(*get_ints)(const struct ledge_custom_node *node, const char *name, size_t *n);
    const float *(*get_floats)(const struct ledge_custom_node *node, const char *name, size_t *n);
    enum ledge_status (*wait)(const struct ledge_custom_call *call, int32_t input);
    enum ledge_status (*give)(const struct ledge_custom_call *call, int32_t output,
                              const void *data, size_t bytes);
    enum ledge_status (*fail)(const struct ledge_custom_call *call, enum ledge_status status,
                              const char *format, ...) LEDGE_PRINTF(3, 4);
};

struct ledge_ops_library {
    const char *name; /* for people, e.g. "ledge_image 0.1" */
    const struct ledge_custom_op *ops;
    int32_t n_ops;
};

/* What a library exports under LEDGE_OPS_LIBRARY_SYMBOL.
 *   host     BORROWED, lives as long as the library
 *   library  FILLED
 * Anything but LEDGE_OK: it cannot be used here. */
typedef enum ledge_status (*ledge_ops_library_fn)(const struct ledge_ops_host *host,
                                                  struct ledge_ops_library *library);

/* The host's side: the struct to call such a function with. */
LEDGE_API const struct ledge_ops_host *ledge_ops_host_get(void);

#ifdef __cplusplus
}
#endif
#endif
