"""`python recompute_bundle.py BUNDLE`: compute a run again from its bundle, with none of the registry's code.

A second implementation of a run from the published equations (E-R1, E-F1, E-F2, E-U1, E-U2, E-C1): files of
the bundle in, kilograms of the run and of each parcel out, held against the record. Shares of pixels come
from exactextract, areas and systems from pyproj, points in outlines from shapely, files from rasterio;
Student's quantile and the rest are written here. Prints JSON: what agrees and how closely, what differs, and
what it could not check. Exit status 0 when nothing differs, 1 when something does, 2 when the run cannot be
computed.

BUNDLE is the zip archive or its folder unpacked. Needs: numpy, rasterio, exactextract, shapely, pyproj.
"""

import base64
import csv
import hashlib
import hmac
import io
import json
import math
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource

STORE = "EPSG:4490"
CUT_DEG = 0.001
"""Edges are cut to this length before an outline is brought to the raster's system."""
FINE_DEG = 0.00005
"""Sides are straight in degrees; cut so short, a geodesic between two points is no other line."""
C_TO_CO2 = 44 / 12
CM2_PER_HA = 100_000_000
DISC_VERTICES = 32
AREA_BOUND = 3e-8
"""Relative: both programs keep shares of pixels in 24 bits, and round them elsewhere."""
SUM_BOUND = 1e-7
CHANGE_BOUND = 1e-6
"""Relative: the change is a small difference of two sums."""
NUMBER_BOUND = 1e-11
"""Relative: the same formula in another order of additions."""
DISC_BOUND = 1e-5
"""Relative to the largest: a plot's disc is drawn on the ellipsoid here and in a local plane there."""
CALIBRATED_BOUND = 1e-7
"""Relative: what is left of that in a mean over the plots."""


Json = dict[str, Any]
Array = Any
Layers = tuple[Array, Array, Array, Json]


class CannotCompute(Exception):
    """The bundle holds something that this program has no second implementation of."""


class Findings:
    """What agreed, what differed, what was left out."""

    def __init__(self) -> None:
        self.agrees: dict[str, str] = {}
        self.differs: dict[str, str] = {}
        self.left_out: list[str] = []

    def same(self, what: str, ours: Any, theirs: Any) -> None:
        if ours == theirs:
            self.agrees[what] = "the same"
        else:
            self.differs[what] = f"{ours!r} here, {theirs!r} in the record"

    def close(self, what: str, ours: Sequence[float], theirs: Sequence[float], bound: float) -> None:
        """The largest relative difference of two lists of numbers."""
        pairs = list(zip(ours, theirs, strict=True))
        worst = max((abs(a - b) / max(abs(a), abs(b), 1e-12) for a, b in pairs), default=0.0)
        said = f"within {worst:.1e} ({len(pairs)} numbers)"
        (self.agrees if worst <= bound else self.differs)[what] = said

    def within(self, what: str, ours: Sequence[float], theirs: Sequence[float], bound: float) -> None:
        """The largest difference of two lists of numbers."""
        worst = max((abs(a - b) for a, b in zip(ours, theirs, strict=True)), default=0.0)
        (self.agrees if worst <= bound else self.differs)[what] = f"within {worst:.1e}"

    def to_json(self) -> Json:
        return {"agrees": self.agrees, "differs": self.differs, "not_checked": self.left_out}


# ---- the bundle --------------------------------------------------------------------------------------------


