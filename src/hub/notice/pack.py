#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pack.py FILE FOLDER: FOLDER/<name of FILE>.gz, the same bytes every time (tools/embed.py reads it)."""
import gzip
import pathlib
import sys

source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
(folder / (source.name + ".gz")).write_bytes(gzip.compress(source.read_bytes(), 9, mtime=0))
