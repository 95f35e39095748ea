"""A log with one retirement in it, and a certificate of any number of parcels."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from ledger.canonical import JsonValue
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.effects import Posting, Transfer
from ledger.entry import Payload
from ledger.envelope import Envelope, encode_leaf
from ledger.keys import SigningKey
from ledger.merkle import inclusion_proof, leaf_hash, node_hash, root_from_nodes
from ledger.note import Cosigner, NoteSigner, Signer
from ledger.proof import TlogProof
from ledger.units import UnitRange
from registry.documents.certificate import CertificateContent, CertificateParcel, SerialLine
from registry.documents.mapping import ParcelOutline, Ring
from registry.documents.serials import Serial, UnitKind
from registry.documents.statement import (
    RetirementRecords,
    RetirementStatement,
    StatedParcel,
    outline_ring,
    prepare_statement,
)

ORIGIN: Final = "registry.example/tanhui"
LOG_KEY: Final = SigningKey.from_seed(bytes(range(32)))
ACTOR: Final = SigningKey.from_seed(bytes(range(32, 64)))
RETIRED_AT: Final = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)
KEYS: Final = {
    name: bytes([number]) * 32
    for number, name in enumerate(("beneficiary", "parcels", "presentation", "purpose_text"), start=1)
}
VILLAGES: Final = (("上村", "柯城区"), ("下坞村", "衢江区"), ("石门坑村", "柯城区"))


def make_serial(start: int, end: int, vintage: int = 2025, batch: int = 2) -> str:
    return str(Serial("QZP", "330802", UnitKind.REMOVAL_NATURE, 42, vintage, batch, UnitRange(start, end)))


def make_ring(number: int, rng: random.Random) -> Ring:
    """A knobbly outline of some ten hectares on both sides of 118.5°E."""
    east, north = 118.47 + number % 15 * 0.004, 28.93 + number // 15 * 0.0035
    corners = []
    for corner in range(14):
        angle, size = 2 * math.pi * corner / 14, rng.uniform(0.75, 1.1)
        corners.append((east + size * 0.0018 * math.cos(angle), north + size * 0.0015 * math.sin(angle)))
    return outline_ring([*corners, corners[0]])


def make_statement(count: int = 3, **changed: object) -> RetirementStatement:
    """A retirement of the units of so many parcels, 20 to 26 units from each."""
    rng = random.Random(7)
    stated = tuple(
        StatedParcel(
            code=f"330802-{number + 1:04d}",
            village=VILLAGES[number % 3][0],
            county=VILLAGES[number % 3][1],
            area_m2=110_000 + number * 37,
            units=20 + number % 7,
            rings=(make_ring(number, rng),),
        )
        for number in range(count)
    )
    units = sum(parcel.units for parcel in stated)
    statement = RetirementStatement(
        certificate="QZP1-RC-000017",
        version=1,
        beneficiary="浙江示例纺织有限公司",
        beneficiary_code="91330800MA2DEMO017",
        purpose="voluntary",
        text="抵消本公司 2025 年范围一排放。\nOffsets our scope 1 emissions of 2025.",
        jurisdiction="CN-ZJ",
        claim_from=date(2025, 1, 1),
        claim_to=date(2026, 1, 1),
        serials=(make_serial(1, 10, 2024, 1), make_serial(52, 51 + units - 10)),
        unit_kg=1000,
        project="QZP1-330802-00042",
        project_name="柯城衢江三村杉木碳汇项目",
        programme="QZP1",
        programme_name="衢州市森林碳汇示范方案",
        verifier="示例林业调查规划院有限公司",
        parcels=stated,
        statement_entries=(3,),
        issuance_entries=(4,),
        verify_url="https://registry.example/verify/QZP1-RC-000017",
        simulated=True,
    )
    return replace(statement, **changed)  # type: ignore[arg-type]


def make_content(count: int = 3, **changed: object) -> CertificateContent:
    """What the PDF of such a statement says."""
    statement = make_statement(count)
    content = CertificateContent(
        number=statement.certificate,
        version=statement.version,
        beneficiary=statement.beneficiary,
        beneficiary_code=statement.beneficiary_code,
        purpose=statement.purpose,
        text=statement.text,
        claim_from=statement.claim_from,
        claim_to=statement.claim_to,
        jurisdiction=statement.jurisdiction,
        retired_at=RETIRED_AT,
        serials=tuple(SerialLine(one, Serial.parse(one).count) for one in statement.serials),
        programme=statement.programme,
        programme_name=statement.programme_name,
        project=statement.project,
        project_name=statement.project_name,
        vintages=statement.vintages,
        units=statement.units,
        unit_kg=statement.unit_kg,
        total_kg=statement.kg,
        parcels=tuple(
            CertificateParcel(one.code, one.village, one.county, one.area_m2, one.units)
            for one in statement.parcels
        ),
        outlines=tuple(ParcelOutline(one.code, one.rings) for one in statement.parcels),
        verifier=statement.verifier,
        statement_entries=statement.statement_entries,
        issuance_entries=statement.issuance_entries,
        retirement_entry=5,
        log_origin=ORIGIN,
        log_size=9,
        root_hash="ab" * 32,
        log_vkey=NoteSigner(ORIGIN, LOG_KEY).vkey,
        verify_url=statement.verify_url,
        simulated=statement.simulated,
    )
    return replace(content, **changed)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class LoggedRetirement:
    """A retirement in a log of nine entries, ready to be bundled."""

    records: RetirementRecords
    proof: bytes
    entry: bytes
    vkey: str


def log_retirement(
    records: RetirementRecords,
    *,
    index: int = 5,
    witness: Cosigner | None = None,
    facts: dict[str, JsonValue] | None = None,
    moved: int | None = None,
    **changed: str,
) -> LoggedRetirement:
    """Log the retirement of `records` as entry `index` of nine; the rest bends it for refusals."""
    units = records.statement.units if moved is None else moved
    payload = Payload(
        type="act",
        id="0197f3a2-7c00-7000-8000-000000000001",
        by="person:4f1c",
        role="enterprise",
        mandate="mandate:9",
        machine="retirement",
        subject="retirement:17",
        action="retire",
        before="confirmed",
        after="retired",
        facts=records.facts() | (facts or {}),
        commitments=records.commitments(),
        effects=(
            Transfer(
                "transfer:1",
                (Posting("holding:1", "CO2E:QZP1", -units), Posting("retired:1", "CO2E:QZP1", units)),
            ),
        ),
    )
    payload = replace(payload, **changed)  # type: ignore[arg-type]
    at_ms = int(RETIRED_AT.timestamp() * 1000)
    entry = encode_leaf(at_ms, Envelope(payload.to_bytes()).sign(ACTOR))
    leaves = [leaf_hash(b"another entry %d" % number) for number in range(9)]
    leaves[index] = leaf_hash(entry)

    def node(level: int, place: int) -> bytes:
        if level == 0:
            return leaves[place]
        return node_hash(node(level - 1, 2 * place), node(level - 1, 2 * place + 1))

    signers: list[Signer] = [NoteSigner(ORIGIN, LOG_KEY)]
    if witness is not None:
        signers.append(witness)
    note = sign_checkpoint(Checkpoint(ORIGIN, 9, root_from_nodes(9, node)), signers)
    proof = TlogProof(index, tuple(inclusion_proof(index, 9, node)), note)
    return LoggedRetirement(records, proof.to_bytes(), entry, NoteSigner(ORIGIN, LOG_KEY).vkey)


@dataclass(frozen=True, slots=True)
class Samples:
    """The makers above, as one fixture."""

    statement: Callable[..., RetirementStatement] = make_statement
    content: Callable[..., CertificateContent] = make_content
    serial: Callable[..., str] = make_serial
    log: Callable[..., LoggedRetirement] = log_retirement

    def records(self, count: int = 3, **changed: Any) -> RetirementRecords:
        return prepare_statement(make_statement(count, **changed), KEYS)

    def logged(self, count: int = 3, **changed: Any) -> LoggedRetirement:
        return log_retirement(self.records(count, **changed))


@pytest.fixture(scope="session")
def samples() -> Samples:
    return Samples()


@pytest.fixture(scope="session")
def logged(samples: Samples) -> LoggedRetirement:
    return samples.logged()
