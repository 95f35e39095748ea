"""Somebody else's published log, read and checked: a folder or an http(s) address, and the log's key.

Nothing that arrives is believed before it leads to a root that the key signed. No tables and no writer are
needed. What the entries say is not judged here: that is the audit's work (`ledger.replay`).
"""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Protocol
from urllib.parse import urlsplit

from ledger.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint
from ledger.errors import LedgerRefusal, SignerUnknown
from ledger.log_keys import LogKey, announcement, endorsed_key, follow_log_keys, in_force
from ledger.merkle import (
    HASH_BYTES,
    Frontier,
    NodeReader,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from ledger.note import MAX_NOTE_BYTES, NoteVerifier, parse_note, verified_signers
from ledger.policy import Policy
from ledger.proof import TlogProof
from ledger.tiles import (
    CHECKPOINT,
    MAX_ENTRY_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    TilePath,
    decode_entry_bundle,
)

MAX_TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
SILENCE_S: Final = 20.0
"""How long a server may say nothing."""
FILE_S: Final = 120.0
"""How long one file may take."""
_CHUNK_BYTES: Final = 1 << 16
_KEPT_TILES: Final = 64

Visitor = Callable[[int, bytes], None]


class LogWrong(LedgerRefusal):
    """What is published is not one log under one signed root."""

    code: ClassVar[str] = "log_wrong"
    template: ClassVar[str] = "The published log is wrong at {place}: {reason}."


class LogAddressRefused(LedgerRefusal):
    """Something that names no log."""

    code: ClassVar[str] = "log_address_refused"
    template: ClassVar[str] = "{address} is neither a folder nor an http or https address of a log."


class IndexBeyondLog(LedgerRefusal):
    code: ClassVar[str] = "index_beyond_log"
    template: ClassVar[str] = "There is no entry {index} in a log of {size} entries."


# ---- where the files are -----------------------------------------------------------------------------------


class Files(Protocol):
    """Where a log's files come from."""

    def read(self, name: str, limit_bytes: int) -> bytes | None:
        """The file below the log's prefix, None where there is none.

        Raises `OSError` when it cannot be fetched, `LogWrong` beyond the limit.
        """


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """A log in a folder."""

    path: Path

    def read(self, name: str, limit_bytes: int) -> bytes | None:
        try:
            with (self.path / name).open("rb") as file:
                return _limited(file.read(limit_bytes + 1), name, limit_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _http_only() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS alone: a redirection leads to no file and to no other protocol."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


@dataclass(frozen=True, slots=True)
class HttpFiles:
    """A log at an http or https address, without the slash at its end."""

    prefix: str
    _opener: urllib.request.OpenerDirector = field(default_factory=_http_only, repr=False)

    def read(self, name: str, limit_bytes: int) -> bytes | None:
        until = time.monotonic() + FILE_S
        data = bytearray()
        try:
            with self._opener.open(f"{self.prefix}/{name}", timeout=SILENCE_S) as answer:
                while len(data) <= limit_bytes and (part := answer.read1(_CHUNK_BYTES)):
                    data += part
                    if time.monotonic() > until:
                        raise TimeoutError(f"{name} took more than {FILE_S:.0f} seconds")
                stated = answer.headers.get("Content-Length")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            raise
        except http.client.HTTPException as broken:
            raise OSError(f"{name}: the answer is not HTTP ({type(broken).__name__})") from broken
        found = _limited(bytes(data), name, limit_bytes)
        if stated is not None and stated != str(len(found)):
            raise OSError(f"{name}: the answer broke off after {len(found)} bytes")
        return found


def files_at(address: str) -> Files:
    """The log at a folder or an http(s) address. Raises `LogAddressRefused`."""
    if "://" not in address:
        if not Path(address).is_dir():
            raise LogAddressRefused(address=address)
        return FolderFiles(Path(address))
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    spelled = address.isascii() and address.isprintable() and not set(address) & set(" ?#")
    if not usable or not spelled:
        raise LogAddressRefused(address=address)
    return HttpFiles(address.rstrip("/"))


def _limited(data: bytes, name: str, limit_bytes: int) -> bytes:
    if len(data) > limit_bytes:
        raise LogWrong(place=name, reason=f"it has more than {limit_bytes} bytes")
    return data


# ---- the log -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint whose signature verified, the note it came in, and the log's keys, of those known, that
    signed it.
    """

    checkpoint: Checkpoint
    note: bytes
    signers: tuple[NoteVerifier, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """What `LogClient.verify` has checked; `since_size` is that of the saved checkpoint, if one was given."""

    head: Head
    bundles: int
    tiles: int
    since_size: int | None


def read_head(
    note: bytes, verifier: NoteVerifier | Sequence[NoteVerifier], policy: Policy | None = None
) -> Head:
    """The checkpoint in a note that `verifier` (one of several keys of a log) signed, and `policy`'s quorum.

    Raises a `LedgerRefusal`.
    """
    known = [verifier] if isinstance(verifier, NoteVerifier) else list(verifier)
    checkpoint = open_checkpoint(note, known)
    head = Head(checkpoint, note, tuple(verified_signers(parse_note(note), known)))
    if policy is not None:
        policy.require_log(*known)
        policy.require(note)
    return head


class LogClient:
    """One log under the keys that one knows of it, and with `policy` under its witnesses. Positions count
    entries from zero, sizes count entries.

    A log rotates its keys by announcing the new one with an endorsement by the old (`ledger.log_keys`), so an
    old key is enough to follow it; every key in force has to have signed.
    """

    def __init__(
        self, files: Files, verifier: NoteVerifier | Sequence[NoteVerifier], policy: Policy | None = None
    ) -> None:
        self._files: Final = files
        self._known: Final = [verifier] if isinstance(verifier, NoteVerifier) else list(verifier)
        self._policy: Final = policy
        self._tiles: dict[str, bytes] = {}

    def head(self) -> Head:
        """The published checkpoint. Reads the whole log when none of the known keys signed it, for those that
        they endorsed. Raises `LogWrong`, `OSError`.
        """
        note = self._files.read(CHECKPOINT, MAX_NOTE_BYTES)
        if note is None:
            raise LogWrong(place=CHECKPOINT, reason="it is missing")
        try:
            if not _signed_by(note, self._known):
                self._follow_keys(peek_checkpoint(note).size)
            return read_head(note, self._known, self._policy)
        except LedgerRefusal as refusal:
            raise LogWrong(place=CHECKPOINT, reason=_reason(refusal)) from refusal

    def verify(self, since: Head | None = None, visit: Visitor | None = None) -> VerifiedLog:
        """Read the whole log once, one bundle at a time, and hold everything under its checkpoint to it.

        1. The checkpoint is in its one spelling, signed by a key of the log that is known or was endorsed by
           one, whose name is its origin, and by the policy's quorum if there is a policy.
        2. Every entry bundle has its entries; every tile of every level has the hashes that the entries give,
           so that every proof built from the tiles holds.
        3. The entries give the signed root (RFC 6962, 2.1).
        4. The log continues the one of `since`: the root of its first entries is the saved one, and the
           consistency proof from the tiles verifies (RFC 9162, 2.1.4.2).
        5. Where the entries announce the log's keys, every key in force at its end signed the checkpoint, and
           a key that is known is among them.

        `visit` gets each index and entry; it must not believe them before this returns. Raises `LogWrong`
        with the place, `OSError` when a file cannot be fetched.
        """
        head = self.head()
        size = head.checkpoint.size
        if since is not None and since.checkpoint.size > size:
            raise LogWrong(
                place=CHECKPOINT,
                reason=f"it has {size} entries, fewer than the {since.checkpoint.size} saved before",
            )
        walk = _Walk(self, head.checkpoint, since)
        for n in range(-(-size // TILE_WIDTH)):
            for index, entry in enumerate(self.bundle(n, size), n * TILE_WIDTH):
                walk.add(entry)
                walk.announce(index, entry)
                if visit is not None:
                    visit(index, entry)
        walk.finish()
        walk.check_signers(head.note, self._known)
        if since is not None:
            self._continues(since.checkpoint, head.checkpoint)
        old_size = None if since is None else since.checkpoint.size
        return VerifiedLog(head, -(-size // TILE_WIDTH), walk.tiles, old_size)

    def _follow_keys(self, size: int) -> None:
        """Know the keys that the known ones endorsed. An endorsement is a signature: it needs no proof that
        it was logged.
        """
        for n in range(-(-size // TILE_WIDTH)):
            for index, entry in enumerate(self.bundle(n, size), n * TILE_WIDTH):
                payload = announcement(index, entry)
                if payload is not None and payload.action == "add_key":
                    with suppress(LedgerRefusal):
                        new = endorsed_key(payload, self._known)
                        self._known.extend([new] if new not in self._known else [])

    def proof(self, index: int) -> tuple[TlogProof, bytes]:
        """A proof file for one entry, and the entry, after they verified against the signed root.

        Raises `IndexBeyondLog`, `LogWrong`, `OSError`.
        """
        head = self.head()
        size, root = head.checkpoint.size, head.checkpoint.root
        if not 0 <= index < size:
            raise IndexBeyondLog(index=index, size=size)
        entry = self.bundle(index // TILE_WIDTH, size)[index % TILE_WIDTH]
        hashes = inclusion_proof(index, size, self.nodes(size))
        try:
            verify_inclusion(index, size, leaf_hash(entry), hashes, root)
        except LedgerRefusal as refusal:
            raise LogWrong(place=f"entry {index}", reason=_reason(refusal)) from refusal
        return TlogProof(index, tuple(hashes), head.note), entry

    def nodes(self, size: int) -> NodeReader:
        """Hashes of complete subtrees of the log at `size` from its tiles, for the builders of
        `ledger.merkle`. They are as good as the root that the proof leads to.
        """

        def node(level: int, index: int) -> bytes:
            tile_level, height = divmod(level, TILE_HEIGHT)
            n, offset = divmod(index << height, TILE_WIDTH)
            width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * tile_level)) - n * TILE_WIDTH)
            tile = self.tile(tile_level, n, width)
            row = [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
            return _subtree(row[offset : offset + (1 << height)])

        return node

    def tile(self, level: int, n: int, width: int) -> bytes:
        """The first `width` hashes of a tile, joined. Raises `LogWrong`, `OSError`."""
        wanted = str(TilePath(level, n, width))
        if wanted not in self._tiles:
            data, found = self._wide(TilePath(level, n, width), MAX_TILE_BYTES)
            if len(data) != found * HASH_BYTES:
                raise LogWrong(place=wanted, reason=f"{len(data)} bytes are not {found} hashes")
            while len(self._tiles) >= _KEPT_TILES:
                del self._tiles[next(iter(self._tiles))]
            self._tiles[wanted] = data[: width * HASH_BYTES]
        return self._tiles[wanted]

    def bundle(self, n: int, size: int) -> list[bytes]:
        """The entries of bundle `n` of the log at `size`. Raises `LogWrong`, `OSError`."""
        width = min(TILE_WIDTH, size - n * TILE_WIDTH)
        wanted = TilePath(None, n, width)
        data, found = self._wide(wanted, MAX_BUNDLE_BYTES)
        try:
            return decode_entry_bundle(data, found)[:width]
        except LedgerRefusal as refusal:
            raise LogWrong(place=str(wanted), reason=_reason(refusal)) from refusal

    def _wide(self, wanted: TilePath, limit_bytes: int) -> tuple[bytes, int]:
        """A file and its width: the one wanted, or the full one that has taken its place."""
        for width in dict.fromkeys((wanted.width, TILE_WIDTH)):
            data = self._files.read(str(TilePath(wanted.level, wanted.n, width)), limit_bytes)
            if data is not None:
                return data, width
        raise LogWrong(place=str(wanted), reason="it is missing")

    def _continues(self, old: Checkpoint, new: Checkpoint) -> None:
        """The consistency proof as a client without the entries would build and check it."""
        nodes = self.nodes(new.size)
        try:
            proof = consistency_proof(old.size, new.size, nodes)
            verify_consistency(old.size, new.size, proof, old.root, new.root)
        except LedgerRefusal as refusal:
            raise LogWrong(place=CHECKPOINT, reason=_reason(refusal)) from refusal


class _Walk:
    """The tree as it grows under the entries, against the tiles; it keeps one open tile a level."""

    def __init__(self, client: LogClient, checkpoint: Checkpoint, since: Head | None) -> None:
        self._client = client
        self._checkpoint = checkpoint
        self._since = None if since is None else since.checkpoint
        self._frontier = Frontier()
        self._open: list[list[bytes]] = []
        self._done: list[int] = []
        self._keys: tuple[LogKey, ...] = ()
        self.tiles = 0
        self._compare_saved()

    def add(self, entry: bytes) -> None:
        node = leaf_hash(entry)
        self._frontier.append(node)
        self._compare_saved()
        self._grow(0, node)

    def announce(self, index: int, entry: bytes) -> None:
        """Follow what an entry says of the log's keys."""
        payload = announcement(index, entry)
        if payload is None or (index and not self._keys):
            return
        try:
            self._keys = follow_log_keys(self._keys, payload, index)
        except LedgerRefusal as refusal:
            raise LogWrong(place=f"entry {index}", reason=_reason(refusal)) from refusal

    def check_signers(self, note: bytes, known: Sequence[NoteVerifier]) -> None:
        wanted = in_force(self._keys, self._checkpoint.size)
        if wanted and not any(key.verifier in known for key in self._keys):
            raise LogWrong(place="entry 0", reason="it opens a log with another key")
        for verifier in wanted:
            if not _signed_by(note, [verifier]):
                raise LogWrong(
                    place=CHECKPOINT, reason=f"it is not signed by {verifier.vkey}, which is in force"
                )

    def finish(self) -> None:
        for level, row in enumerate(self._open):
            if row:
                self._compare(level, row)
        if self._frontier.root() != self._checkpoint.root:
            raise LogWrong(place=CHECKPOINT, reason="the entries have another root than the signed one")

    def _grow(self, level: int, node: bytes) -> None:
        if level == len(self._open):
            self._open.append([])
            self._done.append(0)
        row = self._open[level]
        row.append(node)
        if len(row) == TILE_WIDTH:
            self._compare(level, row)
            self._done[level] += 1
            self._open[level] = []
            self._grow(level + 1, _subtree(row))

    def _compare(self, level: int, row: list[bytes]) -> None:
        n = self._done[level]
        self.tiles += 1
        if self._client.tile(level, n, len(row)) != b"".join(row):
            place = str(TilePath(level, n, len(row)))
            raise LogWrong(place=place, reason="it does not have the hashes that the entries give")

    def _compare_saved(self) -> None:
        old = self._since
        if old is not None and old.size == self._frontier.size and old.root != self._frontier.root():
            reason = f"the first {old.size} entries are not those of the saved checkpoint"
            raise LogWrong(place=CHECKPOINT, reason=reason)


def _subtree(row: list[bytes]) -> bytes:
    """The root over 1, 2, 4 … 256 hashes."""
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _signed_by(note: bytes, known: Sequence[NoteVerifier]) -> bool:
    try:
        return bool(verified_signers(parse_note(note), known))
    except SignerUnknown:
        return False


def _reason(refusal: LedgerRefusal) -> str:
    return str(refusal).removesuffix(".")
