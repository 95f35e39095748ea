"""Services of the projects room: a project from submission to registration, its claims' end, its monitoring
periods.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from geo.polygon import Polygonal
from ledger.canonical import JsonValue
from ledger.effects import Effect, Transition
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.machine import Mandate, NotAuthorised, Role
from registry.office import ONE_LINE, Act, Answer, Command
from registry.parcels.ground import load_ground
from registry.parcels.independence import check_independent
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.rules import PARCEL, Obligation
from registry.parcels.service import current_version, load_parcel, load_version, parties_of
from registry.programmes.methods import check_offered
from registry.programmes.models import Programme
from registry.programmes.rules import MethodId, Terms
from registry.programmes.service import load_programme, published_programme, terms_of
from registry.projects.claims import (
    Claimed,
    ClaimVerdict,
    check,
    index_claim,
    lock_ground,
    refuse_all,
)
from registry.projects.models import LandClaim, MonitoringPeriod, Objection, Project, ProjectParcel
from registry.projects.rules import (
    CLAIM,
    DEAD_PERIODS,
    MAX_PARCELS,
    PERIOD,
    PROJECT,
    ClaimEndRefused,
    DateRange,
    MethodNotInProgramme,
    NotPublished,
    ObjectionsOpen,
    ParcelNamedTwice,
    ParcelsUnfit,
    ParcelVersionMoved,
    ProjectFull,
    ProjectInactive,
    PublicationRunning,
    RunMissing,
    TenureTooShort,
    check_crediting,
    check_joining,
    check_monitoring,
    civil_date,
    notice_ends_on,
    parse_day,
)

ISO_DATE: Final = r"^\d{4}-\d{2}-\d{2}$"


class SubmitProject(Command):
    """`parcels` are numbered from 1 in the order given."""

    programme: str
    county: str = Field(pattern=r"^\d{6}$", description="GB/T 2260 county code, as the serials will show it")
    name: str = Field(min_length=1, max_length=200, pattern=ONE_LINE)
    parcels: list[str] = Field(min_length=1, max_length=MAX_PARCELS)
    crediting_from: str = Field(pattern=ISO_DATE)
    crediting_to: str = Field(pattern=ISO_DATE)
    method: MethodId = Field(description="one of the methods in the terms of the programme")
    benefit_rule: Literal["by_credited_units"] = "by_credited_units"


class NameProject(Command):
    """An act on a project that needs nothing but its id."""

    project: str


class RejectProject(Command):
    project: str
    reason: Literal["objection_upheld", "not_additional", "method_unfit", "data_incomplete", "duplicate"]


class CloseParcel(Command):
    """`ended_on` is the first day on which the ground is free."""

    parcel: str
    ended_on: str = Field(pattern=ISO_DATE)
    reason: Literal["tenure_end", "land_use_change", "owner_request", "programme_change"]
    obligations: list[Obligation] = Field(
        [], max_length=10, description="what stays owed for units that were issued to this parcel"
    )


class AddParcel(Command):
    """`from_on` is the parcel's first day in the project."""

    project: str
    parcel: str
    from_on: str = Field(pattern=ISO_DATE)


class OpenPeriod(Command):
    project: str
    from_on: str = Field(pattern=ISO_DATE)
    to_on: str = Field(pattern=ISO_DATE, description="the first day that no longer belongs to the period")
    gap_reason: Literal["not_monitored", "plots_lost", "no_removal_claimed"] | None = None


class NamePeriod(Command):
    """An act on a monitoring period that needs nothing but its id."""

    period: str


# ---- projects ----------------------------------------------------------------------------------------------


