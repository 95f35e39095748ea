"""The log in a database: append and seal, savepoints, and what makes the writer refuse to sign."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import log, tables
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import LedgerRefusal
from ledger.log import LedgerTransaction, LogCorrupt, LogMissing
from ledger.merkle import Frontier, leaf_hash
from ledger.note import NoteSigner
from ledger.replay import DuplicateEntry, LedgerState, ReplayRefusal
from registry.database import Database
from tests.ledger.test_replay import CLERK, GENESIS, ROOT, adds, leaf, payload

ORIGIN = "test.log"
SIGNER = NoteSigner(ORIGIN, ROOT)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A log of two entries: genesis, and the clerk's key."""
    database = Database(database_url)
    with database.write() as session:
        log.create(session, ORIGIN)
    with database.write() as session:
        ledger = LedgerTransaction(session)
        ledger.append(leaf(GENESIS, ROOT))
        ledger.append(leaf(adds(1, CLERK), ROOT))
        ledger.seal(SIGNER)
    yield database
    database.dispose()


def head(session: Session) -> Any:
    return session.execute(sa.select(tables.head)).one()


def acts(start: int, count: int) -> list[bytes]:
    return [leaf(payload(n), CLERK, at_ms=1000 + n) for n in range(start, start + count)]


def test_what_was_appended_and_sealed_replays_to_the_signed_root(database: Database) -> None:
    for start, count in ((2, 1), (3, 5), (8, 2)):
        with database.write() as session:
            ledger = LedgerTransaction(session)
            for entry in acts(start, count):
                ledger.append(entry)
            assert ledger.seal(SIGNER) == log.last_checkpoint(session)
    with database.read() as session:
        state, frontier = LedgerState(), Frontier()
        for entry in log.leaves(session, 0, 100):
            state.apply(entry)
            frontier.append(leaf_hash(entry))
        note = log.last_checkpoint(session)
        assert note is not None
        checkpoint = open_checkpoint(note, SIGNER.verifier)
        sizes = session.scalars(sa.select(tables.checkpoint.c.size).order_by(tables.checkpoint.c.size)).all()
        assert (checkpoint.size, checkpoint.root) == (10, frontier.root())
        assert (head(session).size, head(session).root, head(session).at_ms) == (10, frontier.root(), 1009)
        assert sizes == [2, 3, 8, 10]
        assert log.origin(session) == ORIGIN


def test_nothing_appended_is_nothing_signed(database: Database) -> None:
    with database.write() as session:
        assert LedgerTransaction(session).seal(SIGNER) is None
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(tables.checkpoint)) == 1


def test_what_a_savepoint_takes_back_was_never_there(database: Database) -> None:
    kept, dropped, later = acts(2, 3)
    with database.write() as session:
        ledger = LedgerTransaction(session)
        ledger.append(kept)
        with pytest.raises(RuntimeError), ledger.savepoint():
            ledger.append(dropped)
            assert ledger.size == 4
            raise RuntimeError("on second thoughts")
        assert (ledger.size, ledger.last_at_ms) == (3, 1002)
        with ledger.savepoint():
            ledger.append(later)
        ledger.seal(SIGNER)
    with database.read() as session:
        frontier = Frontier()
        for entry in (leaf(GENESIS, ROOT), leaf(adds(1, CLERK), ROOT), kept, later):
            frontier.append(leaf_hash(entry))
        assert head(session).root == frontier.root()
        assert session.scalar(sa.select(sa.func.count()).select_from(tables.subject_state)) == 4


def test_a_refused_entry_leaves_no_row(database: Database) -> None:
    again = leaf(payload(2, subject="other"), CLERK, at_ms=1002)
    with database.write() as session:
        ledger = LedgerTransaction(session)
        ledger.append(acts(2, 1)[0])
        with pytest.raises(DuplicateEntry), ledger.savepoint():
            ledger.append(again)
        ledger.seal(SIGNER)
    with pytest.raises(DuplicateEntry), database.write() as session:
        LedgerTransaction(session).append(again)  # in another transaction the database knows it


