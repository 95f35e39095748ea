"""Reading a stranger's bundle: nothing in it is believed, and nothing of it lands outside a folder of ours.

The folder's files lie under the names that the bundle's layout gives them, so that a changed file is found
where the right one should be, and named with its own digest.
"""

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shapely.errors import ShapelyError
from shapely.geometry import shape

from geo.errors import GeoRefusal
from geo.polygon import canonical, digest, polygonal
from geo.work import Progress
from ledger.canonical import JsonValue
from ledger.commitment import verify_commitment
from ledger.errors import LedgerRefusal
from ledger.verify import VerifiedEntry, verify_entry
from registry.estimates.bundles.writing import FORMAT
from registry.estimates.ground import Cover
from registry.estimates.input_files import file_sha256
from registry.estimates.recompute import Difference, Recomputed, Resolve, folder, recompute
from registry.estimates.rules import BundleRefused
from registry.estimates.run import fresh_cover
from registry.estimates.run_record import RunRecord

MAX_MEMBERS: Final = 20_000
MAX_UNPACKED_BYTES: Final = 64 << 30
MAX_TEXT_BYTES: Final = 256 << 20
"""Of any member that is no raster."""
MAX_RATIO: Final = 200
RATIO_FREE_BYTES: Final = 64 << 20
_NAME: Final = re.compile(
    r"README\.md|SHA256SUMS|bundle\.json|record\.json|outlines\.geojson"
    r"|outlines/[0-9a-f]{64}\.wkb|rasters/[0-9a-f]{64}\.tif|plots/[0-9a-f]{64}\.(csv|xlsx|xls|ods)"
    r"|method/(method\.json|METHOD\.md|tables/[a-z0-9_]{1,60}\.json)|stac/[A-Za-z0-9._-]{1,120}\.json"
    r"|log/(entry|proof\.tlog-proof|log\.vkey|opening\.json)"
)
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NEEDED: Final = ("bundle.json", "record.json", "SHA256SUMS")
_RASTERS: Final = "rasters/"


@dataclass(frozen=True, slots=True)
class Bundle:
    """An unpacked bundle. `elsewhere` finds rasters by their digests, for bundles without them."""

    folder: Path
    elsewhere: Resolve

    @property
    def index(self) -> dict[str, Any]:
        found = _json(self.folder / "bundle.json")
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BundleRefused(reason="format", detail=f"bundle.json is not of {FORMAT}")
        return found

    @property
    def run(self) -> str:
        return str(self.index.get("run"))

    @property
    def has_entry(self) -> bool:
        return (self.folder / "log" / "entry").exists()

    @property
    def record(self) -> RunRecord:
        return RunRecord((self.folder / "record.json").read_text(encoding="utf-8", errors="replace"))

    def resolve(self, sha256: str) -> Path | None:
        """The file that the layout has for a digest, whatever its bytes are by now."""
        places = (f"rasters/{sha256}.tif", f"outlines/{sha256}.wkb")
        found = [self.folder / place for place in places] + sorted(
            (self.folder / "plots").glob(f"{sha256}.*")
        )
        return next((path for path in found if path.exists()), None) or self.elsewhere(sha256)

    def tables(self) -> dict[str, object]:
        return {path.stem: _json(path) for path in sorted((self.folder / "method" / "tables").glob("*.json"))}


def unpack(path: Path, into: Path, rasters: Path | None = None) -> Bundle:
    """Unpack a bundle into a folder; `rasters` is where those lie that it does not hold (`BundleRefused`)."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(members, path.stat().st_size)
            for member in members:
                target = into / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as fault:
        raise BundleRefused(reason="damaged", detail=str(fault)[:80]) from fault
    return Bundle(into, folder() if rasters is None else folder(rasters))


def _check(members: list[zipfile.ZipInfo], packed: int) -> None:
    """`packed` is the size of the archive: members may lie over each other."""
    if len(members) > MAX_MEMBERS:
        raise BundleRefused(reason="too_many_members", detail=f"{len(members)} of at most {MAX_MEMBERS}")
    names = [member.filename for member in members]
    for member in members:
        _check_member(member)
    if len(set(names)) != len(names):
        raise BundleRefused(reason="member_name", detail="a name occurs twice")
    for name in _NEEDED:
        if name not in names:
            raise BundleRefused(reason="missing", detail=name)
    total = sum(member.file_size for member in members)
    if total > MAX_UNPACKED_BYTES:
        raise BundleRefused(reason="too_large", detail=f"{total} of at most {MAX_UNPACKED_BYTES} bytes")
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * packed:
        raise BundleRefused(reason="ratio", detail=f"{total} bytes from {packed}")


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    if not _NAME.fullmatch(name):
        raise BundleRefused(reason="member_name", detail=name[:80])
    if member.flag_bits & 1:
        raise BundleRefused(reason="encrypted", detail=name[:80])
    if member.compress_type not in _METHODS:
        raise BundleRefused(reason="method", detail=f"{name[:80]} is packed by method {member.compress_type}")
    if not name.startswith(_RASTERS) and member.file_size > MAX_TEXT_BYTES:
        raise BundleRefused(reason="too_large", detail=f"{name[:80]} has {member.file_size} bytes")


def recompute_bundle(
    bundle: Bundle, vkey: str | None = None, cover: Cover = fresh_cover, progress: Progress | None = None
) -> Recomputed:
    """Compute a bundle's run again with nothing else, and hold its record to the log's entry.

    `vkey` is the log's key, got elsewhere, and asks for an entry of that log; without it the bundle's own is
    used, which shows no more than that entry and record belong together. Raises `BundleRefused`,
    `RecordMalformed`, what `compute` raises.
    """
    record = bundle.record
    found = recompute(record.text, bundle.resolve, tables=bundle.tables(), cover=cover, progress=progress)
    named = {one.name for one in found.differences}
    more = [*_of_log(bundle, record, vkey), *_of_sums(bundle, record), *_of_features(bundle, record)]
    return Recomputed(
        found.kg, found.recorded_kg, (*found.differences, *(one for one in more if one.name not in named))
    )


def _of_log(bundle: Bundle, record: RunRecord, vkey: str | None) -> Iterator[Difference]:
    """What the log's entry says otherwise than the record."""
    folder = bundle.folder / "log"
    if not bundle.has_entry:
        if vkey is not None:
            yield Difference("log/entry", "an entry of the log whose key was given", None)
        return
    try:
        entry = verify_entry(
            (folder / "proof.tlog-proof").read_bytes(),
            (folder / "entry").read_bytes(),
            vkey or (folder / "log.vkey").read_text(encoding="ascii", errors="replace"),
        )
        yield from _of_entry(entry, bundle, record)
    except (LedgerRefusal, OSError) as fault:
        yield Difference("log", "an entry that its proof and key vouch for", str(fault)[:120])