def submit_project(desk: Desk, command: SubmitProject) -> Answer:
    """A collective with its own parcels, or an operator with those entrusted to it, puts eligible parcels
    together.
    """
    terms = terms_of(published_programme(desk.session, command.programme))
    _check_method(command, terms)
    crediting = DateRange(command.crediting_from, command.crediting_to)
    check_crediting(crediting, terms)
    parcels = _own_parcels(desk, command.parcels)
    _check_eligible(parcels)
    rights = [(parcel.id, current_version(desk.session, parcel).tenure) for parcel in parcels]
    check_tenure(rights, crediting)
    names = desk.commitment("names", Project, name=command.name)
    listed: list[JsonValue] = [[n, parcel.id, parcel.version] for n, parcel in enumerate(parcels, start=1)]
    desk.act(
        PROJECT,
        "submit",
        desk.request_id,
        facts={
            "programme": command.programme,
            "owner": desk.actor.organisation,
            "county": command.county,
            "method": command.method,
            "crediting_from": command.crediting_from,
            "crediting_to": command.crediting_to,
            "benefit_rule": command.benefit_rule,
            "parcels": listed,
        },
        commitments={"names": names},
    )
    names.reveal(load_project(desk.session, desk.request_id))
    return {"project": desk.request_id}


def _check_method(command: SubmitProject, terms: Terms) -> None:
    """The programme says how its forests are measured, not the owner (`MethodNotInProgramme`), and not by a
    method that was superseded since the programme was published (`MethodSuperseded`).
    """
    if command.method not in terms.methods:
        raise MethodNotInProgramme(
            programme=command.programme, method=command.method, accepted=", ".join(terms.methods)
        )
    check_offered([command.method])


def publish_project(desk: Desk, command: NameProject) -> Answer:
    """Public notice begins; anybody may object."""
    project = load_project(desk.session, command.project)
    published_on = civil_date(desk.now).isoformat()
    desk.act(PROJECT, "publish", project.id, facts={"published_on": published_on})
    return {"project": project.id, "published_on": published_on}


def validate_project(desk: Desk, command: NameProject) -> Answer:
    """A validator without interest finds the design sound, after the public notice has ended and objections
    are answered.
    """
    project = load_project(desk.session, command.project)
    PROJECT.step(desk.state(PROJECT, project.id), "validate", project.id)
    check_independent(desk.session, desk.actor.organisation, parties_of_project(desk.session, project.id))
    _check_notice(project, terms_of(load_programme(desk.session, project.programme_id)), desk.now)
    objections = list_objections(desk.session, project.id)
    unanswered = sum(one.answer is None for one in objections)
    if unanswered:
        raise ObjectionsOpen(count=unanswered)
    desk.act(PROJECT, "validate", project.id, facts={"objections": len(objections)})
    return {"project": project.id}


def reject_project(desk: Desk, command: RejectProject) -> Answer:
    project = load_project(desk.session, command.project)
    desk.act(PROJECT, "reject", project.id, reason_code=command.reason)
    return {"project": project.id}


def withdraw_project(desk: Desk, command: NameProject) -> Answer:
    project = own_project(desk, command.project)
    desk.act(PROJECT, "withdraw", project.id)
    return {"project": project.id}


def register_project(desk: Desk, command: NameProject) -> Answer:
    """The project gets its number and claims its ground, parcel by parcel; refused if any of it is claimed
    (`ClaimRefused`).
    """
    project = load_project(desk.session, command.project)
    PROJECT.step(desk.state(PROJECT, project.id), "register", project.id)
    programme = published_programme(desk.session, project.programme_id)
    grounds = project_grounds(desk.session, project.id)
    _check_unmoved(grounds)
    verdicts = claim_verdicts(desk.session, project, programme, grounds, civil_date(desk.now).isoformat())
    number = _next_number(desk.session)
    areas: list[JsonValue] = [
        [g.number, *(v.credited_cm2 for v in verdicts[g.number].values())] for g in grounds
    ]
    desk.act(
        PROJECT,
        "register",
        project.id,
        facts={"number": number, "pools": list(terms_of(programme).pools), "credited_cm2": areas},
    )
    enrolled = 0
    crediting = DateRange(project.crediting_from, project.crediting_to)
    for ground in grounds:
        enrolled += enrol(desk, project, ground, crediting, verdicts[ground.number], enrolled)
    desk.consequence(PROJECT, "activate", project.id)
    return {"project": project.id, "number": number}


