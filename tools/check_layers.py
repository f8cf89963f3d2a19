#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check every #include under src/ against tools/layers.txt, and that third-party headers stand only in src/sys.

Usage: check_layers.py [ROOT]    exit 1 and one line for each violation.
"""
import pathlib
import re
import sys

C_HEADERS = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg
stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype""".split())
POSIX = re.compile(r"^(sys|linux|netinet|arpa|net)/|^(unistd|fcntl|pthread|dirent|poll|sched|termios|getopt|argp|netdb|fnmatch|"
                   r"glob|pwd|dlfcn|semaphore|syslog|endian|ifaddrs|err|spawn|ftw|libgen|ucontext|cpuid|emmintrin|immintrin|x86intrin|arm_neon|strings)\.h$")
EVERYWHERE = {"jansson.h", "cmocka.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]')


def read_layers(path):
    layers = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, used = line.partition(":")
            layers[folder.strip()] = used.split()
    return layers


def room(layers, relative):
    """The longest folder of the table that holds the file."""
    parts = relative.split("/")
    for n in range(len(parts) - 1, 0, -1):
        if "/".join(parts[:n]) in layers:
            return "/".join(parts[:n])
    return None


def allowed(layers, here, target):
    if target == here or target.startswith(here + "/"):
        return True
    return any(target == used or target.startswith(used + "/") for used in layers[here])


def check_file(root, path, layers):
    relative = path.relative_to(root / "src").as_posix()
    here = room(layers, relative)
    if here is None:
        return [f"src/{relative}: folder is not in tools/layers.txt"]
    is_test = relative.endswith("_test.c")
    problems = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, name = match.groups()
        where = f"src/{relative}:{number}: "
        if quote == '"':
            if name.startswith("ledge/") or name.endswith(".inc") or "/" not in name:
                continue
            target = room(layers, name)
            if target is None:
                problems.append(where + f'"{name}" is in no known folder')
            elif not is_test and not allowed(layers, here, target):
                problems.append(where + f"{here} may not use {target} ({name})")
        elif name[:-2] in C_HEADERS or name in EVERYWHERE:
            continue
        elif POSIX.match(name):
            if here.startswith("engine") and here not in ("engine/port", "engine/kernels") and not is_test:
                problems.append(where + f"<{name}>: the engine touches the system only in engine/port")
            elif here in ("base", "fleet", "import", "export", "compress") and not is_test:
                problems.append(where + f"<{name}>: {here} uses C headers only")
        elif here != "sys":
            problems.append(where + f"<{name}>: third-party headers stand only in src/sys")
    return problems


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    layers = read_layers(root / "tools/layers.txt")
    problems, files = [], 0
    for path in sorted((root / "src").rglob("*.[ch]")):
        files += 1
        problems += check_file(root, path, layers)
    print("\n".join(problems) if problems else f"layers: {files} files keep to tools/layers.txt")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
