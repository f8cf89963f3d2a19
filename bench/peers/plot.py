# SPDX-License-Identifier: Apache-2.0
"""What report and run share: the figure that stands for a row, and a dot plot as SVG: one line a model, one dot an engine, at its time over the floor, on a logarithmic scale.

draw(panels, names): panels are (title, [(model, floor_ms, {engine: p50_ms or None})]); names maps engines to labels, the first
is ours and drawn largest. Returns the text of the file; nothing but text, lines and circles.
"""
import math

COLOURS = ["#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b"]
LEFT, PANEL, GAP, ROW, TOP, BOTTOM = 150, 380, 40, 22, 64, 44
TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def row_time(row, engine):
    """What stands for an engine in a row of bench/peers/run: the median; of a row that was measured beside other programs the
    median of the processor time (1 thread), or the least time (more), which those disturb less. None: not timed."""
    found = row["engines"].get(engine, {})
    if "ms" not in found:
        return None
    if row["quiet"]:
        return found["ms"]["p50"]
    return found["cpu_ms"]["p50"] if row["threads"] == 1 else found["ms"]["min"]


def text(x, y, words, anchor="start", size=12, weight="normal", fill="#333"):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{fill}">{words}</text>'


def rule(x1, y1, x2, y2, colour="#ddd"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def scale(panels):
    """Lowest and highest multiple of the floor, as ticks."""
    values = [ms / floor for _, rows in panels for _, floor, found in rows for ms in found.values() if ms]
    low = max([t for t in [0.2, 0.5, *TICKS] if t <= min(values)], default=0.1)
    high = min([t for t in TICKS if t >= max(values)], default=2000)
    return low, high


def panel(left, title, rows, models, names, low, high):
    def at(value):
        return left + PANEL * math.log(value / low) / math.log(high / low)

    bottom = TOP + ROW * len(models)
    out = [text(left, TOP - 12, f"{title}: time over the floor", weight="bold")]
    for tick in [t for t in [0.2, 0.5, *TICKS] if low <= t <= high]:
        out += [rule(at(tick), TOP, at(tick), bottom, "#999" if tick == 1 else "#e4e4e4"), text(at(tick), bottom + 16, f"{tick:g}x", "middle", 11)]
    for model, floor, found in rows:
        y = TOP + ROW * (models.index(model) + 0.5)
        dots = [(e, ms / floor, COLOURS[i]) for i, e in enumerate(names) if (ms := found.get(e))]
        if dots:
            out.append(rule(at(min(d[1] for d in dots)), y, at(max(d[1] for d in dots)), y, "#ccc"))
        for engine, multiple, colour in reversed(dots):  # ours last, on top
            radius = 6 if engine == next(iter(names)) else 4
            tip = f"{names[engine]}: {multiple * floor:.3f} ms, {multiple:.2f} x floor"
            out.append(f'<circle cx="{at(multiple):.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" fill-opacity="0.9"><title>{tip}</title></circle>')
    return out


def draw(panels, names):
    models = list(dict.fromkeys(model for _, rows in panels for model, _, _ in rows))
    width = LEFT + len(panels) * (PANEL + GAP)
    height = TOP + ROW * len(models) + BOTTOM
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>']
    x = LEFT
    for i, (engine, name) in enumerate(names.items()):
        out += [f'<circle cx="{x}" cy="18" r="{6 if i == 0 else 4}" fill="{COLOURS[i]}"/>', text(x + 10, 22, name, weight="bold" if i == 0 else "normal")]
        x += 40 + 8 * len(name)
    for i, model in enumerate(models):
        out.append(text(LEFT - 10, TOP + ROW * (i + 0.5) + 4, model, "end"))
    if panels:
        low, high = scale(panels)
        for i, (title, rows) in enumerate(panels):
            out += panel(LEFT + i * (PANEL + GAP), title, rows, models, names, low, high)
    out.append(text(LEFT, height - 8, "1x is the core's measured multiply-add peak; to the left is faster", size=11))
    return "\n".join([*out, "</svg>", ""])
