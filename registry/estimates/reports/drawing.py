"""Pictures of an estimate as SVG text: what was drawn, the strata, the plots, and plots against the raster.

The only module that imports matplotlib. Every function takes plain values and a language. The same values
give the same bytes: no date, ids from a fixed salt, letters as outlines of the font that certificates are set
in, so that Chinese shows on any machine.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from registry.documents.fonts import FAMILY, FOLDER
from registry.language import Language, translate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, GREEN = "#1f5f8b", "#c8551b", "#6b7280", "#4b8b5a"
STRATUM_COLOURS: Final = (
    "#1f5f8b",
    "#c8551b",
    "#4b8b5a",
    "#8a5a9e",
    "#b08a1e",
    "#2b8c8c",
    "#a03050",
    "#5a6b2b",
)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "h")
_SIZE_INCHES: Final = (7.2, 4.0)
_LOCK: Final = Lock()
"""Settings of matplotlib belong to the process."""


@dataclass(frozen=True, slots=True)
class StratumMean:
    """A stratum's name as a reader knows it, its plots, mean change and half width of its interval, tC/ha."""

    name: str
    plots: int
    mean_tc_ha: float
    half_width_tc_ha: float


@dataclass(frozen=True, slots=True)
class PlotPoint:
    """A plot's change, tC/ha, in a stratum; `outlier` if it stands out, `raster_t_ha` if a raster helps."""

    plot_id: str
    stratum: str
    change_tc_ha: float
    outlier: bool = False
    raster_t_ha: float | None = None


def draws_picture(
    opinion: Mapping[str, Any], *, formula_tco2e: float, half_width_tco2e: float, language: Language
) -> str:
    """The drawn change of the project beside the formula's value and interval.

    `opinion` is `SecondOpinion.to_json()`, as a run's record has it.
    """
    counts = np.array(opinion["histogram_counts"], dtype=float)
    low, high = (float(opinion["histogram_tco2e"][end]) for end in ("from", "to"))
    edges = np.linspace(low, high, len(counts) + 1)
    quantiles = {level: float(value) for level, value in opinion["change_quantiles_tco2e"].items()}
    with _figure() as figure:
        axes = figure.add_subplot()
        share = counts / counts.sum() * 100
        axes.bar(edges[:-1], share, np.diff(edges), align="edge", color=BLUE, alpha=0.55, linewidth=0)
        top = float(share.max()) or 1.0
        axes.set_ylim(0, top * 1.5)
        _interval(
            axes, top * 1.32, formula_tco2e, half_width_tco2e, ORANGE, translate("By formula", language)
        )
        middle, reach = quantiles["0.5"], (quantiles["0.05"], quantiles["0.95"])
        axes.plot(reach, [top * 1.13] * 2, color=BLUE, linewidth=2.5, solid_capstyle="butt")
        axes.plot([middle], [top * 1.13], marker="o", color=BLUE)
        axes.text(
            reach[0], top * 1.155, translate("By drawing", language), color=BLUE, ha="left", va="bottom"
        )
        axes.axvline(formula_tco2e, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)), ymax=0.88)
        axes.set_xlabel(translate("Change of the project, tCO$_2$e", language))
        axes.set_ylabel(translate("Share of draws, %", language))
        _thousands(axes)
        return _svg(figure, translate("The drawn change and that of the formula", language))


def strata_picture(strata: Sequence[StratumMean], *, overall: StratumMean, language: Language) -> str:
    """Mean change of each stratum with its interval, and of all land."""
    rows = [*strata, overall]
    with _figure(height=1.5 + 0.42 * len(rows)) as figure:
        axes = figure.add_subplot()
        for place, row in enumerate(reversed(rows)):
            colour = ORANGE if row is overall else BLUE
            axes.errorbar(
                row.mean_tc_ha,
                place,
                xerr=row.half_width_tc_ha,
                fmt="o",
                color=colour,
                capsize=4,
                linewidth=2,
            )
        labels = [f"{_plain(row.name)}  (n = {row.plots})" for row in reversed(rows)]
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_xlabel(translate("Mean change with its interval at 90 % reliability, tC/ha", language))
        return _svg(figure, translate("Mean change by stratum", language))


def changes_picture(plots: Sequence[PlotPoint], *, language: Language) -> str:
    """The change of every plot by stratum; the median as a line, plots that stand out ringed and named."""
    strata = list(dict.fromkeys(plot.stratum for plot in plots))
    named: list[tuple[float, float, str]] = []
    with _figure() as figure:
        axes = figure.add_subplot()
        for place, stratum in enumerate(strata):
            members = [plot for plot in plots if plot.stratum == stratum]
            values = np.array([plot.change_tc_ha for plot in members])
            across = place + _swarm(values)
            axes.scatter(across, values, s=18, color=STRATUM_COLOURS[place % 8], alpha=0.8, linewidths=0)
            axes.plot([place - 0.3, place + 0.3], [np.median(values)] * 2, color="black", linewidth=1.4)
            out = [n for n, plot in enumerate(members) if plot.outlier]
            axes.scatter(across[out], values[out], s=90, facecolors="none", edgecolors=ORANGE, linewidths=1.5)
            named += [(across[n], values[n], members[n].plot_id) for n in out]
        _name_outliers(axes, named)
        axes.set_xticks(range(len(strata)), [_plain(name) for name in strata])
        axes.set_xlim(-0.6, len(strata) - 0.25)
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set_ylabel(translate("Change of the plot, tC/ha", language))
        if len(strata) > 5:
            axes.tick_params(axis="x", labelrotation=30)
        return _svg(figure, translate("Changes of the plots; what stands out is ringed", language))


