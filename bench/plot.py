#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draw what `stagecoach bench -o csv` measured: tokens per second against sequences together and
against the tokens in the context.

    bench/plot.py RESULTS.csv... OUT_DIR

writes batch.svg, decode.svg and prompt.svg, each if there is something to show: a line for every
model, type, number of stages and of threads, and the limit of the machine beside it, dashed. The
same input gives the same bytes. Needs nothing beyond Python.
"""
import csv
import math
import os
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 230, 40, 56
COLOURS = ("#1b6ca8", "#c4432b", "#2e8540", "#8a4fa3", "#b7791f", "#0f8b8d", "#6b4226", "#5f6368")


def read_rows(paths):
    rows = []
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            rows += csv.DictReader(file)
    return rows


def label_of(row):
    """Two lines of a legend."""
    stages, threads = int(row["stages"]), int(row["threads"])
    what = f'pp{row["n_prompt"]}' if row["n_gen"] == "0" else f'tg{row["n_gen"]}'
    return (f'{row["model"]} {row["type"]}', f'{what}, {stages} stage{"s" * (stages > 1)}, '
            f'{threads} thread{"s" * (threads > 1)}')


def collect(rows, column):
    """{label: {x: (rate, limit)}}, in order of appearance; of a repeated x the last counts."""
    lines = {}
    for row in rows:
        line = lines.setdefault(label_of(row), {})
        line[int(row[column])] = (float(row["tokens_per_second"]), float(row["limit"]))
    return {label: line for label, line in lines.items() if len(line) > 1}


def is_decode(row):
    return row["n_prompt"] == "0"


def is_prompt(row):
    return row["n_gen"] == "0"


def nice_step(most):
    """A round number that divides 0 .. most in four to eight."""
    step = 10 ** math.floor(math.log10(most))
    for divisor in (1, 2, 4, 5, 10):
        if most / (step / divisor) >= 4:
            return step / divisor
    return step / 10


def number(value):
    return f"{value:.1f}".rstrip("0").rstrip(".") if value < 1000 else f"{value:,.0f}"


class Chart:
    def __init__(self, title, x_title, lines):
        self.title, self.x_title, self.lines = title, x_title, lines
        self.xs = sorted({x for line in lines.values() for x in line})
        points = [p for line in lines.values() for p in line.values()]
        # A limit far above everything must not press the lines to the floor.
        most = max(rate for rate, _ in points)
        most = max([most] + [limit for _, limit in points if limit <= 2.5 * most])
        self.step = nice_step(most)
        self.top = self.step * math.ceil(most / self.step)
        self.parts = []

    def x(self, value):
        """Powers of two are equally far apart; 0 stands left of the first."""
        places = [math.log2(v) if v else None for v in self.xs]
        known = [p for p in places if p is not None]
        first = min(known) - (1 if 0 in self.xs else 0)
        place = math.log2(value) if value else first
        span = max(known) - first or 1
        return LEFT + (WIDTH - LEFT - RIGHT) * (place - first) / span

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.top

    def text(self, x, y, text, anchor="middle", more=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
                          f'{escape(text)}</text>')

    def rule(self, x1, y1, x2, y2, colour):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}"/>')

    def draw_axes(self):
        self.text(LEFT, 22, self.title, "start", ' font-size="15" font-weight="bold"')
        for i in range(round(self.top / self.step) + 1):
            value = i * self.step
            self.rule(LEFT, self.y(value), WIDTH - RIGHT, self.y(value), "#dddddd")
            self.text(LEFT - 8, self.y(value) + 4, number(value), "end")
        for value in self.xs:
            self.rule(self.x(value), HEIGHT - BOTTOM, self.x(value), HEIGHT - BOTTOM + 5, "#333333")
            self.text(self.x(value), HEIGHT - BOTTOM + 20, number(value))
        self.rule(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#333333")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, self.x_title)
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.text(18, middle, "tokens per second", more=f' transform="rotate(-90 18 {middle:.1f})"')

    def path(self, points, colour, more=""):
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}"{more}/>')

    def draw_line(self, i, label, line):
        colour = COLOURS[i % len(COLOURS)]
        points = [(x, rate) for x, (rate, _) in sorted(line.items())]
        limits = [(x, limit) for x, (_, limit) in sorted(line.items()) if 0 < limit <= self.top]
        self.path(points, colour, ' stroke-width="2"')
        if len(limits) > 1:
            self.path(limits, colour, ' stroke-dasharray="4 4"')
        for x, rate in points:
            self.parts.append(f'<circle cx="{self.x(x):.1f}" cy="{self.y(rate):.1f}" r="3.5" '
                              f'fill="{colour}"/>')
        y = TOP + 8 + 34 * i
        self.rule(WIDTH - RIGHT + 14, y, WIDTH - RIGHT + 34, y, colour)
        self.text(WIDTH - RIGHT + 40, y + 2, label[0], "start")
        self.text(WIDTH - RIGHT + 40, y + 16, label[1], "start", ' fill="#666666"')

    def svg(self):
        self.draw_axes()
        for i, (label, line) in enumerate(self.lines.items()):
            self.draw_line(i, label, line)
        height = max(HEIGHT, TOP + 34 * len(self.lines))
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *self.parts, "</svg>", ""])


def main():
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if len(sys.argv) == 2 else sys.stderr)
        return 0 if len(sys.argv) == 2 else 64
    rows, out = read_rows(sys.argv[1:-1]), sys.argv[-1]
    alone = [r for r in rows if r["sequences"] == "1"]
    charts = (
        ("batch", "Decoding together", "sequences",
         collect([r for r in rows if is_decode(r) and r["depth"] == "0"], "sequences")),
        ("decode", "Decoding in a context", "tokens in the context",
         collect(filter(is_decode, alone), "depth")),
        ("prompt", "Prompts in a context", "tokens in the context",
         collect(filter(is_prompt, alone), "depth")),
    )
    os.makedirs(out, exist_ok=True)
    for name, title, x_title, lines in charts:
        if not lines:
            continue
        path = os.path.join(out, name + ".svg")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(Chart(title, x_title, lines).svg())
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