def unpacked(bundle: Path, folder: str) -> Path:
    """The bundle as a folder; members are plain names inside it."""
    if bundle.is_dir():
        return bundle
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            if name.startswith("/") or ".." in Path(name).parts:
                raise CannotCompute(f"the archive has a member {name}")
        archive.extractall(folder)
    return Path(folder)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def canonical(value: Any) -> bytes:
    """Sorted keys, no spaces: the form that digests of JSON are taken of (texts and whole numbers only)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def check_digests(folder: Path, record: Json, found: Findings) -> None:
    """Every file is what the record and the lists of the bundle name."""
    wrong = [
        path.name for kind in ("outlines", "rasters", "plots") for path in sorted((folder / kind).glob("*.*"))
        if path.stem != sha256(path.read_bytes())
    ]  # fmt: skip
    found.same("names of files are their digests", wrong, [])
    sums = folder / "SHA256SUMS"
    if sums.exists():
        lines = [line.split(maxsplit=1) for line in sums.read_text().splitlines() if line.strip()]
        bad = [name for digest, name in lines if sha256((folder / name.lstrip("*")).read_bytes()) != digest]
        found.same("SHA256SUMS", bad, [])
    found.same("inputs_sha256", sha256(canonical(record["inputs"])), record["inputs_sha256"])
    text = (folder / "record.json").read_bytes()
    found.same("the record is in canonical form", canonical(json.loads(text)) == text, True)


def tables(folder: Path, record: Json, found: Findings) -> Json:
    """Rows of the method's tables by "table.code": from the record, else from the bundle's files."""
    rows = dict(record.get("parameters") or {})
    named, other = dict(record["inputs"]["parameter_tables"]), []
    for path in sorted((folder / "method" / "tables").glob("*.json")):
        table = json.loads(path.read_bytes())
        found.same(f"digest of the table {path.stem}", sha256(canonical(table)), named.pop(path.stem, None))
        for row in table["rows"]:
            name = f"{path.stem}.{row['code']}"
            other += [name] if rows.setdefault(name, row) != row else []
    found.same("rows of tables in the record", other, [])
    if named:
        found.left_out.append(f"digests of the tables {', '.join(sorted(named))}: they are not in the bundle")
    if not rows:
        raise CannotCompute("neither the record nor the bundle has rows of the method's tables")
    return rows


def check_log(folder: Path, record: Json, found: Findings) -> None:
    """The entry commits to this record and states its results; its hash leads to the checkpoint's root."""
    log = folder / "log"
    if not (log / "entry").exists():
        found.left_out.append("the entry in the log: the bundle has none")
        return
    leaf = (log / "entry").read_bytes()
    entry = json.loads(base64.b64decode(json.loads(leaf)["payload"]))
    key = bytes.fromhex(json.loads((log / "opening.json").read_bytes())["key"])
    text = canonical({"record": (folder / "record.json").read_text()})
    found.same(
        "the entry's commitment to the record",
        hmac.new(key, text, hashlib.sha256).hexdigest(),
        entry["commitments"]["record"],
    )
    stated = {
        name: entry["facts"].get(name) for name in ("tier", "estimate_kg", "loss_kg", "uncertainty_ppm")
    }
    found.same("results in the entry", stated, {name: record["results"][name] for name in stated})
    found.same("inputs in the entry", entry["facts"].get("inputs_sha256"), record["inputs_sha256"])
    proof = (log / "proof.tlog-proof").read_text().split("\n\n", 1)
    lines, checkpoint = proof[0].splitlines(), proof[1].splitlines()
    hashes = [base64.b64decode(one) for one in lines[2:]]
    root = root_of(leaf, int(lines[1].split()[1]), int(checkpoint[1]), hashes)
    found.same("root of the tree that the entry's hash leads to", root, base64.b64decode(checkpoint[2]))
    found.left_out.append("signatures of the checkpoint and of the entry; take the log's key from elsewhere")


def root_of(leaf: bytes, index: int, size: int, hashes: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    node, left, right = hashlib.sha256(b"\0" + leaf).digest(), index, size - 1
    for one in hashes:
        if left % 2 or left == right:
            node = hashlib.sha256(b"\1" + one + node).digest()
            while left and not left % 2:
                left, right = left // 2, right // 2
        else:
            node = hashlib.sha256(b"\1" + node + one).digest()
        left, right = left // 2, right // 2
    return node


# ---- ground ------------------------------------------------------------------------------------------------


def shares(outlines: Sequence[Any], grid: Json) -> list[tuple[Array, Array]]:
    """Pixels of each outline (numbers row by row) and the share of each that lies inside."""
    ones = np.ones((grid["height"], grid["width"]), np.uint8)
    west, north = float(grid["x0"]), float(grid["y0"])
    east = west + float(grid["dx"]) * grid["width"]
    south = north - float(grid["dy"]) * grid["height"]
    wkt = pyproj.CRS(grid["crs"]).to_wkt()
    source = NumPyRasterSource(ones, xmin=west, ymin=south, xmax=east, ymax=north, srs_wkt=wkt)
    forward = pyproj.Transformer.from_crs(STORE, grid["crs"], always_xy=True)
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": shapely.geometry.mapping(
                shapely.transform(
                    shapely.segmentize(one, CUT_DEG), lambda xy: np.column_stack(forward.transform(*xy.T))
                )
            ),
        }
        for one in outlines
    ]
    taken = exact_extract(source, features, ["cell_id", "coverage"])
    return [
        (
            np.asarray(one["properties"]["cell_id"], dtype=np.int64),
            np.asarray(one["properties"]["coverage"], dtype=np.float64),
        )
        for one in taken
    ]


