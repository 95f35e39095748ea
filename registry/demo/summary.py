"""What came of it, from the tables: the figures of `summary.json` and the line about the log."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.checkpoint import open_checkpoint
from registry.demo.story import Story
from registry.issuance.models import Issuance
from registry.market.models import ProceedsLine
from registry.parcels.models import Parcel, ParcelVersion
from registry.programmes.rules import residue_account
from registry.projects.models import Project
from registry.retirement.models import RetiredRange

CM2_PER_M2 = 10_000


def summarise(story: Story) -> dict[str, object]:
    """Parcels, area, kilograms, units by state, the log's size, and the villages' money.

    `issued` includes the buffer. `proceeds_fen` is what each village's collective was paid, by village.
    """
    with story.installation.database.read() as session:
        return {
            "parcels": _count(session, Parcel),
            "area_m2": _sum(session, ParcelVersion.area_cm2) / CM2_PER_M2,
            "verified_kg": _sum(session, Issuance.verified_kg),
            "issued": _sum(session, Issuance.units),
            "buffer": _sum(session, Issuance.buffer_units),
            "residue_kg": _residue_kg(session),
            "retired": _sum(session, RetiredRange.end_number - RetiredRange.start_number + 1),
            "log_size": story.installation.tiles.published_size(),
            "proceeds_fen": _proceeds_fen(session, story),
        }


def log_line(story: Story) -> str:
    """How large the log is, read back from its published checkpoint."""
    tiles = story.installation.tiles
    note = tiles.checkpoint_bytes()
    assert note is not None
    checkpoint = open_checkpoint(note, story.installation.signer.verifier)
    return f"{checkpoint.size} signed entries under one checkpoint, published as tiles in log/"


def _count(session: Session, model: type[Parcel]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def _sum(session: Session, column: Any) -> int:
    return int(session.scalar(sa.select(sa.func.sum(column))) or 0)


def _residue_kg(session: Session) -> int:
    accounts = [residue_account(project) for project in session.scalars(sa.select(Project.id))]
    account = tables.account.c
    balance = sa.select(sa.func.sum(account.credits_posted - account.debits_posted))
    return int(session.scalar(balance.where(account.account.in_(accounts))) or 0)


def _proceeds_fen(session: Session, story: Story) -> dict[str, int]:
    """What the villages were paid in all, by the name of the village."""
    villages = {member.organisation: village for village, member in story.collectives.items()}
    paid: dict[str, int] = defaultdict(int)
    for line in session.scalars(sa.select(ProceedsLine)):
        if line.organisation_id in villages and line.line == "village":
            paid[villages[line.organisation_id]] += line.amount_fen
    return dict(sorted(paid.items()))
