"""One sale as effects: units against money, the money to reserves and villages, all in the same entry."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger.books import Block
from ledger.effects import Move, Pend, Post, Posting
from registry.accounts.rules import MONEY, cash_account
from registry.issuance.draft import Draft
from registry.issuance.units import credited_units
from registry.market.proceeds import Proceeds, Rates, Share, split_payment
from registry.market.rules import InterestedParty, OwnUnits
from registry.parcels.models import Parcel, ParcelVersion
from registry.programmes.rules import Terms, clearing_account, unit_asset, units_account
from registry.programmes.service import load_programme, terms_of
from registry.projects.models import MonitoringPeriod, Project, ProjectParcel


def project_terms(session: Session, project: Project) -> Terms:
    return terms_of(load_programme(session, project.programme_id))


def require_buyer(session: Session, project: Project, organisation: str) -> None:
    """Neither the seller nor who validated or verified the project may buy from it."""
    if organisation == project.owner_id:
        raise OwnUnits(organisation=organisation)
    verified = sa.select(MonitoringPeriod.id).where(
        MonitoringPeriod.project_id == project.id, MonitoringPeriod.verifier_id == organisation
    )
    if organisation == project.validator_id or session.scalar(verified.limit(1)) is not None:
        raise InterestedParty(organisation=organisation)


# ---- money -------------------------------------------------------------------------------------------------


def divide(
    session: Session, project: Project, gross_fen: int, credited: Mapping[int, int] | None = None
) -> Proceeds:
    """E-T1 for a payment to a project. `credited`: units per parcel that the entry being drafted issues."""
    terms = project_terms(session, project)
    rates = Rates(terms.vat_ppm, terms.surcharge_ppm, terms.insurance_ppm, terms.fee_ppm, terms.village_ppm)
    return split_payment(gross_fen, rates, shares(session, project, credited or {}))


def shares(session: Session, project: Project, credited: Mapping[int, int]) -> list[Share]:
    """The parcels' weights: credited units as soon as the project has some, area before: each ground once."""
    issued = credited_units(session, project.id)
    rows = session.execute(
        sa.select(ProjectParcel.number, Parcel.organisation_id, Parcel.status, ParcelVersion.area_cm2)
        .join(Parcel, Parcel.id == ProjectParcel.parcel_id)
        .join(
            ParcelVersion,
            sa.and_(
                ParcelVersion.parcel_id == ProjectParcel.parcel_id,
                ParcelVersion.version == ProjectParcel.parcel_version,
            ),
        )
        .where(ProjectParcel.project_id == project.id)
        .order_by(ProjectParcel.number)
    ).all()
    units = {number: issued.get(number, 0) + credited.get(number, 0) for number, *_ in rows}
    by_units = any(units.values())
    return [
        Share(number, organisation, units[number] if by_units else _ground_cm2(status, area_cm2))
        for number, organisation, status, area_cm2 in rows
    ]


def _ground_cm2(status: str, area_cm2: int) -> int:
    """A superseded parcel's ground counts as its successors'."""
    return 0 if status == "superseded" else area_cm2


def payees(draft: Draft, project: Project, proceeds: Proceeds) -> list[tuple[str, int]]:
    """The accounts a payment goes to; opens the reserves it needs."""
    owner = project.owner_id
    reserves = (("tax", proceeds.tax_fen), ("insurance", proceeds.insurance_fen), ("fee", proceeds.fee_fen))
    return [
        *((draft.reserve_account(purpose, owner), fen) for purpose, fen in reserves if fen),
        (cash_account(owner), proceeds.operator_fen),
        *((cash_account(village), fen) for village, fen in proceeds.villages),
    ]


def pay_seller(draft: Draft, project: Project, buyer: str, proceeds: Proceeds) -> None:
    """From the buyer's cash straight to reserves and villages."""
    draft.pay(cash_account(buyer), payees(draft, project, proceeds))


def post_money(draft: Draft, pending: str, project: Project, buyer: str, proceeds: Proceeds) -> None:
    """From the buyer's reserved money to the seller, and on to reserves and villages; what is left over is
    free again.
    """
    seller = cash_account(project.owner_id)
    gross = proceeds.gross_fen
    draft.add(Post(pending, (Posting(cash_account(buyer), MONEY, -gross), Posting(seller, MONEY, gross))))
    draft.pay(seller, payees(draft, project, proceeds))


def reserve_money(draft: Draft, project: Project, buyer: str, amount_fen: int, lock: str, ref: str) -> str:
    """Reserve the buyer's cash for the seller; answers the reservation's name."""
    pending = draft.name()
    postings = (
        Posting(cash_account(buyer), MONEY, -amount_fen),
        Posting(cash_account(project.owner_id), MONEY, amount_fen),
    )
    draft.add(Pend(pending, postings, (), lock, ref))
    return pending


# ---- units -------------------------------------------------------------------------------------------------


def lock_units(draft: Draft, project: Project, blocks: Sequence[str], count: int, lock: str, ref: str) -> str:
    """Lock blocks of the seller for somebody not known yet; answers the reservation's name."""
    pending, asset = draft.name(), unit_asset(project.programme_id)
    postings = (
        Posting(units_account(project.owner_id, project.programme_id), asset, -count),
        Posting(clearing_account(project.programme_id), asset, count),
    )
    draft.add(Pend(pending, postings, tuple(blocks), lock, ref))
    return pending


def post_units(
    draft: Draft, pending: str, project: Project, buyer: str, blocks: Sequence[str], count: int
) -> None:
    """Hand locked blocks over to the buyer; what the reservation held beside them is free again."""
    asset = unit_asset(project.programme_id)
    receiver = draft.units_account(buyer, project.programme_id)
    postings = (
        Posting(units_account(project.owner_id, project.programme_id), asset, -count),
        Posting(receiver, asset, count),
    )
    draft.add(Post(pending, postings, tuple(Move(block, receiver) for block in blocks)))


def count_units(blocks: Sequence[Block]) -> int:
    return sum(block.units.count for block in blocks)
