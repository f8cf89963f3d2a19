# SPDX-License-Identifier: Apache-2.0
"""Tests that need other people's packages go on in the Python of build/testenv (scripts/testenv)."""
import os
import pathlib
import sys

SKIPPED = 77


def enter(env):
    """Start the running test again with the environment's Python, unless that runs it already. Where there is none the test
    ends here and counts as skipped."""
    env = pathlib.Path(env)
    python = env / "bin/python"
    if pathlib.Path(sys.prefix).resolve() == env.resolve():
        return
    if not python.exists():
        print("skipped: build/testenv is not there (scripts/testenv)")
        sys.exit(SKIPPED)
    sys.stdout.flush()
    os.execv(python, [str(python), *sys.argv])
