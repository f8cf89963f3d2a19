#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clang-format does not see: banned calls, sizes of files and functions, SPDX lines, words that do not belong.

Usage: check_style.py [ROOT]    exit 1 and one line for each violation.
Limits: a file 1000 lines, a function 120 lines, except what tools/style_exceptions.txt names with a reason.
"""
import pathlib
import re
import subprocess
import sys

BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|gmtime|localtime|rand|srand|alloca)\s*\(")
FILE_LINES, FUNCTION_LINES = 1000, 120
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
SOURCE = (".c", ".h", ".inc", ".py", ".sh", ".ts", ".tsx", ".css", ".cmake")


def tracked(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [root / name for name in listed.stdout.splitlines()]
    return [p for p in root.rglob("*") if p.is_file() and not {"build", "node_modules", ".git"} & set(p.parts)]


def exceptions(root):
    names = set()
    for line in (root / "tools/style_exceptions.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            names.add(line.split()[0])
    return names


def functions(lines):
    """(name, first line, length) of every function whose braces stand in column 0, as clang-format writes them."""
    start = name = None
    for number, line in enumerate(lines, 1):
        if line == "{" and start is None:
            start = number
            name = " ".join(lines[max(0, number - 3):number - 1]).strip()
        elif line.startswith("}") and start is not None:
            yield name, start, number - start + 1
            start = None


def check_c(relative, lines, excepted):
    problems = []
    if len(lines) > FILE_LINES and relative not in excepted:
        problems.append(f"{relative}: {len(lines)} lines, the limit is {FILE_LINES}")
    in_comment = False
    for number, line in enumerate(lines, 1):
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        if in_comment:
            if "*/" not in code:
                continue
            code, in_comment = code.split("*/", 1)[1], False
        code = re.sub(r"/\*.*?\*/|//.*", "", code)
        if "/*" in code:
            code, in_comment = code.split("/*", 1)[0], True
        found = BANNED.search(code)
        if found:
            problems.append(f"{relative}:{number}: {found.group(1)} is banned")
    for name, start, length in functions(lines):
        if length > FUNCTION_LINES and relative not in excepted:
            problems.append(f"{relative}:{start}: a function of {length} lines, the limit is {FUNCTION_LINES} ({name[-60:]})")
    return problems


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    excepted = exceptions(root)
    problems, files = [], 0
    for path in tracked(root):
        relative = path.relative_to(root).as_posix()
        if path.suffix not in SOURCE or not path.is_file():
            continue
        files += 1
        lines = path.read_text(errors="replace").splitlines()
        if path.suffix in (".c", ".h"):
            problems += check_c(relative, lines, excepted)
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:3]) and len(lines) > 3:
            problems.append(f"{relative}: no SPDX line at the top")
        for number, line in enumerate(lines, 1):
            if UNFINISHED.search(line) and relative != "tools/check_style.py":
                problems.append(f"{relative}:{number}: unfinished work does not land: {line.strip()[:80]}")
    print("\n".join(problems) if problems else f"style: {files} files are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
