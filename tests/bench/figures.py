# SPDX-License-Identifier: MIT
"""Figures of several rounds: their median and spread, a table of them, and a file."""

import json
import os
import statistics


class Series:
    """The figures of one kind, a round each."""

    def __init__(self, values):
        self.values = list(values)

    def median(self):
        return statistics.median(self.values)

    def as_json(self):
        return {"median": self.median(), "least": min(self.values), "most": max(self.values),
                "rounds": self.values}

    def shown(self, digits=0):
        """The median, and what lay on either side of it: "412 (398-455)"."""
        middle, least, most = (f"{value:.{digits}f}"
                               for value in (self.median(), min(self.values), max(self.values)))
        return middle if least == most else f"{middle} ({least}-{most})"


def markdown(head, rows):
    """A table that is read as it stands, and is Markdown too."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
             for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write(path, document):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
