"""What keeps a restored database from signing a second history.

An *anchor* is a copy of the last published checkpoint on a volume that is never restored. It is written
after each publication, never falls, and is read before anything is signed: a database with fewer entries, or
others, was restored. A home that `tanhui restore` made carries a mark and signs nothing until it has
caught up with what was published since, or its operator has declared that nothing was.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.checkpoint import Checkpoint, parse, peek_checkpoint
from ledger.errors import LedgerRefusal
from ledger.merkle import Frontier
from ledger.note import NoteVerifier, Signer
from ledger.tiles import TileDirectory
from registry.errors import RegistryRefusal
from registry.settings import Home

RootAt = Callable[[int], bytes]


class DatabaseBehind(RegistryRefusal):
    """The published log is ahead of the database: a backup was restored. Signing now would fork the log."""

    code: ClassVar[str] = "database_behind_log"
    template: ClassVar[str] = (
        "The published log has {published} entries, the database only {committed}; nothing is signed."
    )


class HistoryForked(RegistryRefusal):
    """Other entries were published under the same sizes: this is a second history."""

    code: ClassVar[str] = "history_forked"
    template: ClassVar[str] = (
        "{place} has another history of this log at {size} entries; nothing is signed any more."
    )


class AnchorMissing(RegistryRefusal):
    """An empty mount point looks like this, so that no anchor is begun unasked."""

    code: ClassVar[str] = "anchor_missing"
    template: ClassVar[str] = (
        "There is no checkpoint at {path}: is its volume mounted? `tanhui db anchor` begins a new anchor."
    )


class AnchorUnreadable(RegistryRefusal):
    code: ClassVar[str] = "anchor_unreadable"
    template: ClassVar[str] = "{path} is no anchor of this log: {reason}."


class HomeRestored(RegistryRefusal):
    """Whether something was published after the backup is not known here."""

    code: ClassVar[str] = "home_restored"
    template: ClassVar[str] = (
        "{path} was restored from a backup of {size} entries and signs nothing yet: `tanhui restore "
        "--catch-up` brings what was published since, `--nothing-newer` declares that nothing was."
    )


class Anchors:
    """The anchors of one installation; none is a valid number of them."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self._paths = tuple(paths)
        self._kept: bytes | None = None

    def hold(self, committed: Checkpoint, root_at: RootAt) -> None:
        """Hold what is committed against every anchor.

        `root_at` gives the database's root at a smaller size. Raises `AnchorMissing`, `AnchorUnreadable`,
        `DatabaseBehind`, `HistoryForked`.
        """
        for path in self._paths:
            note = _read(path)
            if note is None:
                raise AnchorMissing(path=str(path))
            if note == self._kept:
                continue
            known = _opened(path, note, committed.origin)
            if known.size > committed.size:
                raise DatabaseBehind(published=known.size, committed=committed.size)
            root = committed.root if known.size == committed.size else root_at(known.size)
            if root != known.root:
                raise HistoryForked(place=str(path), size=known.size)

    def keep(self, note: bytes) -> None:
        """Write a published checkpoint that `hold` has passed. `OSError` when a volume does not take it."""
        if note == self._kept:
            return
        size = peek_checkpoint(note).size
        for path in self._paths:
            old = _read(path)
            if old is None or peek_checkpoint(old).size <= size:
                write_durably(path, note)
        self._kept = note

    def begin(self, note: bytes) -> list[Path]:
        """Write the checkpoint where there is none yet; answers those places."""
        new = [path for path in self._paths if _read(path) is None]
        for path in new:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, note)
        return new

    def require_new(self) -> None:
        """`AnchorUnreadable` when a place that a new log shall use is taken."""
        for path in self._paths:
            if _read(path) is not None:
                raise AnchorUnreadable(path=str(path), reason="another log's checkpoint is there already")


def root_in(session: Session, size: int) -> bytes:
    """The root over the first `size` entries of the database."""
    checkpoint = tables.checkpoint.c
    note = session.execute(sa.select(checkpoint.note).where(checkpoint.size == size)).scalar_one_or_none()
    if note is not None:
        return peek_checkpoint(note).root
    frontier, log = Frontier(), tables.log.c
    for digest in session.scalars(sa.select(log.leaf_hash).where(log.idx < size).order_by(log.idx)):
        frontier.append(digest)
    return frontier.root()


class GuardedSigner:
    """A log's key that signs no tree head for a size that is public already, unless it is the same one."""

    def __init__(self, signer: Signer, tiles: TileDirectory) -> None:
        self._signer = signer
        self._tiles = tiles

    @property
    def verifier(self) -> NoteVerifier:
        return self._signer.verifier

    def sign_text(self, text: str) -> bytes:
        """As the key does it. Raises `DatabaseBehind`, `HistoryForked`."""
        new, public = parse(text), self._tiles.published()
        if public is not None and public.size > new.size:
            raise DatabaseBehind(published=public.size, committed=new.size)
        if public is not None and public.size == new.size and public.root != new.root:
            raise HistoryForked(place=str(self._tiles.path), size=new.size)
        return self._signer.sign_text(text)


# ---- the mark of a restored home ---------------------------------------------------------------------------


def mark_restored(home: Home, size: int) -> None:
    write_durably(home.restored, json.dumps({"size": size}).encode() + b"\n")


def require_unmarked(home: Home) -> None:
    """`HomeRestored` while the home carries the mark."""
    note = _read(home.restored)
    if note is not None:
        raise HomeRestored(path=str(home.path), size=json.loads(note)["size"])


def unmark(home: Home) -> None:
    """What was published since the backup is here, or is declared not to be."""
    home.restored.unlink(missing_ok=True)
    _sync(home.path)


# ---- files -------------------------------------------------------------------------------------------------


def _opened(path: Path, note: bytes, origin: str) -> Checkpoint:
    """What our own copy says; its signature was checked when it was published."""
    try:
        known = peek_checkpoint(note)
    except LedgerRefusal as refusal:
        raise AnchorUnreadable(path=str(path), reason=str(refusal).removesuffix(".")) from refusal
    if known.origin != origin:
        raise AnchorUnreadable(path=str(path), reason=f"it is of the log {known.origin}")
    return known


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_durably(path: Path, data: bytes) -> None:
    """Beside its place, synced, renamed into it, the folder synced."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
