"""Configuration: where an installation lives.

A home folder holds everything of one installation. Every command takes `--home`, else `TANHUI_HOME`, else
`./tanhui-data`. With `TANHUI_DATABASE_URL` the tables live in that PostgreSQL, the rest stays in the
folder.
"""

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
    public_url: str = "http://127.0.0.1:8000"
    font_dirs: list[Path] = Field(
        default_factory=list, description="fonts asked after ours, for rare characters"
    )


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one installation."""

    path: Path
    database_url: str

    @classmethod
    def at(cls, path: Path, database_url: str | None = None) -> "Home":
        path = path.absolute()
        return cls(path, database_url or sqlite_url(path / "tanhui.db"))

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def vkey(self) -> Path:
        return self.path / "log.vkey"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def certificates(self) -> Path:
        return self.path / "certificates"

    @property
    def rasters(self) -> Path:
        return self.path / "rasters"
