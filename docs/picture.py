#!/usr/bin/env python3
"""Draws a terminal's screen as an SVG: `tmux capture-pane -e -p | docs/picture.py > docs/demo.svg`.

The picture in the README is a still of `presenced demo`, drawn by this from real output.
"""

import html
import re
import sys

COLOURS = {31: "#e5534b", 32: "#57ab5a", 33: "#c69026", 35: "#b083f0", 90: "#768390"}
WIDTH, HEIGHT, MARGIN = 8.4, 19, 16

lines = [line.rstrip("\n") for line in sys.stdin]
while lines and not re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip():
    lines.pop()

texts = []
columns = 80
for row, line in enumerate(lines):
    colour, bold, column = None, False, 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if code := re.fullmatch(r"\x1b\[([0-9;]*)m", part):
            for number in (int(number or 0) for number in code[1].split(";")):
                if number == 0:
                    colour, bold = None, False
                elif number == 1:
                    bold = True
                elif number == 39:
                    colour = None
                elif number in COLOURS:
                    colour = COLOURS[number]
        elif part:
            x, y = MARGIN + column * WIDTH, MARGIN + 14 + row * HEIGHT
            if set(part) == {"█"}:
                texts.append(
                    f'<rect x="{x:.1f}" y="{y - 14}" width="{len(part) * WIDTH:.1f}" height="17" fill="{colour}"/>'
                )
            else:
                style = f' fill="{colour}"' if colour else ""
                style += ' font-weight="bold"' if bold else ""
                length = f'textLength="{len(part) * WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
                texts.append(f'<text x="{x:.1f}" y="{y}" {length}{style}>{html.escape(part)}</text>')
            column += len(part)

width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">')
print("<title>presenced demo: a working day, what was decided and why, and what others see</title>")
print(f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#1c2128"/>')
print('<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#cdd9e5" xml:space="preserve">')
print("\n".join(texts))
print("</g>\n</svg>")
