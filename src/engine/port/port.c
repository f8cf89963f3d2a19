/* SPDX-License-Identifier: Apache-2.0 */
/* port.c -- heap, file mapping, clock, CPU rung for POSIX systems. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "engine/port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "base/banned.h"
#include "base/status.h"

/* Sanitizers watch the C library's heap alone. */
#if defined(__SANITIZE_ADDRESS__)
#define LEDGE_LARGE_PAGES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define LEDGE_LARGE_PAGES 0
#endif
#endif
#if !defined(LEDGE_LARGE_PAGES)
#if defined(MADV_HUGEPAGE)
#define LEDGE_LARGE_PAGES 1
#else
#define LEDGE_LARGE_PAGES 0
#endif
#endif

/* From this size on, pages of 2 MB: streaming weights through pages of 4 kB costs a tenth of the
 * speed of ResNet-50, and touching them first 512 times the faults. */
enum { LARGE_PAGE = 2 << 20, SMALL_PAGE = 4096 };

/* Length of the mapping: whole large pages where at most half of the last one is wasted. */
static size_t mapping_of(size_t bytes)
{
    size_t rest = bytes % LARGE_PAGE;
    size_t unit = rest >= LARGE_PAGE / 2 ? LARGE_PAGE : SMALL_PAGE;
    return (bytes + unit - 1) / unit * unit;
}

static bool is_large(size_t bytes)
{
    return LEDGE_LARGE_PAGES && bytes >= LARGE_PAGE && bytes < SIZE_MAX / 2;
}

static void *map_large(size_t bytes)
{
    size_t length = mapping_of(bytes), whole = length + LARGE_PAGE;
    char *at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    size_t before = (LARGE_PAGE - (uintptr_t)at % LARGE_PAGE) % LARGE_PAGE;
    if (before > 0) {
        (void)munmap(at, before);
    }
    if (whole - before > length) {
        (void)munmap(at + before + length, whole - before - length);
    }
#if LEDGE_LARGE_PAGES
    (void)madvise(at + before, length, MADV_HUGEPAGE);
#endif
    return at + before;
}

static void *heap_alloc(void *user, size_t bytes, size_t align)
{
    (void)user;
    void *memory = NULL;
    if (is_large(bytes)) { /* nobody asks for more than a page's alignment */
        return map_large(bytes);
    }
    size_t least = align < sizeof(void *) ? sizeof(void *) : align;
    return posix_memalign(&memory, least, bytes > 0 ? bytes : 1) == 0 ? memory : NULL;
}

static void heap_release(void *user, void *memory, size_t bytes)
{
    (void)user;
    if (is_large(bytes)) {
        (void)munmap(memory, mapping_of(bytes));
    } else {
        free(memory);
    }
}

const struct ledge_allocator *ledge_allocator_default(void)
{
    static const struct ledge_allocator heap = {.alloc = heap_alloc, .release = heap_release};
    return &heap;
}

enum ledge_status ledge_map_open(const char *path, struct ledge_map *map, struct ledge_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ledge_fail(err, errno == ENOENT ? LEDGE_ERR_NOT_FOUND : LEDGE_ERR_IO,
                          "cannot open %s: %s", path, strerror(errno));
    }
    struct stat info;
    enum ledge_status status = LEDGE_OK;
    if (fstat(fd, &info) != 0) {
        status = ledge_fail(err, LEDGE_ERR_IO, "cannot read %s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        status = ledge_fail(err, LEDGE_ERR_IO, "%s is not a regular file", path);
    } else if (info.st_size == 0) {
        *map = (struct ledge_map){.bytes = "", .size = 0};
    } else {
        size_t size = (size_t)info.st_size;
        void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED) {
            status = ledge_fail(err, LEDGE_ERR_IO, "cannot map %s: %s", path, strerror(errno));
        } else {
            *map = (struct ledge_map){.bytes = bytes, .size = size};
        }
    }
    (void)close(fd);
    return status;
}

