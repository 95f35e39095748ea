"""Where screened parcels come from, and what they are written to."""

import csv
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.examine import Declared, examine_file
from geo.export import LAYER, ExportRow, Field, Format, Kind, write
from geo.polygon import from_wkb
from geo.work import Progress
from registry.database import Database
from registry.estimates.rules import ScreeningRowsFaulty
from registry.estimates.screening import COLUMNS, Candidate, StockRow
from registry.parcels.examining import key_of
from registry.parcels.mapping import FieldMap, columns_of, load_mapping, read_rows
from registry.parcels.models import Parcel, ParcelVersion
from registry.projects.models import LandClaim

PAGE: Final = 5_000
_TEXTS: Final = frozenset({"parcel", "name", "county", "stand_type", "tier", "status"})
_NAMES: Final = ("county", "village", "compartment", "subcompartment", "stand_type")
CSV: Final = ".csv"
FORMATS: Final[Mapping[str, Format]] = {one.suffix: one for one in Format}
"""By the ending of the file's name, besides `.csv`."""


# ---- from --------------------------------------------------------------------------------------------------


def candidates_of_file(
    path: Path,
    declared: Declared,
    *,
    stand_type: str | None = None,
    mapping: FieldMap | None = None,
    progress: Progress | None = None,
) -> list[Candidate]:
    """The parcels of a file, in its order. Columns are found by the mapping's headings; `stand_type` holds
    for every row that states none. Raises what `examine_file` does, `ScreeningRowsFaulty`.
    """
    file = examine_file(path, declared, rule=None, progress=progress)
    if file.faults:
        first = file.faults[0]
        raise ScreeningRowsFaulty(
            count=len(file.faults),
            file=path.name,
            row=first.row,
            fault=first.code,
            rows=[{"row": one.row, "field": one.field, "code": one.code} for one in file.faults[:100]],
        )
    fields = _fields(mapping or load_mapping(), file.attributes)
    found = []
    for number, wkb in zip(file.numbers, file.wkb, strict=True):
        own = fields[number - 1]
        kind = own.get("stand_type") or stand_type
        name, county = key_of(own), str(own.get("county", ""))
        found.append(Candidate(str(number), name, county, None if kind is None else str(kind), wkb))
    return found


def _fields(mapping: FieldMap, attributes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fields of each row that name it; what cannot be read is left out: here nobody relies on it."""
    wanted = mapping.model_copy(
        update={"fields": {name: mapping.fields[name] for name in _NAMES if name in mapping.fields}}
    )
    headings = list(attributes[0]) if attributes else []
    columns, _ = columns_of(wanted, headings, _NAMES)
    rows, _ = read_rows(wanted, columns, attributes)
    return [dict(row) for row in rows]


def candidates_of_register(database: Database, programme: str | None = None) -> Iterator[Candidate]:
    """Parcels of the register whose outline is kept, by county and code; with a programme, those that are
    claimed under it. A page at a time, each in a transaction of its own.
    """
    after = ("", "", "")
    while True:
        with database.read() as session:
            page = _page(session, after, programme)
        yield from (candidate for candidate, _ in page)
        if len(page) < PAGE:
            return
        after = page[-1][1]


def count_register(session: Session, programme: str | None = None) -> int:
    wanted = _wanted(programme)
    return session.scalar(sa.select(sa.func.count()).select_from(wanted.subquery())) or 0


def _wanted(programme: str | None) -> sa.Select[str, str, str, str, bytes | None]:
    wanted = (
        sa.select(Parcel.id, Parcel.county, Parcel.code, ParcelVersion.stand_type, ParcelVersion.wkb)
        .join(
            ParcelVersion,
            sa.and_(ParcelVersion.parcel_id == Parcel.id, ParcelVersion.version == Parcel.version),
        )
        .where(ParcelVersion.wkb.is_not(None))
    )
    if programme is None:
        return wanted
    claimed = sa.select(LandClaim.parcel_id).where(LandClaim.programme_id == programme)
    return wanted.where(Parcel.id.in_(claimed))


def _page(
    session: Session, after: tuple[str, str, str], programme: str | None
) -> list[tuple[Candidate, tuple[str, str, str]]]:
    place = sa.tuple_(Parcel.county, Parcel.code, Parcel.id)
    wanted = _wanted(programme).where(place > after).order_by(Parcel.county, Parcel.code, Parcel.id)
    return [
        (Candidate(id_, code, county, stand_type, wkb or b""), (county, code, id_))
        for id_, county, code, stand_type, wkb in session.execute(wanted.limit(PAGE))
    ]


# ---- to ----------------------------------------------------------------------------------------------------


def write_stocks(
    path: Path, rows: Iterable[tuple[StockRow, bytes]], about: Callable[[], Mapping[str, Any]]
) -> None:
    """Write .csv, .parquet, .gpkg or .geojson, whole or not at all. `about`, asked at the end, says in the
    file's metadata (beside a .csv, as `FILE-metadata.json`) what the numbers are and are not.
    """
    if path.suffix == CSV:
        _write_csv(path, (row for row, _ in rows), about)
        return
    kind = FORMATS[path.suffix]
    fields = [Field(name, _kind(name)) for name in COLUMNS]
    exported = (ExportRow(from_wkb(wkb), row.values()) for row, wkb in rows)

    def said() -> dict[str, str]:
        return {f"tanhui_{name}": _text(value) for name, value in about().items()}

    if kind is not Format.GPKG:
        write(path, kind, fields, exported, about=said)
        return
    part = path.with_name(f".{path.stem}.described{path.suffix}")
    try:
        write(part, kind, fields, exported)
        _describe(part, said())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _describe(path: Path, said: Mapping[str, str]) -> None:
    """The description of a GeoPackage's layer, which programs show with it."""
    text = "\n".join(f"{name}: {value}" for name, value in said.items())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update gpkg_contents set description = ? where table_name = ?", (text, LAYER))


def _kind(name: str) -> Kind:
    return "text" if name in _TEXTS else "number"


def _write_csv(path: Path, rows: Iterable[StockRow], about: Callable[[], Mapping[str, Any]]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(tuple(row.values().values()) for row in rows)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    text = json.dumps(about(), ensure_ascii=False, indent=2, sort_keys=True)
    path.with_name(f"{path.name}-metadata.json").write_text(text + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
