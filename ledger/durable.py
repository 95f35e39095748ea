"""Files that survive a loss of power: written beside their place, synced, renamed into it, and the directory
synced.
"""

import os
from pathlib import Path
from typing import Final

STAGING: Final = ".staging"


class DurableFolder:
    """A folder whose files appear whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def write(self, name: str, data: bytes) -> None:
        """Make or replace one file; it is durable on return."""
        target = self.path / name
        staging = self.path / STAGING
        self.make(target.parent)
        self.make(staging)
        temporary = staging / name.replace("/", "-")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync(target.parent)

    def make(self, folder: Path) -> None:
        """The folder and those above it, durable."""
        if folder.is_dir():
            return
        self.make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)

    def clear_staging(self) -> None:
        """Remove what a crash left half written; nobody may be writing."""
        staging = self.path / STAGING
        if staging.is_dir():
            for leftover in staging.iterdir():
                leftover.unlink()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
