"""What is said about a parcel file: why a row can be refused, what to do about it, and the whole report.

Every problem names file, row (0: the whole file), field, value, a stable code, the reason, and what to do, in
Chinese and English.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, ClassVar, Final

import shapely

from geo.errors import GeoRefusal
from geo.polygon import Polygonal
from geo.repair import Repair
from registry.errors import RegistryRefusal
from registry.language import Language, filled, translate
from registry.parcels.mapping import FieldRefused, Value
from registry.parcels.rules import ImportRefused, mu_of_cm2


class RowRefused(RegistryRefusal):
    """What is wrong with a whole row."""

    code: ClassVar[str] = "row_refused"
    template: ClassVar[str] = "The row was refused."


class NoRows(RowRefused):
    code: ClassVar[str] = "no_rows"
    template: ClassVar[str] = "The file has no rows."


class RowRepeated(RowRefused):
    code: ClassVar[str] = "row_repeated"
    template: ClassVar[str] = "{key} stands in row {other} already."


class RowsOverlap(RowRefused):
    code: ClassVar[str] = "rows_overlap"
    template: ClassVar[str] = (
        "The row lies on the ground of row {other} ({other_key}): {overlap_m2} m2, {overlap_mu} mu, "
        "a share of {candidate_share} of it and of {neighbour_share} of the other; rule {rule}."
    )


class ParcelTooSmall(RowRefused):
    code: ClassVar[str] = "parcel_too_small"
    template: ClassVar[str] = "The outline has {area_m2} m2; a parcel has at least {minimum_m2} m2."


class TenureOver(RowRefused):
    code: ClassVar[str] = "tenure_over"
    template: ClassVar[str] = "The right ended on {until}."


class VillageWithoutOwner(RowRefused):
    code: ClassVar[str] = "village_without_owner"
    template: ClassVar[str] = "It was not said which collective owns the parcels of {village}."


class AreaDiffersFromCertificate(RowRefused):
    """A warning at import; review refuses it."""

    code: ClassVar[str] = "area_differs_from_certificate"
    template: ClassVar[str] = (
        "The outline has {area_mu} mu, the certificate {declared_mu} mu ({differs_ppm} parts per million)."
    )


class RowsShareSliver(RowRefused):
    """A warning: tolerated, but credited once."""

    code: ClassVar[str] = "rows_share_sliver"
    template: ClassVar[str] = (
        "The row shares a sliver of {overlap_m2} m2 with row {other} ({other_key}); it is credited once; "
        "rule {rule}."
    )


class LiesOnParcel(RowRefused):
    """A warning: what a draft shares with a registered parcel. The claim is what is refused."""

    code: ClassVar[str] = "lies_on_parcel"
    template: ClassVar[str] = (
        "The outline lies on the ground of parcel {parcel} ({status}): {overlap_m2} m2, {overlap_mu} mu, "
        "a share of {candidate_share} of it and of {neighbour_share} of the other ({kind}); rule {rule}."
    )


class RepairUnknown(RowRefused):
    """The digest accepted for a row is not that of its proposed outline."""

    code: ClassVar[str] = "repair_unknown"
    template: ClassVar[str] = "No proposed outline of this row has the digest {sha256}."


# ---- what to do --------------------------------------------------------------------------------------------

_SPLIT: Final = "Split the file, for example by village, and import the parts one by one."
_EXPORT: Final = "Export the file again from the program it was drawn in, and send that."

ADVICE: Final[Mapping[str, str]] = {
    "no_rows": "Check that the right layer was exported; a file has at least one row.",
    "row_repeated": "Give each sub-compartment a number of its own, or remove the row that is there twice.",
    "rows_overlap": "Correct the border so that the two outlines only touch.",
    "parcel_too_small": "Join it to its neighbour under the same right, or leave it out.",
    "tenure_over": "Correct the date, or have the right renewed before the land comes in.",
    "village_without_owner": "Say which collective owns the parcels of this village, or correct its name.",
    "area_differs_from_certificate": (
        "Compare outline and certificate and correct the wrong one; review refuses the parcel as it is."
    ),
    "rows_share_sliver": (
        "Nothing has to be done; it goes away when both outlines use the same points along their border."
    ),
    "lies_on_parcel": (
        "Compare with that parcel before you submit: two parcels are never credited on the same ground."
    ),
    "column_missing": (
        "Add the column, name yours in a field mapping, or give one value for the whole file."
    ),
    "value_missing": "Fill in the cell.",
    "not_a_number": "Write a plain number with a point as decimal mark and without a unit.",
    "out_of_bounds": "Check the figure and its unit.",
    "word_unknown": "Use one of the words listed, or add yours to the codes of a field mapping.",
    "not_a_date": "Write the date as 2055-12-31 or 2055年12月31日.",
    "not_a_county": "Write the county's code of six digits (GB/T 2260), for example 330802.",
    "text_too_long": "Shorten the text.",
    "value_unused": "Take the value back, or correct the name of its field.",
    "value_beside_column": "Take the value back, or remove the column from the file.",
    "repair_unknown": "Look at the newest dry run and accept the digest that stands there.",
    "file_unreadable": _EXPORT,
    "file_too_large": _SPLIT,
    "format_unsupported": (
        "Export as zipped shapefile, GeoPackage, GeoJSON, KML or KMZ, GPX, GeoParquet, or CSV with WKT."
    ),
    "archive_refused": "Pack one data set without a password into one .zip, with nothing else in it.",
    "not_a_shapefile": "Pack .shp, .shx, .dbf and .prj of one export into one .zip.",
    "not_a_geopackage": "Export one layer as GeoPackage, or say which layer is meant.",
    "not_geojson": _EXPORT,
    "format_unknown": _EXPORT,
    "file_empty": _EXPORT,
    "shapefile_not_zipped": "Pack .shp, .shx, .dbf and .prj of one export into one .zip.",
    "markup_refused": _EXPORT,
    "not_kml": "Save the placemarks themselves, without links to other files.",
    "not_gpx": "Walk around the parcel with the track recording on, and send that track.",
    "track_too_short": "Walk around the parcel with the track recording on, and send that track.",
    "track_not_closed": (
        "Walk back to the starting point before you stop recording, or draw the missing side."
    ),
    "not_csv": (
        "Write a heading, one row for each parcel, and the outlines as WKT in quotation marks in one column."
    ),
    "not_geoparquet": _EXPORT,
    "crs_zone_to_confirm": (
        "Ask who made the survey, and declare the coordinate system, for example EPSG:4528."
    ),
    "crs_meridian_unknown": (
        "Ask who made the survey, and declare the coordinate system, for example EPSG:4549."
    ),
    "crs_datum_unknown": "Ask where the coordinates were taken from, and declare EPSG:4490 or EPSG:4326.",
    "prj_missing": "Add the .prj, or declare the coordinate system, for example EPSG:4549.",
    "crs_unknown": "Declare the coordinate system by its EPSG code, for example EPSG:4490 or EPSG:4549.",
    "crs_conflict": "Leave the declaration out, or correct whichever of the two is wrong.",
    "datum_shift_unknown": "Have the survey office convert the file to CGCS2000.",
    "zone_prefix_conflict": (
        "Declare the system as the eastings are: EPSG:4513 to 4533 with zone prefix, 4534 to 4554 without."
    ),
    "axes_swapped": "If they are, declare the axes as swapped and send the file again.",
    "datum_suspected": (
        "Ask where the coordinates were taken from; declare gcj02 or bd09 to convert them, or insist on "
        "wgs84 or cgcs2000."
    ),
    "axes_not_swapped": "Take the declaration back.",
    "far_from_meridian": (
        "Check the zone that was declared; if the land is where the map shows it, nothing is wrong."
    ),
    "outside_county": "Correct the county code, or check where the coordinates come from.",
    "datum_conflict": "Leave the datum out: a survey file in metres is never shifted.",
    "encoding_unknown": "Declare the encoding; Chinese desktop programs mostly write GBK.",
    "too_many_features": _SPLIT,
    "table_too_large": "Leave out the columns that do not speak of the land, or shorten their names.",
    "headings_refused": "Leave out the columns that do not speak of the land, or shorten their names.",
    "reader_stopped": "Split the file, or simplify outlines that have very many points.",
    "geometry_empty": "Draw the outline, or remove the row.",
    "geometry_not_polygonal": "Draw the land as a polygon.",
    "geometry_unreadable": _EXPORT,
    "geometry_invalid": (
        "Correct the outline at the place named, or accept the outline that is proposed by its digest."
    ),
    "geometry_beyond_repair": (
        "Draw the outline again around the place named; nothing sensible can be made of it as it is."
    ),
    "coordinates_out_of_range": "Check the coordinate system that the file states or that you declared.",
    "too_many_vertices": "Simplify the outline: points closer than the survey's accuracy say nothing.",
    "too_many_rings": "Divide the land into several parcels.",
    "too_many_crossings": "Check the outlines: land has no teeth by the thousands; else simplify them.",
    "too_much_overlap": "Check that the file does not hold the same land many times over.",
    "too_many_cells": "Check the outline: land of this size is mostly a mistake; else divide it.",
}
"""What to do about each code: one sentence."""

OTHERWISE: Final = "Correct what is named here and send the file again."


# ---- the report --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing about one row (0: the whole file): the field, its value, and the reason in both languages.

    `repair` is the way out that is proposed for an invalid outline, `shared` the ground of an overlap.
    """

    row: int
    field: str
    value: Value
    code: str
    template: str
    facts: Mapping[str, Any]
    repair: Repair | None = None
    shared: Polygonal | None = None

    @classmethod
    def of(
        cls,
        row: int,
        refusal: RegistryRefusal | GeoRefusal,
        field: str = "geometry",
        value: Value = None,
        shared: Polygonal | None = None,
    ) -> "RowProblem":
        return cls(row, field, value, refusal.code, refusal.template, refusal.facts, None, shared)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "RowProblem":
        """A problem as it was reported, without the outlines."""
        code, said = kept["code"], kept["en"].replace("{", "{{").replace("}", "}}")
        template = templates().get(code, said)
        return cls(kept["row"], kept["field"], kept["value"], code, template, kept["facts"])

    def message(self, language: Language) -> str:
        return filled(self.template, self.facts, language)

    def advice(self, language: Language) -> str:
        """What to do."""
        return translate(ADVICE.get(self.code, OTHERWISE), language)

    def to_json(self, file: str = "", outlines: bool = False) -> dict[str, Any]:
        """The problem with its file's name; `outlines` adds GeoJSON of overlap and proposal."""
        plain = {
            "file": file,
            "row": self.row,
            "field": self.field,
            "value": self.value,
            "code": self.code,
            "facts": dict(self.facts),
            "zh": self.message(Language.CHINESE),
            "en": self.message(Language.ENGLISH),
            "advice_zh": self.advice(Language.CHINESE),
            "advice_en": self.advice(Language.ENGLISH),
        }
        if self.repair is not None:
            plain["repair"] = repair_json(self.repair, outlines)
        if outlines and self.shared is not None:
            plain["shared"] = geojson(self.shared)
        return plain


