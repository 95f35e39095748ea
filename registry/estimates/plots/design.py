"""A design on paper: what the crew fills in, what a receiver is loaded with, and what the project keeps."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from xml.sax.saxutils import escape, quoteattr

from ledger.canonical import JsonValue
from ledger.tiles import TileDirectory
from registry.estimates.methods.design import (
    DESIGN_VERSION,
    Allocation,
    Design,
    DesignStratum,
    PilotStratum,
    stratum_area_ha,
)
from registry.estimates.methods.library import data_table
from registry.estimates.methods.parameters import MOSO_BAMBOO, default_parameters
from registry.estimates.methods.plot_files import Measurement
from registry.estimates.methods.plots import PlotEstimate
from registry.estimates.plots.layout import places_json
from registry.estimates.rules import EstimateRefused
from registry.language import Language
from registry.settings import Home

ASSUMED_VARIATION: Final = 0.40
"""Deviation between plots over the mean of their stratum where no pilot says it. [A]: a project that designs
by it should look at the first plots and design again.
"""


class SeedMissing(EstimateRefused):
    """Nobody may look for a seed that they like: it comes from the log, or is given and written down."""

    code: ClassVar[str] = "design_seed_missing"
    template: ClassVar[str] = "No log is at hand whose last checkpoint could be the seed; give one."


class PilotIncomplete(EstimateRefused):
    code: ClassVar[str] = "design_pilot_incomplete"
    template: ClassVar[str] = "Nothing is known of stratum {stratum}: give its mean and deviation."


Seed = tuple[str, dict[str, JsonValue]]
"""The seed, and where it comes from."""


def log_seed(home: Home) -> Seed:
    """The root of the log's last published checkpoint: fixed before anybody designs, and known to witnesses
    (`SeedMissing`).
    """
    published = TileDirectory(home.log).published()
    if published is None:
        raise SeedMissing()
    root = published.root.hex()
    return root, {"kind": "log", "origin": published.origin, "size": published.size, "root": root}


def given_seed(seed: str) -> Seed:
    return seed, {"kind": "given", "seed": seed}


# ---- what is known of the strata ---------------------------------------------------------------------------


def assumed_pilot(
    strata: Sequence[DesignStratum], variation: float = ASSUMED_VARIATION
) -> list[PilotStratum]:
    """Means in proportion to the reference densities of Zhejiang (table 3.4), and an assumed variation.

    Only proportions between strata and the variation matter to a relative error.
    """
    table = data_table("reference_densities")
    found: list[PilotStratum] = []
    for stratum in strata:
        code = stratum.name if stratum.name in table.table.rows else "province"
        mean = table.value(code, "tree_layer")
        area_ha = stratum_area_ha(stratum.parcels)
        found.append(PilotStratum(stratum.name, area_ha, mean, mean * variation))
    return found


def given_pilot(
    strata: Sequence[DesignStratum], known: Mapping[str, tuple[float, float]]
) -> list[PilotStratum]:
    """Mean and deviation (tC/ha) of each stratum as given (`PilotIncomplete`)."""
    for stratum in strata:
        if stratum.name not in known:
            raise PilotIncomplete(stratum=stratum.name)
    return [
        PilotStratum(stratum.name, stratum_area_ha(stratum.parcels), *known[stratum.name])
        for stratum in strata
    ]


def pilot_of_plots(estimate: PlotEstimate) -> dict[str, tuple[float, float]]:
    """Mean and deviation between the plots of an earlier estimate, by stratum."""
    return {stratum.name or "": (stratum.mean, stratum.sd) for stratum in estimate.strata}


# ---- on paper ----------------------------------------------------------------------------------------------

_SITE: Final = (
    ("plot_id", "样地号"), ("stratum", "优势树种"), ("parcel_key", "小班号"), ("lon_deg", "经度"),
    ("lat_deg", "纬度"), ("area_ha", "样地面积(公顷)"),
)  # fmt: skip
_MEASURED: Final[Mapping[Measurement, tuple[tuple[str, str], ...]]] = {
    "volume": (
        ("measured1_on", "前期调查日期"), ("v1_m3_ha", "前期蓄积(m³/ha)"), ("measured2_on", "后期调查日期"),
        ("v2_m3_ha", "后期蓄积(m³/ha)"),
    ),
    "trees": (
        ("measured_on", "调查日期"), ("tree_id", "样木号"), ("species", "树种"), ("dbh_cm", "胸径(cm)"),
        ("height_m", "树高(m)"),
    ),
    "culms": (
        ("measured_on", "调查日期"), ("tree_id", "竹号"), ("dbh_cm", "胸径(cm)"), ("du", "竹龄(度)"),
        ("culms", "株数"),
    ),
}  # fmt: skip
_EXPLANATION: Final = ("explanation", "异常说明")


def crew_csv(design: Design, measurement: Measurement, language: Language) -> bytes:
    """The sheet that the crew fills in: the very columns that are read back, those to be measured empty.

    UTF-8 with a byte order mark and CRLF, as desktop tables open it. Of trees and culms every further one
    takes a row of its own, with the plot's columns repeated.
    """
    columns = (*_SITE, *_MEASURED[measurement], _EXPLANATION)
    chinese = language is Language.CHINESE
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow([column[chinese] for column in columns])
    blank = [""] * (len(columns) - len(_SITE))
    for plot in design.plots:
        named = stand_type_name(plot.stratum) if chinese else plot.stratum
        place = (f"{plot.lon_deg:.7f}", f"{plot.lat_deg:.7f}")
        table.writerow([plot.plot_id, named, plot.parcel, *place, f"{design.plot_area_ha:g}", *blank])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def stand_type_name(code: str) -> str:
    """A stand type as crews write it."""
    if code == MOSO_BAMBOO:
        return "毛竹"
    row = default_parameters().stand_types.rows.get(code)
    return code if row is None else row.name_zh


def design_geojson(design: Design) -> str:
    """The plots as points, RFC 7946."""
    features = [
        {
            "type": "Feature",
            "id": plot.plot_id,
            "properties": {
                "plot_id": plot.plot_id,
                "stratum": plot.stratum,
                "parcel_key": plot.parcel,
                "area_ha": design.plot_area_ha,
            },
            "geometry": {"type": "Point", "coordinates": [plot.lon_deg, plot.lat_deg]},
        }
        for plot in design.plots
    ]
    document = {"type": "FeatureCollection", "design_sha256": design.digest(), "features": features}
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def design_gpx(design: Design) -> str:
    """The plots as waypoints for a hand-held receiver (GPX 1.1)."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="tanhui" xmlns="http://www.topografix.com/GPX/1/1">',
    ]
    for plot in design.plots:
        place = f"lat={quoteattr(f'{plot.lat_deg:.7f}')} lon={quoteattr(f'{plot.lon_deg:.7f}')}"
        said = escape(f"{stand_type_name(plot.stratum)} {plot.parcel}")
        lines.append(f"  <wpt {place}><name>{escape(plot.plot_id)}</name><desc>{said}</desc></wpt>")
    return "\n".join([*lines, "</gpx>", ""])


