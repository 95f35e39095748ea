"""Services of the parcels room: submit a draft, review it, close a parcel. One parcel per act."""

import re
from typing import Final

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from geo.polygon import OverlapKind, from_wkb
from ledger.canonical import JsonValue
from registry.accounts.service import NotFound, load_organisation
from registry.acts import Desk
from registry.machine import Mandate, Role
from registry.office import Act, Answer, Command
from registry.parcels.ground import (
    GroundOverlap,
    Outlines,
    index_ground,
    load_ground,
    overlap_rule,
    overlaps_with_live_parcels,
)
from registry.parcels.independence import check_independent
from registry.parcels.models import Parcel, ParcelDraft, ParcelVersion
from registry.parcels.rules import (
    PARCEL,
    AreaDiffers,
    DraftSubmitted,
    NotAnOperator,
    NothingToExplain,
    NotReviewer,
    OverlapReason,
    OverlapUnexplained,
    ReviewReason,
    WrongDraft,
    area_difference_ppm,
    mu_of_cm2,
)
from registry.parcels.sources import keep_source
from registry.programmes.rules import Terms
from registry.programmes.service import published_programme, terms_of

SHA256: Final = r"^[0-9a-f]{64}$"
_PLAIN_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,60}")


class SubmitParcel(Command):
    """`parcel` names a returned parcel that gets this draft as its next version."""

    draft: str
    evidence_sha256: str = Field(
        pattern=SHA256, description="the document that proves the tenure and its term"
    )
    resolution_sha256: str = Field(pattern=SHA256, description="the collective's resolution")
    operator: str | None = Field(None, description="the operator who may enrol the parcel in a project")
    parcel: str | None = None


class AcceptParcel(Command):
    parcel: str


class FindEligible(Command):
    """`programme` is the one whose tolerances hold."""

    parcel: str
    programme: str
    overlap_reason: OverlapReason | None = None


class ReturnParcel(Command):
    parcel: str
    reason: ReviewReason


class RejectParcel(Command):
    parcel: str
    reason: ReviewReason


def submit_parcel(desk: Desk, command: SubmitParcel) -> Answer:
    """A draft becomes a parcel (its id is the draft's), or the next version of a returned parcel."""
    draft = load_draft(desk.session, desk.actor, command.draft)
    if (
        command.operator is not None
        and load_organisation(desk.session, command.operator).kind != Role.OPERATOR
    ):
        raise NotAnOperator(organisation=command.operator)
    parcel, version = _next_version(desk, draft, command.parcel)
    opened = desk.commitment(
        "version",
        ParcelVersion,
        wkb=draft.wkb,
        village=draft.village,
        tenure=draft.tenure,
        attributes=draft.attributes,
    )
    desk.act(
        PARCEL,
        "submit",
        parcel,
        facts={
            "organisation": draft.organisation_id,
            "operator": command.operator,
            "county": draft.county,
            "code": plain_code(draft),
            "version": version,
            "area_cm2": draft.area_cm2,
            "stand_type": draft.stand_type,
            "source_sha256": draft.source_sha256,
            "evidence_sha256": command.evidence_sha256,
            "resolution_sha256": command.resolution_sha256,
        },
        commitments={"version": opened},
    )
    opened.reveal(load_version(desk.session, parcel, version))
    keep_source(desk.session, draft, parcel, version)
    index_ground(desk.session, parcel, from_wkb(draft.wkb))
    draft.submitted = True
    return {"parcel": parcel, "version": version}


def accept_parcel(desk: Desk, command: AcceptParcel) -> Answer:
    """A verifier takes the review on; it must have no interest in the collective or its operator."""
    parcel = load_parcel(desk.session, command.parcel)
    check_independent(desk.session, desk.actor.organisation, parties_of(parcel))
    desk.act(PARCEL, "accept", parcel.id, facts={"version": parcel.version})
    return {"parcel": parcel.id}


def find_eligible(desk: Desk, command: FindEligible) -> Answer:
    """Verifier and registry find a parcel fit: its area is its certificate's, its ground nobody else's or
    explained.
    """
    parcel = _under_review(desk, command.parcel)
    version = current_version(desk.session, parcel)
    terms = terms_of(published_programme(desk.session, command.programme))
    check_area(version, terms)
    overlaps = _overlaps(desk.session, version, terms)
    _check_explained(parcel.id, overlaps, command.overlap_reason)
    found: list[JsonValue] = [[one.parcel, one.area_cm2] for one in overlaps]
    desk.act(
        PARCEL,
        "find_eligible",
        parcel.id,
        facts={"version": parcel.version, "programme": command.programme, "overlaps_cm2": found},
        reason_code=command.overlap_reason or "",
    )
    return {"parcel": parcel.id}


def return_parcel(desk: Desk, command: ReturnParcel) -> Answer:
    """Back to the collective, which may submit a new version; this one stays."""
    parcel = _under_review(desk, command.parcel)
    desk.act(PARCEL, "return", parcel.id, facts={"version": parcel.version}, reason_code=command.reason)
    return {"parcel": parcel.id}


def reject_parcel(desk: Desk, command: RejectParcel) -> Answer:
    parcel = _under_review(desk, command.parcel)
    desk.act(PARCEL, "reject", parcel.id, facts={"version": parcel.version}, reason_code=command.reason)
    return {"parcel": parcel.id}