def add_parcel(desk: Desk, command: AddParcel) -> Answer:
    """An eligible parcel joins an active project with a claim of its own, from a day that is not over and
    lies in no monitoring period (RULES 1.2).
    """
    project = own_project(desk, command.project)
    PROJECT.step(desk.state(PROJECT, project.id), "add_parcel", project.id)
    (parcel,) = _own_parcels(desk, [command.parcel])
    _check_eligible([parcel])
    version = current_version(desk.session, parcel)
    today = civil_date(desk.now).isoformat()
    _check_joining(desk.session, project, parcel.id, command.from_on, today)
    dates = DateRange(command.from_on, project.crediting_to)
    check_tenure([(parcel.id, version.tenure)], dates)
    number = next_parcel_number(desk.session, project.id)
    ground = ProjectGround(number, parcel, version, load_ground(version))
    programme = published_programme(desk.session, project.programme_id)
    verdicts = claim_verdicts(desk.session, project, programme, [ground], today, dates)[number]
    desk.act(
        PROJECT,
        "add_parcel",
        project.id,
        facts={
            "parcel": parcel.id,
            "version": version.version,
            "number": number,
            "from_on": dates.from_on,
            "to_on": dates.to_on,
            "credited_cm2": [verdict.credited_cm2 for verdict in verdicts.values()],
        },
    )
    enrol(desk, project, ground, dates, verdicts, 0)
    return {"project": project.id, "parcel": parcel.id, "number": number}


def enrol(
    desk: Desk,
    project: Project,
    ground: "ProjectGround",
    dates: DateRange,
    verdicts: dict[str, ClaimVerdict],
    done: int,
    **more: JsonValue,
) -> int:
    """One parcel's enrolment and its claims, one for each pool; answers how many. `done` claims of this act
    have their names already.
    """
    claims = {pool: f"{desk.request_id}.{done + n}" for n, pool in enumerate(verdicts, start=1)}
    listed: list[JsonValue] = [
        [claims[pool], pool, verdict.credited_cm2] for pool, verdict in verdicts.items()
    ]
    desk.consequence(
        PARCEL,
        "enrol",
        ground.parcel.id,
        facts={
            "project": project.id,
            "programme": project.programme_id,
            "number": ground.number,
            "version": ground.version.version,
            "from_on": dates.from_on,
            "to_on": dates.to_on,
            "claims": listed,
            **more,
        },
        effects=[Transition(CLAIM.name, claim, "activate", "none", "active") for claim in claims.values()],
    )
    for claim in claims.values():
        index_claim(desk.session, claim, ground.geometry)
    return len(claims)


def close_parcel(desk: Desk, command: CloseParcel) -> Answer:
    """The parcel leaves the registry and its claims end on a day; that day its ground is free, also for
    another programme.
    """
    parcel = load_parcel(desk.session, command.parcel)
    parse_day(command.ended_on)
    claims = parcel_claims(desk.session, parcel.id)
    for claim in claims:
        _check_end(desk.session, claim, command.ended_on)
    desk.act(
        PARCEL,
        "close",
        parcel.id,
        facts={"ended_on": command.ended_on, "obligations": [*sorted(set(command.obligations))]},
        effects=ends(claims),
        reason_code=command.reason,
    )
    return {"parcel": parcel.id, "claims": [claim.id for claim in claims]}


def ends(claims: Sequence[LandClaim]) -> list[Effect]:
    """The steps by which claims end; the entry's `ended_on` is their end."""
    return [Transition(CLAIM.name, claim.id, "end", "active", "ended") for claim in claims]


# ---- monitoring periods ------------------------------------------------------------------------------------


def open_period(desk: Desk, command: OpenPeriod) -> Answer:
    project = own_project(desk, command.project)
    if project.status != "active":
        raise ProjectInactive(project=project.id, status=project.status)
    terms = terms_of(load_programme(desk.session, project.programme_id))
    pools = ",".join(sorted(terms.pools))
    held = [
        (one.id, DateRange(one.from_on, one.to_on))
        for one in project_periods(desk.session, project.id)
        if one.status not in DEAD_PERIODS and one.pools == pools
    ]
    check_monitoring(
        DateRange(command.from_on, command.to_on),
        DateRange(project.crediting_from, project.crediting_to),
        held,
        terms.period_years_max,
        gap_stated=command.gap_reason is not None,
    )
    desk.act(
        PERIOD,
        "open",
        desk.request_id,
        facts={"project": project.id, "pools": pools, "from_on": command.from_on, "to_on": command.to_on},
        reason_code=command.gap_reason or "",
    )
    return {"period": desk.request_id}


