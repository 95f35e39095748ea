"""A run as one file that a stranger can check: record, rasters, plots, outlines, tables, proof, and how.

The layout is in `README.md` of every bundle (`text`). Its bytes are the same whenever it is made of
the same things: members in order, one date, stored as they are. `reading` reads it back.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from shapely.geometry import mapping
from sqlalchemy.orm import Session

from geo.crs import Polygonal
from geo.polygon import to_wkb
from ledger import tables
from ledger.canonical import JsonValue, encode
from ledger.tiles import TileDirectory
from registry.estimates.bundles.text import method_text, readme
from registry.estimates.input_files import checked, load_raster, plots_path, raster_path
from registry.estimates.inputs import RasterInput
from registry.estimates.methods import method_version
from registry.estimates.models import EstimateRun
from registry.estimates.parameter_rows import table_document, table_sha256
from registry.estimates.rasters.rules import LICENCES
from registry.estimates.rasters.stac import item_json
from registry.estimates.rules import BundleOutlineErased, RasterNotRedistributable
from registry.estimates.run_record import RunRecord
from registry.estimates.service import load_record, load_run, record_outlines
from registry.receipts import NotPublished, prove
from registry.settings import Home

FORMAT: Final = "tanhui-run-bundle/1"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
CM2_PER_M2: Final = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a bundle: its path there, what it is, and its bytes or the file that holds them."""

    path: str
    role: str
    name: str
    content: bytes | Path

    def sha256(self) -> str:
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        with self.content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A raster that the bundle does not hold: its licence, and where it can be had, as far as is known."""

    name: str
    sha256: str
    licence: str | None
    where: str | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle is written from. Nothing here holds a transaction."""

    run: str
    members: tuple[Member, ...]
    left_out: tuple[LeftOut, ...] = field(default=())

    @property
    def file_name(self) -> str:
        return f"run-{self.run}.zip"


def gather(
    session: Session, home: Home, run: str, tiles: TileDirectory | None, *, rasters: bool = True
) -> Contents:
    """Everything that a run was made from.

    `tiles` is the home's published log, None where there is none. Without `rasters` they are named with their
    licence and source. Raises `NotFound`, `RecordErased`, `BundleOutlineErased`, `RasterNotRedistributable`
    for a raster whose licence does not let it be passed on, `StoredFileChanged`.
    """
    row = load_run(session, run)
    record = load_record(row)
    outlines = record_outlines(session, record)
    for parcel in record.inputs.parcels:
        if parcel.geometry_sha256 not in outlines:
            raise BundleOutlineErased(run=run, parcel=parcel.parcel)
    members = [Member("record.json", "record", "record", record.text.encode())]
    members += _outlines(record, outlines)
    held, left_out = _rasters(session, home, record, rasters)
    members += [*held, *_items(session, record)]
    if record.inputs.plots is not None:
        members.append(_plots(home, record.inputs.plots.sha256))
    members += _method(record)
    members += _log(session, home, row, tiles)
    told = [asdict(one) for one in left_out]
    members.append(Member("README.md", "text", "readme", readme(run, record, told).encode()))
    members.append(Member("bundle.json", "index", "bundle", _index(run, members, told)))
    members.sort(key=lambda member: member.path)
    sums = "".join(f"{member.sha256()}  {member.path}\n" for member in members)
    members.append(Member("SHA256SUMS", "index", "sums", sums.encode()))
    return Contents(run, tuple(members), tuple(left_out))


def write_bundle(contents: Contents, target: Path) -> Path:
    """Write the bundle, whole or not at all: the same bytes for the same contents, on every machine."""
    partial = target.with_name(f".{target.name}.part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for member in sorted(contents.members, key=lambda one: one.path):
                _put(archive, member)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _put(archive: zipfile.ZipFile, member: Member) -> None:
    info = zipfile.ZipInfo(member.path, _EPOCH)
    info.external_attr = 0o644 << 16
    info.create_system = 3
    if isinstance(member.content, bytes):
        archive.writestr(info, member.content)
        return
    info.file_size = member.content.stat().st_size
    with member.content.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)


# ---- what is in it -----------------------------------------------------------------------------------------