def geojson(geometry: Polygonal) -> Any:
    return json.loads(shapely.to_geojson(geometry))


def repair_json(repair: Repair, outlines: bool) -> dict[str, Any]:
    """A proposed outline: its digest, by which it is accepted, the fault's place, and what it changes;
    `outlines` adds the ground that it adds and removes, and every place where the drawn outline meets itself.
    """
    before = repair.area_before_m2
    plain: dict[str, Any] = {
        "sha256": repair.sha256,
        "lon": repair.lon,
        "lat": repair.lat,
        "reason": repair.reason,
        "area_before_m2": None if before is None else round(before, 2),
        "area_after_m2": round(repair.area_after_m2, 2),
        "change_ppm": repair.change_ppm,
    }
    if not outlines:
        return plain
    drawn = {"outline": repair.geometry, "added": repair.added, "removed": repair.removed}
    places = [list(place) for place in repair.places]
    return (
        plain
        | {name: None if one is None else geojson(one) for name, one in drawn.items()}
        | {"places": places}
    )


@cache
def templates() -> Mapping[str, str]:
    """The sentence of every code that a report may hold."""
    return {kind.code: kind.template for kind in reasons()}


def reasons() -> Iterator[type[RowRefused | FieldRefused | GeoRefusal]]:
    """Every reason that a row or a file can be refused or warned for."""
    waiting: list[type[Any]] = [RowRefused, FieldRefused, GeoRefusal]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting.extend(kind.__subclasses__())


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of an import. `taken` is false when there are problems, and in a dry run; `repeated` when it
    was taken before.

    `columns` says which heading was read as which field; `proposed`, for a file that lacks needed columns,
    which heading looks like which field; `drawn` the first valid outlines by row (ISO WKB, EPSG:4490), which
    are no part of its JSON.
    """

    import_id: str
    file: str
    source_sha256: str
    kind: str
    crs: str
    datum: str
    swapped: bool
    encoding: str
    encoding_source: str
    layer: str
    mapping: str
    rows: int
    area_cm2: int
    dry_run: bool
    taken: bool
    repeated: bool
    headings: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    proposed: dict[str, str] = field(default_factory=dict)
    drafts: list[str] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    warnings: list[RowProblem] = field(default_factory=list)
    drawn: Mapping[int, bytes] = field(default_factory=dict)

    def require(self) -> "ImportReport":
        """The report, if there are no problems; else `ImportRefused` with every one of them."""
        if self.problems:
            raise ImportRefused(
                count=len(self.problems), rows=[problem.to_json(self.file) for problem in self.problems]
            )
        return self

    def to_json(self, outlines: bool = False) -> dict[str, Any]:
        """`outlines` adds what overlaps and what is proposed as GeoJSON."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        plain["area_mu"] = mu_of_cm2(self.area_cm2)
        plain["problems"] = [problem.to_json(self.file, outlines) for problem in self.problems]
        plain["warnings"] = [warning.to_json(self.file, outlines) for warning in self.warnings]
        return plain

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "ImportReport":
        """A report as it was kept, without outlines."""
        given: dict[str, Any] = {name: kept[name] for name in _PLAIN}
        return cls(**given | {name: [RowProblem.from_json(one) for one in kept[name]] for name in _LISTED})

    @classmethod
    def of_refused_file(
        cls, file: str, sha256: str, refusal: GeoRefusal | RegistryRefusal, dry_run: bool
    ) -> "ImportReport":
        """The report of a file that could not be read: the refusal is its only line, of row 0."""
        problem = RowProblem.of(0, refusal, "file")
        return cls(
            "", file, sha256, "", "", "", False, "", "", "", "", 0, 0, dry_run, False, False,
            problems=[problem],
        )  # fmt: skip

    def repeating(self, drafts: Sequence[str]) -> "ImportReport":
        """The same report, answered again, with the drafts that are there now."""
        return replace(self, repeated=True, drafts=list(drafts))

    def to_csv(self) -> bytes:
        """Every problem and warning as CSV: UTF-8 with a byte order mark, so that desktop tables open it.

        A cell that a table would take for a formula has an apostrophe before it.
        """
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(CSV_HEADINGS)
        for kind, listed in (("错误 error", self.problems), ("提示 notice", self.warnings)):
            for one in listed:
                cells = (
                    kind, self.file, one.row, one.field, one.value, one.code,
                    one.message(Language.CHINESE), one.advice(Language.CHINESE),
                    one.message(Language.ENGLISH), one.advice(Language.ENGLISH),
                )  # fmt: skip
                writer.writerow([_harmless(cell) for cell in cells])
        return b"\xef\xbb\xbf" + out.getvalue().encode()


_LISTED: Final = ("problems", "warnings")
_PLAIN: Final = tuple(one.name for one in fields(ImportReport) if one.name not in (*_LISTED, "drawn"))
CSV_HEADINGS: Final = (
    "类别 kind", "文件 file", "行 row", "字段 field", "值 value", "代码 code", "原因", "怎么办", "reason",
    "what to do",
)  # fmt: skip


_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What tables take for the beginning of a formula; those of East Asia also in full width."""


def _harmless(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