def cell_areas_m2(grid: Json) -> Array:
    """Area of a cell of each row: constant in metres, on the ellipsoid in degrees."""
    if not pyproj.CRS(grid["crs"]).is_geographic:
        return np.full(grid["height"], float(grid["dx"]) * float(grid["dy"]))
    geod = pyproj.Geod(ellps="GRS80")
    areas = []
    for row in range(grid["height"]):
        north = float(grid["y0"]) - row * float(grid["dy"])
        east = np.linspace(0, float(grid["dx"]), 9)
        south = np.full(9, north - float(grid["dy"]))
        lon = np.concatenate([east, east[::-1]])
        lat = np.concatenate([south, np.full(9, north)])
        areas.append(abs(geod.polygon_area_perimeter(lon, lat)[0]))
    return np.array(areas)


def values_of(folder: Path, stated: Json) -> tuple[Array, Array]:
    """All values of a raster of the run and which of them are values, flat."""
    with rasterio.open(folder / "rasters" / f"{stated['sha256']}.tif", driver="GTiff") as data:
        band = stated.get("band") or 1
        if data.tags().get("TANHUI_DECODE"):
            raise CannotCompute("a normalised copy stands in for a raster")
        values = data.read(band).astype(np.float64)
        valid = np.isfinite(values) & (data.read_masks(band) > 0)
        values = values * data.scales[band - 1] + data.offsets[band - 1]
    return np.where(valid, values, 0.0).ravel(), valid.ravel()


KNOWN_FOREST = {"CLCD": [2], "ESA WorldCover": [10]}


def forest_share(folder: Path, rasters: Json) -> Array:
    """The share of each pixel that is forest at both dates: 0 or 1 by classes, the smaller share of the two
    where shares are given.
    """
    result = None
    for name in ("land_cover_start", "land_cover_end"):
        if name not in rasters:
            continue
        stated = rasters[name]
        values, valid = values_of(folder, stated)
        if stated.get("kind") == "eligible_share":
            share = np.where(valid, values, 0.0)
        else:
            classes = stated.get("forest_classes") or KNOWN_FOREST.get(stated["product"])
            if classes is None:
                raise CannotCompute(f"no classes are named as forest in {stated['product']}")
            share = (valid & np.isin(values, classes)).astype(np.float64)
        result = share if result is None else np.minimum(result, share)
    if result is None:
        raise CannotCompute("the run has no land cover")
    return result


