"""Input files of estimates in the home, each under the digest of its bytes."""

import hashlib
import os
import uuid
from pathlib import Path
from typing import Final

from registry.estimates.rules import StoredFileChanged
from registry.settings import Home

_PIECE: Final = 1 << 22


def keep(source: Path, target: Path) -> None:
    """Copy durably; the name appears when the file is whole, also when two store the same file."""
    partial, _ = copied(source, target.parent)
    partial.replace(target)


def copied(source: Path, folder: Path) -> tuple[Path, str]:
    """A durable copy under a name of its own, which the caller renames or removes, and its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{uuid.uuid4().hex}.partial"
    digest = hashlib.sha256()
    try:
        with source.open("rb") as read, partial.open("xb") as written:
            while piece := read.read(_PIECE):
                digest.update(piece)
                written.write(piece)
            written.flush()
            os.fsync(written.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return partial, digest.hexdigest()


def raster_path(home: Home, sha256: str) -> Path:
    return home.rasters / f"{sha256}.tif"


def copy_path(home: Home, sha256: str, band: int) -> Path:
    """The normalised copy of one band of a raster: a cache, and no part of a backup."""
    return home.cache / "rasters" / f"{sha256}.{band}.tif"


def checked(path: Path | None, sha256: str) -> Path:
    """The file if its bytes are still those of the digest (`StoredFileChanged`)."""
    if path is None or file_sha256(path) != sha256:
        raise StoredFileChanged(sha256=sha256)
    return path


def file_sha256(path: Path) -> str | None:
    """The digest of a file's bytes, None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
