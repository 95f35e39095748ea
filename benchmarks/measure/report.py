"""The page's table: every case's rows, and what was asked for beside what was found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

Runs = Mapping[str, Sequence[Mapping[str, float]]]

NAMES: Final = {
    "read, 2": "only read and decompress the touched blocks, 2 threads",
    "read, 1": "the same, 1 thread on 1 core",
    "first, 2": "first estimate: shares built and kept, 2 threads",
    "first, 1": "the same, 1 core",
    "repeat, 2": "repeat: kept shares loaded, 2 threads",
    "repeat, 1": "the same, 1 core",
    "packed, 2": "again from packed values in memory, 2 threads",
    "packed, 1": "the same, 1 core",
    "packed from files, 2": "again from packed values in files, 2 threads",
    "normalised: read, 2": "normalised copy: only read, 2 threads",
    "normalised: read, 1": "the same, 1 core",
    "normalised: repeat, 2": "normalised copy: repeat, 2 threads",
    "normalised: repeat, 1": "the same, 1 core",
    "exactextract by feature": "exactextract 0.3.0, rasterio, feature-sequential",
    "exactextract by raster": "exactextract 0.3.0, rasterio, raster-sequential",
}
PEERS: Final = ("exactextract by feature", "exactextract by raster")


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a figure of one case: `least` (at least so much) or at most."""

    name: str
    parcels: int
    cell_m: int
    of: str
    over: str
    must: float
    aim: float | None = None
    least: bool = False
    unit: str = "x"


EITHER: Final = "the better of exactextract's two"
TARGETS: Final = (
    Target("T1 repeat over the read bound", 50_000, 10, "repeat, 2", "read, 2", 1.3, 1.1),
    Target("T1 repeat over the read bound", 200_000, 10, "repeat, 2", "read, 2", 1.3, 1.1),
    Target("T2 feature-sequential over repeat", 50_000, 10, PEERS[0], "repeat, 2", 25, least=True),
    Target("T2 raster-sequential over repeat", 50_000, 10, PEERS[1], "repeat, 2", 20, least=True),
    Target(
        "T2 the better over repeat, normalised", 50_000, 10, EITHER, "normalised: repeat, 2", 50, least=True
    ),
    Target("T2 the better over repeat", 50_000, 30, EITHER, "repeat, 2", 100, least=True),
    Target("T3 the better over first estimate", 50_000, 10, EITHER, "first, 2", 10, least=True),
    Target("T4 again from packed values", 50_000, 10, "packed, 2", "", 0.1, unit="s"),
    Target("T4 again from packed values", 200_000, 10, "packed, 2", "", 0.3, unit="s"),
    Target("T5 reading the normalised over the source", 50_000, 10, "normalised: read, 2", "read, 2", 0.4),
    Target("T6 sums against exact intersections", 50_000, 10, "exact", "", 1e-7, unit="relative"),
    Target("T6 closure of the shares", 50_000, 10, "closure", "", 1e-7, unit="relative"),
    Target("T7 kept shares of a parcel", 50_000, 10, "kib_per_parcel", "", 1.5, unit="KiB"),
    Target("T7 peak memory of a repeat", 50_000, 10, "peak", "", 450, unit="MiB"),
    Target("T7 peak memory of a repeat", 200_000, 10, "peak", "", 600, unit="MiB"),
)


def table(figures: Mapping[str, Any], said: str) -> str:
    """The page's table."""
    parts = [said, "", _about(figures["world"]), "", *_targets(figures["cases"])]
    for case in figures["cases"]:
        parts += ["", *_rows(case), "", _checked(case["checked"])]
    return "\n".join(parts)


def _about(world: Mapping[str, Any]) -> str:
    standard = "the standard world" if world["published"] else "ANOTHER WORLD than the published figures'"
    return (
        f"Parcels of {standard} (digest {str(world['digest'])[:16]}): {world['vertices']:.0f} vertices,"
        f" median {world['median_ha']:.1f} ha, {world['with_holes']:.1%} with a hole,"
        f" {world['in_two_parts']:.1%} in two parts."
    )


# ---- targets -----------------------------------------------------------------------------------------------


