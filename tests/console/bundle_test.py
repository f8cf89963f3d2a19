#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The console's sources: do the types hold (`types`), and is the bundle small and does it speak to its own hub only (`size OUT`)?

Exit code 77 where node or console/node_modules is missing.
"""
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys

console = pathlib.Path(__file__).resolve().parent.parent.parent / "console"
BUDGET = 100 * 1024
FILES = {"index.html", "app.js", "app.css", "icon.svg"}
NAMESPACES = "http://www.w3.org/"  # names of SVG, MathML and XHTML; nothing is fetched from there
ADDRESS = re.compile(r"""(?:\b(?:https?|wss?):|["'(=])//[^\s"'()<>\\`]+""")


def npm(script, **env):
    done = subprocess.run(["npm", "run", "--silent", script], cwd=console, env={**os.environ, **env})
    assert done.returncode == 0, f"npm run {script} ended with {done.returncode}"


def addresses(text):
    """What in text is the address of another host."""
    found = (match.lstrip("\"'(=") for match in ADDRESS.findall(text))
    return [address for address in found if not address.startswith(NAMESPACES)]


def check_size(out):
    assert addresses('fetch("//cdn.example/x")') and addresses("url(https://cdn.example/y)"), "the search finds addresses"
    npm("build", CONSOLE_DIST=str(out))
    assert {path.name for path in out.iterdir()} == FILES | {f"{name}.gz" for name in FILES}
    total = 0
    for name in sorted(FILES):
        packed, plain = (out / f"{name}.gz").read_bytes(), (out / name).read_bytes()
        assert gzip.decompress(packed) == plain, name
        assert not addresses(plain.decode()), f"{name} names other hosts: {addresses(plain.decode())}"
        total += len(packed)
    assert total <= BUDGET, f"{total} bytes gzip, budget {BUDGET}"
    lock = (console / "package-lock.json").read_text()
    assert '"resolved"' not in lock, "package-lock.json names a registry; see console/.npmrc"
    print(f"{total} bytes gzip of {BUDGET}; no address of another host")


def main():
    if shutil.which("npm") is None or not (console / "node_modules").is_dir():
        print("skipped: no npm, or no console/node_modules, made by scripts/build_console")
        return 77
    if sys.argv[1] == "types":
        npm("check")
    else:
        check_size(pathlib.Path(sys.argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
