"""Zip archives: one data set is unpacked under names of our own; everything else counts for the limits."""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geo.errors import ArchiveRefused, FormatUnsupported, NotAShapefile
from geo.reading.rows import Task

MAX_MEMBERS: Final = 20
MAX_RATIO: Final = 100
RATIO_FREE_BYTES: Final = 1 << 20  # small archives may pack well
_SHAPEFILE: Final = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_ABOUT: Final = (".prj", ".cpg")
"""Read here and kept from GDAL, which would look for them beside the .shp."""
_DATA: Final = (".shp", ".gpkg", ".geojson", ".kml", ".gpx", ".parquet", ".geoparquet")
_BESIDE: Final = (".csv", ".json")
"""May lie beside a data set, as legends and descriptions do; it is the data set if there is no other."""
_NESTED: Final = (".zip", ".kmz", ".7z", ".rar", ".gz", ".tar", ".tgz", ".bz2", ".xz")
_OTHER_FORMATS: Final = (
    (".gml", "GML"),
    (".gdbtable", "FileGDB"),
    (".dxf", "DXF"),
    (".dwg", "DWG"),
    (".tab", "MapInfo TAB"),
    (".mif", "MapInfo MIF"),
    (".mdb", "Access (MDB)"),
    (".fgb", "FlatGeobuf"),
    ("xl/workbook.xml", "Excel (XLSX)"),
    (".tif", "TIFF"),
)
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The files of one data set by extension, its main file, and the names in the archive."""

    files: dict[str, Path]
    main: str
    names: tuple[str, ...]


def unpack(task: Task) -> Unpacked:
    """Unpack one data set under our own names.

    Every member counts for the limits, read or not. Raises ArchiveRefused, FormatUnsupported, NotAShapefile.
    """
    try:
        with zipfile.ZipFile(task.path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _check_format(members)
            _check_members(members, task)
            main, chosen = _choose([m for m in members if not _is_debris(m)], task.layer)
            files = {ending: _unpack_member(archive, m, ending, task) for ending, m in chosen.items()}
            return Unpacked(files, main, tuple(_name(m) for m in members))
    except (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, OSError) as error:
        raise ArchiveRefused(reason="damaged", detail=str(error)[:80]) from error


def _check_format(members: list[zipfile.ZipInfo]) -> None:
    """Name a format that is not read, if the archive holds nothing else."""
    if any(_ending(m) in (*_DATA, *_BESIDE) and not _is_debris(m) for m in members):
        return
    names = [m.filename.lower() for m in members]
    for ending, found in _OTHER_FORMATS:
        if any(name.endswith(ending) for name in names):
            raise FormatUnsupported(found=found)


def _check_members(members: list[zipfile.ZipInfo], task: Task) -> None:
    if len(members) > MAX_MEMBERS:
        raise ArchiveRefused(reason="too_many_members", detail=f"{len(members)} of at most {MAX_MEMBERS}")
    for member in members:
        _check_member(member)
    total = sum(m.file_size for m in members)
    packed = sum(m.compress_size for m in members)
    if total > task.max_unpacked_bytes:
        raise ArchiveRefused(reason="too_large", detail=f"{total} of at most {task.max_unpacked_bytes} bytes")
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * max(packed, 1):
        raise ArchiveRefused(reason="ratio", detail=f"{total} bytes from {packed}")


def _check_member(member: zipfile.ZipInfo) -> None:
    name = _name(member)
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        raise ArchiveRefused(reason="member_name", detail=name[:80])
    if member.flag_bits & 1:
        raise ArchiveRefused(reason="encrypted", detail=name[:80])
    if name.lower().endswith(_NESTED):
        raise ArchiveRefused(reason="nested", detail=name[:80])
    if member.compress_type not in _METHODS:
        raise ArchiveRefused(
            reason="method", detail=f"{name[:80]} is packed by method {member.compress_type}"
        )


def _choose(members: list[zipfile.ZipInfo], wanted: str | None) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """The main member's extension and the members of its data set by theirs."""
    main = [m for m in members if _ending(m) in _DATA] or [m for m in members if _ending(m) in _BESIDE]
    if not main:
        names = ", ".join(sorted(_name(m) for m in members))[:80] or "nothing"
        raise NotAShapefile(reason="member_missing", detail=f"no .shp among {names}")
    one = main[0] if len(main) == 1 else _named(main, wanted)
    if _ending(one) != ".shp":
        return _ending(one), {_ending(one): one}
    stem = one.filename[:-4].lower()
    found = {_ending(m): m for m in members if m.filename[: -len(_ending(m)) or None].lower() == stem}
    return ".shp", {ending: found[ending] for ending in _SHAPEFILE if ending in found}


def _named(main: list[zipfile.ZipInfo], wanted: str | None) -> zipfile.ZipInfo:
    """The one of several data sets that was asked for; a KMZ has one document."""
    if wanted is not None and not any(_ending(m) == ".kml" for m in main):
        found = [m for m in main if wanted in (_name(m), Path(_name(m).replace("\\", "/")).stem)]
        if len(found) == 1:
            return found[0]
    names = ", ".join(sorted(_name(m) for m in main))[:80]
    raise ArchiveRefused(reason="several_datasets", detail=names)


def _is_debris(member: zipfile.ZipInfo) -> bool:
    """What macOS lays beside each file."""
    name = member.filename
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1].startswith("._")


def _ending(member: zipfile.ZipInfo) -> str:
    return Path(member.filename).suffix.lower()


def _name(member: zipfile.ZipInfo) -> str:
    """As its author saw it: without the flag for UTF-8, Chinese programs write GBK."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return member.filename


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, ending: str, task: Task) -> Path:
    target = Path(task.folder) / (f"about{ending}" if ending in _ABOUT else f"data{ending}")
    left = member.file_size
    with archive.open(member) as source, target.open("wb") as out:
        while chunk := source.read(min(1 << 20, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ArchiveRefused(reason="too_large", detail=f"{ending} is larger than the archive says")
            if chunk[:4] == b"PK\x03\x04" and out.tell() == 0:
                raise ArchiveRefused(reason="nested", detail=_name(member)[:80])
            out.write(chunk)
    return target