def submit_period(desk: Desk, command: NamePeriod) -> Answer:
    """The owner hands its estimate in for verification."""
    period = load_period(desk.session, command.period)
    own_project(desk, period.project_id)
    PERIOD.step(desk.state(PERIOD, period.id), "submit", period.id)
    if period.run_id is None:
        raise RunMissing(period=period.id)
    desk.act(PERIOD, "submit", period.id, facts={"run": period.run_id})
    return {"period": period.id}


ACTS = (
    Act("project.submit", SubmitProject, submit_project),
    Act("project.publish", NameProject, publish_project),
    Act("project.validate", NameProject, validate_project),
    Act("project.reject", RejectProject, reject_project),
    Act("project.withdraw", NameProject, withdraw_project),
    Act("project.register", NameProject, register_project),
    Act("project.add_parcel", AddParcel, add_parcel),
    Act("parcel.close", CloseParcel, close_parcel),
    Act("period.open", OpenPeriod, open_period),
    Act("period.submit", NamePeriod, submit_period),
)


# ---- deciding ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProjectGround:
    """A parcel of a project with the outline it was submitted with.

    `heir` names a successor that is no parcel yet; `parcel` and `version` are then what it comes of.
    """

    number: int
    parcel: Parcel
    version: ParcelVersion
    geometry: Polygonal
    heir: str | None = None

    @property
    def name(self) -> str:
        return self.heir or self.parcel.id


def claim_verdicts(
    session: Session,
    project: Project,
    programme: Programme,
    grounds: Sequence[ProjectGround],
    today: str,
    period: DateRange | None = None,
    replaced: Collection[str] = (),
) -> dict[int, dict[str, ClaimVerdict]]:
    """For each parcel number and pool, whether the project may claim the ground over the period, by default
    the crediting period; parcels of one project also exclude each other. `replaced` are claims that end where
    these begin.

    Locks all of the ground first. Raises `ClaimRefused` naming every overlap.
    """
    lock_ground(session, [ground.geometry for ground in grounds])
    period = period or DateRange(project.crediting_from, project.crediting_to)
    verdicts: dict[int, dict[str, ClaimVerdict]] = {ground.number: {} for ground in grounds}
    for pool in terms_of(programme).pools:
        own: list[Claimed] = []
        for ground in grounds:
            verdicts[ground.number][pool] = check(
                session, ground.geometry, period, pool, programme, today=today, replaced=replaced, also=own
            )
            own.append(
                Claimed(
                    claim=f"{project.id}.{ground.number}",
                    parcel=ground.name,
                    project=project.id,
                    programme=programme.id,
                    pool=pool,
                    period=period,
                    active=True,
                    order=2**53,
                    ground=ground.geometry,
                )
            )
        refuse_all({ground.name: verdicts[ground.number][pool] for ground in grounds})
    return verdicts


def _own_parcels(desk: Desk, ids: Sequence[str]) -> list[Parcel]:
    """The named parcels, if the actor's organisation owns them or is entrusted with them; others do not exist
    for it.
    """
    if desk.actor.role not in (Role.COLLECTIVE, Role.OPERATOR):
        raise NotAuthorised(machine=PROJECT.name, action="submit", needed="collective / operator")
    parcels: dict[str, Parcel] = {}
    for id_ in ids:
        if id_ in parcels:
            raise ParcelNamedTwice(parcel=id_)
        parcel = load_parcel(desk.session, id_)
        holder = parcel.operator_id if desk.actor.role is Role.OPERATOR else parcel.organisation_id
        if holder != desk.actor.organisation:
            raise NotFound(kind="parcel", id=id_)
        parcels[id_] = parcel
    return list(parcels.values())


