"""Zip archives: one data set is unpacked under names of our own; everything else counts for the limits."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final

from geo.errors import ArchiveRefused, NotAShapefile
from geo.reading.rows import Task

MAX_MEMBERS: Final = 20
MAX_RATIO: Final = 100
RATIO_FREE_BYTES: Final = 1 << 20  # small archives may pack well
_SHAPEFILE: Final = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_READABLE: Final = (*_SHAPEFILE, ".gpkg", ".geojson", ".json")
_NESTED: Final = (".zip", ".kmz", ".7z", ".rar", ".gz", ".tar", ".tgz", ".bz2", ".xz")


def unpack(task: Task) -> dict[str, Path]:
    """Unpack the readable members under our own names; the extension of each tells what it is.

    Every member counts for the limits, read or not. Raises ArchiveRefused, NotAShapefile.
    """
    try:
        with zipfile.ZipFile(task.path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _check_members(members, task)
            chosen = _choose(members)
            return {ending: _unpack_member(archive, m, ending, task) for ending, m in chosen.items()}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, struct.error) as error:
        raise ArchiveRefused(reason="damaged", detail=str(error)[:80]) from error
    except zlib.error as error:
        raise ArchiveRefused(reason="damaged", detail=str(error)[:80]) from error


def _check_members(members: list[zipfile.ZipInfo], task: Task) -> None:
    if len(members) > MAX_MEMBERS:
        raise ArchiveRefused(reason="too_many_members", detail=f"{len(members)} of at most {MAX_MEMBERS}")
    for member in members:
        name = member.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            raise ArchiveRefused(reason="member_name", detail=name[:80])
        if member.flag_bits & 1:
            raise ArchiveRefused(reason="encrypted", detail=name[:80])
        if name.lower().endswith(_NESTED):
            raise ArchiveRefused(reason="nested", detail=name[:80])
    total = sum(m.file_size for m in members)
    packed = sum(m.compress_size for m in members)
    if total > task.max_unpacked_bytes:
        raise ArchiveRefused(reason="too_large", detail=f"{total} of at most {task.max_unpacked_bytes} bytes")
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * max(packed, 1):
        raise ArchiveRefused(reason="ratio", detail=f"{total} bytes from {packed}")


def _choose(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members of the one data set, by extension."""
    readable = [m for m in members if _ending(m) in _READABLE]
    main = [m for m in readable if _ending(m) in (".shp", ".gpkg", ".geojson", ".json")]
    if not main:
        names = ", ".join(sorted(m.filename for m in members))[:80] or "nothing"
        raise NotAShapefile(reason="member_missing", detail=f"no .shp among {names}")
    if len(main) > 1:
        raise ArchiveRefused(
            reason="several_datasets", detail=", ".join(sorted(m.filename for m in main))[:80]
        )
    if _ending(main[0]) != ".shp":
        return {_ending(main[0]): main[0]}
    stem = main[0].filename[:-4].lower()
    return {_ending(m): m for m in readable if m.filename[: -len(_ending(m))].lower() == stem}


def _ending(member: zipfile.ZipInfo) -> str:
    return Path(member.filename).suffix.lower()


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, ending: str, task: Task) -> Path:
    target = Path(task.folder) / f"data{ending}"
    left = member.file_size
    with archive.open(member) as source, target.open("wb") as out:
        while chunk := source.read(min(1 << 20, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ArchiveRefused(reason="too_large", detail=f"{ending} is larger than the archive says")
            if chunk[:4] == b"PK\x03\x04" and out.tell() == 0:
                raise ArchiveRefused(reason="nested", detail=member.filename[:80])
            out.write(chunk)
    return target
