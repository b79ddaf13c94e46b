# SPDX-License-Identifier: MIT
"""The plots of a report: each made of the figures that it is about, and left out where there are none.

    pause-{light,dark}.svg        the longest pause: ours beside floor and peers
    ratio-{light,dark}.svg        every figure's ratio to its floor, beside its aim
    increments-{light,dark}.svg   time against bytes changed
"""

import os
import re

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from .theme import THEMES, Plot

_PER_CENT = re.compile(r"(\d+(?:\.\d+)?)\s?%")
_SECONDS = {"ms": 1e-3, "s": 1.0}
_ROW, _GAP = 0.27, 0.42  # inches: of a bar, and of the heading above some
_LETTER = 0.072  # inches, of a label


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


def _bars(figure, theme):
    """(name, Series as JSON, colour), from above."""
    rows = [("holdfast", figure["ours"], theme.ours)]
    if figure["floor"]:
        rows.insert(0, (f"floor: {figure['floor']['name']}", figure["floor"], theme.floor))
    for number, (name, peer) in enumerate(_measured(figure["peers"])):
        rows.append((name, peer, theme.peers[number % len(theme.peers)]))
    return rows


def pause(directory, found):
    """Of all figures that are a pause."""
    chosen = [one for one in found if "pause" in one["figure"] and one["unit"] in _SECONDS]
    if not chosen:
        return []
    height = 1.5 + sum(_GAP + _ROW * (1 + bool(one["floor"]) + len(_measured(one["peers"])))
                       for one in chosen)
    # All in milliseconds: one scale.
    factor = {one["figure"]: _SECONDS[one["unit"]] * 1e3 for one in chosen}
    least = min(series["least"] * factor[one["figure"]]
                for one in chosen for _, series, _ in _bars(one, THEMES[0]))
    left = 10.0 ** (len(str(int(max(least, 1)))) - 1) / 2

    def draw(plot):
        axes, theme, at, ticks = plot.axes, plot.theme, 0.0, []
        for one in chosen:
            axes.text(0.0, at, one["figure"], fontweight="bold", va="center", ha="left",
                      transform=axes.get_yaxis_transform())
            at -= _GAP - 0.05
            for name, series, colour in _bars(one, theme):
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
                    height, [name for one in chosen for name, _, _ in _bars(one, THEMES[0])], draw)


def ratio(directory, found):
    """Of all figures that have a floor."""
    chosen = [one for one in found if one["floor"] and one["ratio"]]
    if not chosen:
        return []

    def draw(plot):
        axes, theme = plot.axes, plot.theme
        for number, one in enumerate(chosen):
            at, floor = -number * _ROW, one["floor"]["median"]
            axes.plot([1, one["ratio"]], [at, at], color=theme.grid, linewidth=3, zorder=1)
            _whisker(axes, theme, at, {key: one["ours"][key] / floor for key in ("least", "most")})
            axes.plot([one["ratio"]], [at], "o", color=theme.ours, markersize=7)
            aim = one["most"] if one["limit"] is None else one["limit"] / floor
            if aim:
                axes.plot([aim, aim], [at - 0.1, at + 0.1], color=theme.peers[0], linewidth=2.5)
            axes.annotate(f"{one['ratio']:.2f}", (1.0, at), xycoords=("axes fraction", "data"),
                          xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
        axes.axvline(1, color=theme.floor, linewidth=1.5, zorder=0)
        axes.set_xscale("log")
        axes.set_ylim(-len(chosen) * _ROW + 0.05, 0.22)
        axes.set_yticks([-number * _ROW for number in range(len(chosen))],
                        [one["figure"] for one in chosen], fontsize=9)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.7)
        _log(axes.xaxis, (1.0, 1.5, 2.0, 3.0, 5.0))
        axes.set_xlabel("times the floor, logarithmic; less is better", fontsize=9)

    return _in_both(directory, "ratio", "Every figure beside its floor",
                    "dot: ratio of the medians, line: least to most, orange mark: the aim",
                    1.5 + _ROW * len(chosen), [one["figure"] for one in chosen], draw)


def increments(directory, found):
    """Of all figures in seconds that name how much has changed: "…, 1 % changed"."""
    changed = {one["figure"]: float(match.group(1)) for one in found
               for match in [_PER_CENT.search(one["figure"])]
               if match and "increment" in one["figure"] and one["unit"] in _SECONDS}
    chosen = sorted((one for one in found if one["figure"] in changed),
                    key=lambda one: changed[one["figure"]])
    places = sorted(set(changed.values()))
    if len(places) < 2:
        return []

    def draw(plot):
        axes, theme = plot.axes, plot.theme
        lines = {}
        for one in chosen:
            for name, series, colour in _bars(one, theme):
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
    return [name for make in (pause, ratio, increments) for name in make(directory, found)]
