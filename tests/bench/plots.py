# SPDX-License-Identifier: MIT
"""The plots of a report: each made of the figures that it is about, and left out where there are none.

    pause-{light,dark}.svg        the longest pause: ours beside floor and peers
    ratio-{light,dark}.svg        every figure's ratio to its floor, beside its aim
    increments-{light,dark}.svg   time against bytes changed
"""

import contextlib
import os
import re
import textwrap

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from .theme import THEMES, Plot

_PER_CENT = re.compile(r"(\d+(?:\.\d+)?)\s?%")
_SECONDS = {"ms": 1e-3, "s": 1.0}
_ROW, _GAP = 0.27, 0.42  # inches: of a bar, and of the heading above some
_TALL = 0.36  # inches, of a row whose label may take two lines
_LETTER, _LABEL = 0.072, 52  # of a label: inches of a letter, letters of a line


def _number(value, _=None):
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"


def _log(axis, subs=(1.0, 3.0)):
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(_number))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _measured(peers):
    return [(name, peer) for name, peer in peers.items() if "median" in peer]


def _whisker(axes, theme, at, one):
    axes.plot([one["least"], one["most"]], [at, at], color=theme.ink, linewidth=1.1,
              marker="|", markersize=5, solid_capstyle="butt")


def _peers(chosen):
    """Each peer once, in the order in which they come: one colour throughout a plot."""
    return list(dict.fromkeys(name for one in chosen for name, _ in _measured(one["peers"])))


def _bars(figure, theme, known):
    """(name, Series as JSON, colour), from above."""
    rows = [("holdfast", figure["ours"], theme.ours)]
    if figure["floor"]:
        rows.insert(0, (f"floor: {figure['floor']['name']}", figure["floor"], theme.floor))
    for name, peer in _measured(figure["peers"]):
        rows.append((name, peer, theme.peers[known.index(name) % len(theme.peers)]))
    return rows


def pause(directory, found):
    """Of all figures that are one."""
    chosen = [one for one in found
              if one["figure"].startswith("longest pause") and one["unit"] in _SECONDS]
    if not chosen:
        return []
    height = 1.5 + sum(_GAP + _ROW * (1 + bool(one["floor"]) + len(_measured(one["peers"])))
                       for one in chosen)
    known = _peers(chosen)
    # All in milliseconds: one scale.
    factor = {one["figure"]: _SECONDS[one["unit"]] * 1e3 for one in chosen}
    least = min(series["least"] * factor[one["figure"]]
                for one in chosen for _, series, _ in _bars(one, THEMES[0], known))
    left = 10.0 ** (len(str(int(max(least, 1)))) - 1) / 2

    def draw(plot):
        axes, theme, at, ticks = plot.axes, plot.theme, 0.0, []
        for one in chosen:
            axes.annotate(one["figure"], (0.02, at), xycoords=("figure fraction", "data"),
                          fontweight="bold", va="center", annotation_clip=False)
            at -= _GAP - 0.05
            for name, series, colour in _bars(one, theme, known):
                scaled = {key: series[key] * factor[one["figure"]]
                          for key in ("median", "least", "most")}
                axes.barh(at, scaled["median"] - left, left=left, height=_ROW * 0.72, color=colour)
                _whisker(axes, theme, at, scaled)
                axes.annotate(f"{scaled['median']:,.0f} ms", (scaled["most"], at), xytext=(7, 0),
                              textcoords="offset points", va="center", fontsize=9)
                ticks.append((at, name))
                at -= _ROW
            at -= 0.05
        axes.set_xscale("log")
        axes.set_xlim(left=left)
        axes.set_xlim(right=axes.get_xlim()[1] * 1.6)
        axes.set_ylim(at, 0.3)
        axes.set_yticks([place for place, _ in ticks], [name for _, name in ticks], fontsize=9)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.7)
        _log(axes.xaxis)
        axes.set_xlabel("milliseconds, logarithmic; shorter is better", fontsize=9)

    return _in_both(directory, "pause", "How long a database client stands still",
                    "longest pause over a backup; bar: median, line: least to most of all rounds",
                    height, [name for one in chosen for name, _, _ in _bars(one, THEMES[0], known)], draw)


