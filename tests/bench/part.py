# SPDX-License-Identifier: MIT
"""The end of a part of the benchmark: its figures in a file, and shown."""

from . import figures


def table(found):
    rows = []
    for one in found:
        floor, ratio = "-", "-"
        if one.floor:
            floor = f"{one.floor[1].shown(one.digits)} ({one.floor[0]})"
            ratio = f"{one.ratio():.2f}"
        peers = ", ".join(f"{name}: {series.shown(one.digits)}"
                          for name, series in one.peers.items()) or "-"
        reached = {None: "-", True: "yes", False: "no"}[one.reached()]
        rows.append([f"{one.name}, {one.unit}", one.ours.shown(one.digits), floor, ratio, peers,
                     one.aim or "-", reached, one.reason or "-"])
    return figures.markdown(["figure", "ours", "floor", "ratio", "peers", "aim", "reached",
                             "because"], rows)


def finish(directory, name, found):
    figures.write_part(directory, name, found)
    print("\n" + table(found), flush=True)