def _outlines(record: RunRecord, outlines: Mapping[str, Polygonal]) -> Iterator[Member]:
    features: list[dict[str, Any]] = []
    for parcel in record.inputs.parcels:
        outline = outlines[parcel.geometry_sha256]
        features.append(
            {
                "type": "Feature",
                "id": parcel.number,
                "properties": {
                    "number": parcel.number,
                    "parcel": parcel.parcel,
                    "version": parcel.version,
                    "stand_type": parcel.stand_type,
                    "area_m2": parcel.area_cm2 / CM2_PER_M2,
                    "credited_m2": parcel.credited_cm2 / CM2_PER_M2,
                    "geometry_sha256": parcel.geometry_sha256,
                },
                "geometry": mapping(outline),
            }
        )
    for sha256 in sorted(outlines):
        yield Member(f"outlines/{sha256}.wkb", "outline", sha256, to_wkb(outlines[sha256]))
    document = {"type": "FeatureCollection", "features": features}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    yield Member("outlines.geojson", "outlines", "outlines", text.encode())


def _rasters(
    session: Session, home: Home, record: RunRecord, wanted: bool
) -> tuple[list[Member], list[LeftOut]]:
    held: dict[str, Member] = {}
    left_out: list[LeftOut] = []
    for raster in record.inputs.rasters:
        licence, where = _provenance(session, raster)
        if not wanted:
            left_out.append(LeftOut(raster.name, raster.sha256, licence, where))
            continue
        if licence not in LICENCES:
            raise RasterNotRedistributable(name=raster.name, sha256=raster.sha256, licence=licence or "-")
        path = checked(raster_path(home, raster.sha256), raster.sha256)
        held[raster.sha256] = Member(f"rasters/{raster.sha256}.tif", "raster", raster.name, path)
    return list(held.values()), left_out


def _items(session: Session, record: RunRecord) -> Iterator[Member]:
    """A STAC item of every raster, by the statement that the run was computed under: whose it is."""
    for raster in {one.sha256: one for one in record.inputs.rasters}.values():
        row = load_raster(session, raster.sha256, raster.statement)
        document = item_json(row, f"../rasters/{raster.sha256}.tif", "{sha256}.json")
        text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
        yield Member(f"stac/{raster.sha256}.json", "item", raster.name, text.encode())


def _provenance(session: Session, raster: RasterInput) -> tuple[str | None, str | None]:
    """Licence and source by the newest statement: what may be passed on today, not what was said once."""
    row = load_raster(session, raster.sha256)
    where = "; ".join(text for text in (row.product, row.source, row.attribution) if text)
    return row.licence, where or None


def _plots(home: Home, sha256: str) -> Member:
    path = checked(plots_path(home, sha256), sha256)
    return Member(f"plots/{path.name}", "plots", "plots", path)


def _method(record: RunRecord) -> Iterator[Member]:
    """Tables of this code are those of the record, or they are left away: `recompute` then names them."""
    method: Any = record.document.get("method") or method_version(record.inputs.method).record()
    yield Member("method/method.json", "method", "method", encode(method))
    yield Member("method/METHOD.md", "text", "method", method_text(record, method).encode())
    for table, sha256 in sorted(record.inputs.parameter_tables.items()):
        document = table_document(table)
        if table_sha256(document) == sha256:
            yield Member(f"method/tables/{table}.json", "table", table, encode(document))


def _log(session: Session, home: Home, row: EstimateRun, tiles: TileDirectory | None) -> Iterator[Member]:
    """The entry that recorded the run, its proof, and what opens its commitment to the record; nothing where
    the log is not published that far.
    """
    kept = tables.log.c
    found = session.execute(sa.select(kept.idx, kept.leaf).where(kept.entry_id == row.id)).one_or_none()
    if found is None or tiles is None or row.commitment_key is None or not home.vkey.exists():
        return
    try:
        proof = prove(session, found.idx, tiles)
    except NotPublished:
        return
    opening: JsonValue = {
        "commitment": row.commitment,
        "key": row.commitment_key.hex(),
        "rule": 'HMAC-SHA-256 under key over the canonical JSON {"record": <text of record.json>}',
    }
    yield Member("log/entry", "log", "entry", found.leaf)
    yield Member("log/proof.tlog-proof", "log", "proof", proof)
    yield Member("log/log.vkey", "log", "vkey", home.vkey.read_bytes())
    yield Member("log/opening.json", "log", "opening", encode(opening))


def _index(run: str, members: list[Member], left_out: list[dict[str, Any]]) -> bytes:
    files: list[JsonValue] = [
        {"path": one.path, "sha256": one.sha256(), "role": one.role, "name": one.name}
        for one in sorted(members, key=lambda member: member.path)
    ]
    return encode({"format": FORMAT, "run": run, "files": files, "left_out": list(left_out)})
