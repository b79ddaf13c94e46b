# SPDX-License-Identifier: MIT
"""The figures of all parts as one table that is Markdown, and is read as it stands.

Works on what Figure.as_json() wrote, so that a report can be made of whatever is there."""

from . import figures, surroundings

HEAD = ["figure", "ours", "floor", "ratio", "peers", "aim", "reached"]


def shown(series, digits):
    """As Series.shown() does: "412 (398-455)"."""
    return figures.Series(series["rounds"]).shown(digits)


def shown_peer(name, peer, figure):
    """A peer beside ours; one that could not be run says why."""
    if not isinstance(peer, dict) or "median" not in peer:
        return f"{name}: not run ({peer})"
    ours = figure["ours"]["median"]
    times = f", {peer['median'] / ours:.1f} x" if ours > 0 else ""
    return f"{name}: {shown(peer, figure['digits'])}{times}"


def peers_of(figure):
    """(name, Series as JSON, or why there is none)"""
    return [*figure["peers"].items(), *figure.get("absent", {}).items()]


def row(figure, notes):
    floor, digits = figure["floor"], figure["digits"]
    reached = {True: "yes", False: "no", None: "-"}[figure["reached"]]
    if figure["reason"]:
        notes.append(f"{figure['figure']}: {figure['reason']}")
        reached += f" [{len(notes)}]"
    cells = [f"{figure['figure']}, {figure['unit']}", shown(figure["ours"], digits),
             f"{floor['name']}: {shown(floor, digits)}" if floor else "-",
             f"{figure['ratio']:.2f}" if floor else "-",
             "; ".join(shown_peer(name, peer, figure) for name, peer in peers_of(figure)) or "-",
             figure["aim"] or "-", reached]
    return [cell.replace("|", "\\|") for cell in cells]


def rounds_of(found):
    """"2 to 5 rounds": those of ours, where there is more than one."""
    counts = {len(one["ours"]["rounds"]) for one in found} - {1}
    if not counts:
        return "one round"
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)})) + " rounds"


def document(report):
    """All of a report: {"parts": {part: [figure, ...]}, "failed": [part, ...], ...}."""
    notes = []
    found = [one for part in report["parts"].values() for one in part]
    rows = [row(one, notes) for one in found]
    lines = [figures.markdown(HEAD, rows), "",
             f"Median of {rounds_of(found)} (least-most). The ratio is that to the floor; beside a peer "
             "stands how many times as much it takes."]
    lines += [f"{'' if number else chr(10)}{number + 1}. {note}" for number, note in enumerate(notes)]
    if report["failed"]:
        lines += ["", f"Not measured, since they failed: {', '.join(report['failed'])}."]
    if report["missing"]:
        lines += ["", f"Not measured in this run: {', '.join(report['missing'])}."]
    return "\n".join([*lines, "", surroundings.sentence(report)])
