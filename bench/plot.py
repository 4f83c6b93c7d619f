#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draw what was measured; the same input gives the same bytes. Needs nothing beyond Python.

    bench/plot.py RESULTS.csv... OUT_DIR

Of `stagecoach bench -o csv`: batch.svg, decode.svg and prompt.svg, tokens per second against
sequences together and against the tokens in the context; a line for every model, type, number of
stages and of threads, and the limit of the machine beside it, dashed.
Of bench/serve.sh -o DIR, DIR/SCENARIO.ROUND.SERVER.csv: gaps.svg, the longest gap of the
background's streams in each quarter of a second, around the arrival of the long prompt; and
burst.svg, how many of the prompts that came together have their first token. A line for every file.
Each is written if there is something to show; if nothing is, that is an error.
"""
import csv
import math
import os
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 230, 40, 56
COLOURS = ("#1b6ca8", "#c4432b", "#2e8540", "#8a4fa3", "#b7791f", "#0f8b8d", "#6b4226", "#5f6368")


BENCH_COLUMNS = {"model", "type", "stages", "threads", "n_prompt", "n_gen", "sequences", "depth",
                 "tokens_per_second", "limit"}
SERVE_COLUMNS = {"seconds", "class", "request", "event", "tokens"}


class BadInput(Exception):
    """With a text for people."""


def read_file(path):
    """Its rows, and whether they are those of the load client."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, strict=True)
        found, columns = list(reader), set(reader.fieldnames or ())
    for known in BENCH_COLUMNS, SERVE_COLUMNS:
        if known <= columns:
            if any(row[name] is None for row in found for name in known):
                raise BadInput("a line has too few values")
            return found, known is SERVE_COLUMNS
    raise BadInput("no CSV of `stagecoach bench` or of bench/serve")


