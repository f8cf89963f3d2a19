/* SPDX-License-Identifier: Apache-2.0 */
/* npy.h -- tensors in NumPy's files.
 *
 * .npy   0 "\x93NUMPY"  6 u8 major  7 u8 minor  8 u16 (major 1) or u32 (2, 3) header bytes  then
 * the header, a Python dict {'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }, then the
 * elements .npz   a zip of .npy files, stored or deflated Source: numpy.lib.format; PKWARE
 * APPNOTE 6.3.
 *
 * Bytes are hostile. Little-endian C order only. Threads: any.
 */
#ifndef LEDGE_DATA_NPY_H
#define LEDGE_DATA_NPY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "engine/tensor/view.h"

/* view->data points into bytes when they are aligned, else into arena. Errors: ERR_FORMAT,
 * ERR_UNSUPPORTED (big-endian, Fortran order, an element type tensors do not have). */
LEDGE_NODISCARD enum ledge_status data_npy_read(const void *bytes, size_t size,
                                                struct ledge_arena *arena, struct ledge_view *view,
                                                struct ledge_error *err);

LEDGE_NODISCARD enum ledge_status data_npy_write(const struct ledge_view *view,
                                                 struct ledge_buf *out, struct ledge_error *err);

struct data_npz_entry {
    const char *name; /* without ".npy"; in arena */
    struct ledge_view view;
};

/* All arrays of an .npz in the order of its directory. entries in arena. Errors: ERR_FORMAT,
 * ERR_CORRUPT, ERR_UNSUPPORTED. */
LEDGE_NODISCARD enum ledge_status data_npz_read(const void *bytes, size_t size,
                                                struct ledge_arena *arena,
                                                struct data_npz_entry **entries, size_t *n,
                                                struct ledge_error *err);

LEDGE_NODISCARD enum ledge_status data_npz_write(const struct data_npz_entry *entries, size_t n,
                                                 struct ledge_buf *out, struct ledge_error *err);

/* True when bytes start as a zip file does. */
bool data_npz_is(const void *bytes, size_t size);

#endif
