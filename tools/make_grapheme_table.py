#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/model/grapheme_table.c: the classes of characters that decide where a grapheme cluster
ends (Unicode Standard Annex 29), as sorted ranges.

Needs the package regex, whose tables may be newer than Unicode 17, which the tokenizers package
0.23 uses: characters of later versions are left out by name.

    python3 tools/make_grapheme_table.py > src/model/grapheme_table.c
"""
import regex

CLASSES = [
    ("GRAPHEME_CONTROL", r"\p{GCB=Control}"),
    ("GRAPHEME_EXTEND", r"\p{GCB=Extend}"),
    ("GRAPHEME_SPACING", r"\p{GCB=SpacingMark}"),
    ("GRAPHEME_PREPEND", r"\p{GCB=Prepend}"),
    ("GRAPHEME_PICTURE", r"\p{Extended_Pictographic}"),
]
# First assigned after Unicode 17.
LATER = [(0x5C8, 0x5C9), (0xB53, 0xB54), (0x1ADE, 0x1ADF), (0x1AEC, 0x1AF0), (0x10ECB, 0x10ECF),
         (0x10EF0, 0x10EF9), (0x11DF0, 0x11DF0), (0x1D127, 0x1D128), (0x1D250, 0x1D252),
         (0x1D25B, 0x1D25C), (0x1D25F, 0x1D25F), (0x1D280, 0x1D281)]

HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tools/make_grapheme_table.py. Do not edit. */
#include "model/grapheme.h"

const struct grapheme_range grapheme_ranges[] = {"""


def class_of(code, patterns):
    if 0xD800 <= code < 0xE000 or any(first <= code <= last for first, last in LATER):
        return None
    for name, pattern in patterns:
        if pattern.match(chr(code)):
            return name
    return None


def main():
    patterns = [(name, regex.compile(text)) for name, text in CLASSES]
    ranges = []
    for code in range(0x80, 0x110000):
        name = class_of(code, patterns)
        if name is None:
            continue
        if ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == name:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, name])
    print(HEAD)
    for first, last, name in ranges:
        print(f"\t{{ 0x{first:X}, 0x{last:X}, {name} }},")
    print("};")
    print("const size_t grapheme_n_ranges = sizeof grapheme_ranges / sizeof grapheme_ranges[0];")


if __name__ == "__main__":
    main()
