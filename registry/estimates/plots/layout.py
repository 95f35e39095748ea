"""The design that plots were laid out by, read back: whether it is what its digest says, and whether a plot
file keeps to it.

Whoever draws plots until the result pleases has many seeds; a design that goes with the plot file names one,
and where it comes from. Nothing is refused for a plot that stands elsewhere: findings say so, and the digest
of the design goes into the record of every run by that file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from geo.crs import LocalFrame
from ledger.canonical import JsonValue, encode
from ledger.errors import NotCanonical
from ledger.tiles import TileDirectory
from registry.estimates.methods.design import DESIGN_VERSION, MAX_PLOTS, PlannedPlot, places_digest
from registry.estimates.methods.plot_checks import Finding, radius_m
from registry.estimates.methods.plots import PlotRecord
from registry.estimates.rules import EstimateRefused
from registry.settings import Home

MAX_BYTES: Final = 16 << 20
KEPT: Final = (
    "version", "design_sha256", "seed", "plot_area_ha", "places", "plots", "target_error", "reliability",
    "expected_error", "pilot",
)  # fmt: skip
"""What is kept of a `design.json`: enough to make it again, and to judge the number of plots."""


class DesignMalformed(EstimateRefused):
    """No design of `tanhui plots design`, or not as it was written."""

    code: ClassVar[str] = "design_malformed"
    template: ClassVar[str] = "This is no design of plots: {reason}."


class DesignChanged(EstimateRefused):
    """Seed, places or size of plots are not those that the design's digest was made of."""

    code: ClassVar[str] = "design_changed"
    template: ClassVar[str] = "The design says {expected} of itself, but its places give {found}."


class DesignSeedUnknown(EstimateRefused):
    """A design that says it was seeded by this log names a checkpoint that this log never had."""

    code: ClassVar[str] = "design_seed_unknown"
    template: ClassVar[str] = "This log has had no checkpoint of size {size} with the root {root}."


@dataclass(frozen=True)
class Layout:
    """A design as it was written down: `document` is its `design.json`, whose digest is its own."""

    document: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        return str(self.document["design_sha256"])

    @property
    def seed(self) -> Mapping[str, Any]:
        seed: Mapping[str, Any] = self.document["seed"]
        return seed

    @property
    def plot_area_ha(self) -> float:
        return float(self.document["plot_area_ha"])

    @cached_property
    def places(self) -> tuple[PlannedPlot, ...]:
        return tuple(
            PlannedPlot(
                one["plot_id"],
                one["stratum"],
                one["parcel_key"],
                float(one["lon_deg"]),
                float(one["lat_deg"]),
            )
            for one in self.document["places"]
        )


def read_layout(content: bytes) -> Layout:
    """A `design.json`, held against the digest that it states. Raises `DesignMalformed`, `DesignChanged`."""
    if len(content) > MAX_BYTES:
        raise DesignMalformed(reason=f"it has more than {MAX_BYTES} bytes")
    try:
        document = json.loads(content)
    except (UnicodeDecodeError, ValueError, RecursionError) as fault:
        raise DesignMalformed(reason="it is not JSON") from fault
    return layout_of(document)


def layout_of(document: object) -> Layout:
    """The same of a document that is already read."""
    if not isinstance(document, dict) or document.get("version") != DESIGN_VERSION:
        raise DesignMalformed(reason=f"its version is not {DESIGN_VERSION}")
    layout = Layout({name: document[name] for name in KEPT if name in document})
    try:
        encode(dict(layout.document))
        seed = _seed_text(layout.seed)
        places = layout.places
        texts = all(
            isinstance(text, str) for one in places for text in (one.plot_id, one.stratum, one.parcel)
        )
        texts = texts and all(_on_earth(one) for one in places)
        complete = (
            texts and 0 < len(places) <= MAX_PLOTS and len({one.plot_id for one in places}) == len(places)
        )
        area_ha = layout.plot_area_ha
        stated = document["design_sha256"]
    except (KeyError, TypeError, ValueError, NotCanonical) as fault:
        raise DesignMalformed(reason="seed, plot_area_ha or places are missing or of another type") from fault
    if not complete or not isinstance(stated, str) or not 0 < area_ha < 100:
        raise DesignMalformed(reason="its places are not those of a design")
    found = places_digest(seed, area_ha, places)
    if found != stated:
        raise DesignChanged(expected=stated, found=found)
    return layout


def _on_earth(place: PlannedPlot) -> bool:
    """Whether a place is one; NaN and infinities are none."""
    return -180 <= place.lon_deg <= 180 and -90 <= place.lat_deg <= 90


def _seed_text(seed: Mapping[str, Any]) -> str:
    """The text that the lattices were drawn from: the root of a checkpoint, or what was given."""
    text = seed["root"] if seed["kind"] == "log" else seed["seed"]
    if not isinstance(text, str) or seed["kind"] not in ("log", "given"):
        raise TypeError(seed)
    return text


