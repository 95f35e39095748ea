"""An audit of a published log from its files and its key alone: `audit_log`.

The order is that of trust: the checkpoint by the log's key, the files by the checkpoint, the entries by their
signatures, the rules by the entries. One bundle at a time; what is kept grows with accounts, blocks and open
contracts, not with entries.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import ClassVar, Final

from auditor.findings import NEED_MORE_THAN_THE_LOG, Report
from auditor.published import Lying, Published, Sizes, entry_time
from auditor.replay import Replay
from auditor.rooms import JUDGES, Judge
from auditor.trust import successors
from ledger.checkpoint import Checkpoint, peek_checkpoint
from ledger.client import Files, Head, LogClient, LogWrong, Visitor, read_head
from ledger.errors import LedgerRefusal, SignerUnknown
from ledger.note import MAX_NOTE_BYTES, NoteVerifier, parse_note, verified_signers
from ledger.policy import Policy
from ledger.tiles import CHECKPOINT, TILE_WIDTH

Progress = Callable[[str, int, int], None]

CHINA: Final = timezone(timedelta(hours=8))


class DayBeforeLog(LedgerRefusal):
    code: ClassVar[str] = "day_before_log"
    template: ClassVar[str] = "The log's first entry came after {day}; nothing stood then."


class SizeBeyondLog(LedgerRefusal):
    code: ClassVar[str] = "size_beyond_log"
    template: ClassVar[str] = "The log has {size} entries; there is no state at {asked}."


def unseen(_index: int, _leaf: bytes) -> None:
    """Nobody looks on."""


def silent(_step: str, _done: int, _total: int) -> None:
    """No progress line."""


@dataclass(frozen=True, slots=True)
class Until:
    """How far to audit: to a size, to the end of a day in China, or (neither) to the end of the log.

    `whole` goes on to the end of the log with the files, though not with the rules.
    """

    size: int | None = None
    day: date | None = None
    whole: bool = False

    @property
    def before_ms(self) -> int | None:
        """The instant at which the day is over."""
        if self.day is None:
            return None
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=CHINA) + timedelta(days=1)
        return round(midnight.timestamp() * 1000)


@dataclass(slots=True)
class Audited:
    """What an audit found, and what the audited entries imply. `followed`: every one of them was judged."""

    report: Report
    replay: Replay
    head: Head | None = None
    followed: bool = False


def audit_log(
    files: Files,
    verifiers: Sequence[NoteVerifier],
    until: Until | None = None,
    *,
    report: Report | None = None,
    judges: Mapping[Judge, str] = JUDGES,
    sizes: Sizes | None = None,
    lying: Lying | None = None,
    visit: Visitor = unseen,
    progress: Progress = silent,
    threads: int = 1,
    policy: Policy | None = None,
) -> Audited:
    """Audit the log in `files` that one of `verifiers` signs. What is wrong is in the report.

    `sizes` is told the root at each of its sizes, `visit` each entry that was judged; `lying` are files that
    were listed before; `policy` is the quorum that must have cosigned. Raises `SizeBeyondLog`,
    `DayBeforeLog`, `OSError` when a file cannot be fetched.
    """
    report = Report() if report is None else report
    until = Until() if until is None else until
    head = read_checkpoint(files, verifiers, report, policy)
    if head is None:
        return Audited(report, Replay(report, judges))
    client = LogClient(files, verifiers[0])
    try:
        end = _end_of(client, head.checkpoint.size, until)
    except LogWrong as wrong:
        _find_wrong(wrong, report)
        return Audited(report, Replay(report, judges), head)
    published = Published(client, head, report, Lying.of(files) if lying is None else lying, sizes)
    replay = Replay(report, judges, published.recall, threads)
    audited = Audited(report, replay, head)
    try:
        with _steady_memory():
            _walk(published, audited, until, end, visit, progress)
            audited.followed = replay.settle() and audited.followed
    except LogWrong as wrong:
        _find_wrong(wrong, report)
        audited.followed = False
    finally:
        published.close()
        replay.close()
    report.size = replay.size
    if audited.followed:
        replay.finish()
        _check_head(head, verifiers, replay, report)
    return audited


def audit_alone(
    files: Files,
    verifiers: Sequence[NoteVerifier],
    until: Until | None = None,
    progress: Progress = silent,
    threads: int = 1,
    *,
    policy: Policy | None = None,
    since: Checkpoint | None = None,
) -> Audited:
    """As `audit_log`, and the report says what a log alone cannot decide.

    `since` is a checkpoint that was saved before and that the log must continue.
    """
    report, roots = Report(), dict[int, bytes]()
    report.skipped |= dict.fromkeys(NEED_MORE_THAN_THE_LOG, "not checked: it needs more than the log")
    audited = audit_log(
        files,
        verifiers,
        until,
        report=report,
        sizes=Sizes(iter([since.size] if since is not None and since.size else []), roots.__setitem__),
        progress=progress,
        threads=threads,
        policy=policy,
    )
    if since is not None and since.size and audited.head is not None:
        same = roots.get(since.size) == since.root
        what = f"its first {since.size} entries are not those of the saved checkpoint"
        report.expect("I12", same, CHECKPOINT, what)
    return audited


def read_checkpoint(
    files: Files, verifiers: Sequence[NoteVerifier], report: Report, policy: Policy | None = None
) -> Head | None:
    """The published checkpoint, when a key that is trusted signed it, and the quorum of the policy."""
    report.count("L1")
    note = files.read(CHECKPOINT, MAX_NOTE_BYTES)
    if note is None:
        report.find("L1", CHECKPOINT, "it is missing")
        return None
    try:
        known, size = list(verifiers), peek_checkpoint(note).size
        if not _signers(note, known):  # perhaps by a key that these have endorsed since
            known = successors(LogClient(files, verifiers[0]), size, verifiers)
        signed = _signers(note, known)
        return read_head(note, signed or verifiers, policy)
    except LogWrong as wrong:
        _find_wrong(wrong, report)
    except LedgerRefusal as refusal:
        report.find("L1", CHECKPOINT, refusal)
    return None


def _signers(note: bytes, known: Sequence[NoteVerifier]) -> list[NoteVerifier]:
    try:
        return verified_signers(parse_note(note), known)
    except SignerUnknown:
        return []


def _find_wrong(wrong: LogWrong, report: Report) -> None:
    place = str(wrong.facts["place"])
    report.find("L1" if place == CHECKPOINT else "L2", place, wrong.facts["reason"])


def _end_of(client: LogClient, size: int, until: Until) -> int:
    """How many entries are to be audited. A day's end is searched for by halves; what this reads is believed
    only when the walk has shown the last entry before it, and a proof the first one after it.
    """
    if until.size is not None and not 0 < until.size <= size:
        raise SizeBeyondLog(size=size, asked=until.size)
    before_ms = until.before_ms
    if before_ms is None:
        return size if until.size is None else until.size
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if entry_time(_leaf(client, size, middle)) < before_ms:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        raise DayBeforeLog(day=until.day)
    return low


def _leaf(client: LogClient, size: int, index: int) -> bytes:
    return client.bundle(index // TILE_WIDTH, size)[index % TILE_WIDTH]


def _walk(
    published: Published, audited: Audited, until: Until, end: int, visit: Visitor, progress: Progress
) -> None:
    """Every bundle in order; entries are judged up to `end`, or until one does not follow."""
    replay = audited.replay
    walked = published.size if until.whole else end
    judging = True
    for first, entries in published.bundles(walked):
        for index, leaf in enumerate(entries, first):
            if not judging or index >= end:
                break
            judging = replay.see(leaf) is not None and replay.signatures.fault is None
            if judging:
                visit(index, leaf)
        progress("replay", min(first + len(entries), walked), walked)
    if walked == published.size:
        published.finish()
    else:
        published.stop(None if until.day is None else until.before_ms)
    audited.followed = judging
    if judging and until.before_ms is not None and replay.at_ms >= until.before_ms:
        raise LogWrong(place=f"entry {end - 1}", reason="it is of another time than it was shown with before")


def _check_head(head: Head, verifiers: Sequence[NoteVerifier], replay: Replay, report: Report) -> None:
    """That this history opens this log, and that every key in force at its end signed the checkpoint."""
    checkpoint, register = head.checkpoint, replay.register
    whole = replay.size == checkpoint.size
    first = register.log_keys[0].verifier.vkey if register.log_keys else "none"
    known = any(key.verifier in verifiers for key in register.log_keys)
    report.expect(
        "L1",
        register.origin == checkpoint.origin and (known or not whole),
        "entry 0",
        f"it opens the log {register.origin} with another key, {first}",
    )
    if whole:
        fault = signers_fault(head.note, register.log_verifiers(checkpoint.size))
        report.expect("L1", fault is None, CHECKPOINT, fault)


def signers_fault(note: bytes, wanted: Sequence[NoteVerifier]) -> str | None:
    """Why a note is not signed by every one of these keys, or None."""
    try:
        signed = verified_signers(parse_note(note), wanted)
    except LedgerRefusal as refusal:
        return str(refusal)
    missing = [verifier.vkey for verifier in wanted if verifier not in signed]
    return f"it is not signed by {', '.join(missing)}" if missing else None


@contextmanager
def _steady_memory() -> Iterator[None]:
    """The replay makes no cycles: the collector looks at what it left a hundred times less often."""
    before = gc.get_threshold()
    gc.set_threshold(before[0] * 100, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
