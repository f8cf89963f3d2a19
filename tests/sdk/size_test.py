#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libledge as this build made it, with all rungs of x86, stays small. The limit goes down with the library: `bench/sizes`
tells the figures of the library alone, which has neither unwind tables nor unpacked relocations.

Usage: size_test.py LIBRARY
"""
import os
import platform
import subprocess
import sys
import tempfile

LIMIT = 1_290_000  # bytes, stripped

with tempfile.TemporaryDirectory() as folder:
    stripped = os.path.join(folder, "libledge.so")
    subprocess.run(["strip", "-o", stripped, sys.argv[1]], check=True)
    size = os.stat(stripped).st_size
print(f"libledge: {size} bytes stripped, at most {LIMIT}")
sys.exit(platform.machine() == "x86_64" and size > LIMIT)
