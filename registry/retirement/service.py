"""Request and confirm a retirement.

The request chooses and locks the units and binds who they are retired for. The confirmation is signed by two
persons of the holder; in the same transaction the registry retires the units, with everything the certificate
will say as facts and commitments of that entry. The certificate's files are made from there (`certificates`),
at any time and again.
"""

from datetime import date
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from geo.crs import Polygonal, parts_of
from ledger.books import Block
from ledger.canonical import JsonValue
from ledger.effects import Move, Pend, Post, Posting, Void
from registry.accounts.models import Organisation
from registry.accounts.service import NotFound
from registry.acts import Desk, Opened
from registry.documents.fonts import require_glyphs
from registry.documents.mapping import Ring
from registry.documents.statement import (
    OPENED,
    RetirementRecords,
    RetirementStatement,
    StatedParcel,
    outline_ring,
    prepare_statement,
)
from registry.issuance.claims import require_ground
from registry.issuance.draft import Draft
from registry.issuance.models import Batch, Issuance
from registry.issuance.rules import LOCK_RETIRE
from registry.issuance.units import (
    Selection,
    find_units,
    homes_within,
    joined_ranges,
    locked_blocks,
    serials_of,
)
from registry.office import ONE_LINE, Act, Answer, Command
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.public import masked_among, public_outline
from registry.programmes.rules import retired_account, unit_asset, units_account
from registry.programmes.service import load_programme, terms_of
from registry.projects.models import MonitoringPeriod, Project, ProjectParcel
from registry.projects.rules import civil_date
from registry.projects.service import load_project
from registry.retirement.models import Certificate, Retirement
from registry.retirement.rules import RETIREMENT, ClaimPeriodInvalid
from registry.settings import Settings
from registry.verification.models import Statement

CONFIRMED = ("beneficiary", "purpose_text", "parcels")
"""Records that the confirming persons sign; the rest of a statement is known when the certificate has its
number.
"""


class RequestRetirement(Command):
    project: str
    units: int = Field(gt=0, le=10**9)
    selection: Selection = Selection()
    beneficiary: str = Field(
        min_length=1, max_length=200, pattern=ONE_LINE, description="legal name of who claims the removal"
    )
    beneficiary_code: str = Field("", pattern=r"^([0-9A-HJ-NPQRTUWXY]{18})?$", description="统一社会信用代码")
    purpose: Literal["voluntary", "compliance", "event", "product", "judicial", "other"] = "voluntary"
    text: str = Field("", max_length=500)
    jurisdiction: str = Field("CN", min_length=1, max_length=80, pattern=ONE_LINE)
    claim_from: date
    claim_to: date = Field(description="the day after the last day of the claim")


class OneRetirement(Command):
    retirement: str


def request(desk: Desk, command: RequestRetirement) -> Answer:
    if command.claim_from >= command.claim_to:
        raise ClaimPeriodInvalid(
            claim_from=command.claim_from.isoformat(), claim_to=command.claim_to.isoformat()
        )
    _require_printable(command)
    project = load_project(desk.session, command.project)
    holder = desk.actor.organisation
    account = units_account(holder, project.programme_id)
    cuts = find_units(desk.session, account, project.id, command.units, command.selection)
    draft = Draft(desk)
    blocks = draft.cut(cuts)
    pending = _lock(draft, project, account, blocks, command.units)
    wish = desk.commitment(
        "request",
        Retirement,
        beneficiary=command.beneficiary,
        beneficiary_code=command.beneficiary_code,
        purpose=command.purpose,
        text=command.text,
        jurisdiction=command.jurisdiction,
    )
    facts: dict[str, JsonValue] = {
        "project_id": project.id,
        "holder": holder,
        "units": command.units,
        "selection": command.selection.facts(),
        "claim_from": command.claim_from.isoformat(),
        "claim_to": command.claim_to.isoformat(),
        "pending": pending,
    }
    desk.act(
        RETIREMENT,
        "request",
        desk.request_id,
        facts=facts,
        commitments={"request": wish},
        effects=draft.take(),
    )
    wish.reveal(load_retirement(desk.session, desk.request_id))
    return {"retirement": desk.request_id, "units": command.units}


def withdraw(desk: Desk, command: OneRetirement) -> Answer:
    retirement = _of_holder(desk, command.retirement)
    desk.act(RETIREMENT, "withdraw", retirement.id, effects=[Void(retirement.pending)])
    return {"retirement": retirement.id}


