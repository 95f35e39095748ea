"""A backup as one file: a gzipped tar whose last member, `manifest.json`, has the SHA-256 of all others.

It is written under a hidden name and renamed when it is whole and durable, so that what lies under the name
that was asked for is never half an archive. A reader believes no name and no byte before the manifest does.
"""

import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, Final

from registry.errors import RegistryRefusal

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 1 << 28
_PART: Final = ".tanhui-part"
_CHUNK_BYTES: Final = 1 << 20
_NAME: Final = re.compile(r"(?:tables|home|published)(?:/(?!\.)[^/\\\x00-\x1f]+)+")
_BROKEN: Final = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError)


class BackupDamaged(RegistryRefusal):
    """Not the archive that was written: cut short, changed, or never one."""

    code: ClassVar[str] = "backup_damaged"
    template: ClassVar[str] = "The backup is damaged at {member}: {reason}."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive is: whose log, how much of it, under which schema, and the digest of every member."""

    version: str
    revision: str
    created_at: str
    origin: str
    size: int
    root: str
    checkpoint: str
    members: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Raises `BackupDamaged`."""
        try:
            said: dict[str, Any] = json.loads(data)
            if said.get("format") != FORMAT:
                raise BackupDamaged(
                    member=MANIFEST, reason=f"its format is {said.get('format')}, not {FORMAT}"
                )
            return cls(**said)
        except (ValueError, TypeError, AttributeError) as fault:
            raise BackupDamaged(member=MANIFEST, reason="it cannot be read") from fault


class ArchiveWriter:
    """Adds members to an archive that is being made."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.digests: dict[str, str] = {}

    def add(self, name: str, content: IO[bytes], size_bytes: int) -> None:
        """The next `size_bytes` of `content` as one member."""
        if not _NAME.fullmatch(name):
            raise BackupDamaged(member=name, reason="this name cannot be kept")
        reader = _Digesting(content)
        self._tar.addfile(_member(name, size_bytes), reader)
        self.digests[name] = reader.digest.hexdigest()

    def finish(self, manifest: Manifest) -> None:
        data = manifest.to_bytes()
        self._tar.addfile(_member(MANIFEST, len(data)), io.BytesIO(data))


@contextmanager
def new_archive(part: Path) -> Iterator[ArchiveWriter]:
    """Write the archive `part`; durable when the block ends, gone when it fails."""
    sweep(part.parent)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it has keys and people's data
    with os.fdopen(handle, "wb") as raw:
        fcntl.flock(raw, fcntl.LOCK_EX)
        try:
            with (
                gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, filename="") as packed,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
            ):
                yield ArchiveWriter(tar)
            raw.flush()
            os.fsync(raw.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def part_of(target: Path) -> Path:
    """The hidden name under which `target` is written."""
    return target.with_name(f".{target.name}.{os.getpid()}{_PART}")


def put_in_place(part: Path, target: Path) -> None:
    part.replace(target)
    sync_folder(target.parent)


def sweep(folder: Path) -> None:
    """Remove what killed backups left: half archives that nobody is writing."""
    for path in folder.glob(f".*{_PART}"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def read_manifest(archive: Path) -> Manifest:
    """Read an archive whole and hold every member against the manifest. Raises `BackupDamaged` with its name,
    `OSError`.
    """
    digests: dict[str, str] = {}
    manifest: Manifest | None = None
    for name, content in members(archive):
        if manifest is not None or name in digests:
            raise BackupDamaged(member=name, reason="it is there twice, or after the manifest")
        if name == MANIFEST:
            manifest = Manifest.parse(content.read(MAX_MANIFEST_BYTES))
            continue
        while content.read(_CHUNK_BYTES):
            pass
        digests[name] = content.digest.hexdigest()
    if manifest is None:
        raise BackupDamaged(member=MANIFEST, reason="it is missing; the archive ends before it")
    for name in sorted(manifest.members.keys() | digests.keys()):
        if digests.get(name) != manifest.members.get(name):
            missing = name not in digests
            raise BackupDamaged(member=name, reason="it is missing" if missing else "its digest is another")
    return manifest


def members(archive: Path) -> Iterator[tuple[str, "_Digesting"]]:
    """Every member in order, to be read before the next. Only plain files below the known folders."""
    name = str(archive.name)
    try:
        with gzip.open(archive) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            for member in tar:
                name = member.name
                if not member.isreg() or (name != MANIFEST and not _NAME.fullmatch(name)):
                    raise BackupDamaged(member=name, reason="an archive of ours has no such member")
                content = tar.extractfile(member)
                assert content is not None
                yield name, _Digesting(content, name)
            while packed.read(_CHUNK_BYTES):  # to the end, which has the whole's checksum
                pass
    except _BROKEN as fault:
        raise _broken(name, fault) from fault


def _broken(name: str, fault: Exception) -> BackupDamaged:
    return BackupDamaged(member=name, reason=f"it cannot be read on ({type(fault).__name__})")


def copy_to(path: Path, content: "_Digesting", mode: int) -> None:
    """A member as a new file, durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        while data := content.read(_CHUNK_BYTES):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def lines_of(content: "_Digesting") -> Iterator[bytes]:
    """The lines of a member, without the ends."""
    rest = b""
    while data := content.read(_CHUNK_BYTES):
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
    if rest:
        yield rest


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Digesting:
    """A reader that digests what passes."""

    def __init__(self, content: IO[bytes], name: str = "") -> None:
        self._content = content
        self._name = name
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._content.read(size)
        except _BROKEN as fault:
            raise _broken(self._name, fault) from fault
        self.digest.update(data)
        return data


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.mode = 0o600
    return member
