#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library alone (LEDGE_LIBRARY_ONLY) as `bench/sizes` measures it, with all rungs of x86, and with one and no plain C.

Usage: library_size_test.py CC
"""
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMITS = (  # bytes, stripped
    (1_000_000, "-DLEDGE_RUNGS=avx2,avxvnni,avx512,avx512vnni"),
    (713_000, "-DLEDGE_RUNGS=avx2", "-DLEDGE_BASELINE=avx2"),
)


def main():
    if platform.machine() != "x86_64":
        print("skipped: sizes are those of x86")
        return 77
    failed = 0
    for limit, *options in LIMITS:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cmake", "-S", ROOT, "-B", folder, f"-DCMAKE_C_COMPILER={sys.argv[1]}", "-DLEDGE_LIBRARY_ONLY=ON",
                            "-DCMAKE_BUILD_TYPE=RelWithDebInfo", *options], check=True, capture_output=True)
            subprocess.run(["cmake", "--build", folder, "--target", "libledge", "-j", str(os.cpu_count() or 1)], check=True,
                           capture_output=True)
            stripped = pathlib.Path(folder) / "stripped.so"
            subprocess.run(["strip", "-o", stripped, pathlib.Path(folder) / "lib/libledge.so"], check=True)
            size = stripped.stat().st_size
        print(f"libledge {' '.join(options)}: {size} bytes stripped, at most {limit}")
        failed += size > limit
    return failed


sys.exit(main())