def require_known_seed(home: Home, layout: Layout) -> None:
    """A seed out of this installation's log has to be the root of a checkpoint of it (`DesignSeedUnknown`).

    A seed of another log is that log's to prove; one that was given is nobody's.
    """
    seed, published = layout.seed, TileDirectory(home.log).published()
    if seed["kind"] != "log" or published is None or seed.get("origin") != published.origin:
        return
    size, root = seed.get("size"), str(seed["root"])
    known = type(size) is int and 0 < size <= published.size
    if not known or TileDirectory(home.log).root(int(str(size))).hex() != root:
        raise DesignSeedUnknown(size=str(size), root=root)


# ---- plots beside their design -----------------------------------------------------------------------------


def check_layout(plots: Sequence[PlotRecord], layout: Layout) -> list[Finding]:
    """Where a file leaves its design: plots that stand elsewhere, additional ones, and missing ones.

    A plot keeps its place when the designed centre lies within its own circle; one under another number is
    the designed one when it stands there, in its stratum.
    """
    designed = {one.plot_id: one for one in layout.places}
    strata = {name: n for n, name in enumerate({one.stratum for one in layout.places})}
    named = {plot.plot_id for plot in plots}
    free = _Free(layout.places, strata, named)
    found: list[Finding] = []
    for plot in plots:
        place = designed.get(plot.plot_id)
        if place is not None:
            found += _off(plot, place)
        elif not free.take(plot, strata.get(plot.stratum, -1)):
            found.append(Finding("plot_not_designed", "warning", plot.plot_id, "plot_id", "", ""))
    found += [
        Finding("plot_of_design_missing", "warning", one.plot_id, "plot_id", one.stratum, "")
        for one in free.left()
    ]
    return found


class _Free:
    """Designed places whose number no plot of the file has; a plot under another number may take one."""

    def __init__(self, places: Sequence[PlannedPlot], strata: Mapping[str, int], named: set[str]) -> None:
        self._places = [one for one in places if one.plot_id not in named]
        self._degrees = np.array([(one.lon_deg, one.lat_deg) for one in self._places]).reshape(-1, 2)
        self._strata = np.array([strata[one.stratum] for one in self._places], dtype=np.intp)
        self._taken = np.zeros(len(self._places), dtype=np.bool_)

    def take(self, plot: PlotRecord, stratum: int) -> bool:
        """Whether the plot stands at a free place of its stratum, which then is no longer free."""
        if plot.lon_deg is None or plot.lat_deg is None:
            return False
        scale = LocalFrame(plot.lon_deg, plot.lat_deg).metres_per_degree()
        off = (self._degrees - (plot.lon_deg, plot.lat_deg)) * scale
        near = np.hypot(off[:, 0], off[:, 1]) <= radius_m(plot.area_ha)
        fitting = np.flatnonzero(near & (self._strata == stratum) & ~self._taken)
        if not len(fitting):
            return False
        self._taken[fitting[0]] = True
        return True

    def left(self) -> list[PlannedPlot]:
        return [one for one, taken in zip(self._places, self._taken, strict=True) if not taken]


def _off(plot: PlotRecord, place: PlannedPlot) -> Iterator[Finding]:
    away, allowed = _metres(plot, place), radius_m(plot.area_ha)
    if away is not None and away > allowed:
        yield Finding(
            "plot_off_design", "warning", plot.plot_id, "lon_deg", f"{away:.1f} m", f"{allowed:.1f} m"
        )
    if plot.stratum != place.stratum:
        yield Finding(
            "plot_of_other_stratum", "warning", plot.plot_id, "stratum", plot.stratum, place.stratum
        )


def _metres(plot: PlotRecord, place: PlannedPlot) -> float | None:
    """How far a plot stands from a designed place; None without coordinates, which `plot_checks` names."""
    if plot.lon_deg is None or plot.lat_deg is None:
        return None
    east, north = LocalFrame(place.lon_deg, place.lat_deg).metres_per_degree()
    x, y = (plot.lon_deg - place.lon_deg) * east, (plot.lat_deg - place.lat_deg) * north
    return float((x * x + y * y) ** 0.5)


def places_json(places: Sequence[PlannedPlot]) -> list[JsonValue]:
    """The places as `design.json` has them: seven digits of a degree, as text."""
    return [
        {
            "plot_id": one.plot_id,
            "stratum": one.stratum,
            "parcel_key": one.parcel,
            "lon_deg": f"{one.lon_deg:.7f}",
            "lat_deg": f"{one.lat_deg:.7f}",
        }
        for one in places
    ]


def read_layout_at(path: Path) -> Layout:
    return read_layout(path.read_bytes())
