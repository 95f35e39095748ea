"""Certificates held against the log: I14.

A retirement's entry must say what its effects do and what was issued before. Each certificate that lies in
the home must pass the same offline check a stranger makes, on the very log that is audited.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.books import Books
from auditor.effects import Post
from auditor.entries import Entry
from auditor.findings import Report
from auditor.history import History
from ledger.checkpoint import peek_checkpoint
from ledger.errors import LedgerRefusal
from ledger.policy import Policy
from ledger.proof import TlogProof
from ledger.units import UnitRange
from registry.documents.bundle import ENTRY, PDF, PROOF, STATEMENT, SUFFIXES, read_bundle, verify_bundle
from registry.documents.serials import FORMAT_VERSION, Serial, UnitKind
from registry.documents.statement import RetirementStatement
from registry.errors import RegistryRefusal
from registry.programmes.rules import retired_account
from registry.retirement.models import Certificate, RetiredRange, Retirement
from registry.settings import Home, Settings

FILES: Final = {"proof": PROOF, "entry": ENTRY, "statement": STATEMENT, "PDF": PDF}
"""Which file a step of the offline check names."""


# ---- the entry ---------------------------------------------------------------------------------------------


def judge_retirement(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I14 of a retirement's entry: serials, ranges and quantities are those of the units it retires."""
    if (entry.machine, entry.action) != ("retirement", "retire"):
        return
    facts: dict[str, Any] = entry.facts
    where = f"entry {entry.index} retirement {entry.subject}"
    project = history.projects[facts["project_id"]]
    ranges = [(batch, UnitRange(start, end)) for batch, start, end in facts["ranges"]]
    final = retired_account(project.programme)
    moves = [m for e in entry.effects if isinstance(e, Post) for m in e.moves if m.to == final]
    blocks = [books.block(move.block) for move in moves]
    retired = sorted((block.batch, block.units) for block in blocks)
    report.expect("I14", _joined(retired) == sorted(ranges), where, "its ranges are not the units it retires")
    units = sum(block.units.count for block in blocks)
    terms = history.programmes[project.programme]
    issuances = {history.batches[batch].issuance for batch, _ in ranges}
    wanted = {
        "units": units,
        "unit_kg": terms.unit_kg,
        "kg": units * terms.unit_kg,
        "programme": project.programme,
        "serials": [str(_serial(history, facts["project_id"], batch, part)) for batch, part in ranges],
        "vintages": sorted({history.batches[batch].plan.vintage for batch, _ in ranges}),
        "issuance_entries": sorted(history.issuances[name][0] for name in issuances),
        "statement_entries": sorted(
            {history.statements[history.issuances[name][1]].index for name in issuances}
        ),
    }
    for name, value in wanted.items():
        report.expect(
            "I14", facts[name] == value, f"{where} {name}", f"{facts[name]} is stated, it is {value}"
        )


def _joined(parts: Sequence[tuple[str, UnitRange]]) -> list[tuple[str, UnitRange]]:
    """Ranges by batch, adjoining ones as one."""
    joined: list[tuple[str, UnitRange]] = []
    for batch, units in parts:
        if joined and joined[-1][0] == batch and joined[-1][1].adjacent(units):
            joined[-1] = (batch, joined[-1][1].merge(units))
        else:
            joined.append((batch, units))
    return joined


def _serial(history: History, project: str, batch: str, units: UnitRange) -> Serial:
    told, plan = history.projects[project], history.batches[batch].plan
    terms = history.programmes[told.programme]
    registry = terms.serial_registry.removesuffix(str(FORMAT_VERSION))
    kind = UnitKind(terms.unit_kind)
    return Serial(registry, told.county, kind, told.number or 0, plan.vintage, plan.number, units)


# ---- the files ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditedLog:
    """What certificates are held against: the log's key, its entries, its root at the sizes of their proofs,
    and the rows they imply.
    """

    vkey: str
    leaf: Callable[[int], bytes | None]
    roots: Mapping[int, bytes]
    rows: Session
    policy: Policy | None = None