void ledge_map_forget(const struct ledge_map *map, const void *from, size_t bytes)
{
#if defined(__linux__) && defined(MADV_DONTNEED)
    uintptr_t first = (uintptr_t)from, begin = (uintptr_t)map->bytes;
    if (first < begin || first - begin > map->size || bytes > map->size - (first - begin)) {
        return;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t whole = (first + page - 1) / page * page, end = (first + bytes) / page * page;
    if (whole < end) { /* read-only and private: nothing is lost */
        (void)madvise((void *)whole, end - whole, MADV_DONTNEED);
    }
#else
    (void)map;
    (void)from;
    (void)bytes;
#endif
}

bool ledge_map_zeros(size_t bytes, struct ledge_map *map)
{
    void *at =
        bytes > 0 ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (at == MAP_FAILED) {
        return false;
    }
    *map = (struct ledge_map){.bytes = at, .size = bytes};
    return true;
}

void ledge_map_close(struct ledge_map *map)
{
    if (map->size > 0) {
        (void)munmap((void *)map->bytes, map->size);
    }
    *map = (struct ledge_map){.bytes = NULL, .size = 0};
}

static const char *const rung_names[] = {
    [LEDGE_RUNG_C] = "c",
    [LEDGE_RUNG_AVX2] = "avx2",
    [LEDGE_RUNG_AVXVNNI] = "avxvnni",
    [LEDGE_RUNG_AVX512] = "avx512",
    [LEDGE_RUNG_AVX512VNNI] = "avx512vnni",
    [LEDGE_RUNG_NEON] = "neon",
    [LEDGE_RUNG_NEON_DOTPROD] = "neon_dotprod",
    [LEDGE_RUNG_NEON_I8MM] = "neon_i8mm",
};

enum { N_RUNGS = sizeof rung_names / sizeof rung_names[0] };

const char *ledge_rung_text(enum ledge_rung rung)
{
    unsigned i = (unsigned)rung;
    return i < N_RUNGS && rung_names[i] != NULL ? rung_names[i] : "unknown";
}

/* Are there kernels for it in this build (CMake: LEDGE_RUNGS)? */
static bool is_built(int rung)
{
    switch (rung) {
#ifdef LEDGE_WITHOUT_AVX2
    case LEDGE_RUNG_AVX2:
        return false;
#endif
#ifdef LEDGE_WITHOUT_AVXVNNI
    case LEDGE_RUNG_AVXVNNI:
        return false;
#endif
#ifdef LEDGE_WITHOUT_AVX512
    case LEDGE_RUNG_AVX512:
        return false;
#endif
#ifdef LEDGE_WITHOUT_AVX512VNNI
    case LEDGE_RUNG_AVX512VNNI:
        return false;
#endif
    default:
        return true;
    }
}

bool ledge_rung_find(const char *name, enum ledge_rung *rung)
{
#if defined(__aarch64__)
    const int first = LEDGE_RUNG_NEON, end = N_RUNGS;
#elif defined(__x86_64__)
    const int first = LEDGE_RUNG_AVX2, end = LEDGE_RUNG_NEON;
#else
    const int first = N_RUNGS, end = N_RUNGS;
#endif
    for (int i = 0; i < N_RUNGS; i++) {
        bool here = i == LEDGE_RUNG_C || (i >= first && i < end);
        if (here && rung_names[i] != NULL && strcmp(name, rung_names[i]) == 0 && is_built(i)) {
            *rung = (enum ledge_rung)i;
            return true;
        }
    }
    return false;
}

#if defined(__x86_64__)
/* Bits of CPUID's leaves 1 and 7 (Intel SDM, volume 2, "CPUID") for vectors that the system keeps:
 * 0 without. __builtin_cpu_supports() would bring the names of all processors along. */
#define OSXSAVE    (1u << 27)
#define FMA        (1u << 12)
#define AVX2       (1u << 5)
#define AVX512     (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */
#define VBMI       (1u << 1)
#define VNNI       (1u << 11)
#define AVX_VNNI   (1u << 4) /* leaf 7, part 1 */
#define YMM_STATE  0x06u     /* of XCR0 */
#define ZMM_STATES 0xe6u

struct features {
    unsigned leaf1_c, leaf7_b, leaf7_c, leaf7_1_a;
};

static struct features features(void)
{
    unsigned a, b, c, d, kept, high;
    struct features have = {0, 0, 0, 0};
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & OSXSAVE) == 0) {
        return have;
    }
    __asm__ volatile("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if ((kept & YMM_STATE) != YMM_STATE) {
        return have;
    }
    have.leaf1_c = c;
    unsigned parts = 0;
    if (__get_cpuid_count(7, 0, &parts, &have.leaf7_b, &have.leaf7_c, &d) &&
        (kept & ZMM_STATES) != ZMM_STATES) {
        have.leaf7_b &= ~AVX512;
        have.leaf7_c = 0;
    }
    if (parts > 0) {
        (void)__get_cpuid_count(7, 1, &have.leaf7_1_a, &b, &c, &d);
    }
    return have;
}
#endif