def calibration_picture(
    plots: Sequence[PlotPoint],
    *,
    slope: float,
    through: tuple[float, float],
    raster_mean_t_ha: float,
    language: Language,
) -> str:
    """Plots against the raster's change at the same places, with the line that helps the estimate.

    The line of `slope` (tC per t of raster dry matter) passes `through` (raster t/ha, plots tC/ha): the
    origin for a ratio, both means for a regression; `raster_mean_t_ha` is the raster's mean over all land, at
    which it is read.
    """
    with _figure() as figure:
        axes = figure.add_subplot()
        for place, stratum in enumerate(dict.fromkeys(plot.stratum for plot in plots)):
            members = [plot for plot in plots if plot.stratum == stratum and plot.raster_t_ha is not None]
            axes.scatter(
                [float(plot.raster_t_ha or 0) for plot in members],
                [plot.change_tc_ha for plot in members],
                s=22, marker=MARKERS[place % 8], color=STRATUM_COLOURS[place % 8], alpha=0.8, linewidths=0,
                label=_plain(stratum),
            )  # fmt: skip
        left, right = axes.get_xlim()
        left, right = min(left, raster_mean_t_ha), max(right, raster_mean_t_ha)
        ends = np.array([left, right])
        axes.plot(
            ends, through[1] + slope * (ends - through[0]), color="black", linewidth=1.3,
            label=translate("Line of the method", language),
        )  # fmt: skip
        axes.axvline(
            raster_mean_t_ha, color=ORANGE, linestyle=(0, (4, 3)), linewidth=1.2,
            label=translate("Raster mean of all land", language),
        )  # fmt: skip
        axes.set_xlim(left, right)
        axes.set_xlabel(translate("Raster change at the plot, t/ha", language))
        axes.set_ylabel(translate("Change of the plot, tC/ha", language))
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return _svg(figure, translate("Plots and raster", language))


# ---- drawing -----------------------------------------------------------------------------------------------


@contextmanager
def _figure(height: float = _SIZE_INCHES[1]) -> Iterator["Figure"]:
    """A figure under our settings; nobody else draws meanwhile."""
    import matplotlib as mpl
    from matplotlib import font_manager
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with _LOCK:
        if FAMILY not in font_manager.fontManager.get_font_names():
            for path in sorted(FOLDER.glob("*.ttf")):
                font_manager.fontManager.addfont(path)
        with mpl.rc_context(cast("Any", _settings())):
            figure = Figure(figsize=(_SIZE_INCHES[0], height), layout="constrained")
            FigureCanvasSVG(figure)
            yield figure


def _settings() -> dict[str, Any]:
    return {
        "font.family": FAMILY,
        "font.size": 9.5,
        "mathtext.fontset": "custom",
        "mathtext.rm": FAMILY,
        "mathtext.it": FAMILY,
        "mathtext.bf": FAMILY,
        "mathtext.bfit": FAMILY,
        "mathtext.cal": FAMILY,
        "mathtext.sf": FAMILY,
        "mathtext.tt": FAMILY,
        "axes.unicode_minus": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": "#e5e7eb",
        "grid.linewidth": 0.7,
        "svg.fonttype": "path",
        "svg.hashsalt": "tanhui",
        "path.simplify": False,
    }


def _svg(figure: "Figure", title: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    return out.getvalue()


def _plain(name: str) -> str:
    """A name as it is: a dollar sign is no formula."""
    return name.replace("$", r"\$")


def _interval(axes: "Axes", height: float, centre: float, half: float, colour: str, label: str) -> None:
    axes.errorbar(centre, height, xerr=half, fmt="o", color=colour, capsize=5, linewidth=2.5)
    axes.text(centre - half, height * 1.02, label, color=colour, ha="left", va="bottom")


def _thousands(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _swarm(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Sideways places so that plots of like values lie beside each other, the same every time."""
    across = np.zeros(len(values))
    spread = float(np.ptp(values)) or 1.0
    slots: dict[int, int] = {}
    for n in np.argsort(values, kind="stable"):
        slot = int((values[n] - values.min()) / spread * 24)
        taken = slots.get(slot, 0)
        slots[slot] = taken + 1
        across[n] = (taken + 1) // 2 * (-1 if taken % 2 else 1)
    most = float(np.abs(across).max()) or 1.0
    scaled: np.ndarray[Any, np.dtype[np.float64]] = across * min(0.28 / most, 0.05)
    return scaled


def _name_outliers(axes: "Axes", named: Sequence[tuple[float, float, str]]) -> None:
    """Names beside their points, pushed up where they would lie on each other."""
    low, high = axes.get_ylim()
    step = (high - low) * 0.06
    last: dict[int, float] = {}
    for x, y, name in sorted(named, key=lambda one: one[1]):
        stratum = round(x)
        at = max(y, last.get(stratum, -np.inf) + step)
        last[stratum] = at
        axes.annotate(
            _plain(name), (x, y), (stratum + 0.22, at), color=ORANGE, fontsize=8.5, va="center",
            arrowprops={"arrowstyle": "-", "color": ORANGE, "linewidth": 0.6, "shrinkB": 5},
        )  # fmt: skip
    axes.set_ylim(low, max([high, *(at + step for at in last.values())]))