def confirm(desk: Desk, command: OneRetirement) -> Answer:
    """Two persons confirm; the units are retired at once and for good."""
    retirement = _of_holder(desk, command.retirement)
    RETIREMENT.step(retirement.status, "confirm", retirement.id)
    project = load_project(desk.session, retirement.project_id)
    blocks = locked_blocks(desk.session, retirement.pending)
    _require_ground(desk, project, blocks)
    number = next_certificate_number(desk.session, project)
    records = prepare_statement(
        _statement(desk, retirement, project, blocks, number), _keys(desk), tuple(_fonts())
    )
    stated = records.facts()
    desk.act(
        RETIREMENT,
        "confirm",
        retirement.id,
        facts={
            name: stated[name]
            for name in ("serials", "units", "project", "vintages", "claim_from", "claim_to")
        },
        commitments={name: kept for name, kept in _commitments(records).items() if name in CONFIRMED},
    )
    _retire(desk, retirement, project, blocks, records)
    return {"retirement": retirement.id, "certificate": number, "serials": stated["serials"]}


ACTS = (
    Act("retirement.request", RequestRetirement, request),
    Act("retirement.withdraw", OneRetirement, withdraw),
    Act("retirement.confirm", OneRetirement, confirm),
)


# ---- retiring ----------------------------------------------------------------------------------------------


def _lock(draft: Draft, project: Project, account: str, blocks: list[str], units: int) -> str:
    pending, asset = draft.name(), unit_asset(project.programme_id)
    postings = (
        Posting(account, asset, -units),
        Posting(retired_account(project.programme_id), asset, units),
    )
    draft.add(Pend(pending, postings, tuple(blocks), LOCK_RETIRE, draft.desk.request_id))
    return pending


def _retire(
    desk: Desk, retirement: Retirement, project: Project, blocks: list[Block], records: RetirementRecords
) -> None:
    asset, final = unit_asset(project.programme_id), retired_account(project.programme_id)
    holder = units_account(retirement.organisation_id, project.programme_id)
    postings = (Posting(holder, asset, -retirement.units), Posting(final, asset, retirement.units))
    ranges: list[JsonValue] = [[batch, units.start, units.end] for batch, units in joined_ranges(blocks)]
    kept = desk.commitment("certificate", Certificate, records=records.encode().decode("utf-8"))
    desk.consequence(
        RETIREMENT,
        "retire",
        retirement.id,
        facts={**records.facts(), "project_id": project.id, "ranges": ranges},
        commitments={**_commitments(records), "certificate": kept},
        effects=[Post(retirement.pending, postings, tuple(Move(block.block, final) for block in blocks))],
    )
    kept.reveal(desk.session.get_one(Certificate, records.statement.certificate))


def _keys(desk: Desk) -> dict[str, bytes]:
    """A commitment key for each record of the statement, the same whenever this request is carried out."""
    return {name: desk.commit_record(name, {}).key for name in OPENED}


def _commitments(records: RetirementRecords) -> dict[str, Opened]:
    return {name: Opened(digest, records.keys[name], {}) for name, digest in records.commitments().items()}


def _require_ground(desk: Desk, project: Project, blocks: list[Block]) -> None:
    """The land claims of the units' home parcels are checked over the period in which they grew."""
    session, homes = desk.session, dict[str, set[int]]()
    for batch_id, units in joined_ranges(blocks):
        issuance = session.get_one(Issuance, session.get_one(Batch, batch_id).issuance_id)
        grown_on = {parcel for parcel, _ in homes_within(session, project.id, units)}
        homes.setdefault(issuance.period_id, set()).update(grown_on)
    for period_id, parcels in sorted(homes.items()):
        period = session.get_one(MonitoringPeriod, period_id)
        # whoever retires units does not see on whose ground they grew
        require_ground(session, project, period, parcels, civil_date(desk.now).isoformat(), outlines=False)


# ---- what the certificate says -----------------------------------------------------------------------------


