# SPDX-License-Identifier: MIT
"""What the parts of the benchmark have in common: how often they measure, and their end, when the figures
are written and shown."""

from . import figures

PEERS = 3  # rounds at most of what takes the most time, and is not to be told apart by a few per cent


def is_short(rounds):
    """Whether it is to be over soon."""
    return rounds < PEERS


def of_peers(rounds):
    """How often the peers are measured."""
    return 1 if is_short(rounds) else PEERS


def of_the_long(rounds):
    """How often that is measured which takes long and has nothing to change places with."""
    return 1 if is_short(rounds) else rounds


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


def show(found):
    print("\n" + table(found), flush=True)


def finish(directory, name, found):
    figures.write_part(directory, name, found)
    show(found)
