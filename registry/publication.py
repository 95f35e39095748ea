"""Bringing the published log up to the newest committed checkpoint, with the witnesses' consent.

The order is that of LEDGER 4.4, step 7: tiles, then the witnesses of the home's policy, then `checkpoint`, by
rename. A commit waits for the witnesses for `budget_s` at most. When no quorum has signed by then,
publication is *held*: acts go on being committed and answered, a thread keeps asking, and `held` says since
when and who is missing. A witness that has cosigned more than the database holds, or another history, ends
it: nothing is signed any more.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import log as ledger_log
from ledger import tables
from ledger.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint
from ledger.cosign import Round, Witnesses
from ledger.errors import LedgerRefusal
from ledger.log_keys import in_force
from ledger.merkle import consistency_proof
from ledger.note import NoteVerifier, Signer, parse_note
from ledger.policy import Policy
from ledger.tiles import TILE_WIDTH, TileDirectory
from registry.anchor import Anchors, DatabaseBehind, HistoryForked, root_in
from registry.database import Database

BUDGET_S: Final = 2.0
"""How long a commit waits for the witnesses before publication is held."""
PATIENCE_S: Final = 5.0
"""How long one attempt waits while publication is held; no commit waits for it."""
PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Between attempts while publication is held; the last one is repeated."""

alarms = logging.getLogger("tanhui.publication")


@dataclass(frozen=True, slots=True)
class Held:
    """Publication is held since an instant (UTC); the reasons are those of the last attempt, by witness."""

    since: datetime
    published: int
    missing: Mapping[str, str]


