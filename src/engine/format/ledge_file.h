/* SPDX-License-Identifier: Apache-2.0 */
/* ledge_file.h -- the .ledge file: a graph as bytes that are mapped and read in place.
 *
 * Little-endian; every section starts at a multiple of 64 bytes; the gap is zero.
 *
 *   offset  bytes  field
 *   0       8      magic "LEDGE\0\r\n"
 *   8       2      format version, major (1): a reader refuses another one
 *   10      2      format version, minor (2): a reader ignores what it does not know
 *   12      4      number of sections
 *   16      8      size of the whole file
 *   24      8      reserved, 0
 *   32      32     SHA-256 of everything from byte 64 to the end
 *   64      32*n   section table, n entries:
 *                    0   4  kind: 1 strings, 2 graph, 3 weights, 4 metadata; since minor version
 *                           2, all or none: 5 prepared, 6 kept, 7 parts, 8 packed, 9 texts,
 *                           10 about
 *                    4   4  reserved, 0
 *                    8   8  offset from the start of the file, multiple of 64
 *                    16  8  bytes
 *                    24  4  CRC-32C of the 24 bytes before and, but for 3, 6 and 8, of the section
 *                    28  4  1: the CRC is there, 0: it is not
 *
 * strings   NUL-terminated UTF-8 names one after the other; a name is its offset (u32),
 *           0xffffffff none
 * weights   constants, each at a multiple of 64
 * metadata  u32 count, then count x { u32 key, u32 value }
 * graph     u32 n_values, u32 n_nodes, u32 n_inputs, u32 n_outputs, u32 graph name, u32 producer,
 *           values, nodes, u32 inputs[n_inputs], u32 outputs[n_outputs],
 *           and, where the model keeps values from run to run (since minor version 1),
 *           u32 n_states, n_states x { u32 in, u32 out, i32 init (-1: zeros) }
 *
 * prepared  a graph as above, without metadata: the same model after the passes, whose constants
 * are in kept. A reader may take it instead of the graph when it knows the stamp of parts kept
 * constants of prepared, as weights parts     u64 stamp (of the engine's source that packed:
 * plan/pack.h), u32 n, u32 reserved, 0, n x { u64 key (graph/packed.h), u64 offset in packed, u64
 * bytes, u32 rung, u32 0 } packed    constants in kernels' order, each at a multiple of 64
 *
 * value     u32 name, u32 dtype, u32 flags (1 constant, 2 quantised, 4 constant whose
 *           elements stand in packed only; in prepared), i32 rank (-1 unknown),
 *           i64 dims[rank] (-1 free), u32 dim_names[rank];
 *           constant:  u64 offset in weights, u64 bytes;
 *           quantised: u32 n, i32 axis, f32 scales[n], i32 zero_points[n]
 * node      u32 name, u32 op, u32 domain, u32 opset, u32 n_in, i32 in[n_in], u32 n_out,
 *           i32 out[n_out] (-1 absent), u32 n_attrs, attributes
 * attribute u32 name, u32 type (enum ledge_attr_type), then by type
 *           INT    i64
 *           FLOAT  f32
 *           STRING u32
 *           INTS   u32 n, i64[n]
 *           FLOATS u32 n, f32[n]
 *           TENSOR u32 dtype, i32 rank, i64 dims[rank], u64 offset in weights, u64 bytes
 *           OTHER  nothing
 *           STRINGS u32 n, u32[n]
 *           GRAPH  u32 n_captures (graph.h), then a graph as above without metadata
 */
#ifndef LEDGE_ENGINE_FORMAT_LEDGE_FILE_H
#define LEDGE_ENGINE_FORMAT_LEDGE_FILE_H

#include "engine/graph/graph.h"
#include "engine/graph/packed.h"

/* True when bytes start with the magic. */
bool ledge_file_is(const void *bytes, size_t size);

/* Read; bytes are BORROWED by the graph. Errors: ERR_FORMAT, ERR_CORRUPT (digest), ERR_UNSUPPORTED
 * (version). */
LEDGE_NODISCARD enum ledge_status
ledge_file_read(const void *bytes, size_t size, struct ledge_graph *graph, struct ledge_error *err);

/* The same without a look at the weights: only the CRCs of everything else are checked, so that no
 * page of weights is touched (a file without CRCs is read whole). For files whose digest somebody
 * has checked before. Errors: as above. */
LEDGE_NODISCARD enum ledge_status ledge_file_read_quickly(const void *bytes, size_t size,
                                                          struct ledge_graph *graph,
                                                          struct ledge_error *err);

/* Has the file a prepared part with this stamp (0: with any) for this rung (-1: for any)? A look at
 * the tables; wrong CRCs are left to the readers. */
bool ledge_file_is_prepared(const void *bytes, size_t size, uint64_t stamp, int32_t rung);

/* Read the prepared part for one rung.
 *   quickly  as ledge_file_read_quickly()
 *   zeros    zeros_bytes of zeros, at a multiple of 64, BORROWED by absent constants
 *   graph    FILLED with the graph after the passes
 *   packed   FILLED; memory in graph's arena, elements BORROWED from bytes
 * Errors: ERR_NOT_FOUND (no prepared part, or none for this rung), else as ledge_file_read(). */
LEDGE_NODISCARD enum ledge_status
ledge_file_read_prepared(const void *bytes, size_t size, uint32_t rung, bool quickly,
                         const void *zeros, size_t zeros_bytes, struct ledge_graph *graph,
                         struct ledge_packed *packed, struct ledge_error *err);

/* What the prepared part holds for one rung: parts of no bytes, of which there is one where nothing
 * is to be packed, do not count. */
struct ledge_file_packed_info {
    uint64_t stamp;
    uint32_t rung;
    int32_t parts;
    uint64_t bytes;
};
/* FILLED up to max, one for each rung; returns how many there are. */
int32_t ledge_file_packed_info(const void *bytes, size_t size, struct ledge_file_packed_info *infos,
                               int32_t max);

/* What is written as the prepared part. */
struct ledge_file_prepared {
    const struct ledge_graph
        *graph; /* after the passes; no elements of absent values are written */
    uint64_t stamp;
    const struct ledge_packed *packed; /* n, for one rung each */
    int32_t n;
};

/* Bytes of the graph as a file: first call with out NULL to learn *size, then with a buffer of that
 * size. */
LEDGE_NODISCARD enum ledge_status ledge_file_write(const struct ledge_graph *graph, void *out,
                                                   size_t *size, struct ledge_error *err);

/* The same without the values that nobody reads or makes, for a graph that passes have rewritten:
 * number FILLED with the new number of each value, -1: left out. */
LEDGE_NODISCARD enum ledge_status ledge_file_write_used(const struct ledge_graph *graph,
                                                        int32_t *number, void *out, size_t *size,
                                                        struct ledge_error *err);

/* As ledge_file_write(), with a prepared part (NULL: without). */
LEDGE_NODISCARD enum ledge_status
ledge_file_write_prepared(const struct ledge_graph *graph,
                          const struct ledge_file_prepared *prepared, void *out, size_t *size,
                          struct ledge_error *err);

#endif
