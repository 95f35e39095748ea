"""The files of a certificate, made from rows and the published log.

They are derived: made after the commit, at any time, and again with the same bytes, as their proof is
(`registry.receipts`).
"""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger.policy import Policy, read_policy
from ledger.tiles import TileDirectory
from registry.documents.bundle import Bundle, build_bundle
from registry.documents.statement import RetirementRecords
from registry.receipts import prove
from registry.retirement.models import Certificate
from registry.retirement.rules import CertificateErased, NotRetired
from registry.retirement.service import load_retirement
from registry.settings import Home, Settings


def write_certificate(
    session: Session, home: Home, retirement: str, log: TileDirectory, vkey: str
) -> tuple[Path, ...]:
    """Write `<number>.pdf`, `.tlog-proof`, `.entry` and `.statement.json` into the home; answers their paths.

    Raises `NotFound`, `NotRetired`, `CertificateErased`, `NotPublished`, and what
    `documents.bundle.build_bundle` raises: nothing is handed out that a stranger's check would refuse.
    """
    home.certificates.mkdir(parents=True, exist_ok=True)
    return make_certificate(session, retirement, log, vkey, read_policy(home.policy)).write(home.certificates)


def make_certificate(
    session: Session, retirement: str, log: TileDirectory, vkey: str, policy: Policy | None = None
) -> Bundle:
    """The bundle of a retirement's newest certificate, in memory. Raises as `write_certificate`."""
    row = load_retirement(session, retirement)
    certificate = session.scalar(
        sa.select(Certificate)
        .where(Certificate.retirement_id == retirement)
        .order_by(Certificate.version.desc())
        .limit(1)
    )
    if certificate is None:
        raise NotRetired(retirement=retirement, status=row.status)
    if certificate.records is None:
        raise CertificateErased(number=certificate.number)
    records = RetirementRecords.decode(certificate.records.encode("utf-8"))
    proof = prove(session, certificate.entry_index, log)
    (entry,) = log.read_entries(certificate.entry_index, certificate.entry_index + 1)
    return build_bundle(records, proof, entry, vkey, policy=policy, font_dirs=tuple(Settings().font_dirs))