def ground(
    folder: Path, inputs: Json, outlines: Sequence[Any], rows: Json
) -> tuple[list[Json], Layers, Json | None]:
    """E-R1 for each parcel: eligible ground, stock at both dates, and the change where both have values; E-R2
    over all of them, where every stand type has its factors.
    """
    rasters = {one["name"]: one for one in inputs["rasters"]}
    grid = grid_of(folder, rasters["agb_start"])
    forest = forest_share(folder, rasters)
    start, start_valid = values_of(folder, rasters["agb_start"])
    end, end_valid = values_of(folder, rasters["agb_end"])
    seen = start_valid & end_valid
    for name in ("agb_start_sd", "agb_end_sd"):
        if name in rasters:
            seen &= values_of(folder, rasters[name])[1]
    areas, grown = cell_areas_m2(grid), end - start
    result, tonnes = [], np.zeros(len(start))
    for parcel, (cell, share) in zip(inputs["parcels"], shares(outlines, grid), strict=True):
        raw = share * areas[cell // grid["width"]]
        weight = raw * (parcel["area_cm2"] / 10_000 / raw.sum())
        mask = weight * forest[cell]
        credited = parcel["credited_cm2"] / parcel["area_cm2"]
        eligible = parcel["credited_cm2"] * (mask.sum() / weight.sum())
        seen_m2 = mask * seen[cell]
        if (factors := rows.get(f"stand_types.{parcel['stand_type']}")) is None:
            tonnes[:] = np.nan
        else:
            carbon = (1 + float(factors["root_shoot"])) * float(factors["carbon_fraction"])
            np.add.at(tonnes, cell, seen_m2 / 10_000 * credited * carbon)
        result.append(
            {
                "eligible_cm2": min(round(eligible), parcel["credited_cm2"]),
                "agb_start_t": float((mask * start_valid[cell] * start[cell]).sum() / 10_000),
                "agb_end_t": float((mask * end_valid[cell] * end[cell]).sum() / 10_000),
                "measured_ha": float(seen_m2.sum() / 10_000 * credited),
                "delta_t": float((seen_m2 * grown[cell]).sum() / 10_000 * credited),
            }
        )
    change = None if np.isnan(tonnes).any() else raster_change(folder, rasters, rows, tonnes, grown)
    return result, (start, end, start_valid & end_valid, grid), change


def raster_change(folder: Path, rasters: Json, rows: Json, tonnes: Array, change: Array) -> Json:
    """E-R2: the change in tCO2e and its uncertainty in per cent.

    `tonnes`: for each pixel the hectares of all parcels times what turns a tonne of dry matter into carbon,
    because neighbours share the error of their pixels.
    """
    stated = [rasters[name].get("error_model") or {} for name in ("agb_start", "agb_end")]

    def rho(name: str, choose: Any) -> float:
        given = [model[f"{name}_ppm"] for model in stated if f"{name}_ppm" in model]
        method = float(rows[f"estimation_rules.{name}"]["value"])
        return choose(given) / 1_000_000 if len(given) == len(stated) else method

    first, second = (deviation(folder, rasters, name) for name in ("agb_start", "agb_end"))
    variance = first**2 + second**2 - 2 * rho("rho_time", min) * first * second
    error = tonnes * np.sqrt(np.maximum(variance, 0.0))
    space = rho("rho_space", max)
    se = math.sqrt((1 - space) * math.fsum(error**2) + space * math.fsum(error) ** 2)
    total = math.fsum(tonnes * change)
    z = float(rows["estimation_rules.z_value"]["value"])
    return {"delta_tco2e": total * C_TO_CO2, "uncertainty_pct": z * se / abs(total) * 100 if total else None}


def deviation(folder: Path, rasters: Json, name: str) -> Array:
    """Standard deviation of each pixel of a density: of its own raster, or as the statement says."""
    if f"{name}_sd" in rasters:
        return values_of(folder, rasters[f"{name}_sd"])[0]
    values, model = values_of(folder, rasters[name])[0], rasters[name]["error_model"]
    if model["kind"] == "relative_ppm":
        return np.abs(values) * model["ppm"] / 1_000_000
    return np.full(len(values), model["kg_ha"] / 1000)


def grid_of(folder: Path, stated: Json) -> Json:
    """The grid by the record, else by the file."""
    if stated.get("grid"):
        return dict(stated["grid"])
    with rasterio.open(folder / "rasters" / f"{stated['sha256']}.tif", driver="GTiff") as data:
        t = data.transform
        return {
            "crs": data.crs.to_string(), "x0": t.c, "y0": t.f, "dx": t.a, "dy": -t.e,
            "width": data.width, "height": data.height,
        }  # fmt: skip


# ---- plots -------------------------------------------------------------------------------------------------


def read_plots(folder: Path, stated: Json) -> list[Json]:
    """Rows of the plots' file with volumes."""
    if stated["measurement"] != "volume":
        raise CannotCompute(f"plots of {stated['measurement']} have no second implementation here")
    path = folder / "plots" / f"{stated['sha256']}.csv"
    if not path.exists():
        raise CannotCompute("the plots are not in a CSV file")
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))
    needed = {"plot_id", "stand_type", "lon", "lat", "area_ha", "date1", "date2", "volume1_m3_ha"}
    if not rows or not needed <= set(rows[0]):
        raise CannotCompute("the plots' file has other headings than those of the registry's own form")
    return rows


def on_land(rows: list[Json], outlines: Sequence[Any]) -> tuple[list[Json], list[str]]:
    """Plots whose point lies on a parcel of the run."""
    tree = shapely.STRtree(outlines)
    points = shapely.points([(float(row["lon"]), float(row["lat"])) for row in rows])
    hit = set(tree.query(points, predicate="intersects")[0].tolist())
    return [row for n, row in enumerate(rows) if n in hit], [
        row["plot_id"] for n, row in enumerate(rows) if n not in hit
    ]


def carbon_tc_ha(volumes: list[float], code: str, biomass: str, rows: Json) -> list[float]:
    """Carbon of a plot at its dates: E-F1, or E-F2 where both volumes are large enough for it."""
    row = rows[f"stand_types.{code}"]
    fraction = float(row["carbon_fraction"])
    if biomass == "E-F2" and min(volumes) >= float(rows["estimation_rules.min_linear_volume_m3_ha"]["value"]):
        line = rows[f"linear_biomass.{code}"]
        return [(float(line["a"]) * v + float(line["b"])) * fraction for v in volumes]
    above = [v * float(row["wood_density"]) * float(row["bef"]) for v in volumes]
    return [agb * (1 + float(row["root_shoot"])) * fraction for agb in above]


