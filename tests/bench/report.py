# SPDX-License-Identifier: MIT
"""All parts that were measured, as one table, one file for programs, and plots.

    python3 -m bench.report DIRECTORY [--write] [--failed=PART]... PART...

Reads DIRECTORY/part-PART.json of the parts named, and writes figures.md, figures.json and the plots
(plots.py) beside them. --write puts the table into tests/bench/README.md too, between its two marks,
and the plots beside it.
"""

import argparse
import json
import os
import shutil
import sys

from lab import testing

from . import figures, plots, surroundings, tables

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def gather(directory, parts, failed):
    """The figures of each part that is there, and when it was measured: it may be of an earlier run."""
    found, measured = {}, {}
    for part in parts:
        path = os.path.join(directory, f"part-{part}.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                found[part] = json.load(file)
            measured[part] = surroundings.shown_time(os.path.getmtime(path))
    return {**surroundings.look(), "measured": measured, "parts": found, "failed": failed,
            "missing": [part for part in parts if part not in found and part not in failed]}


def filled(text, table):
    """`text` with the table between the two marks, in place of what stood there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no place between '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def pictures(names):
    """Markdown that shows each plot as the reader's page is: light or dark."""
    return "\n\n".join(
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="plots/{name}-dark.svg">'
        f'<img alt="{name}" src="plots/{name}-light.svg"></picture>'
        for name in dict.fromkeys(name.rpartition("-")[0] for name in names))


def write_page(directory, table, names):
    page = os.path.join(testing.SOURCE, "tests", "bench")
    os.makedirs(os.path.join(page, "plots"), exist_ok=True)
    for name in names:
        shutil.copy(os.path.join(directory, name), os.path.join(page, "plots", name))
    path = os.path.join(page, "README.md")
    with open(path, encoding="utf-8") as file:
        text = filled(file.read(), f"{pictures(names)}\n\n{table}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(prog="bench.report")
    parser.add_argument("directory")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--failed", action="append", default=[])
    parser.add_argument("parts", nargs="+")
    asked = parser.parse_args()
    report = gather(asked.directory, asked.parts, asked.failed)
    if not report["parts"]:
        sys.exit(f"there is nothing to report in '{asked.directory}': tests/bench/run measures")
    table = tables.document(report)
    names = plots.all_of(asked.directory,
                         [one for part in report["parts"].values() for one in part])
    figures.write(os.path.join(asked.directory, "figures.json"), report)
    with open(os.path.join(asked.directory, "figures.md"), "w", encoding="utf-8") as file:
        file.write(table + "\n")
    if asked.write:
        write_page(asked.directory, table, names)
    print("\n" + table + "\n")
    for name in ("figures.md", "figures.json", *names):
        print(os.path.join(asked.directory, name))


if __name__ == "__main__":
    main()
