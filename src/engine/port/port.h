/* SPDX-License-Identifier: Apache-2.0 */
/* port.h -- what the engine asks of the operating system; the only place in it that knows one.
 *
 * A port to another system (microcontroller, WASM) replaces the .c files of this folder and nothing
 * else. Threads: every function may be called from any thread.
 */
#ifndef LEDGE_ENGINE_PORT_PORT_H
#define LEDGE_ENGINE_PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/port/rung.h"
#include "ledge/model.h"

/* The C library's heap as an allocator, but large pages for what is larger than one; release needs
 * the size that was asked for. Static storage. */
const struct ledge_allocator *ledge_allocator_default(void);

/* A file mapped read-only. */
struct ledge_map {
    const void *bytes; /* never NULL after success */
    size_t size;
};

/* map OWNED: ledge_map_close(). Errors: ERR_IO, ERR_NOT_FOUND (err names the path). */
LEDGE_NODISCARD enum ledge_status ledge_map_open(const char *path, struct ledge_map *map,
                                                 struct ledge_error *err);
void ledge_map_close(struct ledge_map *map);

/* The bytes of map from `from` on will not be read soon: whole pages of them leave this process's
 * memory, and come back from the file when they are read. What is no part of map stays. */
void ledge_map_forget(const struct ledge_map *map, const void *from, size_t bytes);

/* So many zeros to read, of which only what is read takes memory. map OWNED: ledge_map_close().
 * False: there are none. */
bool ledge_map_zeros(size_t bytes, struct ledge_map *map);

/* The rung of this name, as ledge_rung_text() gives it; false: there is none, or this build has no
 * kernels for it. */
bool ledge_rung_find(const char *name, enum ledge_rung *rung);

/* The highest rung this CPU and operating system can run, lowered by the environment variable
 * LEDGE_CPU when that names a rung. Worked out once. */
enum ledge_rung ledge_port_rung(void);

/* The highest of these that is not above `most`: that one itself where it can be run. */
enum ledge_rung ledge_port_rung_below(enum ledge_rung most);

/* Has this CPU AVX-512 VBMI, shuffles of bytes across a whole vector? No rung of its own: two loops
 * use it, and have another way. */
bool ledge_port_has_vbmi(void);

/* "c", "avx2", ..., "unknown" for any other number; static storage. */
const char *ledge_rung_text(enum ledge_rung rung);

/* CPUs this process may run on at a time (affinity mask, cgroup quota rounded up), at least 1. */
int32_t ledge_port_cpus(void);

/* The quota alone, INT32_MAX when there is none; and that of the text of a cpu.max. */
int32_t ledge_port_quota(void);
int32_t ledge_quota_cpus(const char *cpu_max);

/* Treat denormal numbers as zero on the calling thread: they cost 100x on some CPUs. Returns what
 * to restore. */
unsigned ledge_denormals_off(void);
/* The other way round: keep them, as IEEE 754 has it. */
unsigned ledge_denormals_on(void);
void ledge_denormals_restore(unsigned before);

/* Mutual exclusion. The storage is the caller's. */
struct ledge_lock {
    _Alignas(16) unsigned char opaque[64];
};
void ledge_lock_init(struct ledge_lock *lock);
void ledge_lock_done(struct ledge_lock *lock);
void ledge_lock_take(struct ledge_lock *lock);
void ledge_lock_give(struct ledge_lock *lock);

/* Monotonic clock in seconds. */
double ledge_port_seconds(void);

#endif