def discs(plots: list[Json]) -> list[Any]:
    """Regular polygons of the plots' areas around their middles, on the ellipsoid."""
    geod = pyproj.Geod(ellps="GRS80")
    result = []
    for row in plots:
        shape = DISC_VERTICES / 2 * math.sin(2 * math.pi / DISC_VERTICES)
        radius = math.sqrt(float(row["area_ha"]) * 10_000 / shape)
        azimuth = 90 - np.arange(DISC_VERTICES) * 360 / DISC_VERTICES
        x, y = (np.full(DISC_VERTICES, float(row[name])) for name in ("lon", "lat"))
        lon, lat, _ = geod.fwd(x, y, azimuth, np.full(DISC_VERTICES, radius))
        result.append(shapely.Polygon(np.column_stack([lon, lat])))
    return result


def student_quantile(two_sided: float, df: int) -> float:
    """t with this probability between -t and t: the density added up (Simpson), then halved upon."""

    def inside(t: float) -> float:
        x = np.linspace(0, t, 20_001)
        log = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
        y = np.exp(log - (df + 1) / 2 * np.log1p(x**2 / df))
        return 2 * float(y[0] + y[-1] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum()) * float(x[1] / 3)

    low, high = 0.0, 1.0
    while inside(high) < two_sided:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < two_sided else (low, middle)
    return (low + high) / 2


def mean_change(
    strata: list[Json], estimator: str, reliability: float
) -> tuple[float, float, float, list[float]]:
    """Mean change per hectare, its coefficient and uncertainty: E-U1, or the combined ratio or regression,
    of which the weighted ones (methods' version 2) have an error of their own.

    strata: for each its area, changes of plots, raster changes at plots and of all its ground.
    """
    area = math.fsum(one["area_ha"] for one in strata)
    part = [one["area_ha"] / area for one in strata]
    of_plots = [math.fsum(one["delta"]) / len(one["delta"]) for one in strata]
    mean, coefficient, lost = math.fsum(p * m for p, m in zip(part, of_plots, strict=True)), None, 0
    if estimator != "stratified":
        at = [math.fsum(one["at_plots"]) / len(one["at_plots"]) for one in strata]
        at_plots = math.fsum(p * m for p, m in zip(part, at, strict=True))
        everywhere = math.fsum(p * one["everywhere"] for p, one in zip(part, strata, strict=True))
        if estimator in ("combined_ratio", "weighted_ratio"):
            coefficient = mean / at_plots
            mean = coefficient * everywhere
        elif estimator in ("combined_regression", "weighted_regression"):
            coefficient = _slope(strata, part, of_plots, at)
            mean += coefficient * (everywhere - at_plots)
        else:
            raise CannotCompute(f"the estimator {estimator} has no second implementation here")
        lost = 1
        if estimator.startswith("weighted"):
            error, df = _weighted(strata, part, coefficient, None if "ratio" in estimator else everywhere)
            if "ratio" in estimator:
                error *= abs(everywhere / at_plots)
            return mean, area, student_quantile(reliability, df) * error / abs(mean) * 100, of_plots
    squares = 0.0
    for n, (one, p) in enumerate(zip(strata, part, strict=True)):
        x = [0.0] * len(one["delta"]) if coefficient is None else [v - at[n] for v in one["at_plots"]]
        rest = [y - of_plots[n] - (coefficient or 0) * xx for y, xx in zip(one["delta"], x, strict=True)]
        squares += p**2 * math.fsum(r**2 for r in rest) / len(rest) / (len(rest) - 1)
    df = sum(len(one["delta"]) for one in strata) - len(strata) - lost
    uncertainty = student_quantile(reliability, df) * math.sqrt(squares) / abs(mean) * 100
    return mean, area, uncertainty, of_plots


def _weighted(
    strata: list[Json], part: list[float], slope: float, everywhere: float | None
) -> tuple[float, int]:
    """Error of the mean and its degrees of freedom; of a regression where `everywhere` is the raster's mean
    over the land, else of a ratio before its factor.

    Written with matrices: plots as rows, one column a stratum and, for a regression, one for the raster. The
    estimate is a row of coefficients times (X'WX)^-1 X'W y; leverages are the hat matrix's diagonal.
    """
    sizes = [len(one["delta"]) for one in strata]
    belongs = np.repeat(np.arange(len(strata)), sizes)
    y = np.array([v for one in strata for v in one["delta"]])
    x = np.array([v for one in strata for v in one["at_plots"]])
    design = (belongs[:, None] == np.arange(len(strata))).astype(float)
    aim = np.array(part)
    inside = np.array([part[h] ** 2 / (sizes[h] * (sizes[h] - 1)) for h in belongs])
    target = y - slope * x
    if everywhere is not None:
        design, aim, target = np.column_stack([design, x]), np.append(aim, everywhere), y
    solve = np.linalg.solve(design.T @ (inside[:, None] * design), design.T * inside)
    rest = target - design @ (solve @ target)
    leverage = np.einsum("ij,ji->i", design, solve)
    moved = (aim @ solve * rest / (1 - leverage)) ** 2
    parts = np.bincount(belongs, moved) * (1 - 1 / np.array(sizes))
    df = sum(sizes) - len(sizes) - 1
    squares = float((parts**2 / (np.array(sizes) - 1)).sum())
    if squares > 0:
        df = min(df, math.floor(float(parts.sum()) ** 2 / squares + 1e-9))
    return math.sqrt(float(parts.sum())), df


