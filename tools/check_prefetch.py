#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prefetches that the source asks for are in the object code: compilers have dropped all of them without a word.

Usage: check_prefetch.py FOLDER     the engine's object files; skipped (77) where this cannot be told
"""
import pathlib
import platform
import shutil
import subprocess
import sys

# About half of what a good build has: loops come and go, but a compiler that drops prefetches drops nearly all.
LEAST = {"blocked_avx512": 50, "blocked_avx2": 22, "blocked_avx2_wide": 16, "i8_avx512": 6, "i8_avx512vnni": 6, "bytes_avx2": 3}


def main():
    if platform.machine() not in ("x86_64", "AMD64"):
        print(f"skipped: {platform.machine()}; loops of x86 are looked at")
        return 77
    if shutil.which("objdump") is None:
        print("skipped: no objdump")
        return 77
    objects = {name: pathlib.Path(sys.argv[1]) / f"kernels/{name}.c.o" for name in LEAST}
    there = {name: path for name, path in objects.items() if path.exists()}
    few = False
    for name, path in there.items():
        text = subprocess.run(["objdump", "-d", path], capture_output=True, text=True, check=True).stdout
        n = sum("\tprefetch" in line for line in text.splitlines())
        print(f"{name}: {n} prefetches, at least {LEAST[name]}")
        few = few or n < LEAST[name]
    if not there:
        print("skipped: no loops of x86 in this build")
        return 77
    return int(few)


sys.exit(main())
