# SPDX-License-Identifier: MIT
"""How the plots look: once for a light page and once for a dark one, the same data and the same sizes.

Colours are told apart by those who see few of them (Okabe and Ito's, lightened for dark), and never
carry a meaning alone: every mark has its name beside it. Text stays text, so that a reader's own fonts
and searches work; nothing in a file depends on when it was made.
"""

import dataclasses

import matplotlib

matplotlib.use("svg")
# pylint: disable-next=wrong-import-position
from matplotlib import pyplot  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Theme:
    name: str
    page: str
    ink: str
    muted: str
    grid: str
    ours: str
    floor: str
    peers: tuple


THEMES = (
    Theme("light", "#ffffff", "#1f2328", "#59636e", "#dfe3e8", "#0072b2", "#8c959f",
          ("#d55e00", "#b37a00", "#a8568a", "#00805c")),
    Theme("dark", "#0d1117", "#e6edf3", "#9198a1", "#2f353d", "#56b4e9", "#6e7681",
          ("#f0833a", "#e6b325", "#dd9cc2", "#2fc79a")),
)

_SETTINGS = {
    "svg.fonttype": "none", "svg.hashsalt": "holdfast", "font.size": 10,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Segoe UI", "Helvetica Neue", "Arial"],
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "axes.axisbelow": True,
}


class Plot:
    """One figure in one theme: `with Plot(...) as plot`, draw on `plot.axes`, and it is a file."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, path, theme, title, subtitle, width, height):
        self._path, self.theme, self._title, self._subtitle = path, theme, title, subtitle
        self._size = (width, height)
        self._settings = matplotlib.rc_context(rc={
            **_SETTINGS, "figure.facecolor": theme.page, "axes.facecolor": theme.page,
            "text.color": theme.ink, "axes.labelcolor": theme.muted, "xtick.color": theme.muted,
            "ytick.color": theme.ink, "axes.edgecolor": theme.grid, "grid.color": theme.grid})

    def __enter__(self):
        self._settings.__enter__()
        self._figure, self.axes = pyplot.subplots(figsize=self._size)
        return self

    def __exit__(self, kind, *rest):
        if kind is None:
            self._save()
        pyplot.close(self._figure)
        self._settings.__exit__(kind, *rest)

    def _save(self):
        height = self._size[1]
        self._figure.subplots_adjust(top=1 - 0.75 / height, bottom=0.6 / height)
        self._figure.text(0.02, 1 - 0.3 / height, self._title, fontsize=13, fontweight="bold")
        self._figure.text(0.02, 1 - 0.53 / height, self._subtitle, fontsize=9,
                          color=self.theme.muted)
        self._figure.savefig(self._path, format="svg", metadata={"Date": None})
        self._describe()

    def _describe(self):
        """What a screen reader says of it."""
        with open(self._path, encoding="utf-8") as file:
            text = file.read()
        text = text.replace("<svg ", '<svg role="img" ', 1)
        at = text.index(">", text.index("<svg ")) + 1
        title = f"{self._title}: {self._subtitle}".replace("&", "&amp;").replace("<", "&lt;")
        with open(self._path, "w", encoding="utf-8") as file:
            file.write(f"{text[:at]}\n <title>{title}</title>{text[at:]}")