def _slope(strata: list[Json], part: list[float], of_plots: list[float], at: list[float]) -> float:
    over = under = 0.0
    for n, one in enumerate(strata):
        weight = part[n] ** 2 / (len(one["delta"]) * (len(one["delta"]) - 1))
        pairs = [(y - of_plots[n], x - at[n]) for y, x in zip(one["delta"], one["at_plots"], strict=True)]
        over += weight * math.fsum(y * x for y, x in pairs)
        under += weight * math.fsum(x * x for _, x in pairs)
    return over / under


def days(inputs: Json) -> int:
    return (date.fromisoformat(inputs["to_on"]) - date.fromisoformat(inputs["from_on"])).days


# ---- from change to kilograms ------------------------------------------------------------------------------


def deduction(percent: Decimal, rule: Json) -> Decimal | None:
    """E-U2: the rate of an uncertainty, None when nothing may be issued."""
    for step in rule["steps"]:
        if step["up_to_pct"] is None or percent <= Decimal(step["up_to_pct"]):
            if step.get("rate") is not None:
                return Decimal(step["rate"])
            return min(percent * Decimal(step["share_of_u"]) / 100, Decimal(1))
    return None


def chain(
    delta_tco2e: float, percent_float: float, inputs: Json, rule: Json
) -> tuple[int, int, Decimal, Decimal | None]:
    """E-C1: kilograms that may be issued, and the net removal; exact decimals from here on."""
    terms = inputs["terms"]
    with localcontext() as context:
        context.prec = 60
        delta, percent = Decimal(repr(float(delta_tco2e))), Decimal(repr(float(percent_float)))
        rate = deduction(percent, rule)
        if rate is None:
            return 0, 0, Decimal(0), None
        project = delta * (1 - rate) if delta >= 0 else delta * (1 + rate)
        net = project - max(delta, Decimal(0)) * terms["baseline_ppm"] / 1_000_000
        net -= Decimal(inputs["project_emissions_kg"] + inputs["leakage_kg"]) / 1000
        if net < 0:
            return 0, int((-net * 1000).to_integral_value(rounding=ROUND_CEILING)), net, rate
        risk = Decimal(terms["withheld_ppm"] if terms["risk_mode"] == "deduct" else 0) / 1_000_000
        return int((net * (1 - risk) * 1000).to_integral_value(rounding=ROUND_FLOOR)), 0, net, rate