def test_an_erasure_names_an_entry_that_committed_to_it_in_this_transaction_or_before(
    database: Database,
) -> None:
    digests = {n: f"{n}" * 64 for n in (2, 3)}

    def sealed(n: int) -> bytes:
        return leaf(payload(n, commitments={"profile": digests[n]}), CLERK, at_ms=1001)

    def erased(n: int, of: int, index: int) -> bytes:
        facts: Any = {"commitment": digests[of], "index": index}
        said = payload(
            n, type="erase", machine="record", subject=digests[of], action="erase", before="kept",
            after="erased", facts=facts,
        )  # fmt: skip
        return leaf(said, CLERK, at_ms=1001)

    with database.write() as session:
        ledger = LedgerTransaction(session)
        ledger.append(sealed(2))
        ledger.seal(SIGNER)
    with database.write() as session:
        ledger = LedgerTransaction(session)
        ledger.append(sealed(3))
        for of, index in ((2, 3), (2, 1), (3, 2)):
            with pytest.raises(ReplayRefusal, match="no such commitment"), ledger.savepoint():
                ledger.append(erased(9, of, index))
        ledger.append(erased(4, 2, 2))
        ledger.append(erased(5, 3, 3))
        ledger.seal(SIGNER)
    state = LedgerState()
    with database.read() as session:
        for one in log.leaves(session, 0, 4):
            state.apply(one)
        with pytest.raises(ReplayRefusal, match="no such commitment"):
            copy.deepcopy(state).apply(erased(9, 2, 3))
        for one in log.leaves(session, 4, 6):
            state.apply(one)
    assert state.size == 6


def test_a_leaf_that_changes_between_hash_and_seal_is_never_signed(database: Database) -> None:
    """As happened to a certificate log in 2021: one bit, in memory, before signing, beyond repair."""
    with pytest.raises(LogCorrupt, match="read back"), database.write() as session:
        ledger = LedgerTransaction(session)
        (entry,) = acts(2, 1)
        ledger.append(entry)
        ledger.flush()
        session.execute(sa.text(guard_off(session)))
        flipped = entry[:-1] + bytes([entry[-1] ^ 1])
        session.execute(sa.update(tables.log).where(tables.log.c.idx == 2).values(leaf=flipped))
        ledger.seal(SIGNER)
    with database.read() as session:
        assert head(session).size == 2


def guard_off(session: Session) -> str:
    if session.get_bind().dialect.name == "sqlite":
        return "drop trigger log_no_update"
    return "drop trigger log_no_change on log"


def test_a_head_that_moved_is_not_moved_again(database: Database) -> None:
    with pytest.raises(LogCorrupt, match="head moved"), database.write() as session:
        ledger = LedgerTransaction(session)
        ledger.append(acts(2, 1)[0])
        session.execute(sa.update(tables.head).values(size=7))
        ledger.seal(SIGNER)
    with database.read() as session:
        assert head(session).size == 2
        assert session.scalar(sa.select(sa.func.count()).select_from(tables.checkpoint)) == 1


@pytest.mark.parametrize("column", ["root", "frontier"])
def test_a_head_that_contradicts_itself_is_not_built_upon(database: Database, column: str) -> None:
    with database.write() as session:
        value = getattr(head(session), column)
        session.execute(sa.update(tables.head).values({column: bytes([value[0] ^ 1]) + value[1:]}))
    with pytest.raises(LogCorrupt), database.write() as session:
        LedgerTransaction(session)


def test_a_head_that_is_not_the_signed_one_is_not_built_upon(database: Database) -> None:
    """Root and frontier agree with one another, but nobody signed them."""
    other = Frontier()
    for n in range(2):
        other.append(leaf_hash(bytes([n])))
    with database.write() as session:
        session.execute(sa.update(tables.head).values(root=other.root(), frontier=other.encode()))
    with pytest.raises(LogCorrupt, match="checkpoint"), database.write() as session:
        LedgerTransaction(session)


def test_a_checkpoint_beyond_the_head_is_not_built_upon(database: Database) -> None:
    """Part of the database is of yesterday."""
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, leaf_hash(b"")), SIGNER)
    with database.write() as session:
        session.execute(sa.insert(tables.checkpoint).values(size=3, note=note))
    with pytest.raises(LogCorrupt, match="checkpoint"), database.write() as session:
        LedgerTransaction(session)


def test_a_database_without_a_log_says_so(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(LogMissing), database.write() as session:
        LedgerTransaction(session)
    with pytest.raises(LogMissing), database.read() as session:
        log.origin(session)
    database.dispose()


def test_a_database_holds_one_log(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.write() as session:
        log.create(session, "other.log")


def test_checkpoints_are_of_this_log_and_in_one_size_once(database: Database) -> None:
    with database.read() as session:
        note = log.last_checkpoint(session)
        assert note is not None
        with pytest.raises(LedgerRefusal):
            open_checkpoint(note, NoteSigner("other.log", ROOT).verifier)
        again = sign_checkpoint(open_checkpoint(note, SIGNER.verifier), [SIGNER])
    with pytest.raises(sa.exc.IntegrityError), database.write() as session:
        session.execute(sa.insert(tables.checkpoint).values(size=2, note=again))