def design_document(
    design: Design,
    *,
    seed: Seed,
    target_error: float | None,
    reliability: float,
    pilot: Sequence[PilotStratum],
    pilot_source: str,
) -> dict[str, JsonValue]:
    """Everything that a second person needs to lay out the same plots, and to judge their number."""
    known = {stratum.name: stratum for stratum in pilot}
    counts: Allocation = design.allocation
    return {
        "version": DESIGN_VERSION,
        "design_sha256": design.digest(),
        "seed": seed[1],
        "target_error": None if target_error is None else f"{target_error:g}",
        "reliability": f"{reliability:g}",
        "t_value": f"{counts.t_value:.6f}",
        "plots": counts.total,
        "plots_by_formula": counts.by_formula,
        "expected_error": f"{counts.expected_error:.6f}",
        "pilot": pilot_source,
        "plot_area_ha": repr(design.plot_area_ha),
        "places": places_json(design.plots),
        "strata": [
            {
                "stratum": laid.stratum,
                "plots": len(laid.plots),
                "area_ha": f"{known[laid.stratum].area_ha:.4f}",
                "mean_tc_ha": f"{known[laid.stratum].mean_tc_ha:.6g}",
                "sd_tc_ha": f"{known[laid.stratum].sd_tc_ha:.6g}",
                "spacing_m": f"{laid.spacing_m:.2f}",
                "bearing_deg": f"{laid.bearing_deg:.4f}",
                "reachable_share": f"{laid.reachable_share:.4f}",
                "unreachable_parcels": list(laid.unreachable),
            }
            for laid in design.strata
        ],
    }


def design_files(
    design: Design, document: Mapping[str, JsonValue], measurement: Measurement, language: Language
) -> dict[str, bytes]:
    """What a design is handed over as, by file name."""
    return {
        "plots.csv": crew_csv(design, measurement, language),
        "plots.geojson": design_geojson(design).encode(),
        "plots.gpx": design_gpx(design).encode(),
        "design.json": (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode(),
    }
