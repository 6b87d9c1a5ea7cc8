# SPDX-License-Identifier: MIT
"""Grouped bars with intervals, as SVG."""

COLOURS = ("#4878a8", "#85b0d5", "#c4a000", "#d1495b", "#88a050", "#b0c080", "#7a5195", "#d9c060", "#555555", "#aa8866")
BAR, GAP, HEIGHT, LEFT = 9, 18, 240, 48


def levels(top):
    """Grid lines: at most ten, at round numbers."""
    step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if top / s <= 10)
    return [i * step for i in range(1, int(top / step) + 1)]


def bars(path, series, unit):
    """series: {name: {label: ratio with median, low, high}}; a line at 1."""
    labels = list(dict.fromkeys(label for values in series.values() for label in values))
    if not labels:
        return
    top = max(max(r.high for r in values.values()) for values in series.values() if values) * 1.05
    scale = (HEIGHT - 10) / top
    width = max(LEFT + len(labels) * (len(series) * BAR + GAP) + 20, 420)
    below = 12 + 6 * max(map(len, labels))
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT + below + 16 * len(series) + 24}" '
           'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for level in levels(top):
        y = HEIGHT - level * scale
        svg.append(f'<line x1="40" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="{"#333" if level == 1 else "#ddd"}"/>'
                   f'<text x="8" y="{y + 4:.1f}">{level:g}</text>')
    for i, label in enumerate(labels):
        x = LEFT + i * (len(series) * BAR + GAP)
        for k, (name, values) in enumerate(series.items()):
            if label in values:
                svg.append(one_bar(x + k * BAR, values[label], scale, COLOURS[k % len(COLOURS)], f"{label}, {name}"))
        svg.append(f'<text transform="translate({x + 6},{HEIGHT + 10}) rotate(60)">{label}</text>')
    for k, name in enumerate(series):
        y = HEIGHT + below + 16 * k
        svg.append(f'<rect x="{LEFT}" y="{y - 9}" width="10" height="10" fill="{COLOURS[k % len(COLOURS)]}"/>'
                   f'<text x="{LEFT + 16}" y="{y}">{name}</text>')
    svg.append(f'<text x="{LEFT}" y="{HEIGHT + below + 16 * len(series)}">{unit}; lines: 95 % interval</text>')
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(svg + ["</svg>"]) + "\n")


def one_bar(x, ratio, scale, colour, title):
    height, middle = ratio.median * scale, x + BAR / 2 - 0.5
    return (f'<rect x="{x}" y="{HEIGHT - height:.1f}" width="{BAR - 1}" height="{height:.1f}" fill="{colour}">'
            f'<title>{title}: {ratio.median:.2f}</title></rect>'
            f'<line x1="{middle}" x2="{middle}" y1="{HEIGHT - ratio.low * scale:.1f}" '
            f'y2="{HEIGHT - ratio.high * scale:.1f}" stroke="black"/>')
