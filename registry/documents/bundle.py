"""The offline bundle of one certificate, and its check with nothing but the log's public key.

<number>.pdf              the certificate, which carries the other three files inside
<number>.tlog-proof       inclusion proof and checkpoint (c2sp.org/tlog-proof)
<number>.entry            the entry's bytes that the proof is of
<number>.statement.json   what is stated, with the opened commitments
"""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from ledger.canonical import JsonValue, encode
from ledger.checkpoint import Checkpoint, peek_checkpoint
from ledger.commitment import verify_commitment
from ledger.entry import Payload, parse_payload
from ledger.errors import (
    CommitmentRefused,
    LedgerRefusal,
    MalformedEnvelope,
    MalformedTree,
    NotCanonical,
    ProofRefused,
)
from ledger.note import NoteVerifier, parse_note, verified_signers
from ledger.policy import Policy
from ledger.proof import TlogProof
from ledger.verify import VerifiedEntry, verify_entry
from registry.documents.certificate import (
    CertificateContent,
    CertificateParcel,
    SerialLine,
    render_pdf,
    renderer,
)
from registry.documents.errors import (
    BundleIncomplete,
    CheckpointNotSigned,
    EntryNotIncluded,
    FontsMissing,
    GlyphMissing,
    NotARetirement,
    PdfDisagrees,
    StatementDisagrees,
)
from registry.documents.mapping import ParcelOutline
from registry.documents.serials import Serial
from registry.documents.statement import (
    RetirementRecords,
    RetirementStatement,
    is_certificate_number,
    parse_statement,
)