class Publisher:
    """Publishes for one process. `budget_s` is what a commit waits at most, in seconds."""

    def __init__(
        self,
        database: Database,
        tiles: TileDirectory,
        anchors: Anchors | None = None,
        policy: Policy | None = None,
        *,
        budget_s: float = BUDGET_S,
    ) -> None:
        self.policy: Final = policy
        self.budget_s = budget_s
        self.pauses_s: tuple[float, ...] = PAUSES_S
        self._database = database
        self._tiles = tiles
        self._verifiers: Sequence[NoteVerifier] = ()
        self._anchors = anchors or Anchors()
        self._witnesses = Witnesses(policy) if policy is not None and policy.witnesses else None
        self._written = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._held: Held | None = None
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> Held | None:
        """Why publication waits; None while it does not."""
        return self._held

    @property
    def failure(self) -> BaseException | None:
        """What ended publication for good."""
        return self._failure

    def require_whole(self) -> None:
        """Raise what ended publication, so that nothing is signed after it."""
        if self._failure is not None:
            raise self._failure

    def start(self) -> None:
        """As `publish`, but every witness is heard: each of them may know that this database was restored."""
        self._publish(everybody=True)

    def publish(self) -> None:
        """Bring the published log up to the newest committed checkpoint, or hold it.

        Any process may call it; a file lock serialises them and the published size never falls. Partial files
        of a tile that is now public in full are removed; readers fall back to the full one. Raises
        `DatabaseBehind` when more was published or cosigned than is committed, `PublishRefused` or
        `HistoryForked` when it is another history.
        """
        self.require_whole()
        if self._held is None:
            self._publish(everybody=False)

    def close(self) -> None:
        """Stop asking. What is held is published after the next start."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _publish(self, *, everybody: bool) -> None:
        late = self._attempt(self.budget_s, everybody=everybody)
        if late is not None:
            self._hold(late)

    # -- one attempt

    def _attempt(self, budget_s: float, *, everybody: bool = False) -> Round | None:
        """Publish; None when that is done, else what the witnesses brought, which is no quorum."""
        with self._tiles.publishing():
            with self._database.read() as session:
                note = ledger_log.last_checkpoint(session)
                if note is None:
                    return None
                committed = self._opened(session, note)
                size, published = committed.size, self._tiles.published_size()
                if published > size:
                    raise DatabaseBehind(published=published, committed=size)
                self._anchors.hold(committed, lambda earlier: root_in(session, earlier))
                start = max(published, self._written)
                if start < size:
                    self._tiles.publish(lambda a, b: ledger_log.leaves(session, a, b), start, size)
                    self._written = size
            if self._witnesses is not None:
                found = self._cosigned(self._witnesses, note, committed, budget_s, everybody)
                if isinstance(found, Round):
                    return found
                note = found
            self._tiles.write_checkpoint(note)  # also at the same size: it compares the roots
            self._anchors.keep(note)
            if published // TILE_WIDTH < size // TILE_WIDTH:
                self._tiles.prune_partials(published)
        return None

    def _opened(self, session: Session, note: bytes) -> Checkpoint:
        """Our own checkpoint, signed by the log's keys in force, which are looked up when they changed."""
        if self._verifiers:
            with suppress(LedgerRefusal):
                return open_checkpoint(note, self._verifiers[0], self._verifiers[1:])
        self._verifiers = in_force(ledger_log.log_keys(session), peek_checkpoint(note).size)
        return open_checkpoint(note, self._verifiers[0], self._verifiers[1:])

    def _cosigned(
        self, witnesses: Witnesses, note: bytes, committed: Checkpoint, budget_s: float, everybody: bool
    ) -> bytes | Round:
        """The note as it is to be published, or the round that brought no quorum."""
        done = self._cosigned_before(witnesses.policy, note)
        if done is not None and not everybody:
            return done
        nodes = self._tiles.nodes(committed.size)
        answered = witnesses.cosign(
            note,
            lambda old: consistency_proof(old, committed.size, nodes),
            budget_s,
            everybody=everybody,
        )
        self._hold_to_witnesses(answered, committed)
        if done is None and answered.quorum:
            self._keep(committed.size, answered.note)
            return answered.note
        return answered if done is None else done

    def _cosigned_before(self, policy: Policy, note: bytes) -> bytes | None:
        """The same checkpoint as it was cosigned already: published, or kept before a crash."""
        size = peek_checkpoint(note).size
        with self._database.read() as session:
            kept = session.scalar(sa.select(tables.cosigned.c.note).where(tables.cosigned.c.size == size))
        return kept if kept is not None and self._counts(policy, kept, note) else None

    def _counts(self, policy: Policy, kept: bytes, note: bytes) -> bool:
        try:
            open_checkpoint(kept, self._verifiers[0], self._verifiers[1:])
            policy.require(kept)
        except LedgerRefusal:
            return False
        return parse_note(kept).text == parse_note(note).text

    def _keep(self, size: int, note: bytes) -> None:
        cosigned = tables.cosigned
        with self._database.write() as session:
            if session.scalar(sa.select(cosigned.c.size).where(cosigned.c.size == size)) is None:
                session.execute(sa.insert(cosigned).values(size=size, note=note))

    def _hold_to_witnesses(self, answered: Round, asked: Checkpoint) -> None:
        """Raise what a witness's contradiction means. One that knows what another process committed since is
        only ahead of what was asked.
        """
        if not answered.contradictions:
            return
        with self._database.read() as session:
            note = ledger_log.last_checkpoint(session)
        committed = asked.size if note is None else peek_checkpoint(note).size
        for name, size in answered.contradictions.items():
            if size > committed:
                raise DatabaseBehind(published=size, committed=committed)
            if size <= asked.size:
                raise HistoryForked(place=f"the witness {name}", size=size)

    # -- while it is held

    def _hold(self, late: Round) -> None:
        with self._lock:
            before = self._held
            since = datetime.now(UTC) if before is None else before.since
            self._held = Held(since, self._tiles.published_size(), late.missing)
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._keep_asking, name="publication", daemon=True)
                self._thread.start()
        if before is not None and before.missing.keys() == late.missing.keys():
            return
        alarms.error(
            "publication is held since %s at %d entries; missing: %s",
            since.isoformat(timespec="seconds"),
            self._held.published,
            "; ".join(f"{name} ({reason})" for name, reason in late.missing.items()),
        )

    def _keep_asking(self) -> None:
        attempt = 0
        try:
            while not self._closing.wait(self.pauses_s[min(attempt, len(self.pauses_s) - 1)]):
                attempt += 1
                late = self._attempt(PATIENCE_S)
                if late is not None:
                    self._hold(late)
                elif self._resumed():
                    return
        except BaseException as failure:
            self._failure = failure
            alarms.critical("publication has ended, nothing is signed any more: %s", failure)

    def _resumed(self) -> bool:
        """Publish again with each commit; whether all is public that was committed while it was held."""
        with self._lock:
            since, self._held = self._held, None
        late = self._attempt(PATIENCE_S)
        if late is not None:
            self._hold(late)
            return False
        with self._lock:
            if self.held is not None:  # a commit found no quorum meanwhile
                return False
            self._thread = None
        alarms.warning(
            "publication was held since %s and goes on", since and since.since.isoformat(timespec="seconds")
        )
        return True


@dataclass(frozen=True, slots=True)
class WitnessedSigner:
    """A log's key that signs nothing after publication has ended."""

    signer: Signer
    publisher: Publisher

    @property
    def verifier(self) -> NoteVerifier:
        return self.signer.verifier

    def sign_text(self, text: str) -> bytes:
        """As the key does it. Raises what ended publication."""
        self.publisher.require_whole()
        return self.signer.sign_text(text)
