#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draw the two flows as SVG from the tables below: docs/img/flow-model.svg and docs/img/flow-fleet.svg.

Usage: draw_flows.py [FOLDER]    default docs/img
"""
import pathlib
import sys

STYLE = """<style>
.box{fill:#eef3fb;stroke:#2f5d9b;stroke-width:1.5}.own{fill:#e9f7ef;stroke:#2c7a4b;stroke-width:1.5}
.ext{fill:#f6f6f6;stroke:#888;stroke-width:1.2;stroke-dasharray:5 3}.t{font:600 14px sans-serif;fill:#1b1f24}
.s{font:11px sans-serif;fill:#4a5560}.a{stroke:#444;stroke-width:1.4;fill:none;marker-end:url(#h)}
.b{stroke:#b4552d;stroke-width:1.4;fill:none;marker-end:url(#g)}.l{font:11px sans-serif;fill:#333}
@media (prefers-color-scheme:dark){.box{fill:#1d2b40}.own{fill:#173324}.ext{fill:#222}.t{fill:#eee}.s,.l{fill:#bbb}.a{stroke:#bbb}}
</style><defs>
<marker id="h" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker>
<marker id="g" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#b4552d"/></marker>
</defs>"""


def box(x, y, w, h, title, lines, kind="box"):
    text = f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>'
    text += f'<text class="t" x="{x + w / 2}" y="{y + 22}" text-anchor="middle">{title}</text>'
    for i, line in enumerate(lines):
        text += f'<text class="s" x="{x + w / 2}" y="{y + 40 + 15 * i}" text-anchor="middle">{line}</text>'
    return text


def arrow(path, label="", at=None, kind="a"):
    text = f'<path class="{kind}" d="{path}"/>'
    if label:
        text += f'<text class="l" x="{at[0]}" y="{at[1]}" text-anchor="middle">{label}</text>'
    return text


def svg(width, height, title, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
            f'aria-label="{title}"><title>{title}</title>{STYLE}{"".join(parts)}</svg>\n')


def flow_model():
    steps = [("import", ["ONNX, TFLite", "bounded readers"]), ("graph", ["one representation", "src/engine/graph"]),
             ("passes", ["fold, fuse,", "QDQ to integer"]), ("plan", ["kernels, arena", "src/engine/plan"]),
             ("run", ["session", "no malloc"])]
    parts = [box(10, 60, 110, 70, "model file", [".onnx .tflite", ".ledge (mapped)"], "ext")]
    for i, (name, lines) in enumerate(steps):
        x = 150 + i * 140
        parts.append(box(x, 60, 115, 70, name, lines, "own"))
        parts.append(arrow(f"M{x - (30 if i == 0 else 25)},95 L{x - 3},95"))
    parts.append(box(855, 60, 110, 70, "prediction", ["tensors"], "ext"))
    parts.append(arrow("M825,95 L852,95"))
    parts.append(box(220, 175, 190, 62, "compress, train", ["graph in, graph out;", "export writes ONNX and .ledge"], "box"))
    parts.append(arrow("M348,132 L348,172", kind="b"))
    parts.append(arrow("M300,172 L300,132", kind="b"))
    parts.append(box(570, 175, 190, 62, "kernels", ["plain C is the judge;", "AVX2, AVX-512, VNNI rungs"], "box"))
    parts.append(arrow("M640,172 L640,132"))
    parts.append('<text class="t" x="10" y="30">Flow A: from a model file to a prediction</text>')
    return svg(980, 250, "Flow A: from a model file to a prediction", parts)


def flow_fleet():
    parts = ['<text class="t" x="10" y="30">Flow B: cloud to device and back</text>']
    parts.append(box(10, 60, 150, 70, "train", ["ledge train, quantize,", "evaluate, gate"], "own"))
    parts.append(box(240, 60, 170, 100, "hub", ["registry, deployments,", "ingest, labels, console", "SQLite; REST; signs"], "own"))
    parts.append(box(500, 20, 120, 50, "mosquitto", ["MQTT 5, mutual TLS"], "ext"))
    parts.append(box(720, 60, 180, 100, "agent", ["verify, fetch, switch,", "outbox on disk,", "supervise"], "own"))
    parts.append(box(640, 220, 150, 70, "serve", ["model slots, OIP v2", "flip without a pause"], "own"))
    parts.append(box(840, 220, 140, 70, "functions", ["any executable", "camera in, alert out"], "box"))
    parts.append(box(240, 220, 170, 70, "people", ["label, approve,", "compare, undo"], "ext"))
    parts.append(arrow("M160,95 L237,95", "model", (198, 88)))
    parts.append(arrow("M412,80 L497,50", "desired", (452, 52)))
    parts.append(arrow("M622,50 L717,82", "signed", (676, 55)))
    parts.append(arrow("M412,120 L717,120", "blobs by HTTPS, range resume", (565, 113)))
    parts.append(arrow("M717,140 L415,140", "records, acknowledged after commit", (565, 156), "b"))
    parts.append(arrow("M770,162 L730,217", "load, probe, flip", (700, 190)))
    parts.append(arrow("M850,162 L900,217", "start", (900, 190)))
    parts.append(arrow("M838,255 L793,255", "infer", (815, 248)))
    parts.append(arrow("M900,217 L858,165", kind="b"))
    parts.append(arrow("M325,217 L325,163", kind="b"))
    parts.append(arrow("M300,163 L300,217"))
    parts.append(arrow("M240,255 L85,255 L85,133", "labels, then train again", (162, 248), "b"))
    return svg(1000, 310, "Flow B: cloud to device and back", parts)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "docs/img")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flow-model.svg").write_text(flow_model())
    (folder / "flow-fleet.svg").write_text(flow_fleet())


if __name__ == "__main__":
    main()