def shared_out(total: int, weights: list[int]) -> list[int]:
    """A whole number in proportion to whole weights: floors, then one each to the largest remainders."""
    whole = sum(weights)
    parts = [total * one // whole for one in weights]
    left = sorted(range(len(weights)), key=lambda n: (-(total * weights[n] % whole), n))
    for n in left[: total - sum(parts)]:
        parts[n] += 1
    return parts


# ---- the run -----------------------------------------------------------------------------------------------


def recompute(folder: Path) -> Findings:
    """Compute the run and hold it against its record."""
    found = Findings()
    record = json.loads((folder / "record.json").read_bytes())
    inputs, results = record["inputs"], record["results"]
    check_digests(folder, record, found)
    check_log(folder, record, found)
    rows = tables(folder, record, found)
    outlines = [
        shapely.from_wkb((folder / "outlines" / f"{parcel['geometry_sha256']}.wkb").read_bytes())
        for parcel in inputs["parcels"]
    ]
    geod = pyproj.Geod(ellps="GRS80")
    fine = [shapely.segmentize(one, FINE_DEG) for one in outlines]
    areas = [abs(geod.geometry_area_perimeter(one)[0]) * 10_000 for one in fine]
    found.close("areas of record (cm2)", areas, [one["area_cm2"] for one in inputs["parcels"]], AREA_BOUND)
    land, layers, change = ground(folder, inputs, outlines, rows)
    _compare_ground(found, land, results["parcels"])
    _compare_screening(found, change, record["screening"])
    method = record.get("method")
    if method is None:
        method = json.loads((folder / "method" / "method.json").read_bytes())
    found.same("digest of the method", sha256(canonical(method)), inputs["method_sha256"])
    if inputs["plots"] is None:
        _compare_unproven(found, change, land, record, rows[f"deduction_rules.{method['deduction_rule']}"])
        return found
    if method["biomass"] not in ("E-F1", "E-F2"):
        raise CannotCompute(f"{method['biomass']} has no second implementation here")
    plots, outside = on_land(read_plots(folder, inputs["plots"]), outlines)
    found.same("plots outside the run's land", sorted(outside), sorted(record["evidence"]["plots_outside"]))
    own = [one["eligible_cm2"] for one in land]
    theirs = [one["eligible_cm2"] for one in results["parcels"]]
    kg = [one["estimate_kg"] for one in results["parcels"]]
    work = (record, rows, method, plots, layers, land)
    total, parts = _kilograms(found, "by the record's ground", *work, theirs)
    off = _bound_kg(method, kg)
    whole = off * len(kg)
    found.within("kilograms of the run, from the record's ground", [total], [results["estimate_kg"]], whole)
    found.within("kilograms of each parcel, from the record's ground", parts, kg, off)
    total, parts = _kilograms(None, "", *work, own)
    whole = max(whole, 1)
    found.within("kilograms of the run, from its files alone", [total], [results["estimate_kg"]], whole)
    found.within("kilograms of each parcel, from its files alone", parts, kg, max(off, 1))
    found.left_out += [
        "the second opinion by drawing at random, and remarks on plots",
    ]
    return found


def _bound_kg(method: Json, kilograms: list[int]) -> int:
    """Discs of plots are drawn otherwise here, so that a calibrated run may round to another kilogram."""
    return 0 if method["estimator"] == "stratified" else max(1, round(CALIBRATED_BOUND * max(kilograms)))


def _compare_ground(found: Findings, land: list[Json], recorded: list[Json]) -> None:
    eligible = [one["eligible_cm2"] for one in land]
    found.close("eligible ground (cm2)", eligible, [one["eligible_cm2"] for one in recorded], AREA_BOUND)
    for name in ("agb_start_t", "agb_end_t"):
        theirs = [float(one[name]) for one in recorded]
        found.close(f"{name} by raster (E-R1)", [one[name] for one in land], theirs, SUM_BOUND)


def _compare_screening(found: Findings, change: Json | None, screening: Json) -> None:
    if change is None:
        found.left_out.append("the rasters' change (E-R2): a stand type has no factors in the record")
        return
    for name, ours in change.items():
        theirs = screening[name]
        if ours is None or theirs is None:
            found.same(f"{name} by raster (E-R2)", ours, theirs)
        else:
            found.close(f"{name} by raster (E-R2)", [ours], [float(theirs)], CHANGE_BOUND)


def _compare_unproven(
    found: Findings, change: Json | None, land: list[Json], record: Json, rule: Json
) -> None:
    """A run without plots: its number is for looking at, and most often nothing for want of certainty."""
    found.same("tier of a run without plots", record["results"]["tier"], "screening")
    if change is None or change["uncertainty_pct"] is None:
        return
    total = chain(change["delta_tco2e"], change["uncertainty_pct"], record["inputs"], rule)[0]
    off = max(1, round(CHANGE_BOUND * total)) if total else 0
    found.within("kilograms of a run without plots", [total], [record["results"]["estimate_kg"]], off)
    weights = [max(round(one["delta_t"] * 1_000_000), 0) for one in land]
    theirs = [one["estimate_kg"] for one in record["results"]["parcels"]]
    if total:
        found.within("kilograms of its parcels", shared_out(total, weights), theirs, off)


def _kilograms(
    found: Findings | None,
    how: str,
    record: Json,
    rows: Json,
    method: Json,
    plots: list[Json],
    layers: Layers,
    land: list[Json],
    eligible_cm2: list[int],
) -> tuple[int, list[int]]:
    """Kilograms of the run and of each parcel from this eligible ground; compared on the way when asked."""
    inputs, evidence = record["inputs"], record["evidence"]
    strata = _strata(inputs, plots, method, rows, eligible_cm2)
    if method["estimator"] != "stratified":
        _with_rasters(found, strata, plots, layers, inputs, land, evidence)
    reliability = float(rows["estimation_rules.reliability"]["value"])
    mean, area, percent, means = mean_change(list(strata.values()), method["estimator"], reliability)
    longest = max((date.fromisoformat(p["date2"]) - date.fromisoformat(p["date1"])).days for p in plots)
    delta = mean * area * C_TO_CO2 * min(1.0, days(inputs) / longest)
    rule = rows[f"deduction_rules.{method['deduction_rule']}"]
    total, loss, net, rate = chain(delta, percent, inputs, rule)
    if found is not None:
        change = evidence["change"]["change"]
        bound = NUMBER_BOUND if method["estimator"] == "stratified" else CALIBRATED_BOUND
        theirs = [float(change[name]) for name in ("mean_delta_tc_ha", "uncertainty_pct")]
        found.close(f"mean change and its uncertainty, {how}", [mean, percent], theirs, bound)
        found.same("deduction for uncertainty", None if rate is None else rate == _rate(record), True)
        found.same("net loss (kg)", loss, record["results"]["loss_kg"])
        _compare_rate(found, net, inputs, eligible_cm2, record["results"], method)
    by_code = dict(zip(strata, means, strict=True))
    weights = [
        max(round(by_code[parcel["stand_type"]] * (cm2 / CM2_PER_HA) * 1_000_000), 0) if cm2 else 0
        for parcel, cm2 in zip(inputs["parcels"], eligible_cm2, strict=True)
    ]
    return total, shared_out(total, weights if any(weights) else eligible_cm2)


def _rate(record: Json) -> Decimal | None:
    line = next(one for one in record["chain"] if one["line"] == "uncertainty")
    return None if line["rate"] is None else Decimal(line["rate"])


def _compare_rate(
    found: Findings, net: Decimal, inputs: Json, eligible_cm2: list[int], results: Json, method: Json
) -> None:
    with localcontext() as context:
        context.prec = 60
        hectares = Decimal(sum(eligible_cm2)) / CM2_PER_HA
        years = days(inputs) / Decimal("365.25")
        rate = int((max(net, Decimal(0)) * 1000 / hectares / years).to_integral_value(rounding=ROUND_CEILING))
    slack = 0 if method["estimator"] == "stratified" else max(1, round(CALIBRATED_BOUND * rate))
    found.within("removal a hectare and year (kg)", [rate], [results["rate_kg_ha_year"]], slack)


def _strata(inputs: Json, plots: list[Json], method: Json, rows: Json, eligible_cm2: list[int]) -> Json:
    """Ground and plots of each stand type that has any ground, in the order of their codes."""
    area: dict[str, int] = {}
    for parcel, cm2 in zip(inputs["parcels"], eligible_cm2, strict=True):
        area[parcel["stand_type"]] = area.get(parcel["stand_type"], 0) + cm2
    strata = {}
    for code in sorted(code for code, cm2 in area.items() if cm2):
        members = sorted((p for p in plots if p["stand_type"] == code), key=lambda p: p["plot_id"])
        if len(members) < int(rows["estimation_rules.min_plots_per_stratum"]["value"]):
            raise CannotCompute(f"{code} has {len(members)} plots; such a run is refused")
        change = []
        for row in members:
            volumes = [float(row["volume1_m3_ha"]), float(row["volume2_m3_ha"])]
            first, second = carbon_tc_ha(volumes, code, method["biomass"], rows)
            change.append(second - first)
        strata[code] = {"area_ha": area[code] / CM2_PER_HA, "delta": change, "plots": members}
    return strata


def _with_rasters(
    found: Findings | None,
    strata: Json,
    plots: list[Json],
    layers: Layers,
    inputs: Json,
    land: list[Json],
    evidence: Json,
) -> None:
    """Add what the rasters say at each plot and over the ground of each stand type."""
    start, end, valid, grid = layers
    at, grown = {}, end - start
    for row, (cell, share) in zip(plots, shares(discs(plots), grid), strict=True):
        good = share * valid[cell]
        if good.sum() > 0:
            at[row["plot_id"]] = float((good * grown[cell]).sum() / good.sum())
    for code, one in strata.items():
        members = [n for n, parcel in enumerate(inputs["parcels"]) if parcel["stand_type"] == code]
        one["at_plots"] = [at[row["plot_id"]] for row in one["plots"]]
        hectares = math.fsum(land[n]["measured_ha"] for n in members)
        one["everywhere"] = math.fsum(land[n]["delta_t"] for n in members) / hectares
    stated = {row["plot_id"]: row["raster_delta_t_ha"] for row in evidence.get("plots") or []}
    names = [name for name, value in stated.items() if value is not None and name in at]
    if found is not None and names:
        theirs = [float(stated[name]) for name in names]
        bound = DISC_BOUND * max(map(abs, theirs))
        found.within("raster change at plots (t/ha)", [at[name] for name in names], theirs, bound)


def main(bundle: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = recompute(unpacked(Path(bundle), folder))
        except CannotCompute as reason:
            print(json.dumps({"cannot_compute": str(reason)}, ensure_ascii=False, indent=2))
            return 2
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    return 1 if found.differs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