def _of_entry(entry: VerifiedEntry, bundle: Bundle, record: RunRecord) -> Iterator[Difference]:
    commitments, opening = entry.payload.get("commitments"), _json(bundle.folder / "log" / "opening.json")
    if not isinstance(commitments, dict) or not isinstance(opening, dict):
        yield Difference("log/opening.json", "what opens the commitment", None)
        return
    try:
        key = bytes.fromhex(str(opening.get("key")))
        verify_commitment(str(commitments.get("record")), key, {"record": record.text})
    except (LedgerRefusal, ValueError):
        yield Difference(
            "record.json", f"the record of commitment {commitments.get('record')}", "another one"
        )
    acted = {name: entry.payload.get(name) for name in ("machine", "action", "subject")}
    if acted != {"machine": "run", "action": "record", "subject": bundle.run}:
        yield Difference("bundle.json", f"run {acted['subject']}", f"run {bundle.run[:80]}")
    facts = entry.payload.get("facts")
    for name, value in _logged(record).items():
        stated = facts.get(name) if isinstance(facts, dict) else None
        if stated != value:
            yield Difference(f"log.{name}", str(stated)[:120], str(value)[:120])


def _logged(record: RunRecord) -> dict[str, JsonValue]:
    """Those facts of a run's entry that its record repeats."""
    inputs = record.inputs
    return {
        "period": inputs.period,
        "method": inputs.method,
        "method_sha256": inputs.method_sha256,
        "inputs_sha256": str(record.document.get("inputs_sha256")),
        "rasters": {raster.name: raster.sha256 for raster in inputs.rasters},
        "plots_sha256": None if inputs.plots is None else inputs.plots.sha256,
        "tier": record.tier,
        "estimate_kg": record.estimate_kg,
        "loss_kg": record.loss_kg,
        "uncertainty_ppm": record.uncertainty_ppm,
    }


def _of_sums(bundle: Bundle, record: RunRecord) -> Iterator[Difference]:
    """Files that are not those that were packed, unless they are named as an input already; files that no sum
    is given of.
    """
    inputs = {*record.inputs.file_digests.values(), *(one.geometry_sha256 for one in record.inputs.parcels)}
    text = (bundle.folder / "SHA256SUMS").read_text(encoding="utf-8", errors="replace")
    sums = {name: sha256 for sha256, _, name in (line.partition("  ") for line in text.splitlines())}
    there = {str(path.relative_to(bundle.folder)) for path in bundle.folder.rglob("*") if path.is_file()}
    for name in sorted(there - sums.keys() - {"SHA256SUMS"}):
        yield Difference(name, "a digest in SHA256SUMS", file_sha256(bundle.folder / name))
    for name, sha256 in sums.items():
        if not _NAME.fullmatch(name) or Path(name).stem in inputs:
            continue
        found = file_sha256(bundle.folder / name)
        if found != sha256:
            yield Difference(name, sha256, found)


def _of_features(bundle: Bundle, record: RunRecord) -> Iterator[Difference]:
    """Outlines for a map that are not those of the record."""
    path = bundle.folder / "outlines.geojson"
    if not path.exists():
        return
    drawn = dict(_drawn(_json(path)))
    for parcel in record.inputs.parcels:
        if drawn.get(parcel.number) != parcel.geometry_sha256:
            name = f"outlines.geojson.{parcel.number}"
            yield Difference(name, parcel.geometry_sha256, drawn.get(parcel.number))
    for number in sorted(drawn.keys() - {parcel.number for parcel in record.inputs.parcels}):
        yield Difference(f"outlines.geojson.{number}", "no such parcel", drawn[number])


def _drawn(document: object) -> Iterator[tuple[int, str]]:
    """Number and digest of each outline that can be read."""
    features = document.get("features") if isinstance(document, dict) else None
    for feature in features if isinstance(features, list) else []:
        try:
            outline = canonical(polygonal(shape(feature["geometry"])))
            yield int(feature["properties"]["number"]), digest(outline)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ShapelyError, GeoRefusal):
            continue  # found missing


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as fault:
        raise BundleRefused(reason="damaged", detail=f"{path.name} is no JSON") from fault
