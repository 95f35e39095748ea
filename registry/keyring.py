"""Keys that the server keeps: the log's, the installation's root and system, and those in `server` custody.

Each key is an encrypted PKCS#8 file named by its key id. The passphrase comes from the environment
(`TANHUI_KEY_PASSPHRASE`) or from the file `secret` in the home, which is made at the start, readable by its
owner only.
"""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final, Protocol

from ledger.keys import SigningKey
from ledger.log_keys import LogKeyNotHeld
from ledger.note import NoteSigner, NoteVerifier, Signer
from registry.errors import RegistryRefusal

FIRST_LOG_KEY: Final = "log"


class KeyNotHeld(RegistryRefusal):
    """The server cannot sign for this key: its holder keeps it."""

    code: ClassVar[str] = "key_not_held"
    template: ClassVar[str] = (
        "The registry does not hold the key {keyid}; prepare the act and sign it with that key."
    )


class KeyService(Protocol):
    """Where keys of the log may lie instead: a KMS, an HSM, another process. The small signing interface is
    `ledger.note.Signer`: a verifier, and a signature over a text.
    """

    def signer(self, verifier: NoteVerifier) -> Signer | None:
        """What signs for this key; None when the service does not hold it."""


class KeyRing:
    """A folder of encrypted keys."""

    def __init__(
        self, folder: Path, passphrase: str | None = None, services: Sequence[KeyService] = ()
    ) -> None:
        self._folder = folder
        self._services = tuple(services)
        self._passphrase = (passphrase or _secret(folder)).encode()
        self._open: dict[str, SigningKey] = {}

    def create(self, name: str | None = None) -> SigningKey:
        """A new key, kept under its key id or under `name`."""
        key = SigningKey.generate()
        self._keep(name or key.keyid, key)
        return key

    def get_or_create(self, name: str) -> SigningKey:
        """The key kept under `name`, which is made where there is none."""
        try:
            return self.get(name)
        except KeyNotHeld:
            return self.create(name)

    def _keep(self, name: str, key: SigningKey) -> None:
        _write_new(self._folder / f"{name}.pem", key.to_pem(self._passphrase))  # the log will name this key
        self._open[name] = key

    def get(self, name: str) -> SigningKey:
        """The key kept under `name`; `KeyNotHeld` when there is none."""
        key = self._open.get(name)
        if key is None:
            path = self._folder / f"{name}.pem"
            if not path.exists():
                raise KeyNotHeld(keyid=name)
            key = self._open[name] = SigningKey.from_pem(path.read_bytes(), self._passphrase)
        return key

    def held(self, keyid: str, person: str) -> SigningKey:
        """The key of this id. The first ones of the root and the system lie under their persons' names."""
        if keyid not in self._open and not (self._folder / f"{keyid}.pem").exists():
            first = self.get(person)
            if first.keyid != keyid:
                raise KeyNotHeld(keyid=keyid)
            self._open[keyid] = first
        return self.get(keyid)

    def log_signer(self, verifier: NoteVerifier) -> Signer:
        """What signs checkpoints for a key of the log: a service that holds it, else the file here.

        Raises `LogKeyNotHeld`.
        """
        for service in self._services:
            signer = service.signer(verifier)
            if signer is not None:
                return signer
        for name in (log_key_name(verifier), FIRST_LOG_KEY):
            with suppress(KeyNotHeld):
                signer = NoteSigner(verifier.name, self.get(name))
                if signer.verifier == verifier:
                    return signer
        raise LogKeyNotHeld(vkey=verifier.vkey)

    def create_log_key(self, origin: str) -> NoteSigner:
        """A new key for the log, kept under its note key id. It signs nothing before the log announces it."""
        key = SigningKey.generate()
        signer = NoteSigner(origin, key)
        self._keep(log_key_name(signer.verifier), key)
        return signer


def log_key_name(verifier: NoteVerifier) -> str:
    return f"log-{verifier.key_id.hex()}"


def _write_new(path: Path, data: bytes) -> None:
    """A file for its owner alone that is there whole or not at all; `FileExistsError` when it is there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    finally:
        temporary.unlink()
    _sync(path.parent)


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
        _write_new(path, secrets.token_urlsafe(32).encode())
    return path.read_text().strip()