def read_rows(paths):
    """Rows of the benchmark, and {(scenario, server, round): events} of the load client."""
    rows, runs = [], {}
    for path in paths:
        try:
            found, is_serve = read_file(path)
            if not is_serve:
                rows += found
                continue
            parts = os.path.basename(path).removesuffix(".csv").split(".", 2)
            if len(parts) != 3:
                raise BadInput("expected the name SCENARIO.ROUND.SERVER.csv")
            runs[parts[0], parts[2], f"round {parts[1]}"] = found
        except (BadInput, OSError, ValueError, csv.Error) as error:
            raise BadInput(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return rows, runs


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


def gaps_over_time(events, bin_seconds=0.25):
    """{seconds after the first foreground request was due: longest gap in ms that ended then}"""
    due = min((float(e["seconds"]) for e in events
               if e["event"] == "due" and e["class"] == "foreground"), default=0.0)
    last, line = {}, {}
    for event in events:
        if event["class"] != "background" or event["event"] != "tokens":
            continue
        now, key = float(event["seconds"]), event["request"]
        if key in last:
            place = math.floor((now - due) / bin_seconds) * bin_seconds
            gap = 1000 * (now - last[key]) / int(event["tokens"])
            line[place] = max(line.get(place, 0.0), gap)
        last[key] = now
    return {x: (y, 0.0) for x, y in line.items() if y > 0}


def first_tokens(events):
    """{seconds: requests that have a token}; nothing when none has."""
    firsts = {}
    for event in events:
        if event["event"] == "tokens":
            firsts.setdefault(event["request"], float(event["seconds"]))
    points = {x: (n, 0.0) for n, x in enumerate(sorted(firsts.values()), 1)}
    return points and {0.0: (0, 0.0), **points}


def is_decode(row):
    return row["n_prompt"] == "0"


def is_prompt(row):
    return row["n_gen"] == "0"


def nice_step(most):
    """A round number that divides 0 .. most in four to eight."""
    most = most or 1
    step = 10 ** math.floor(math.log10(most))
    for divisor in (1, 2, 4, 5, 10):
        if most / (step / divisor) >= 4:
            return step / divisor
    return step / 10


def number(value):
    return f"{value:.1f}".rstrip("0").rstrip(".") if value < 1000 else f"{value:,.0f}"


class Chart:
    """lines: {two lines of a legend: {x: (y, limit)}}, limit 0: none."""

    def __init__(self, title, x_title, lines, y_title="tokens per second", is_over_time=False,
                 is_log=False):
        self.title, self.x_title, self.lines, self.y_title = title, x_title, lines, y_title
        self.is_over_time, self.is_log = is_over_time, is_log
        self.xs = sorted({x for line in lines.values() for x in line})
        points = [p for line in lines.values() for p in line.values()]
        # A limit far above everything must not press the lines to the floor.
        most = max(rate for rate, _ in points)
        most = max([most] + [limit for _, limit in points if limit <= 2.5 * most])
        if is_log:
            self.bottom = 10 ** math.floor(math.log10(min(y for y, _ in points)))
            self.top = max(10 ** math.ceil(math.log10(most)), 10 * self.bottom)
            self.y_marks = [10 ** i for i in range(round(math.log10(self.bottom)),
                                                   round(math.log10(self.top)) + 1)]
        else:
            step = nice_step(most)
            self.bottom, self.top = 0, step * math.ceil(most / step)
            self.y_marks = [step * i for i in range(round(self.top / step) + 1)]
        self.x_marks = self.xs
        if is_over_time:
            step = nice_step(self.xs[-1] - self.xs[0])
            self.x_marks = [step * i for i in range(math.ceil(self.xs[0] / step),
                                                    math.floor(self.xs[-1] / step) + 1)]
        self.parts = []

    def x(self, value):
        """Of tokens: powers of two are equally far apart; 0 stands left of the first."""
        if self.is_over_time:
            first, place, last = self.xs[0], value, self.xs[-1]
        else:
            known = [math.log2(v) for v in self.xs if v]
            first, last = min(known) - (1 if 0 in self.xs else 0), max(known)
            place = math.log2(value) if value else first
        return LEFT + (WIDTH - LEFT - RIGHT) * (place - first) / (last - first or 1)

    def y(self, value):
        share = value / self.top
        if self.is_log:
            share = math.log(value / self.bottom) / math.log(self.top / self.bottom)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def text(self, x, y, text, anchor="middle", more=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
                          f'{escape(text)}</text>')

    def rule(self, x1, y1, x2, y2, colour):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}"/>')

    def draw_axes(self):
        self.text(LEFT, 22, self.title, "start", ' font-size="15" font-weight="bold"')
        for value in self.y_marks:
            self.rule(LEFT, self.y(value), WIDTH - RIGHT, self.y(value), "#dddddd")
            self.text(LEFT - 8, self.y(value) + 4, number(value), "end")
        for value in self.x_marks:
            self.rule(self.x(value), HEIGHT - BOTTOM, self.x(value), HEIGHT - BOTTOM + 5, "#333333")
            self.text(self.x(value), HEIGHT - BOTTOM + 20, number(value))
        self.rule(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#333333")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, self.x_title)
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.text(18, middle, self.y_title, more=f' transform="rotate(-90 18 {middle:.1f})"')

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
        for x, rate in points if len(points) <= 32 else []:
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


def make_charts(rows, runs):
    """(file name, arguments of Chart) of those that have something to show."""
    alone = [r for r in rows if r["sequences"] == "1"]
    over_time = {"is_over_time": True, "x_title": "seconds after the first prompt came"}
    charts = (
        ("batch", {"title": "Decoding together", "x_title": "sequences", "lines":
         collect([r for r in rows if is_decode(r) and r["depth"] == "0"], "sequences")}),
        ("decode", {"title": "Decoding in a context", "x_title": "tokens in the context", "lines":
         collect(filter(is_decode, alone), "depth")}),
        ("prompt", {"title": "Prompts in a context", "x_title": "tokens in the context", "lines":
         collect(filter(is_prompt, alone), "depth")}),
        ("gaps", {"title": "Running streams beside a long prompt", **over_time, "is_log": True,
                  "y_title": "longest gap between tokens, ms",
                  "lines": {k[1:]: gaps_over_time(e) for k, e in runs.items() if k[0] == "gaps"}}),
        ("burst", {"title": "Prompts that come together", **over_time,
                   "y_title": "prompts with a first token",
                   "lines": {k[1:]: first_tokens(e) for k, e in runs.items() if k[0] == "burst"}}),
    )
    for _, chart in charts:
        chart["lines"] = {label: line for label, line in chart["lines"].items() if line}
    return [(name, chart) for name, chart in charts if chart["lines"]]


def main():
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if len(sys.argv) == 2 else sys.stderr)
        return 0 if len(sys.argv) == 2 else 64
    out = sys.argv[-1]
    try:
        charts = make_charts(*read_rows(sys.argv[1:-1]))
        if not charts:
            raise BadInput("nothing to draw: expected lines of two points at least")
        os.makedirs(out, exist_ok=True)
    except (BadInput, OSError, ValueError) as error:
        print(f"plot.py: {error}", file=sys.stderr)
        return 65
    for name, chart in charts:
        path = os.path.join(out, name + ".svg")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(Chart(**chart).svg())
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
