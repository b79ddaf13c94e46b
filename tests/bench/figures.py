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


class Figure:
    """One line of the benchmark: what was measured, beside its floor and beside others that do the same.

    `floor` and the values of `peers` are (name, Series) pairs or None. `most` is the aim: the ratio to
    the floor that `ours` may reach, or an absolute bound where there is no floor; `aim` says it in words.
    `limit` is an absolute bound of a figure that has a floor as well.
    `reason` tells why an aim is out of reach, where that was found out by measuring.
    `absent` names peers that could not be run, each with the reason.
    """

    # pylint: disable-next=too-many-arguments
    def __init__(self, name, unit, ours, floor=None, peers=None, aim="", most=None, reason="",
                 digits=0, limit=None, absent=None):
        self.name, self.unit, self.ours, self.digits = name, unit, ours, digits
        self.floor, self.peers = floor, dict(peers or {})
        self.aim, self.most, self.reason = aim, most, reason
        self.limit, self.absent = limit, dict(absent or {})

    def ratio(self):
        """Of the medians; None without a floor."""
        return self.ours.median() / self.floor[1].median() if self.floor else None

    def reached(self):
        """Is the aim? None if it has no number."""
        met = []
        if self.most is not None:
            met.append((self.ours.median() if self.floor is None else self.ratio()) <= self.most)
        if self.limit is not None:
            met.append(self.ours.median() <= self.limit)
        return all(met) if met else None

    def as_json(self):
        return {"figure": self.name, "unit": self.unit, "digits": self.digits,
                "ours": self.ours.as_json(),
                "floor": {"name": self.floor[0], **self.floor[1].as_json()} if self.floor else None,
                "ratio": self.ratio(),
                "peers": {name: one.as_json() for name, one in self.peers.items()},
                "absent": self.absent,
                "aim": self.aim, "most": self.most, "limit": self.limit,
                "reached": self.reached(), "reason": self.reason}


def write_part(directory, part, found):
    """The figures of one part of the benchmark, where the report finds them."""
    write(os.path.join(directory, f"part-{part}.json"), [one.as_json() for one in found])
