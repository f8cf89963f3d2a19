/* SPDX-License-Identifier: Apache-2.0 */
/* hold_cpu.c -- LD_PRELOAD library: the process sees a processor that ends at AVX2.
 *
 * Most engines cannot be told to leave AVX-512 alone; all of them ask CPUID. Linux can make that
 * instruction fault (arch_prctl ARCH_SET_CPUID, on processors with CPUID faulting); the handler
 * executes it, strikes out AVX-512, AVX-VNNI and AMX, and goes on behind it. Threads inherit the
 * setting. hold_cpu_active says whether it took effect.
 * Source: Intel SDM volume 2, CPUID; arch_prctl(2). */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012, OPCODE_BYTES = 2 };

int hold_cpu_active;

/* Leaf 7, subleaf 0: F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW,
 * 4FMAPS, VP2INTERSECT, AMX-BF16, FP16, AMX-TILE, AMX-INT8. Subleaf 1: AVX-VNNI, AVX512-BF16,
 * AMX-FP16, AVX-IFMA; AVX-VNNI-INT8, NE-CONVERT, AVX-VNNI-INT16, AVX10. */
static const uint32_t no_ebx =
    1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const uint32_t no_ecx = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
static const uint32_t no_edx =
    1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;
static const uint32_t no_eax_1 = 1u << 4 | 1u << 5 | 1u << 21 | 1u << 23;
static const uint32_t no_edx_1 = 1u << 4 | 1u << 5 | 1u << 10 | 1u << 19;

static void on_fault(int number, siginfo_t *info, void *context)
{
    greg_t *at = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const unsigned char cpuid[OPCODE_BYTES] = {0x0f, 0xa2};
    (void)info;
    /* A jump to nowhere faults at an address that cannot be read either. */
    if (at[REG_RIP] == (greg_t)(uintptr_t)info->si_addr ||
        memcmp((const void *)at[REG_RIP], cpuid, OPCODE_BYTES) != 0) {
        (void)signal(number, SIG_DFL);
        return;
    }
    uint32_t leaf = (uint32_t)at[REG_RAX], sub = (uint32_t)at[REG_RCX];
    uint32_t a = leaf, b = 0, c = sub, d = 0;
    (void)syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1L);
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    (void)syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0L);
    if (leaf == 7 && sub == 0) {
        b &= ~no_ebx;
        c &= ~no_ecx;
        d &= ~no_edx;
    } else if (leaf == 7 && sub == 1) {
        a &= ~no_eax_1;
        d &= ~no_edx_1;
    }
    at[REG_RAX] = a;
    at[REG_RBX] = b;
    at[REG_RCX] = c;
    at[REG_RDX] = d;
    at[REG_RIP] += OPCODE_BYTES;
}

__attribute__((constructor)) static void hold(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSEGV, &action, NULL) == 0) {
        hold_cpu_active = syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0L) == 0;
    }
}
