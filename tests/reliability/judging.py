"""What has to hold after every fault, whatever it was."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.client import FolderFiles, LogClient, read_head
from ledger.note import NoteVerifier
from ledger.tiles import TileDirectory
from registry.database import Database
from registry.installation import Installation
from registry.settings import Home
from registry.transparency.audit import audit
from tests.reliability.acting import Ground, asked
from tests.reliability.loading import Said

ASKED_AGAIN = 5


@dataclass(slots=True)
class Verdict:
    """Sums over the rounds of a campaign."""

    rounds: int = 0
    sent: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    stored_unanswered: int = 0
    audited: int = 0
    saved_heads: list[bytes] = field(default_factory=list)


def vkey_of(home: Home) -> str:
    return home.vkey.read_text().strip()


def committed_size(home: Home) -> int:
    database = Database(home.database_url)
    try:
        with database.read() as session:
            return int(session.execute(sa.select(tables.head.c.size)).scalar_one())
    finally:
        database.dispose()


def go_accepts(program: Path, home: Home, saved: bytes | None = None, place: Path | None = None) -> str:
    """What the program over x/mod says of the published log: "SIZE ROOT", a refusal fails the test."""
    line = [str(program), str(home.log), vkey_of(home)]
    if saved is not None:
        assert place is not None
        place.write_bytes(saved)
        line.append(str(place))
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def judge(
    ground: Ground,
    said: Said,
    verdict: Verdict,
    *,
    go: Path | None = None,
    audited: bool = True,
    saved: Sequence[bytes] = (),
) -> None:
    """After a fault: the registry starts unaided, and has every acknowledged act exactly once.

    1. What was public is not more than what is committed.
    2. It opens, and everything committed becomes public.
    3. Each acknowledged id stands at the index that its client was told; no id stands twice.
    4. Clients that ask again get their one entry: the same one where they were answered before.
    5. The published log verifies, continues every checkpoint that anybody saved, and so says Go.
    6. The audit finds nothing.
    """
    home = ground.home
    assert TileDirectory(home.log).published_size() <= committed_size(home)
    installation = Installation.open(home)
    try:
        _hold_answers(installation, ground, said, verdict)
        committed = committed_size(home)
        assert installation.tiles.published_size() == committed
    finally:
        installation.close()
    client = LogClient(FolderFiles(home.log), NoteVerifier.parse(vkey_of(home)))
    for note in saved or (None,):
        since = None if note is None else read_head(note, NoteVerifier.parse(vkey_of(home)))
        assert client.verify(since).head.checkpoint.size == committed
        if go is not None:
            answer = go_accepts(go, home, note, home.path.parent / "saved")
            assert answer.split()[0] == str(committed)
    if audited:
        assert audit(home).findings == []
        verdict.audited += 1
    verdict.rounds += 1


def _hold_answers(installation: Installation, ground: Ground, said: Said, verdict: Verdict) -> None:
    before = _entries(installation)
    verdict.sent += len(said.sent)
    verdict.acknowledged += len(said.done)
    lost = [request for request, index in said.done.items() if before.get(index) != request]
    verdict.lost += len(lost)
    assert lost == []
    doubtful = sorted(said.sent - said.done.keys())
    verdict.stored_unanswered += len(set(doubtful) & set(before.values()))
    for request in [*doubtful, *list(said.done)[-ASKED_AGAIN:]]:
        outcome = installation.office.execute(*asked(ground, request), request)
        assert outcome.replayed == (request in before.values())
        assert outcome.entries == [said.done.get(request, outcome.entries[0])]
    after = _entries(installation)
    assert all(after[index] == request for index, request in before.items())
    assert list(after) == list(range(len(after)))
    verdict.doubled += len(after) - len(set(after.values()))
    assert verdict.doubled == 0
    assert said.sent <= set(after.values())


def _entries(installation: Installation) -> dict[int, str]:
    """The ids of all entries by index."""
    with installation.database.read() as session:
        return _rows(session)


def _rows(session: Session) -> dict[int, str]:
    rows = session.execute(sa.select(tables.log.c.idx, tables.log.c.entry_id).order_by(tables.log.c.idx))
    return {row.idx: row.entry_id for row in rows}