ACTS = (
    Act("parcel.submit", SubmitParcel, submit_parcel),
    Act("parcel.accept", AcceptParcel, accept_parcel),
    Act("parcel.find_eligible", FindEligible, find_eligible),
    Act("parcel.return", ReturnParcel, return_parcel),
    Act("parcel.reject", RejectParcel, reject_parcel),
)


# ---- deciding ----------------------------------------------------------------------------------------------


def _next_version(desk: Desk, draft: ParcelDraft, parcel: str | None) -> tuple[str, int]:
    """The subject and the version number of a submission."""
    if parcel is None:
        if draft.submitted:
            raise DraftSubmitted(draft=draft.id)
        return draft.id, 1
    row = load_parcel(desk.session, parcel)
    if row.organisation_id != desk.actor.organisation:
        raise NotFound(kind="parcel", id=parcel)
    if draft.submitted and draft.id != parcel:
        raise WrongDraft(draft=draft.id, parcel=parcel)
    return parcel, row.version + 1


def _under_review(desk: Desk, parcel: str) -> Parcel:
    """The parcel, if its review is the actor's, or the actor is to confirm it for the registry."""
    row = load_parcel(desk.session, parcel)
    if row.reviewer_id is not None and row.reviewer_id != desk.actor.organisation:
        raise NotReviewer(parcel=parcel, reviewer=row.reviewer_id)
    return row


def check_area(version: ParcelVersion, terms: Terms) -> None:
    """R-02 of a parcel's version."""
    check_declared(version.parcel_id, version.area_cm2, int((version.tenure or {})["declared_cm2"]), terms)


def check_declared(parcel: str, area_cm2: int, declared_cm2: int, terms: Terms) -> None:
    """R-02: outline and certificate agree within the programme's tolerance (`AreaDiffers`)."""
    differs = area_difference_ppm(area_cm2, declared_cm2)
    if differs > terms.certificate_area_tolerance_ppm:
        raise AreaDiffers(
            parcel=parcel,
            area_mu=mu_of_cm2(area_cm2),
            declared_mu=mu_of_cm2(declared_cm2),
            differs_ppm=differs,
            tolerance_ppm=terms.certificate_area_tolerance_ppm,
        )


def _overlaps(session: Session, version: ParcelVersion, terms: Terms) -> list[GroundOverlap]:
    """Overlap check 1: live parcels whose ground this one lies on, slivers left out."""
    found = overlaps_with_live_parcels(
        session, load_ground(version), overlap_rule(terms), except_parcels=(version.parcel_id,)
    )
    return [one for one in found if one.overlap.kind is OverlapKind.REFUSED]


def _check_explained(parcel: str, overlaps: list[GroundOverlap], reason: OverlapReason | None) -> None:
    if overlaps and reason is None:
        drawn = Outlines()  # for the reviewer and the registry, who see all of it
        raise OverlapUnexplained(
            parcel=parcel,
            count=len(overlaps),
            overlaps=[{**one.facts(), **drawn.facts(one.overlap.geometry)} for one in overlaps],
        )
    if reason is not None and not overlaps:
        raise NothingToExplain(parcel=parcel)


def plain_code(draft: ParcelDraft) -> str:
    """The parcel's short code as the log may hold it: county, compartment and number, without the village's
    name.
    """
    attributes = draft.attributes
    code = f"{draft.county}-{attributes['compartment']}-{attributes['subcompartment']}"
    return code if _PLAIN_CODE.fullmatch(code) else f"{draft.county}-{draft.id[:8]}"


def parties_of(parcel: Parcel) -> list[str]:
    """Organisations with an interest in a parcel: its collective, and the operator it is entrusted to."""
    return [party for party in (parcel.organisation_id, parcel.operator_id) if party is not None]


# ---- reading -----------------------------------------------------------------------------------------------


def load_draft(session: Session, reader: Mandate, draft: str) -> ParcelDraft:
    """A draft of the reader's organisation (`NotFound`)."""
    row = session.get(ParcelDraft, draft)
    if row is None or row.organisation_id != reader.organisation:
        raise NotFound(kind="draft", id=draft)
    return row


def load_parcel(session: Session, parcel: str) -> Parcel:
    row = session.get(Parcel, parcel)
    if row is None:
        raise NotFound(kind="parcel", id=parcel)
    return row


def load_version(session: Session, parcel: str, version: int) -> ParcelVersion:
    row = session.get(ParcelVersion, (parcel, version))
    if row is None:
        raise NotFound(kind="parcel version", id=f"{parcel}/{version}")
    return row


def current_version(session: Session, parcel: Parcel) -> ParcelVersion:
    return load_version(session, parcel.id, parcel.version)


def list_drafts(session: Session, reader: Mandate, import_id: str | None = None) -> list[ParcelDraft]:
    """Drafts of the reader's organisation, in the order of their file."""
    wanted = sa.select(ParcelDraft).where(ParcelDraft.organisation_id == reader.organisation)
    if import_id is not None:
        wanted = wanted.where(ParcelDraft.import_id == import_id)
    return list(session.scalars(wanted.order_by(ParcelDraft.import_id, ParcelDraft.row_number)))


def list_parcels(
    session: Session, organisation: str | None = None, status: str | None = None
) -> list[Parcel]:
    wanted = sa.select(Parcel)
    if organisation is not None:
        wanted = wanted.where(Parcel.organisation_id == organisation)
    if status is not None:
        wanted = wanted.where(Parcel.status == status)
    return list(session.scalars(wanted.order_by(Parcel.code, Parcel.id)))