def ratio(directory, found):
    """Of all figures that have a floor."""
    chosen = [one for one in found if one["floor"] and one["ratio"]]
    if not chosen:
        return []

    labels = [textwrap.fill(one["figure"], _LABEL) for one in chosen]
    ratios = [one["ours"][key] / one["floor"]["median"] for one in chosen for key in ("least", "most")]
    span = max(ratios) / max(min(ratios), 1e-6)

    def draw(plot):
        axes, theme = plot.axes, plot.theme
        for number, one in enumerate(chosen):
            at, floor = -number * _TALL, one["floor"]["median"]
            axes.plot([1, one["ratio"]], [at, at], color=theme.grid, linewidth=3, zorder=1)
            _whisker(axes, theme, at, {key: one["ours"][key] / floor for key in ("least", "most")})
            axes.plot([one["ratio"]], [at], "o", color=theme.ours, markersize=7,
                      markerfacecolor=theme.page if one["reached"] is False else theme.ours)
            aim = one["most"] if one["limit"] is None else one["limit"] / floor
            if aim:
                axes.plot([aim, aim], [at - 0.1, at + 0.1], color=theme.peers[0], linewidth=2.5)
            axes.annotate(f"{one['ratio']:.2f}", (1.0, at), xycoords=("axes fraction", "data"),
                          xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
        axes.axvline(1, color=theme.floor, linewidth=1.5, zorder=0)
        axes.set_xscale("log")
        axes.set_ylim(-len(chosen) * _TALL + 0.05, 0.25)
        axes.set_yticks([-number * _TALL for number in range(len(chosen))], labels, fontsize=8.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.7)
        _log(axes.xaxis, (1.0,) if span > 100 else (1.0, 2.0, 5.0) if span > 8
             else (1.0, 1.5, 2.0, 3.0, 5.0))
        axes.set_xlabel("times the floor, logarithmic; less is better", fontsize=9)

    return _in_both(directory, "ratio", "Every figure beside its floor",
                    "dot: ratio of the medians, hollow where the aim was missed; line: least to most; "
                    "upright mark: the aim",
                    1.5 + _TALL * len(chosen),
                    [line for label in labels for line in label.splitlines()], draw)


def increments(directory, found):
    """Of all figures in seconds that name how much has changed: "…, 1 % changed"."""
    changed = {one["figure"]: float(match.group(1)) for one in found
               for match in [_PER_CENT.search(one["figure"])]
               if match and one["figure"].startswith("increment")
               and one["figure"].endswith("changed") and one["unit"] in _SECONDS}
    chosen = sorted((one for one in found if one["figure"] in changed),
                    key=lambda one: changed[one["figure"]])
    places, known = sorted(set(changed.values())), _peers(chosen)
    if len(places) < 2:
        return []

    def draw(plot):
        axes, theme = plot.axes, plot.theme
        lines = {}
        for one in chosen:
            for name, series, colour in _bars(one, theme, known):
                scaled = {key: series[key] * _SECONDS[one["unit"]]
                          for key in ("median", "least", "most")}
                lines.setdefault(name, (colour, []))[1].append(
                    (changed[one["figure"]], scaled))
        for (name, (colour, points)), mark in zip(lines.items(), "sodv^Dp*"):
            axes.errorbar([x for x, _ in points], [y["median"] for _, y in points],
                          yerr=[[y["median"] - y["least"] for _, y in points],
                                [y["most"] - y["median"] for _, y in points]],
                          color=colour, marker=mark, linewidth=2, capsize=3, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(linewidth=0.7)
        _log(axes.xaxis)
        axes.set_xticks(places, [_number(place) for place in places])
        _log(axes.yaxis, (1.0, 2.0, 5.0))
        axes.set_xlabel("changed since the backup before, % of the disk", fontsize=9)
        axes.set_ylabel("seconds", fontsize=9)
        axes.legend(frameon=False, fontsize=9, labelcolor=theme.ink)

    return _in_both(directory, "increments", "What an increment costs",
                    "time against bytes changed; both axes logarithmic, shorter is better",
                    4.8, [], draw)


def _in_both(directory, name, title, subtitle, height, labels, draw):  # pylint: disable=R0913
    """For both kinds of pages, with room for the labels on the left; the names of the files."""
    names, left = [], max([0.9, *(0.3 + _LETTER * len(label) for label in labels)])
    width = left + 6.3
    for theme in THEMES:
        names.append(f"{name}-{theme.name}.svg")
        with Plot(os.path.join(directory, names[-1]), theme, title, subtitle,
                  width=width, height=height) as plot:
            plot.axes.figure.subplots_adjust(left=left / width, right=1 - 0.65 / width)
            draw(plot)
    return names


def all_of(directory, found):
    """The names of the files; those of an earlier report are gone."""
    for make in (pause, ratio, increments):
        for theme in THEMES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, f"{make.__name__}-{theme.name}.svg"))
    return [name for make in (pause, ratio, increments) for name in make(directory, found)]
