#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What libledge shows and needs: every exported symbol starts with ledge_ and is declared in include/ledge, and no
symbol of the network is imported.

Usage: check_symbols.py LIBRARY    exit 1 and one line for each violation.
"""
import pathlib
import re
import subprocess
import sys

NETWORK = {"socket", "connect", "bind", "listen", "accept", "accept4", "send", "sendto", "sendmsg", "recv", "recvfrom",
           "recvmsg", "getaddrinfo", "gethostbyname", "socketpair", "shutdown", "getnameinfo", "if_nametoindex"}


def symbols(library, *flags):
    listed = subprocess.run(["nm", "-D", *flags, library], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in listed.stdout.splitlines()}


def main():
    library = sys.argv[1]
    include = pathlib.Path(__file__).resolve().parent.parent / "include/ledge"
    declared = set()
    for header in include.glob("*.h"):
        declared |= set(re.findall(r"\b(ledge_\w+)\s*\(", header.read_text()))
    exported = symbols(library, "--defined-only")
    problems = [f"{name} is exported but does not start with ledge_" for name in exported
                if not name.startswith("ledge_")]
    problems += [f"{name} is exported but stands in no public header" for name in exported - declared
                 if name.startswith("ledge_")]
    problems += [f"{name} is declared but not exported" for name in declared - exported]
    problems += [f"{name} is a network call" for name in symbols(library, "--undefined-only") & NETWORK]
    if not exported:
        problems.append("nothing is exported")
    for problem in sorted(problems):
        print(f"{library}: {problem}")
    return 1 if problems else 0


sys.exit(main())
