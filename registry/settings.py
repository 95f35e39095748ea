"""Configuration: where an installation lives.

A home folder holds everything of one installation. Every command takes `--home`, else `TANHUI_HOME`, else
`./tanhui-data`. With `TANHUI_DATABASE_URL` the tables live in that PostgreSQL, the rest stays in the
folder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from registry.database import sqlite_url


class Settings(BaseSettings):
    """What the environment says."""

    model_config = SettingsConfigDict(env_prefix="TANHUI_")

    home: Path = Path("tanhui-data")
    database_url: str | None = None
    origin: str = Field("tanhui.example/log", description="name of a new log; it can never change")
    key_passphrase: str | None = Field(
        None, description="unlocks the keys the server keeps; else `secret` in the home"
    )
    anchor: str | None = Field(
        None,
        description="files on other volumes, `:` between them, that keep the last published checkpoint",
    )
    public_url: str = "http://127.0.0.1:8000"
    font_dirs: list[Path] = Field(
        default_factory=list, description="fonts asked after ours, for rare characters"
    )

    @property
    def anchors(self) -> tuple[Path, ...]:
        return tuple(Path(place).absolute() for place in (self.anchor or "").split(os.pathsep) if place)


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one installation, where its tables are, and its anchors (`registry.anchor`)."""

    path: Path
    database_url: str
    anchors: tuple[Path, ...] = ()

    @classmethod
    def at(cls, path: Path, database_url: str | None = None, anchors: Sequence[Path] = ()) -> "Home":
        path = path.absolute()
        return cls(path, database_url or sqlite_url(path / "tanhui.db"), tuple(anchors))

    @property
    def own_tables(self) -> Path:
        """Where the tables are unless they are in a PostgreSQL."""
        return self.path / "tanhui.db"

    @property
    def lost(self) -> Path:
        """Commitments, one on a line, whose records went with a newer database: `registry.catchup`."""
        return self.path / "lost-records"

    def lost_commitments(self) -> frozenset[str]:
        return frozenset(self.lost.read_text().split()) if self.lost.exists() else frozenset()

    @property
    def restored(self) -> Path:
        """The mark of a home that came from a backup."""
        return self.path / "restored"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def vkey(self) -> Path:
        return self.path / "log.vkey"

    @property
    def policy(self) -> Path:
        """Which witnesses must sign before a checkpoint is published (`ledger.policy`); may be missing."""
        return self.path / "witness.policy"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def certificates(self) -> Path:
        return self.path / "certificates"

    @property
    def rasters(self) -> Path:
        return self.path / "rasters"

    @property
    def cache(self) -> Path:
        """What can be made again at any time: shares of cells (`registry.transparency.doubled`)."""
        return self.path / "cache"

    @property
    def coverage(self) -> Path:
        """Shares of raster cells in parcels, kept for all estimates (`geo.coverage_store`); a cache too."""
        return self.cache / "coverage"

    @property
    def files(self) -> Path:
        """Uploads as they came, by their digest (`registry.files`)."""
        return self.path / "files"
