"""Normalised copies: the same values in the encoding that is read fastest. A cache, made anew at any time.

A run names the source by its digest, and its values by theirs; from which of the two files they were read
makes no difference to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from geo.confined import Progress
from geo.raster import RasterSource
from geo.raster_ingest import Normalised, normalise
from registry.estimates.file_store import checked, copy_path, file_sha256, raster_path
from registry.estimates.models import RasterCopy, RasterStatement
from registry.estimates.rules import StoredFileChanged
from registry.settings import Home


@dataclass(frozen=True, slots=True)
class RasterFile:
    """A file to read a raster's values from: the band in it, and the digest that its bytes must have."""

    path: Path
    band: int
    sha256: str
    copy: bool = False


def normalise_raster(home: Home, row: RasterStatement, progress: Progress | None = None) -> Normalised:
    """Write and prove the copy of the band that a statement speaks of; no transaction is needed.

    Raises `StoredFileChanged` when the source's bytes or values are not those that were registered, and what
    `raster_ingest.normalise` raises.
    """
    path = checked(raster_path(home, row.sha256), row.sha256)
    target = copy_path(home, row.sha256, row.band)
    target.parent.mkdir(parents=True, exist_ok=True)
    with RasterSource.open(path) as source:
        made = normalise(source, target, band=row.band, progress=progress)
    if row.values_sha256 not in (None, made.values_sha256):
        target.unlink()
        raise StoredFileChanged(sha256=row.sha256)
    return made


def record_copy(session: Session, made: Normalised, at: datetime) -> RasterCopy:
    """Say that there is a copy, in place of what was said of an earlier one."""
    return session.merge(
        RasterCopy(
            sha256=made.source_sha256,
            band=made.band,
            copy_sha256=made.target_sha256,
            values_sha256=made.values_sha256,
            encoding=made.encoding.to_json(),
            size_bytes=made.size_bytes,
            made_at=at,
        )
    )


def raster_file(session: Session, home: Home, sha256: str, band: int) -> RasterFile:
    """The copy where one is recorded and lies in the home, else the source. Neither is read here."""
    copy = session.get(RasterCopy, (sha256, band))
    path = copy_path(home, sha256, band)
    if copy is not None and path.exists():
        return RasterFile(path, 1, copy.copy_sha256, copy=True)
    return RasterFile(raster_path(home, sha256), band, sha256)


def believed(home: Home, file: RasterFile, sha256: str, band: int) -> RasterFile:
    """The file itself if it is a copy whose bytes are what was recorded, else the source (`StoredFileChanged`
    when it is no longer what was registered).
    """
    if file.copy and file_sha256(file.path) == file.sha256:
        return file
    return RasterFile(checked(raster_path(home, sha256), sha256), band, sha256)


def sound(files: Mapping[str, RasterFile]) -> dict[str, Path]:
    """The copies among files, by name, whose bytes are what was recorded: a damaged cache is not read."""
    return {
        name: file.path for name, file in files.items() if file.copy and file_sha256(file.path) == file.sha256
    }