def _statement(
    desk: Desk, retirement: Retirement, project: Project, blocks: list[Block], number: str
) -> RetirementStatement:
    session = desk.session
    programme = load_programme(session, project.programme_id)
    serials = serials_of(session, project, blocks)
    issuances = _issuances(session, blocks)
    statements = [session.get_one(Statement, issuance.statement_id) for issuance in issuances]
    return RetirementStatement(
        certificate=number,
        version=1,
        beneficiary=retirement.beneficiary or "",
        beneficiary_code=retirement.beneficiary_code or "",
        purpose=retirement.purpose or "",
        text=retirement.text or "",
        jurisdiction=retirement.jurisdiction or "",
        claim_from=date.fromisoformat(retirement.claim_from),
        claim_to=date.fromisoformat(retirement.claim_to),
        serials=tuple(str(serial) for serial in serials),
        unit_kg=terms_of(programme).unit_kg,
        project=serials[0].project_code,
        project_name=project.name or project.id,
        programme=programme.id,
        programme_name=programme.name_zh or programme.id,
        verifier=_names(session, sorted({statement.verifier_id for statement in statements})),
        parcels=_stated_parcels(session, project, blocks),
        statement_entries=tuple(sorted({statement.entry_index for statement in statements})),
        issuance_entries=tuple(sorted({i.issued_index for i in issuances if i.issued_index is not None})),
        verify_url=f"{Settings().public_url.rstrip('/')}/verify/{number}",
        simulated=desk.simulated,
    )


def _issuances(session: Session, blocks: list[Block]) -> list[Issuance]:
    batches = sorted({block.batch for block in blocks})
    rows = sa.select(Issuance).join(Batch, Batch.issuance_id == Issuance.id).where(Batch.id.in_(batches))
    return list(session.scalars(rows.order_by(Issuance.issued_index)).unique())


def _names(session: Session, organisations: list[str]) -> str:
    rows = [session.get_one(Organisation, organisation) for organisation in organisations]
    return "、".join(row.name or row.id for row in rows)


def _stated_parcels(session: Session, project: Project, blocks: list[Block]) -> tuple[StatedParcel, ...]:
    units: dict[int, int] = {}
    for _, run in joined_ranges(blocks):
        for parcel, part in homes_within(session, project.id, run):
            units[parcel] = units.get(parcel, 0) + part.count
    rows = session.execute(
        sa.select(ProjectParcel.number, Parcel, ParcelVersion)
        .join(Parcel, Parcel.id == ProjectParcel.parcel_id)
        .join(
            ParcelVersion,
            sa.and_(
                ParcelVersion.parcel_id == ProjectParcel.parcel_id,
                ParcelVersion.version == ProjectParcel.parcel_version,
            ),
        )
        .where(ProjectParcel.project_id == project.id, ProjectParcel.number.in_(units))
        .order_by(ProjectParcel.number)
    ).all()
    codes = [parcel.code for _, parcel, _ in rows]
    masked = masked_among(session, [version for _, _, version in rows])
    return tuple(
        StatedParcel(
            code=parcel.code if codes.count(parcel.code) == 1 else f"{parcel.code} ({number})",
            village="" if parcel.id in masked else version.village or "",
            county=parcel.county,
            area_m2=version.area_cm2 // 10_000,
            units=units[number],
            rings=_rings(public_outline(version, parcel.id in masked)),
        )
        for number, parcel, version in rows
    )


def _rings(outline: Polygonal | None) -> tuple[Ring, ...]:
    """Every ring of what may be public of a parcel's outline, because a certificate is; none when it was
    erased.
    """
    if outline is None:
        return ()
    return tuple(
        outline_ring([(position[0], position[1]) for position in ring.coords])
        for part in parts_of(outline)
        for ring in (part.exterior, *part.interiors)
    )


def next_certificate_number(session: Session, project: Project) -> str:
    """The next number of the registry. Under the write lock, so no two certificates get the same."""
    terms = terms_of(load_programme(session, project.programme_id))
    count = session.scalar(sa.select(sa.func.count()).select_from(Certificate)) or 0
    return f"{terms.serial_registry}-RC-{count + 1:06d}"


def _require_printable(command: RequestRetirement) -> None:
    """A character that no font can show is refused before anything is locked."""
    for name in ("beneficiary", "text", "jurisdiction"):
        require_glyphs(getattr(command, name), name, tuple(_fonts()))


def _fonts() -> list[Path]:
    return Settings().font_dirs


# ---- reading -----------------------------------------------------------------------------------------------


def load_retirement(session: Session, retirement: str) -> Retirement:
    row = session.get(Retirement, retirement)
    if row is None:
        raise NotFound(kind="retirement", id=retirement)
    return row


def _of_holder(desk: Desk, retirement: str) -> Retirement:
    row = load_retirement(desk.session, retirement)
    if row.organisation_id != desk.actor.organisation:
        raise NotFound(kind="retirement", id=retirement)
    return row
