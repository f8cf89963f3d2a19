#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the word lists of cmake/sets (-DLEDGE_OPS=set:NAME) from the models that a set is for.

A list begins with its models, `# model FOLDER/FILE`, which stay as they are; the words behind them are what
`ledge check --needs` says of these, for every x86 instruction set.

Usage: make_sets.py LEDGE MODELS_FOLDER [--check]     --check: exit 1 where a list lacks a word (more than needed is fine)
"""
import pathlib
import subprocess
import sys

SETS = pathlib.Path(__file__).resolve().parents[1] / "cmake/sets"
TARGETS = "c,avx2,avxvnni,avx512,avx512vnni"


def models_of(path):
    return [line.removeprefix("# model ") for line in path.read_text().splitlines() if line.startswith("# model ")]


def needs(ledge, model):
    said = subprocess.run([ledge, "check", "--needs", model, "--target", TARGETS], capture_output=True, text=True)
    if said.returncode:
        sys.exit(f"make_sets: {model}: {said.stderr.strip() or 'ledge check failed'}")
    return {word for word in said.stdout.split() if not word.startswith("packed:")}


def main():
    said = [word for word in sys.argv[1:] if word != "--check"]
    if len(said) != 2:
        print(__doc__.split("\n\n")[-1].strip(), file=sys.stderr)
        return 2
    ledge, folder = said[0], pathlib.Path(said[1])
    failed = 0
    for path in sorted(SETS.glob("*.txt")):
        words = set().union(*(needs(ledge, folder / model) for model in models_of(path)))
        lines = path.read_text().splitlines()
        missing = words - set(lines)
        if "--check" in sys.argv:
            print(f"{path.name}: {len(words)} words for {len(models_of(path))} models" +
                  (f"; it lacks {' '.join(sorted(missing))}" if missing else ""))
            failed += bool(missing)
        else:
            path.write_text("\n".join([line for line in lines if line.startswith("#")] + sorted(words)) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