def check_certificates(home: Home, log: AuditedLog, report: Report) -> None:
    """I14 of every certificate file in the home. A certificate that was not written is noted: its files can
    be made at any time.
    """
    expected = {row.number: row for row in log.rows.scalars(sa.select(Certificate))}
    lying = _files(home.certificates)
    for number in sorted(lying.keys() - expected.keys()):
        for suffix in sorted(lying[number]):
            report.find("I14", f"certificates/{number}{suffix}", "the log knows no such certificate")
    for number, row in sorted(expected.items()):
        present = lying.get(number, set())
        if not present:
            report.note("I14", f"certificates/{number}{PDF}", "not written, or taken away since")
            continue
        missing = [suffix for suffix in SUFFIXES if suffix not in present]
        for suffix in missing:
            report.find("I14", f"certificates/{number}{suffix}", "it is missing")
        if not missing:
            _check_files(home.certificates, row, log, report)


def proven_sizes(home: Home) -> set[int]:
    """Sizes of the checkpoints in the proofs that lie in the home. What is no proof is found later."""
    sizes: set[int] = set()
    for path in home.certificates.glob(f"*{PROOF}") if home.certificates.is_dir() else ():
        with suppress(LedgerRefusal, OSError):
            sizes.add(peek_checkpoint(TlogProof.parse(path.read_bytes()).checkpoint_note).size)
    return sizes


def _files(folder: Path) -> dict[str, set[str]]:
    """The certificate files in a folder: suffixes by number."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in folder.iterdir() if folder.is_dir() else ():
        suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
        if suffix is not None:
            found[path.name.removesuffix(suffix)].add(suffix)
    return found


def _check_files(folder: Path, row: Certificate, log: AuditedLog, report: Report) -> None:
    report.count("I14")
    proof, entry = f"certificates/{row.number}{PROOF}", f"certificates/{row.number}{ENTRY}"
    try:
        bundle = read_bundle(folder / f"{row.number}{PROOF}")
        if bundle.entry != log.leaf(row.entry_index):
            report.find("I14", entry, f"it is not entry {row.entry_index} of this log")
            return
        verified = verify_bundle(
            bundle.proof, bundle.entry, bundle.statement, log.vkey, bundle.pdf,
            policy=log.policy, font_dirs=tuple(Settings().font_dirs),
        )  # fmt: skip
    except (RegistryRefusal, LedgerRefusal) as refusal:
        report.find("I14", _place(row.number, refusal), refusal)
        return
    index = verified.retirement_entry
    report.expect("I14", index == row.entry_index, proof, f"it proves entry {index}, not {row.entry_index}")
    checkpoint = peek_checkpoint(TlogProof.parse(bundle.proof).checkpoint_note)
    on_history = log.roots.get(checkpoint.size) == checkpoint.root
    report.expect("I12", on_history, proof, "its checkpoint is not on the published history")
    _check_content(row, verified.statement, log.rows, report)


def _place(number: str, refusal: Exception) -> str:
    """The file that a refusal is about, and what it names there."""
    facts: Mapping[str, Any] = getattr(refusal, "facts", {})
    where = str(facts.get("where", ""))
    file = FILES.get(where.split(":", 1)[0].split(",", 1)[0], "")
    return f"certificates/{number}{file} {where}".rstrip()


def _check_content(row: Certificate, statement: RetirementStatement, rows: Session, report: Report) -> None:
    """That the statement says what the tables say, which are those of the log."""
    retirement = rows.get_one(Retirement, row.retirement_id)
    wanted = sa.select(RetiredRange).where(RetiredRange.retirement_id == row.retirement_id)
    ranges = sorted(UnitRange(part.start_number, part.end_number) for part in rows.scalars(wanted))
    serials = sorted(Serial.parse_machine(serial).units for serial in statement.serials)
    for name, stated, known in (
        ("certificate", statement.certificate, row.number),
        ("version", statement.version, row.version),
        ("units", statement.units, retirement.units),
        ("serials", serials, ranges),
        ("claim_from", statement.claim_from.isoformat(), retirement.claim_from),
        ("claim_to", statement.claim_to.isoformat(), retirement.claim_to),
    ):
        report.expect(
            "I14", stated == known, f"certificates/{row.number}{STATEMENT} {name}",
            f"{stated} is stated, the log gives {known}",
        )  # fmt: skip
