#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn a folder of web files into console_assets.c and console_assets.h.

    tools/embed.py DIST OUTPUT_FOLDER

Every file of DIST that has a `.gz` beside it becomes one entry: path, content type, gzip bytes, ETag (the quoted SHA-256
of those bytes). `index.html` is also served as "/". The same input gives the same output bytes.
"""
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

HEADER = """/* SPDX-License-Identifier: Apache-2.0 */
/* Made by tools/embed.py: the web console's files, each gzipped. */
#ifndef LEDGE_CONSOLE_ASSETS_H
#define LEDGE_CONSOLE_ASSETS_H

#include <stddef.h>

struct console_asset {
    const char *path;         /* "/app.js" */
    const char *content_type;
    const char *etag;         /* with its quotes */
    const unsigned char *gzip; /* send with Content-Encoding: gzip */
    size_t bytes;
};

extern const struct console_asset console_assets[];
extern const size_t n_console_assets;

#endif
"""


def c_bytes(data):
    lines = []
    for at in range(0, len(data), 20):
        lines.append("    " + ",".join(str(byte) for byte in data[at : at + 20]) + ",")
    return "\n".join(lines)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    dist, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    arrays, rows = [], []
    for packed in sorted(dist.glob("*.gz")):
        name = packed.name[: -len(".gz")]
        kind = TYPES.get(pathlib.Path(name).suffix)
        if kind is None:
            sys.exit(f"embed: {name}: no content type is known for this suffix")
        data = packed.read_bytes()
        etag = '\\"' + hashlib.sha256(data).hexdigest() + '\\"'
        array = f"asset_{len(arrays)}"
        arrays.append(f"static const unsigned char {array}[] = {{\n{c_bytes(data)}\n}};")
        for path in ["/" + name] + (["/"] if name == "index.html" else []):
            rows.append(f'    {{"{path}", "{kind}", "{etag}", {array}, sizeof {array}}},')
    if not rows:
        sys.exit(f"embed: {dist}: no .gz file; run `npm run build` in console/ first")
    out.mkdir(parents=True, exist_ok=True)
    (out / "console_assets.h").write_text(HEADER)
    (out / "console_assets.c").write_text(
        "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by tools/embed.py. */\n"
        '#include "console_assets.h"\n\n'
        + "\n\n".join(arrays)
        + "\n\nconst struct console_asset console_assets[] = {\n"
        + "\n".join(rows)
        + "\n};\nconst size_t n_console_assets = sizeof console_assets / sizeof console_assets[0];\n"
    )


if __name__ == "__main__":
    main()
