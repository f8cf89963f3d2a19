/* SPDX-License-Identifier: Apache-2.0 */
/* hold_cpu.c -- LD_PRELOAD library: the process sees a processor that ends at AVX2 or AVX-VNNI, and
 * says what it executes.
 *
 * Most engines cannot be told to leave AVX-512 alone; all of them ask CPUID. Two ways to answer for
 * it:
 * - faulting: Linux can make the instruction fault (arch_prctl ARCH_SET_CPUID), on processors with
 *   CPUID faulting, which are Intel's. Threads inherit the setting.
 * - patched: hold.py writes UD2 over every CPUID in copies of the engines' libraries; both have two
 *   bytes.
 *
 * The handler executes CPUID, strikes out what is above the rung, and goes on behind the
 * instruction. The variable HOLD_CPU names the rung:
 *
 *   avx2      AVX-512, AVX-VNNI, AVX-IFMA and AMX are struck out
 *   avxvnni   likewise, but AVX-VNNI stays
 *
 * hold_cpu_faulting and hold_cpu_asked say what took effect. hold_cpu_sample() is the proof:
 * between two calls a clock stops the process at random instructions and copies their bytes,
 * generated code's too.
 *
 * Source: Intel SDM volume 2, CPUID; arch_prctl(2); timer_create(2).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    ARCH_SET_CPUID = 0x1012,
    OPCODE_BYTES = 2,
    LONGEST = 16, /* bytes kept of an instruction; none is longer than 15 */
    PAGE = 4096,
    MOST_SAMPLES = 1 << 14,
};

int hold_cpu_faulting;
int hold_cpu_asked; /* how often leaf 7, which tells of AVX-512, was asked for and answered here */
unsigned char hold_cpu_bytes[MOST_SAMPLES][LONGEST];
int hold_cpu_samples;

/* Leaf 7, subleaf 0: F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW,
 * 4FMAPS, VP2INTERSECT, AMX-BF16, FP16, AMX-TILE, AMX-INT8. Subleaf 1: AVX512-BF16, AMX-FP16,
 * AVX-IFMA; AVX-VNNI-INT8, NE-CONVERT, AVX-VNNI-INT16, AVX10. */
static const uint32_t no_ebx =
    1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const uint32_t no_ecx = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
static const uint32_t no_edx =
    1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;
static const uint32_t no_eax_1 = 1u << 5 | 1u << 21 | 1u << 23;
static const uint32_t no_edx_1 = 1u << 4 | 1u << 5 | 1u << 10 | 1u << 19;
static const uint32_t avx_vnni = 1u << 4; /* subleaf 1, EAX */
static uint32_t no_vnni;

static void fault(long allow)
{
    if (hold_cpu_faulting) {
        (void)syscall(SYS_arch_prctl, ARCH_SET_CPUID, allow);
    }
}

static void answer(greg_t *at)
{
    uint32_t leaf = (uint32_t)at[REG_RAX], sub = (uint32_t)at[REG_RCX];
    uint32_t a = leaf, b = 0, c = sub, d = 0;
    fault(1);
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    fault(0);
    if (leaf == 7) {
        __atomic_fetch_add(&hold_cpu_asked, 1, __ATOMIC_RELAXED);
    }
    if (leaf == 7 && sub == 0) {
        b &= ~no_ebx;
        c &= ~no_ecx;
        d &= ~no_edx;
    } else if (leaf == 7 && sub == 1) {
        a &= ~(no_eax_1 | no_vnni);
        d &= ~no_edx_1;
    }
    at[REG_RAX] = a;
    at[REG_RBX] = b;
    at[REG_RCX] = c;
    at[REG_RDX] = d;
    at[REG_RIP] += OPCODE_BYTES;
}

/* SIGSEGV by a CPUID that faults, or SIGILL by an UD2 in its place. A UD2 of a compiler's own,
 * "never reached", would be taken for CPUID, and end elsewhere. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    greg_t *at = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const unsigned char cpuid[OPCODE_BYTES] = {0x0f, 0xa2}, ud2[OPCODE_BYTES] = {0x0f, 0x0b};
    /* A jump to nowhere faults at an address that cannot be read either. */
    if ((number == SIGSEGV && at[REG_RIP] == (greg_t)(uintptr_t)info->si_addr) ||
        memcmp((const void *)at[REG_RIP], number == SIGSEGV ? cpuid : ud2, OPCODE_BYTES) != 0) {
        (void)signal(number, SIG_DFL);
        return;
    }
    answer(at);
}

static int handle(int number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    return sigaction(number, &action, NULL) == 0;
}

__attribute__((constructor)) static void hold(void)
{
    const char *rung = getenv("HOLD_CPU");
    if (rung && handle(SIGILL, on_fault) && handle(SIGSEGV, on_fault)) {
        no_vnni = strcmp(rung, "avxvnni") == 0 ? 0 : avx_vnni;
        hold_cpu_faulting = syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0L) == 0;
    }
}

/* The signal is given to the thread that runs (Linux 6.4; before, to the first one). */
static void on_tick(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)number, (void)info;
    if (at % PAGE > PAGE - LONGEST) {
        return; /* the next page may be nobody's */
    }
    int slot = __atomic_fetch_add(&hold_cpu_samples, 1, __ATOMIC_RELAXED);
    if (slot < MOST_SAMPLES) {
        memcpy(hold_cpu_bytes[slot], (const void *)at, LONGEST);
    }
}

/* Copy the instruction that runs every so many microseconds; 0 ends it. Returns 0 on success. */
int hold_cpu_sample(int microseconds)
{
    static timer_t clock;
    static int made;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
    struct itimerspec every = {{0, microseconds * 1000L}, {0, microseconds * 1000L}};
    if (!made &&
        (!handle(SIGPROF, on_tick) || timer_create(CLOCK_MONOTONIC, &event, &clock) != 0)) {
        return -1;
    }
    made = 1;
    return timer_settime(clock, 0, &every, NULL);
}