def _targets(cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| what was asked for | must | aim | median | range over the rounds | met |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for target in TARGETS:
        case = next((one for one in cases if _is_of(one, target)), None)
        found = [] if case is None else values(case, target)
        where = f"{target.name}, {target.parcels:,} at {target.cell_m} m"
        sign = "at least" if target.least else "at most"
        aim = "" if target.aim is None else _number(target.aim, target.unit)
        must = f"{sign} {_number(target.must, target.unit)}"
        if not found:
            yield f"| {where} | {must} | {aim} | | | not measured in this run |"
            continue
        middle = median(found)
        low, high = (_number(value, target.unit) for value in (min(found), max(found)))
        reached = _number(middle, target.unit)
        yield f"| {where} | {must} | {aim} | {reached} | {low} to {high} | {met(middle, target)} |"


def _is_of(case: Mapping[str, Any], target: Target) -> bool:
    return (case["parcels"], case["cell_m"], case["rasters"]) == (target.parcels, target.cell_m, 1)


def values(case: Mapping[str, Any], target: Target) -> list[float]:
    """What a target is judged by, one value for each round that has it; ratios within a round."""
    runs: Runs = case["runs"]
    if target.unit == "relative":
        return [case["checked"][target.of]]
    if target.of == "kib_per_parcel":
        return [run["store_bytes"] / 1024 / run["parcels"] for run in runs.get("first, 2", ())]
    if target.of == "peak":
        return [run["peak_mib"] for run in runs.get("repeat, 2", ())]
    above = _walls(runs, target.of)
    if not target.over:
        return above
    below = _walls(runs, target.over)
    return [one / other for one, other in zip(above, below, strict=False)]


def _walls(runs: Runs, row: str) -> list[float]:
    if row == EITHER:
        return [min(pair) for pair in zip(*(_walls(runs, peer) for peer in PEERS), strict=True)]
    return [run["wall_s"] for run in runs.get(row, ())]


def met(value: float, target: Target) -> str:
    """The aim, the bound that must hold, or neither."""
    bounds = {"aim": target.aim, "must": target.must}
    for name, bound in bounds.items():
        if bound is not None and (value >= bound if target.least else value <= bound):
            return name
    return "**missed**"


def _number(value: float, unit: str) -> str:
    if unit == "relative":
        return f"{value:.1e}"
    places = {"s": 3, "MiB": 0, "KiB": 2}.get(unit, 2 if value < 10 else 0)
    return f"{value:,.{places}f} {unit}"


# ---- rows --------------------------------------------------------------------------------------------------


def _rows(case: Mapping[str, Any]) -> Iterator[str]:
    runs: Runs = case["runs"]
    rasters = "1 raster" if case["rasters"] == 1 else f"{case['rasters']} rasters"
    yield (
        f"| {case['parcels']:,} parcels, {case['cell_m']} m, {rasters} | median | range | processor"
        " | peak memory | over the read bound | exactextract over it, by feature | by raster |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, of_row in runs.items():
        walls = [run["wall_s"] for run in of_row]
        cpu = median(run["cpu_s"] for run in of_row)
        peak = max(run["peak_mib"] for run in of_row)
        ratios = " | ".join(_ratio(runs, name, over) for over in ("read", *PEERS))
        yield (
            f"| {NAMES[name]} | {median(walls):.3f} s | {min(walls):.3f} to {max(walls):.3f} | {cpu:.2f} s"
            f" | {peak:,.0f} MiB | {ratios} |"
        )


def _checked(found: Mapping[str, float]) -> str:
    """What was held against what before any of these times counted."""
    exact = (
        f"{found['exact']:.1e} to exact intersections of {found['exact_parcels']:.0f} parcels of every kind"
    )
    peers = [f"{found[name]:.1e} to {name}" for name in PEERS if name in found]
    return (
        f"Checked before: sums of all methods of ours the same bit for bit, with 1, 2 and 4 workers; largest"
        f" difference {', '.join([exact, *peers])}; shares close to {found['closure']:.1e}."
    )


def _ratio(runs: Runs, name: str, other: str) -> str:
    """Of a row to the reading of the same files with as many threads; or of exactextract to the row."""
    if name in PEERS and other in PEERS:
        return ""
    if other == "read":
        threads = "2" if name in PEERS else name[-1]
        other = f"{'normalised: ' if name.startswith('normalised') else ''}read, {threads}"
        pairs = zip(_walls(runs, name), _walls(runs, other), strict=False)
    else:
        pairs = zip(_walls(runs, other), _walls(runs, name), strict=False)
    found = [one / below for one, below in pairs]
    return "" if not found or name == other else f"{median(found):.{1 if median(found) >= 10 else 2}f}"