PDF, PROOF, ENTRY, STATEMENT = ".pdf", ".tlog-proof", ".entry", ".statement.json"
SUFFIXES: Final = (PDF, PROOF, ENTRY, STATEMENT)
UNIT_ASSET: Final = "CO2E:"
"""Assets that count whole units begin so (`LEDGER.md` 4.2)."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one certificate. `pdf` is None where only the proof files are at hand."""

    number: str
    proof: bytes
    entry: bytes
    statement: bytes
    pdf: bytes | None = None

    def attachments(self) -> dict[str, bytes]:
        """The files that the PDF carries, by name."""
        return _attachments(self.number, self.proof, self.entry, self.statement)

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write the files into `folder`, each whole or not at all; answers their paths."""
        files = self.attachments() | ({f"{self.number}{PDF}": self.pdf} if self.pdf is not None else {})
        return tuple(_write(folder / name, data) for name, data in files.items())


class PdfCheck(StrEnum):
    """How far the PDF was checked."""

    ABSENT = "absent"
    REPRODUCED = "reproduced"
    """Printed again from the statement: the same file to the byte."""
    ATTACHMENTS_ONLY = "attachments_only"
    """The files inside are these; the printed pages could not be made again here."""


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """What `verify_bundle` found to be so. `steps` says in words what was done, one sentence a step."""

    statement: RetirementStatement
    retirement_entry: int
    retired_at: datetime
    log_origin: str
    log_size: int
    root_hash: str
    pdf: PdfCheck
    steps: tuple[str, ...]


def build_bundle(
    records: RetirementRecords,
    proof: bytes,
    entry: bytes,
    vkey: str,
    *,
    witnesses: Sequence[str] = (),
    policy: Policy | None = None,
    font_dirs: Sequence[Path] = (),
) -> Bundle:
    """The bundle of a retirement that is in the log: what a stranger's check would refuse is never handed
    out.

    `proof` is the tlog-proof of `entry` (the log's leaf bytes). Raises what `verify_bundle` and `render_pdf`
    raise.
    """
    verified = _in_the_log(proof, entry, vkey, witnesses, policy)
    number, statement = records.statement.certificate, records.document(verified.index)
    attachments = _attachments(number, proof, entry, statement)
    content = certificate_content(records.statement, verified, _checkpoint(proof), _signing(proof, vkey))
    bundle = Bundle(
        number, proof, entry, statement, render_pdf(content, attachments, content.retired_at, font_dirs)
    )
    verify_bundle(proof, entry, statement, vkey, None, witnesses=witnesses, policy=policy)
    return bundle


def verify_bundle(
    proof: bytes,
    entry: bytes,
    statement: bytes,
    vkey: str,
    pdf: bytes | None,
    *,
    witnesses: Sequence[str] = (),
    policy: Policy | None = None,
    quorum: bool = False,
    font_dirs: Sequence[Path] = (),
) -> VerifiedCertificate:
    """Check a certificate with nothing but the log's verifier key.

    1. The proof's checkpoint is signed by `vkey` and `witnesses`; every signature line on it is by one of
       them or by a witness of `policy`, and verifies. With `quorum` the policy's quorum signed.
    2. The entry is included under that checkpoint (RFC 9162, 2.1.3.2) and is in its one spelling.
    3. The entry retires: machine, action and state say so, and the units that it moves are the units it
       states.
    4. The statement is in its one spelling, names this entry, and each of its fields equals a fact of the
       entry or opens one of its commitments.
    5. The PDF is the one that the statement prints. Where this installation prints as the statement's did
       (`certificate.renderer`), it is printed again and compared to the byte; elsewhere the files inside it
       are compared, and the result says so.

    Raises a `CertificateNotProven` with `step` and `where`.
    """
    verified = _in_the_log(proof, entry, vkey, witnesses, policy, quorum=quorum)
    checkpoint = _checkpoint(proof)
    payload = _retirement(verified)
    records, index = parse_statement(statement)
    _states_the_entry(records, index, verified, payload)
    stated = records.statement
    content = certificate_content(stated, verified, checkpoint, _signing(proof, vkey))
    check, sentence = _pdf(
        content, stated, _attachments(stated.certificate, proof, entry, statement), pdf, font_dirs
    )
    return VerifiedCertificate(
        statement=stated,
        retirement_entry=verified.index,
        retired_at=content.retired_at,
        log_origin=checkpoint.origin,
        log_size=checkpoint.size,
        root_hash=checkpoint.root.hex(),
        pdf=check,
        steps=(
            (
                f"1. The checkpoint of {checkpoint.origin} at size {checkpoint.size} is signed by the given "
                f"key{_cosigned(proof, policy)}."
            ),
            f"2. Entry {verified.index} is included under its root {checkpoint.root.hex()}.",
            f"3. The entry retires {stated.units} units.",
            "4. Each stated field equals a fact of the entry or opens one of its commitments.",
            f"5. {sentence}",
        ),
    )


def certificate_content(
    statement: RetirementStatement, entry: VerifiedEntry, checkpoint: Checkpoint, vkey: str
) -> CertificateContent:
    """What the PDF says: the statement, and where its entry stands in the log."""
    return CertificateContent(
        number=statement.certificate,
        version=statement.version,
        beneficiary=statement.beneficiary,
        beneficiary_code=statement.beneficiary_code,
        purpose=statement.purpose,
        text=statement.text,
        claim_from=statement.claim_from,
        claim_to=statement.claim_to,
        jurisdiction=statement.jurisdiction,
        retired_at=datetime.fromtimestamp(entry.at_ms // 1000, UTC),
        serials=tuple(SerialLine(serial, Serial.parse_machine(serial).count) for serial in statement.serials),
        programme=statement.programme,
        programme_name=statement.programme_name,
        project=statement.project,
        project_name=statement.project_name,
        vintages=statement.vintages,
        units=statement.units,
        unit_kg=statement.unit_kg,
        total_kg=statement.kg,
        parcels=tuple(
            CertificateParcel(parcel.code, parcel.village, parcel.county, parcel.area_m2, parcel.units)
            for parcel in statement.parcels
        ),
        outlines=tuple(ParcelOutline(parcel.code, parcel.rings) for parcel in statement.parcels),
        verifier=statement.verifier,
        statement_entries=statement.statement_entries,
        issuance_entries=statement.issuance_entries,
        retirement_entry=entry.index,
        log_origin=checkpoint.origin,
        log_size=checkpoint.size,
        root_hash=checkpoint.root.hex(),
        log_vkey=vkey.split()[-1],
        verify_url=statement.verify_url,
        simulated=statement.simulated,
    )


def read_bundle(path: Path) -> Bundle:
    """The bundle that `path` (any one of its files) belongs to; a PDF alone, whatever it was renamed to,
    brings its other files inside.

    Raises `BundleIncomplete`, or `PdfDisagrees` for a PDF without readable attachments.
    """
    number = next((path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)), "")
    if not is_certificate_number(number):
        return _bundle_inside(path)
    files = {suffix: _read(path.with_name(f"{number}{suffix}")) for suffix in SUFFIXES}
    pdf = files[PDF]
    if pdf is not None and not all(files[suffix] for suffix in (PROOF, ENTRY, STATEMENT)):
        inside = pdf_attachments(pdf)
        files = {suffix: files[suffix] or inside.get(f"{number}{suffix}") for suffix in SUFFIXES}
    return _bundle(number, files)


def _bundle_inside(path: Path) -> Bundle:
    """The bundle that a PDF of any name carries; its files inside say its number."""
    pdf = _read(path) if path.suffix.lower() == PDF else None
    inside = pdf_attachments(pdf) if pdf is not None else {}
    numbers = {name.removesuffix(ENTRY) for name in inside if name.endswith(ENTRY)}
    number = numbers.pop() if len(numbers) == 1 else ""
    if not is_certificate_number(number):
        raise BundleIncomplete(file=f"a file named as a certificate ({', '.join(SUFFIXES)}), or its PDF")
    return _bundle(number, {suffix: inside.get(f"{number}{suffix}") for suffix in SUFFIXES} | {PDF: pdf})


def _bundle(number: str, files: Mapping[str, bytes | None]) -> Bundle:
    proof, entry, statement = (_required(files, number, suffix) for suffix in (PROOF, ENTRY, STATEMENT))
    return Bundle(number, proof, entry, statement, files[PDF])


def pdf_attachments(pdf: bytes) -> dict[str, bytes]:
    """The files inside a PDF, by name. Raises `PdfDisagrees` for what is no PDF or names a file twice."""
    from pypdf import PdfReader  # most processes never read a PDF back

    try:
        found = {name: list(contents) for name, contents in PdfReader(io.BytesIO(pdf)).attachments.items()}
    except Exception as fault:  # a stranger's bytes: whatever the parser stumbles over is the same refusal
        raise PdfDisagrees(
            step=5, where="PDF", reason=f"it cannot be read: {type(fault).__name__}"
        ) from fault
    for name, contents in found.items():
        if len(contents) != 1:
            raise PdfDisagrees(step=5, where=f"PDF: {name}", reason=f"it is inside {len(contents)} times")
    return {name: contents[0] for name, contents in found.items()}


# ---- the steps ---------------------------------------------------------------------------------------------


def _in_the_log(
    proof: bytes,
    entry: bytes,
    vkey: str,
    witnesses: Sequence[str],
    policy: Policy | None,
    *,
    quorum: bool = False,
) -> VerifiedEntry:
    """Steps 1 and 2."""
    try:
        verified = verify_entry(proof, entry, vkey, witnesses=witnesses, policy=policy if quorum else None)
        known = policy.witnesses.values() if policy is not None else ()
        _require_known_signers(
            proof, (*vkey.split(), *witnesses, *(witness.verifier.vkey for witness in known))
        )
        _cosigned(proof, policy)
    except (ProofRefused, MalformedTree) as fault:
        raise EntryNotIncluded(step=2, where="proof: hashes, or entry", reason=str(fault)) from fault
    except (MalformedEnvelope, NotCanonical) as fault:
        raise EntryNotIncluded(step=2, where="entry", reason=str(fault)) from fault
    except LedgerRefusal as fault:
        raise CheckpointNotSigned(step=1, where="proof: checkpoint", reason=str(fault)) from fault
    return verified


def _signing(proof: bytes, vkey: str) -> str:
    """The newest of the given keys that signed the proof: later keys change nothing that was printed."""
    note = parse_note(TlogProof.parse(proof).checkpoint_note)
    signed = verified_signers(note, map(NoteVerifier.parse, vkey.split()))
    return next(key for key in reversed(vkey.split()) if any(one.vkey == key for one in signed))


def _cosigned(proof: bytes, policy: Policy | None) -> str:
    """Whose cosignatures verify. Raises as `Policy.cosigned_by`."""
    names = [] if policy is None else policy.cosigned_by(TlogProof.parse(proof).checkpoint_note)
    return f" and cosigned by {', '.join(names)}" if names else ""


def _require_known_signers(proof: bytes, vkeys: Sequence[str]) -> None:
    """A line that nobody can check would be bytes that anybody can change."""
    known = {(one.name, one.key_id) for one in map(NoteVerifier.parse, vkeys)}
    for line in parse_note(TlogProof.parse(proof).checkpoint_note).signatures:
        if (line.name, line.key_id) not in known:
            raise CheckpointNotSigned(
                step=1,
                where="proof: checkpoint",
                reason=f"a signature line by {line.name}, whose key is not given",
            )


def _checkpoint(proof: bytes) -> Checkpoint:
    """The checkpoint of a proof that was verified before."""
    return peek_checkpoint(TlogProof.parse(proof).checkpoint_note)


def _retirement(verified: VerifiedEntry) -> Payload:
    """Step 3."""
    try:
        payload = parse_payload(verified.envelope.payload)
    except LedgerRefusal as fault:
        raise NotARetirement(step=3, where="entry: payload", reason=str(fault)) from fault
    for field, found, wanted in (
        ("type", payload.type, "act"),
        ("machine", payload.machine, "retirement"),
        ("action", payload.action, "retire"),
        ("after", payload.after, "retired"),
    ):
        if found != wanted:
            raise NotARetirement(step=3, where=f"entry: {field}", reason=f"it says {found!r}, not {wanted!r}")
    moved, stated = _units_moved(payload), payload.facts.get("units")
    if moved != stated:
        raise NotARetirement(
            step=3, where="entry: effects", reason=f"{moved} units are moved, {stated} are stated"
        )
    return payload


def _units_moved(payload: Payload) -> int:
    """Units credited by the transfers of an entry, at once or out of a reservation."""
    moved = 0
    for effect in payload.effects:
        match effect.to_json():
            case {"type": "transfer" | "post", "postings": list(postings)}:
                moved += sum(_units_credited(posting) for posting in postings)
    return moved


def _units_credited(posting: JsonValue) -> int:
    match posting:
        case {"asset": str(asset), "amount": int(amount)} if asset.startswith(UNIT_ASSET) and amount > 0:
            return amount
    return 0


def _states_the_entry(
    records: RetirementRecords, index: int, verified: VerifiedEntry, payload: Payload
) -> None:
    """Step 4, after the statement was read in its one spelling."""
    if index != verified.index:
        raise StatementDisagrees(
            step=4,
            where="statement: retirement_entry",
            reason=f"it names entry {index}, the proof is of {verified.index}",
        )
    for name, value in records.facts().items():
        if name not in payload.facts or encode(value) != encode(payload.facts[name]):
            logged = payload.facts.get(name, "nothing")
            raise StatementDisagrees(
                step=4, where=f"statement: facts.{name}", reason=f"it states {value}, the entry {logged}"
            )
    for name, record in records.statement.records().items():
        try:
            verify_commitment(payload.commitments.get(name, ""), records.keys[name], record)
        except CommitmentRefused as fault:
            raise StatementDisagrees(step=4, where=f"statement: opened.{name}", reason=str(fault)) from fault


def _pdf(
    content: CertificateContent,
    statement: RetirementStatement,
    attachments: Mapping[str, bytes],
    pdf: bytes | None,
    font_dirs: Sequence[Path],
) -> tuple[PdfCheck, str]:
    """Step 5."""
    if pdf is None:
        return PdfCheck.ABSENT, "There is no PDF to compare."
    if _renderer(font_dirs) == statement.renderer:
        try:
            again = render_pdf(content, attachments, content.retired_at, font_dirs)
        except GlyphMissing as fault:
            raise PdfDisagrees(step=5, where="PDF", reason=str(fault)) from fault
        if again != pdf:
            raise PdfDisagrees(
                step=5, where=_first_difference(again, pdf), reason="printed again it is another file"
            )
        return PdfCheck.REPRODUCED, "Printed again from the statement, the PDF is the same file to the byte."
    inside = pdf_attachments(pdf)
    for name in sorted(inside.keys() | attachments.keys()):
        if inside.get(name) != attachments.get(name):
            raise PdfDisagrees(step=5, where=f"PDF: {name}", reason="the file inside it is another one")
    return PdfCheck.ATTACHMENTS_ONLY, (
        "The files inside the PDF are these. Its pages were not printed again: that takes "
        f"{statement.renderer}, here is {_renderer(font_dirs) or 'none'}."
    )


def _renderer(font_dirs: Sequence[Path]) -> str:
    """What prints here, or nothing where the fonts are not installed."""
    try:
        return renderer(font_dirs)
    except FontsMissing:
        return ""


def _first_difference(one: bytes, two: bytes) -> str:
    at = next(
        (place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two))
    )
    return f"PDF: byte {at}"


def _attachments(number: str, proof: bytes, entry: bytes, statement: bytes) -> dict[str, bytes]:
    return {f"{number}{PROOF}": proof, f"{number}{ENTRY}": entry, f"{number}{STATEMENT}": statement}


# ---- files -------------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _required(files: Mapping[str, bytes | None], number: str, suffix: str) -> bytes:
    data = files[suffix]
    if data is None:
        raise BundleIncomplete(file=f"{number}{suffix}")
    return data


def _write(path: Path, data: bytes) -> Path:
    """Temporary file, fsync, rename: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path
