/* SPDX-License-Identifier: Apache-2.0 */
/* import.c -- which reader? Told by the first bytes: .ledge has a magic, TFLite an identifier at
 * byte 4; what is left can only be ONNX, which has none. */
#include "import/import.h"

#include <string.h>

#include "base/banned.h"
#include "base/status.h"
#include "engine/format/ledge_file.h"
#include "engine/port/select.h"

enum { TFLITE, ONNX, NEITHER, FORMATS };

typedef enum ledge_status (*read_fn)(const void *bytes, size_t size, struct ledge_graph *graph,
                                     struct ledge_error *err);

/* clang-format off */
static const read_fn readers[FORMATS] = {
    LEDGE_KEEP(LEDGE_IMPORT_TFLITE)([TFLITE] = ledge_import_tflite, )
    LEDGE_KEEP(LEDGE_IMPORT_ONNX)([ONNX] = ledge_import_onnx, )
    [NEITHER] = NULL};
/* clang-format on */

enum ledge_status ledge_import_model(const void *bytes, size_t size, struct ledge_graph *graph,
                                     struct ledge_error *err)
{
    if (size == 0) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "the model is empty");
    }
    if (ledge_file_is(bytes, size)) {
        return ledge_file_read(bytes, size, graph, err);
    }
    bool tflite = size >= 8 && memcmp((const char *)bytes + 4, "TFL3", 4) == 0;
    read_fn read = readers[tflite ? TFLITE : ONNX];
    return read != NULL ? read(bytes, size, graph, err)
                        : ledge_fail(err, LEDGE_ERR_UNSUPPORTED, "this build reads no %s files",
                                     tflite ? "TFLite" : "ONNX");
}