/* Those that this CPU and system can run: 1 << rung for each. */
static uint32_t detect(void)
{
    uint32_t rungs = 1u << LEDGE_RUNG_C;
#if defined(__x86_64__)
    struct features have = features();
    if ((have.leaf1_c & FMA) == 0 || (have.leaf7_b & AVX2) == 0) {
        return rungs;
    }
    rungs |= 1u << LEDGE_RUNG_AVX2;
    if ((have.leaf7_1_a & AVX_VNNI) != 0) {
        rungs |= 1u << LEDGE_RUNG_AVXVNNI;
    }
    if ((have.leaf7_b & AVX512) == AVX512) {
        rungs |= 1u << LEDGE_RUNG_AVX512;
        rungs |= (have.leaf7_c & VNNI) != 0 ? 1u << LEDGE_RUNG_AVX512VNNI : 0;
    }
#elif defined(__aarch64__)
    rungs |= 1u << LEDGE_RUNG_NEON;
    if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) {
        rungs |= 1u << LEDGE_RUNG_NEON_DOTPROD;
        rungs |= (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0 ? 1u << LEDGE_RUNG_NEON_I8MM : 0;
    }
#endif
    return rungs;
}

bool ledge_port_has_vbmi(void)
{
#if defined(__x86_64__)
    static atomic_int known = -1; /* asking a processor takes long in virtual machines */
    int has = atomic_load_explicit(&known, memory_order_relaxed);
    if (has < 0) {
        has = (features().leaf7_c & VBMI) != 0;
        atomic_store_explicit(&known, has, memory_order_relaxed);
    }
    return has != 0;
#else
    return false;
#endif
}

/* As detect(), of this build, and not above LEDGE_CPU. */
static uint32_t usable(void)
{
    static atomic_uint known; /* plain C is always among them */
    uint32_t rungs = atomic_load_explicit(&known, memory_order_relaxed);
    if (rungs != 0) {
        return rungs;
    }
    rungs = detect();
    const char *wanted = getenv("LEDGE_CPU");
    for (int i = 0; i < N_RUNGS; i++) {
        if (!is_built(i)) {
            rungs &= ~(1u << i);
        }
        if (wanted != NULL && rung_names[i] != NULL && strcmp(wanted, rung_names[i]) == 0) {
            rungs &= (2u << i) - 1;
        }
    }
    atomic_store_explicit(&known, rungs, memory_order_relaxed);
    return rungs;
}

enum ledge_rung ledge_port_rung_below(enum ledge_rung most)
{
    const uint32_t rungs = usable();
    int rung = (int)most;
    while ((rungs >> rung & 1) == 0) {
        rung--;
    }
    return (enum ledge_rung)rung;
}

enum ledge_rung ledge_port_rung(void)
{
    return ledge_port_rung_below((enum ledge_rung)(N_RUNGS - 1));
}

int32_t ledge_port_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int32_t n = CPU_COUNT(&set), quota = ledge_port_quota();
    n = quota < n ? quota : n;
    return n > 0 ? n : 1;
}

#if defined(__aarch64__)
#define FPCR_FZ ((uint64_t)1 << 24) /* flush to zero, inputs too: Arm ARM, FPCR */
#endif

#if defined(__x86_64__)
#define FTZ_DAZ 0x8040u /* Intel SDM volume 1, section 10.2.3 */
#endif

static unsigned set_denormals(bool on)
{
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(on ? before & ~FTZ_DAZ : before | FTZ_DAZ);
    return before;
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" ::"r"(on ? before & ~FPCR_FZ : before | FPCR_FZ));
    return (unsigned)before;
#else
    (void)on;
    return 0;
#endif
}

unsigned ledge_denormals_off(void)
{
    return set_denormals(false);
}

unsigned ledge_denormals_on(void)
{
    return set_denormals(true);
}

void ledge_denormals_restore(unsigned before)
{
#if defined(__x86_64__)
    _mm_setcsr(before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)before));
#else
    (void)before;
#endif
}

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct ledge_lock), "enlarge struct ledge_lock");

static pthread_mutex_t *mutex(struct ledge_lock *lock)
{
    return (pthread_mutex_t *)(void *)lock->opaque;
}

void ledge_lock_init(struct ledge_lock *lock)
{
    (void)pthread_mutex_init(mutex(lock), NULL);
}

void ledge_lock_done(struct ledge_lock *lock)
{
    (void)pthread_mutex_destroy(mutex(lock));
}

void ledge_lock_take(struct ledge_lock *lock)
{
    (void)pthread_mutex_lock(mutex(lock));
}

void ledge_lock_give(struct ledge_lock *lock)
{
    (void)pthread_mutex_unlock(mutex(lock));
}

double ledge_port_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
