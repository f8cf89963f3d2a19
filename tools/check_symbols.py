#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What libledge shows and needs: every exported symbol starts with ledge_ and is declared in include/ledge, every global
of the static library starts with ledge_, and neither calls the network.

Usage: check_symbols.py SHARED [STATIC]    exit 1 and one line for each violation.
"""
import pathlib
import re
import subprocess
import sys

NETWORK = {"socket", "connect", "bind", "listen", "accept", "accept4", "send", "sendto", "sendmsg", "sendmmsg", "recv",
           "recvfrom", "recvmsg", "recvmmsg", "getaddrinfo", "getnameinfo", "gethostbyname", "gethostbyname_r",
           "gethostbyaddr", "gethostbyaddr_r", "getservbyname", "getpeername", "getsockname", "setsockopt", "getsockopt",
           "socketpair", "shutdown", "if_nametoindex", "inet_pton", "inet_addr", "res_query", "__res_query"}


def symbols(library, *flags):
    listed = subprocess.run(["nm", *flags, library], capture_output=True, text=True, check=True)
    lines = [line.split() for line in listed.stdout.splitlines()]
    return {words[-1].split("@")[0] for words in lines if len(words) > 1 and not words[-1].endswith(":")}


def check_shared(library):
    include = pathlib.Path(__file__).resolve().parent.parent / "include/ledge"
    declared = set()
    for header in include.glob("*.h"):
        declared |= set(re.findall(r"LEDGE_API[^;{]*?\b(ledge_\w+)\s*\(", header.read_text()))
    exported = symbols(library, "-D", "--defined-only")
    yield from (f"{name} is exported but does not start with ledge_" for name in exported
                if not name.startswith("ledge_"))
    yield from (f"{name} is exported but stands in no public header" for name in exported - declared
                if name.startswith("ledge_"))
    yield from (f"{name} is declared but not exported" for name in declared - exported)
    yield from (f"{name} is a network call" for name in symbols(library, "-D", "--undefined-only") & NETWORK)
    if not exported:
        yield "nothing is exported"


def check_static(library):
    defined = symbols(library, "-g", "--defined-only")
    yield from (f"{name} is global but does not start with ledge_" for name in defined if not name.startswith("ledge_"))
    yield from (f"{name} is a network call" for name in symbols(library, "-g", "--undefined-only") & NETWORK)
    if not defined:
        yield "nothing is defined"


def main():
    problems = [f"{sys.argv[1]}: {problem}" for problem in check_shared(sys.argv[1])]
    for library in sys.argv[2:]:
        problems += [f"{library}: {problem}" for problem in check_static(library)]
    for problem in sorted(problems):
        print(problem)
    return 1 if problems else 0


sys.exit(main())
