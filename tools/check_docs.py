#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pages that speak of the tree: links lead somewhere, files and tests in backticks exist, ARCHITECTURE.md has every room.

Usage: check_docs.py SOURCE BUILD
"""
import fnmatch
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1]).resolve()
TOPS = ("bench", "cmake", "console", "docs", "examples", "fuzz", "include", "scripts", "sdk", "src", "tests", "tools")


def lines_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(77)
    return done.stdout.splitlines()


FILES = lines_of("git", "-C", ROOT, "ls-files")
NAMES = {pathlib.PurePath(name).name for name in FILES}
TESTS = {line.split(": ", 1)[1].strip() for line in lines_of("ctest", "-N", "--test-dir", sys.argv[2]) if re.match(r" +Test +#", line)}


def anchors(page):
    """As GitHub makes them: lower case, blanks are dashes, other signs are dropped."""
    titles = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def exists(path, page):
    """A path of the tree; from its root, a folder of sources, or the page's own. `*` and `<word>` stand for anything."""
    pattern = re.sub(r"<\w+>", "*", path)
    bases = (ROOT, ROOT / "include", ROOT / "src", ROOT / "src/engine", page.parent) if "/" in path else ()
    return any(any(base.glob(pattern)) for base in bases) or ("/" not in path and fnmatch.filter(NAMES, pattern))


def faults(page):
    text = page.read_text()
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", plain):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        if not found.exists():
            yield f"link to {target}: there is no {path}"
        elif anchor and anchor not in anchors(found):
            yield f"link to {target}: no such heading"
    if "decisions" in page.parts:  # records tell what was, and are not kept up to date
        return
    sources = r"`([\w./*<>-]+\.(?:c|h|hpp|inc|py|tsx|cmake)|(?:%s)/[\w./*<>-]+)`" % "|".join(TOPS)
    for path in re.findall(sources, plain):
        if path not in TESTS and not exists(path, page):
            yield f"`{path}` is not in the tree"
    for test in re.findall(r"tests? `(\w+/[\w-]+)`", plain):
        if test not in TESTS and not exists(test, page):
            yield f"there is no test {test}"


def rooms():
    """Folders of src and of src/engine that ARCHITECTURE.md does not name."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text[text.index("## Rooms"):]
    named = set()
    for cell in re.findall(r"^\| (`[^|]*)\|", table, re.M):
        parts = [part.strip("/") for part in re.findall(r"[\w./]+", cell)]
        named |= {part if "/" in part or part in TOPS else "src/engine/" + part for part in parts}
    found = {f"src/{path.name}" for path in (ROOT / "src").iterdir() if path.is_dir() and path.name != "engine"}
    found |= {f"src/engine/{path.name}" for path in (ROOT / "src/engine").iterdir() if path.is_dir()}
    found |= set(TOPS) - {"src"}
    return sorted(found - named), sorted(name for name in named - found if not (ROOT / name).exists())


def unread():
    """Pages of docs that neither README.md nor ARCHITECTURE.md leads to, and routes of the hub that rest.md lacks."""
    entries = (ROOT / "README.md").read_text() + (ROOT / "ARCHITECTURE.md").read_text()
    yield from (f"{page.name}: no link from README.md" for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in entries)
    rest = re.sub(r"\{\w+\}", "{}", (ROOT / "docs/rest.md").read_text())
    for method, path in re.findall(r'HUB_ROUTE\("(\w+)", (?:API )?"(.*?)"', (ROOT / "src/hub/routes.inc").read_text()):
        route = re.sub(r"\{\w+\}", "{}", path)
        if not re.search(rf"`{method} {re.escape(route)}[?`]", rest):
            yield f"docs/rest.md: no {method} {path}"


def main():
    told = [f"{page.relative_to(ROOT)}: {fault}" for page in (ROOT / name for name in FILES if name.endswith(".md")) for fault in faults(page)]
    missing, gone = rooms()
    told += unread()
    told += [f"ARCHITECTURE.md: no row for {name}" for name in missing] + [f"ARCHITECTURE.md: there is no {name}" for name in gone]
    print("\n".join(told) or "ok")
    sys.exit(1 if told else 0)


main()
