#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does a held process see the processor of the rung, and does the proof find what is above it?

Usage: hold_test.py CC
A library stands for an engine: it asks CPUID in a static constructor, and has its two bytes in a constant and in data, too.
"""
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import hold

HERE = pathlib.Path(__file__).resolve().parent
ENGINE = r"""
#include <stdio.h>
#include <cpuid.h>
const unsigned char data[] = {0x0f, 0xa2};
static unsigned early[4];
__attribute__((constructor)) static void ask(void) { __cpuid_count(7, 0, early[0], early[1], early[2], early[3]); }
void tell(void)
{
    unsigned late[4], vendor[4], constant;
    __cpuid_count(7, 1, late[0], late[1], late[2], late[3]);
    __cpuid(0, vendor[0], vendor[1], vendor[2], vendor[3]);
    __asm__ volatile("movl $0x00a20f90, %0" : "=r"(constant));
    const unsigned *all[] = {early, late, vendor};
    for (int i = 0; i < 12; i++) { printf("%u ", all[i / 4][i % 4]); }
    printf("%u %u\n", constant, data[0] | data[1] << 8);
}
"""
MAIN = r"""
#include <dlfcn.h>
int main(int count, char **names)
{
    void *engine = count == 2 ? dlopen(names[1], RTLD_NOW) : 0;
    if (!engine) { return 1; }
    ((void (*)(void))dlsym(engine, "tell"))();
    return 0;
}
"""
LOOP = r"""
#include <stdio.h>
#include <time.h>
extern int hold_cpu_samples; extern unsigned char hold_cpu_bytes[][16]; int hold_cpu_sample(int);
int main(void)
{
    time_t end = time(NULL) + 30;
    if (hold_cpu_sample(200) != 0) { return 1; }
    while (hold_cpu_samples < 200 && time(NULL) < end) {
        for (int i = 0; i < 100000; i++) { __asm__ volatile(".rept 20\n bswap %%eax\n .endr" : : : "eax"); }
    }
    hold_cpu_sample(0);
    return fwrite(hold_cpu_bytes, 16, 200, stdout) != 200;
}
"""
# AT&T syntax; whether it is above AVX2, and above AVX-VNNI.
INSTRUCTIONS = [
    ("vpmaddubsw %ymm1, %ymm2, %ymm3", False, False),
    ("vfmadd231ps (%rax), %ymm2, %ymm15", False, False),
    ("rep stosb", False, False),
    ("{vex} vpdpbusd %ymm1, %ymm2, %ymm3", True, False),
    ("{vex} vpdpwssds %ymm1, %ymm2, %ymm3", True, False),
    ("{evex} vpdpbusd %ymm1, %ymm2, %ymm3", True, True),
    ("{evex} vpaddd %ymm1, %ymm2, %ymm3", True, True),
    ("vpaddd %ymm17, %ymm2, %ymm3", True, True),
    ("vaddps %zmm1, %zmm2, %zmm3", True, True),
    ("kmovd %eax, %k1", True, True),
    ("{vex} vpmadd52luq %ymm1, %ymm2, %ymm3", True, True),
]


def build(cc, folder, name, text, *options):
    (folder / f"{name}.c").write_text(text)
    subprocess.run([cc, "-O2", "-o", folder / name, folder / f"{name}.c", *map(str, options)], check=True)


def seen(engine, **environment):
    """All that an engine is told by CPUID, as Python opens one: after the preloaded library is in place."""
    done = subprocess.run([engine.parents[1] / "main", engine], capture_output=True, text=True, check=True, env=dict(os.environ, **environment))
    return [int(word) for word in done.stdout.split()]


def answers(cc, folder, library):
    """A patched engine sees exactly what the rung has; constants and data are whole."""
    (folder / "packages").mkdir()
    build(cc, folder, "packages/libengine.so", ENGINE, "-shared", "-fPIC")
    build(cc, folder, "main", MAIN, "-ldl")
    engine = folder / "held/libengine.so"
    assert hold.copy_held(folder / "packages", folder / "held") == {"libengine.so": 3}
    free = seen(folder / "packages/libengine.so")
    assert free[12:] == [0x00a20f90, 0xa20f], free
    for rung, vnni in (("avx2", 1 << 4), ("avxvnni", 0)):
        lower = list(free)
        lower[1] &= ~(0xdc23 << 16)  # AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL
        lower[2] &= ~(1 << 1 | 1 << 6 | 1 << 11 | 1 << 12 | 1 << 14)
        lower[3] &= ~(1 << 2 | 1 << 3 | 1 << 8 | 0xf << 22)
        lower[4] &= ~(vnni | 1 << 5 | 1 << 21 | 1 << 23)
        lower[7] &= ~(1 << 4 | 1 << 5 | 1 << 10 | 1 << 19)
        held = seen(engine, HOLD_CPU=rung, LD_PRELOAD=str(library))
        assert held == lower, (rung, free, lower, held)
    assert subprocess.run([folder / "main", engine], check=False).returncode < 0  # nobody answers: it was CPUID that was patched


def above(folder):
    for text, avx2, avxvnni in INSTRUCTIONS:
        (folder / "one.s").write_text(text + "\n" + "nop\n" * hold.SLOT)
        subprocess.run(["as", "-o", folder / "one.o", folder / "one.s"], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", folder / "one.o", folder / "one"], check=True)
        found = hold.decode((folder / "one").read_bytes()[:hold.SLOT] * 3, folder / "scratch")
        assert sum(found.values()) == 3, (text, found)
        for rung, expected in (("avx2", avx2), ("avxvnni", avxvnni)):
            assert hold.kinds(found, rung)["beyond"] == expected, (text, rung, found)


def samples(cc, folder, library):
    build(cc, folder, "loop", LOOP, library)
    done = subprocess.run([folder / "loop"], capture_output=True, check=True)
    shares = hold.kinds(hold.decode(done.stdout, folder / "scratch"), "avx2")
    assert shares["samples"] == 200 and shares["instructions"]["bswap"] > 0.5, shares


def main():
    if platform.machine() != "x86_64" or not shutil.which("objdump"):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        library = hold.build(folder)
        answers(sys.argv[1], folder, library)
        above(folder)
        samples(sys.argv[1], folder, library)


main()
