"""Keys that the server keeps: the log's, the installation's root and system, and those in `server` custody.

Each key is an encrypted PKCS#8 file named by its key id. The passphrase comes from the environment
(`TANHUI_KEY_PASSPHRASE`) or from the file `secret` in the home, which is made at the start, readable by its
owner only.
"""

import os
import secrets
from pathlib import Path
from typing import ClassVar

from ledger.keys import SigningKey
from registry.errors import RegistryRefusal


class KeyNotHeld(RegistryRefusal):
    """The server cannot sign for this key: its holder keeps it."""

    code: ClassVar[str] = "key_not_held"
    template: ClassVar[str] = (
        "The registry does not hold the key {keyid}; prepare the act and sign it with that key."
    )


class KeyRing:
    """A folder of encrypted keys."""

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        self._folder = folder
        self._passphrase = (passphrase or _secret(folder)).encode()
        self._open: dict[str, SigningKey] = {}

    def create(self, name: str | None = None) -> SigningKey:
        """A new key, kept under its key id or under `name`."""
        key = SigningKey.generate()
        name = name or key.keyid
        path = self._folder / f"{name}.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.to_pem(self._passphrase))
            file.flush()
            os.fsync(file.fileno())
        _sync(self._folder)  # the log will name this key
        self._open[name] = key
        return key

    def get(self, name: str) -> SigningKey:
        """The key kept under `name`; `KeyNotHeld` when there is none."""
        key = self._open.get(name)
        if key is None:
            path = self._folder / f"{name}.pem"
            if not path.exists():
                raise KeyNotHeld(keyid=name)
            key = self._open[name] = SigningKey.from_pem(path.read_bytes(), self._passphrase)
        return key


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class PassphraseMissing(RegistryRefusal):
    """Keys without what opens them, as a restored backup has them. A new passphrase would open none."""

    code: ClassVar[str] = "passphrase_missing"
    template: ClassVar[str] = (
        "The keys in {folder} need their passphrase: "
        "set TANHUI_KEY_PASSPHRASE or put the file `secret` there."
    )


def _secret(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "secret"
    if not path.exists():
        if any(folder.glob("*.pem")):
            raise PassphraseMissing(folder=str(folder))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        _sync(folder)
    return path.read_text().strip()