def _check_eligible(parcels: Sequence[Parcel]) -> None:
    unfit = [{"parcel": one.id, "status": one.status} for one in parcels if one.status != "eligible"]
    if unfit:
        raise ParcelsUnfit(count=len(unfit), parcels=unfit)


def check_tenure(rights: Sequence[tuple[str, Mapping[str, Any] | None]], crediting: DateRange) -> None:
    """R-03 of parcels and their tenure. `until` is the last day of the right, `to_on` the first day without
    crediting.
    """
    last_day = parse_day(crediting.to_on).toordinal() - 1
    short = []
    for parcel, tenure in rights:
        until = str((tenure or {})["until"])
        if parse_day(until).toordinal() < last_day:
            short.append({"parcel": parcel, "until": until})
    if short:
        raise TenureTooShort(count=len(short), crediting_to=crediting.to_on, parcels=short)


def _check_notice(project: Project, terms: Terms, now: datetime) -> None:
    assert project.published_on is not None, "a project in publication has the day it began"
    ends_on = notice_ends_on(parse_day(project.published_on), terms.publication_days)
    if civil_date(now) <= ends_on:
        raise PublicationRunning(
            published_on=project.published_on, days=terms.publication_days, ends_on=ends_on.isoformat()
        )


def _check_unmoved(grounds: Sequence[ProjectGround]) -> None:
    """Since the project was submitted its parcels may have moved on."""
    _check_eligible([ground.parcel for ground in grounds])
    for ground in grounds:
        if ground.parcel.version != ground.version.version:
            raise ParcelVersionMoved(
                parcel=ground.parcel.id, version=ground.parcel.version, submitted=ground.version.version
            )


def _check_joining(session: Session, project: Project, parcel: str, from_on: str, today: str) -> None:
    """Not before today, and not within or before a living monitoring period (`JoiningRefused`)."""
    periods = [one for one in project_periods(session, project.id) if one.status not in DEAD_PERIODS]
    earliest = max([today, project.crediting_from, *(one.to_on for one in periods)])
    check_joining(parcel, project.id, from_on, earliest, project.crediting_to)


def _check_end(session: Session, claim: LandClaim, ended_on: str) -> None:
    """A claim ends within its dates, and not before the last monitoring period that still holds them."""
    monitored = [one.to_on for one in monitored_periods(session, claim.project_id)]
    earliest = max([claim.from_on, *monitored])
    if not earliest <= ended_on <= claim.to_on:
        raise ClaimEndRefused(
            parcel=claim.parcel_id, ended_on=ended_on, earliest=earliest, latest=claim.to_on
        )


def _next_number(session: Session) -> int:
    return (session.scalar(sa.select(sa.func.max(Project.number))) or 0) + 1


def next_parcel_number(session: Session, project: str, more: int = 1) -> int:
    """The first number that no parcel of the project had yet; `ProjectFull` if `more` parcels do not fit."""
    known = project_parcels(session, project)
    if len(known) + more > MAX_PARCELS:
        raise ProjectFull(project=project, count=len(known) + more, most=MAX_PARCELS)
    return max(one.number for one in known) + 1


def own_project(desk: Desk, project: str) -> Project:
    """A project of the actor's organisation (`NotFound`)."""
    row = load_project(desk.session, project)
    if row.owner_id != desk.actor.organisation:
        raise NotFound(kind="project", id=project)
    return row


def parties_of_project(session: Session, project: str) -> list[str]:
    """Organisations with an interest in a project: its owner, the collectives of its parcels and their
    operators.
    """
    owner = load_project(session, project).owner_id
    parcels = session.scalars(
        sa.select(Parcel)
        .join(ProjectParcel, ProjectParcel.parcel_id == Parcel.id)
        .where(ProjectParcel.project_id == project)
    )
    return sorted({owner, *(party for parcel in parcels for party in parties_of(parcel))})


# ---- objections (anybody's; not logged) --------------------------------------------------------------------


def lodge_objection(
    session: Session, project: str, id_: str, text: str, contact: str, now: datetime
) -> Objection:
    """Keep what somebody objects to a published project; `NotPublished` at any other time."""
    row = load_project(session, project)
    if row.status != "published":
        raise NotPublished(project=project, status=row.status)
    objection = Objection(id=id_, project_id=project, text=text, contact=contact, lodged_at=now)
    session.add(objection)
    return objection


