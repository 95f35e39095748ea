"""An audit of a published log from its files and its key alone: `audit_log`.

The order is that of trust: the checkpoint by the log's key, the files by the checkpoint, the entries by their
signatures, the rules by the entries. One bundle at a time; what is kept grows with accounts, blocks and open
contracts, not with entries.
"""

import gc
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import ClassVar, Final

from auditor.findings import NEED_MORE_THAN_THE_LOG, Report
from auditor.published import Lying, Published, Sizes
from auditor.replay import Replay
from auditor.rooms import JUDGES, Judge
from ledger.client import Files, Head, LogClient, LogWrong, Visitor, read_head
from ledger.errors import LedgerRefusal
from ledger.note import MAX_NOTE_BYTES, NoteVerifier, parse_note, verified_signers
from ledger.tiles import CHECKPOINT

Progress = Callable[[str, int, int], None]

CHINA: Final = timezone(timedelta(hours=8))
_AT: Final = re.compile(rb'\{"at":([0-9]{1,16}),')


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
) -> Audited:
    """Audit the log in `files` that one of `verifiers` signs. What is wrong is in the report.

    `sizes` is told the root at each of its sizes, `visit` each entry that was judged; `lying` are files that
    were listed before. Raises `SizeBeyondLog`, `OSError` when a file cannot be fetched.
    """
    report = Report() if report is None else report
    until = Until() if until is None else until
    head = read_checkpoint(files, verifiers, report)
    if head is None:
        return Audited(report, Replay(report, judges))
    size = head.checkpoint.size
    if until.size is not None and not 0 < until.size <= size:
        raise SizeBeyondLog(size=size, asked=until.size)
    client = LogClient(files, verifiers[0])
    published = Published(client, head, report, Lying.of(files) if lying is None else lying, sizes)
    replay = Replay(report, judges, published.recall)
    audited = Audited(report, replay, head)
    try:
        with _steady_memory():
            _walk(published, audited, until, visit, progress)
    except LogWrong as wrong:
        place = str(wrong.facts["place"])
        report.find("L1" if place == CHECKPOINT else "L2", place, wrong.facts["reason"])
        audited.followed = False
    finally:
        published.close()
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
) -> Audited:
    """As `audit_log`, and the report says what a log alone cannot decide."""
    report = Report()
    report.skipped |= dict.fromkeys(NEED_MORE_THAN_THE_LOG, "not checked: it needs more than the log")
    return audit_log(files, verifiers, until, report=report, progress=progress)


def read_checkpoint(files: Files, verifiers: Sequence[NoteVerifier], report: Report) -> Head | None:
    """The published checkpoint, when a key that is trusted signed it."""
    report.count("L1")
    note = files.read(CHECKPOINT, MAX_NOTE_BYTES)
    if note is None:
        report.find("L1", CHECKPOINT, "it is missing")
        return None
    refused: LedgerRefusal | None = None
    for verifier in verifiers:
        try:
            return read_head(note, verifier)
        except LedgerRefusal as refusal:
            refused = refusal
    report.find("L1", CHECKPOINT, refused or "no key is trusted")
    return None


def _walk(published: Published, audited: Audited, until: Until, visit: Visitor, progress: Progress) -> None:
    """Every bundle in order; entries are judged up to where `until` says, or until one does not follow."""
    replay, end_ms = audited.replay, until.before_ms
    end = published.size if until.size is None else until.size
    walked = published.size if until.whole or until.size is None else end
    judging = True
    for first, entries in published.bundles(walked):
        for index, leaf in enumerate(entries, first):
            if not judging or index >= end:
                break
            if end_ms is not None and _at_ms(leaf) >= end_ms:
                audited.followed = True
                published.stop(leaf)
                return
            judging = replay.see(leaf) is not None
            if judging:
                visit(index, leaf)
        progress("replay", min(first + len(entries), walked), walked)
    if walked == published.size:
        published.finish()
    else:
        published.stop()
    audited.followed = judging


def _at_ms(leaf: bytes) -> int:
    match = _AT.match(leaf)
    return 0 if match is None else int(match[1])


def _check_head(head: Head, verifiers: Sequence[NoteVerifier], replay: Replay, report: Report) -> None:
    """That this history opens this log, and that every key in force at its end signed the checkpoint."""
    checkpoint, register = head.checkpoint, replay.register
    named = next(iter(register.log_keys), None)
    report.expect(
        "L1",
        register.origin == checkpoint.origin and any(k.verifier in verifiers for k in register.log_keys),
        "entry 0",
        f"it opens the log {register.origin} with another key: {named and named.verifier.vkey}",
    )
    if replay.size == checkpoint.size:
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
    gc.collect()
    gc.freeze()
    gc.set_threshold(before[0] * 100, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