def answer_objection(session: Session, by: Mandate, id_: str, answer: str, now: datetime) -> Objection:
    """The registry's answer; an answer already given stays."""
    if by.role is not Role.REGISTRY_ADMIN:
        raise NotAuthorised(machine=PROJECT.name, action="answer_objection", needed=Role.REGISTRY_ADMIN.value)
    objection = session.get(Objection, id_)
    if objection is None or objection.answer is not None:
        raise NotFound(kind="open objection", id=id_)
    objection.answer, objection.answered_by, objection.answered_at = answer, by.person, now
    return objection


def list_objections(session: Session, project: str) -> list[Objection]:
    return list(
        session.scalars(
            sa.select(Objection)
            .where(Objection.project_id == project)
            .order_by(Objection.lodged_at, Objection.id)
        )
    )


# ---- reading -----------------------------------------------------------------------------------------------


def load_project(session: Session, project: str) -> Project:
    row = session.get(Project, project)
    if row is None:
        raise NotFound(kind="project", id=project)
    return row


def known_project(session: Session, name: str) -> Project | None:
    """The project of this id, or of this number."""
    found = session.get(Project, name)
    if found is None and name.isascii() and name.isdigit() and len(name) < 10:
        found = session.scalar(sa.select(Project).where(Project.number == int(name)))
    return found


def find_project(session: Session, name: str) -> Project:
    """The project of this id, or of this number (`NotFound`)."""
    found = known_project(session, name)
    if found is None:
        raise NotFound(kind="project", id=name[:100])
    return found


def load_period(session: Session, period: str) -> MonitoringPeriod:
    row = session.get(MonitoringPeriod, period)
    if row is None:
        raise NotFound(kind="monitoring period", id=period)
    return row


def list_projects(session: Session, owner: str | None = None) -> list[Project]:
    wanted = sa.select(Project)
    if owner is not None:
        wanted = wanted.where(Project.owner_id == owner)
    return list(session.scalars(wanted.order_by(Project.number, Project.id)))


def project_parcels(session: Session, project: str) -> list[ProjectParcel]:
    """The project's parcels by number."""
    return list(
        session.scalars(
            sa.select(ProjectParcel).where(ProjectParcel.project_id == project).order_by(ProjectParcel.number)
        )
    )


def project_grounds(session: Session, project: str) -> list[ProjectGround]:
    """The project's parcels by number, each with the version and the outline it was submitted with
    (`GroundErased`).
    """
    grounds = []
    for listed in project_parcels(session, project):
        version = load_version(session, listed.parcel_id, listed.parcel_version)
        parcel = load_parcel(session, listed.parcel_id)
        grounds.append(ProjectGround(listed.number, parcel, version, load_ground(version)))
    return grounds


def project_claims(session: Session, project: str) -> list[LandClaim]:
    """The project's claims, running and ended, in the order of their activation."""
    return list(
        session.scalars(
            sa.select(LandClaim)
            .where(LandClaim.project_id == project)
            .order_by(LandClaim.claimed_index, LandClaim.id)
        )
    )


def parcel_claims(session: Session, parcel: str) -> list[LandClaim]:
    """The running claims on a parcel."""
    return list(
        session.scalars(
            sa.select(LandClaim)
            .where(LandClaim.parcel_id == parcel, LandClaim.status == "active")
            .order_by(LandClaim.claimed_index, LandClaim.id)
        )
    )


def monitored_periods(session: Session, project: str) -> list[MonitoringPeriod]:
    """The project's periods that were estimated and still hold their dates."""
    return [one for one in project_periods(session, project) if one.status not in (*DEAD_PERIODS, "open")]


def project_periods(session: Session, project: str) -> list[MonitoringPeriod]:
    """The project's monitoring periods by date."""
    return list(
        session.scalars(
            sa.select(MonitoringPeriod)
            .where(MonitoringPeriod.project_id == project)
            .order_by(MonitoringPeriod.from_on, MonitoringPeriod.entry_index)
        )
    )
