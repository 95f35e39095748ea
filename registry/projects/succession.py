"""Parcels that take the place of others: a split, a merge, or a boundary that was surveyed again.

The collective proposes it with drafts of its own as successors, the registry approves it. Both times the same
is asked:

* a split or a merge keeps the ground: what is missing or more is at most a sliver of the overlap rule, and
  the areas add up; a new boundary says what it adds and what it loses, and what it adds is nobody else's;
* successors do not overlap, and each one's area is its certificate's;
* claims run on: the predecessors' end on the successors' first day, and the successors claim their ground
  from that day to the old end, in the same project, programme and pools, through `claims.check`;
* that day is inside no monitoring period, and no measured one comes after it.

The approval and everything that follows from it are one transaction. Lineage says which part of each
predecessor went where; the parts of one predecessor add up to a million.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from pydantic import Field
from shapely import union_all
from sqlalchemy.orm import Session

from geo.crs import area_m2
from geo.polygon import (
    Overlap,
    OverlapKind,
    Polygonal,
    difference,
    from_wkb,
    intersection,
    kind_of,
    overlap,
    polygonal,
)
from ledger.canonical import JsonValue
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.apportion import largest_remainder
from registry.office import Act, Answer, Command
from registry.parcels.ground import (
    area_cm2,
    index_ground,
    load_ground,
    overlap_facts,
    overlap_rule,
    overlaps_with_live_parcels,
)
from registry.parcels.models import Parcel, ParcelDraft, ParcelLineage, ParcelVersion
from registry.parcels.public import ParcelVisibility
from registry.parcels.rules import MILLION, PARCEL, DraftSubmitted
from registry.parcels.service import (
    SHA256,
    check_declared,
    current_version,
    load_parcel,
    load_version,
    plain_code,
)
from registry.parcels.sources import keep_source
from registry.programmes.models import Programme
from registry.programmes.rules import Terms
from registry.programmes.service import published_programme, terms_of
from registry.projects.claims import FOREVER, ClaimVerdict, check
from registry.projects.models import LandClaim, Project, Succession
from registry.projects.rules import (
    DEAD_PERIODS,
    MAX_SUCCESSION,
    SUCCESSION,
    AddedGroundTaken,
    AreasDoNotReconcile,
    ClaimEndRefused,
    DateRange,
    GroundNotKept,
    NothingInherited,
    ParcelNamedTwice,
    PredecessorsDiffer,
    PredecessorUnfit,
    ProgrammeDiffers,
    SharesDoNotAdd,
    SuccessionInPeriod,
    SuccessionKind,
    SuccessionReason,
    SuccessionShape,
    SuccessorsOverlap,
    civil_date,
    parse_day,
)
from registry.projects.service import (
    ISO_DATE,
    ProjectGround,
    check_tenure,
    claim_verdicts,
    ends,
    enrol,
    load_project,
    next_parcel_number,
    parcel_claims,
    project_periods,
)

_ONE_EACH: Final = {"split": (True, False), "merge": (False, True), "boundary": (True, True)}
"""Whether a kind has one predecessor, and one successor."""


class ProposeSuccession(Command):
    """`successors` are drafts of the same collective; their ids become the parcels'."""

    kind: SuccessionKind
    programme: str = Field(
        description="whose tolerances hold; under which the parcels are claimed, if they are"
    )
    predecessors: list[str] = Field(min_length=1, max_length=MAX_SUCCESSION)
    successors: list[str] = Field(min_length=1, max_length=MAX_SUCCESSION)
    from_on: str = Field(pattern=ISO_DATE, description="the first day of the successors")
    shares_ppm: list[int] | None = Field(
        None,
        description="of a split, each successor's part of the old credits and duties; by area if not given",
    )
    evidence_sha256: str = Field(pattern=SHA256, description="the survey or certificate that proves it")
    resolution_sha256: str = Field(pattern=SHA256, description="the collective's resolution")


class NameSuccession(Command):
    """An act on a succession that needs nothing but its id."""

    succession: str


class RefuseSuccession(Command):
    succession: str
    reason: SuccessionReason


@dataclass(frozen=True, slots=True)
class Part:
    """What a successor has of a predecessor."""

    predecessor: str
    successor: str
    shared_cm2: int
    share_ppm: int

    def to_json(self) -> list[JsonValue]:
        return [self.predecessor, self.successor, self.shared_cm2, self.share_ppm]


@dataclass(frozen=True, slots=True)
class Before:
    """A predecessor with its outline and its running claims."""

    parcel: Parcel
    version: ParcelVersion
    ground: Polygonal
    claims: tuple[LandClaim, ...]


@dataclass(frozen=True, slots=True)
class After:
    """A successor: a draft with its outline."""

    draft: ParcelDraft
    ground: Polygonal


@dataclass(frozen=True, slots=True)
class Case:
    """A succession that may be, as far as was asked. `dates` are those of the claims that are carried, None
    where the predecessors are in no project.
    """

    kind: SuccessionKind
    programme: Programme
    terms: Terms
    project: Project | None
    from_on: str
    dates: DateRange | None
    before: tuple[Before, ...]
    after: tuple[After, ...]
    parts: tuple[Part, ...]
    lost_cm2: int
    added_cm2: int

    @property
    def claims(self) -> list[LandClaim]:
        return [claim for one in self.before for claim in one.claims]

    def facts(self) -> dict[str, JsonValue]:
        return {
            "kind": self.kind,
            "programme": self.programme.id,
            "project": None if self.project is None else self.project.id,
            "organisation": self.before[0].parcel.organisation_id,
            "from_on": self.from_on,
            "predecessors": [
                [one.parcel.id, one.version.version, one.version.area_cm2] for one in self.before
            ],
            "successors": [[one.draft.id, one.draft.area_cm2] for one in self.after],
            "parts": [part.to_json() for part in self.parts],
            "lost_cm2": self.lost_cm2,
            "added_cm2": self.added_cm2,
        }


# ---- acts --------------------------------------------------------------------------------------------------


def propose_succession(desk: Desk, command: ProposeSuccession) -> Answer:
    case = _case(desk.session, desk.actor.organisation, command)
    _verdicts(desk, case)
    desk.act(
        SUCCESSION,
        "propose",
        desk.request_id,
        facts={
            **case.facts(),
            "evidence_sha256": command.evidence_sha256,
            "resolution_sha256": command.resolution_sha256,
        },
        reason_code=command.kind,
    )
    return {"succession": desk.request_id, "parts": [part.to_json() for part in case.parts]}


def approve_succession(desk: Desk, command: NameSuccession) -> Answer:
    """The predecessors are superseded, their claims end, the successors take their place."""
    row = load_succession(desk.session, command.succession)
    SUCCESSION.step(desk.state(SUCCESSION, row.id), "approve", row.id)
    case = _case(desk.session, row.organisation_id, asked_again(row))
    verdicts = _verdicts(desk, case)
    credited: list[JsonValue] = [
        [one.draft.id, *(verdict.credited_cm2 for verdict in verdicts[n].values())]
        for n, one in enumerate(case.after)
        if n in verdicts
    ]
    desk.act(SUCCESSION, "approve", row.id, facts={**case.facts(), "credited_cm2": credited})
    heirs: list[JsonValue] = [one.draft.id for one in case.after]
    for old in case.before:
        desk.consequence(
            PARCEL,
            "supersede",
            old.parcel.id,
            facts={"succession": row.id, "ended_on": case.from_on, "successors": heirs},
            effects=ends(old.claims),
            reason_code=case.kind,
        )
    enrolled, numbers = 0, _numbers(desk.session, case)
    for n, new in enumerate(case.after):
        _succeed(desk, row, case, new, n)
        if case.project is not None and case.dates is not None:
            parcel = load_parcel(desk.session, new.draft.id)
            version = load_version(desk.session, new.draft.id, 1)
            ground = ProjectGround(numbers[n], parcel, version, new.ground)
            enrolled += enrol(
                desk, case.project, ground, case.dates, verdicts[n], enrolled, succession=row.id
            )
    return {"succession": row.id, "parcels": [one.draft.id for one in case.after]}


def refuse_succession(desk: Desk, command: RefuseSuccession) -> Answer:
    row = load_succession(desk.session, command.succession)
    desk.act(SUCCESSION, "refuse", row.id, reason_code=command.reason)
    return {"succession": row.id}


def withdraw_succession(desk: Desk, command: NameSuccession) -> Answer:
    row = load_succession(desk.session, command.succession)
    if row.organisation_id != desk.actor.organisation:
        raise NotFound(kind="succession", id=command.succession)
    desk.act(SUCCESSION, "withdraw", row.id)
    return {"succession": row.id}


ACTS = (
    Act("succession.propose", ProposeSuccession, propose_succession),
    Act("succession.approve", NameSuccession, approve_succession),
    Act("succession.refuse", RefuseSuccession, refuse_succession),
    Act("succession.withdraw", NameSuccession, withdraw_succession),
)


def _succeed(desk: Desk, row: Succession, case: Case, new: After, n: int) -> None:
    """A draft becomes an eligible parcel, with what it has of each predecessor."""
    draft = new.draft
    opened = desk.commitment(
        f"version.{n}",
        ParcelVersion,
        wkb=draft.wkb,
        village=draft.village,
        tenure=draft.tenure,
        attributes=draft.attributes,
    )
    inherited: list[JsonValue] = [
        [part.predecessor, part.shared_cm2, part.share_ppm]
        for part in case.parts
        if part.successor == draft.id
    ]
    desk.consequence(
        PARCEL,
        "succeed",
        draft.id,
        facts={
            "succession": row.id,
            "kind": case.kind,
            "from_on": case.from_on,
            "predecessors": inherited,
            "organisation": draft.organisation_id,
            "operator": case.before[0].parcel.operator_id,
            "county": draft.county,
            "code": plain_code(draft),
            "version": 1,
            "area_cm2": draft.area_cm2,
            "stand_type": draft.stand_type,
            "source_sha256": draft.source_sha256,
            "evidence_sha256": row.evidence_sha256,
            "resolution_sha256": row.resolution_sha256,
        },
        commitments={"version": opened},
        reason_code=case.kind,
    )
    opened.reveal(load_version(desk.session, draft.id, 1))
    keep_source(desk.session, draft, draft.id, 1)
    _inherit_mask(desk, case, draft)
    index_ground(desk.session, draft.id, new.ground)
    draft.submitted = True


def _inherit_mask(desk: Desk, case: Case, draft: ParcelDraft) -> None:
    """What its collective hid of a parcel stays hidden of the successors, unless it says otherwise."""
    if desk.session.get(ParcelVisibility, draft.id) is not None:
        return
    for one in case.before:
        said = desk.session.get(ParcelVisibility, one.parcel.id)
        if said is not None and said.masked:
            desk.session.add(
                ParcelVisibility(
                    parcel_id=draft.id, masked=True, person_id=said.person_id, said_at=said.said_at
                )
            )
            return


def _numbers(session: Session, case: Case) -> list[int]:
    """The successors' numbers in the project, following on."""
    if case.project is None:
        return []
    first = next_parcel_number(session, case.project.id, len(case.after))
    return list(range(first, first + len(case.after)))


# ---- deciding ----------------------------------------------------------------------------------------------


def asked_again(row: Succession) -> ProposeSuccession:
    """What was proposed, to be judged as things are now. The shares are those that were agreed then."""
    shares = [part[3] for part in row.parts] if row.kind == "split" else None
    return ProposeSuccession(
        kind=row.kind,  # type: ignore[arg-type] # one of the kinds when it was proposed
        programme=row.programme_id,
        predecessors=[parcel for parcel, _, _ in row.predecessors],
        successors=[draft for draft, _ in row.successors],
        from_on=row.from_on,
        shares_ppm=shares,
        evidence_sha256=row.evidence_sha256,
        resolution_sha256=row.resolution_sha256,
    )


def _case(session: Session, organisation: str, asked: ProposeSuccession) -> Case:
    """Everything but the claims of others. Raises `SuccessionRefused` and what the parcels' own rules say."""
    _check_shape(asked)
    programme = published_programme(session, asked.programme)
    terms = terms_of(programme)
    before = tuple(_before(session, organisation, parcel) for parcel in asked.predecessors)
    after = tuple(_after(session, organisation, draft) for draft in asked.successors)
    _check_alike(before)
    project = _project_of(session, before, programme)
    dates = _check_dates(session, before, project, asked.from_on)
    for one in after:
        declared_cm2 = int(one.draft.tenure["declared_cm2"])
        check_declared(one.draft.id, one.draft.area_cm2, declared_cm2, terms)
    if dates is not None:
        check_tenure([(one.draft.id, one.draft.tenure) for one in after], dates)
    lost_cm2, added_cm2 = _check_ground(session, asked.kind, before, after, terms)
    _check_no_creep(session, asked.kind, before, after, terms)
    return Case(
        kind=asked.kind,
        programme=programme,
        terms=terms,
        project=project,
        from_on=asked.from_on,
        dates=dates,
        before=before,
        after=after,
        parts=tuple(_parts(before, after, asked.shares_ppm)),
        lost_cm2=lost_cm2,
        added_cm2=added_cm2,
    )


def _check_shape(asked: ProposeSuccession) -> None:
    many = (len(asked.predecessors) == 1, len(asked.successors) == 1)
    if many != _ONE_EACH[asked.kind]:
        raise SuccessionShape(
            kind=asked.kind, predecessors=len(asked.predecessors), successors=len(asked.successors)
        )
    named = [*asked.predecessors, *asked.successors]
    for name in named:
        if named.count(name) > 1:
            raise ParcelNamedTwice(parcel=name)
    shares = asked.shares_ppm
    if shares is None:
        return
    fits = asked.kind == "split" and len(shares) == len(asked.successors) and min(shares) >= 0
    if not fits or sum(shares) != MILLION:
        raise SharesDoNotAdd(count=len(shares), total=sum(shares))


def _before(session: Session, organisation: str, parcel: str) -> Before:
    row = load_parcel(session, parcel)
    if row.organisation_id != organisation:
        raise NotFound(kind="parcel", id=parcel)
    if row.status not in ("eligible", "enrolled"):
        raise PredecessorUnfit(parcel=parcel, status=row.status)
    version = current_version(session, row)
    return Before(row, version, load_ground(version), tuple(parcel_claims(session, parcel)))


def _after(session: Session, organisation: str, draft: str) -> After:
    row = session.get(ParcelDraft, draft)
    if row is None or row.organisation_id != organisation:
        raise NotFound(kind="draft", id=draft)
    if row.submitted:
        raise DraftSubmitted(draft=draft)
    return After(row, from_wkb(row.wkb))


def _check_alike(before: Sequence[Before]) -> None:
    """What the parcels of a merge have in common (`PredecessorsDiffer`)."""
    first = before[0]
    for other in before[1:]:
        for what, one, two in (
            ("state", first.parcel.status, other.parcel.status),
            ("operator", first.parcel.operator_id, other.parcel.operator_id),
            ("project", _claimed(first, "project_id"), _claimed(other, "project_id")),
            ("pools", _claimed(first, "pool"), _claimed(other, "pool")),
            ("end of claims", _claimed(first, "to_on"), _claimed(other, "to_on")),
        ):
            if one != two:
                raise PredecessorsDiffer(one=first.parcel.id, other=other.parcel.id, what=what)


def _claimed(one: Before, column: str) -> list[str]:
    return sorted({getattr(claim, column) for claim in one.claims})


def _project_of(session: Session, before: Sequence[Before], programme: Programme) -> Project | None:
    claims = before[0].claims
    if not claims:
        return None
    if claims[0].programme_id != programme.id:
        raise ProgrammeDiffers(claimed=claims[0].programme_id, programme=programme.id)
    return load_project(session, claims[0].project_id)


def _check_dates(
    session: Session, before: Sequence[Before], project: Project | None, from_on: str
) -> DateRange | None:
    """The dates of the claims that are carried. Raises `SuccessionInPeriod`, `ClaimEndRefused`."""
    parse_day(from_on)
    if project is None:
        return None
    for period in project_periods(session, project.id):
        measured = period.status != "open" and from_on < period.to_on
        inside = period.from_on < from_on < period.to_on
        if period.status not in DEAD_PERIODS and (measured or inside):
            raise SuccessionInPeriod(on=from_on, period=period.id, from_on=period.from_on, to_on=period.to_on)
    for claim in (claim for one in before for claim in one.claims):
        if not claim.from_on <= from_on < claim.to_on:
            raise ClaimEndRefused(
                parcel=claim.parcel_id, ended_on=from_on, earliest=claim.from_on, latest=claim.to_on
            )
    return DateRange(from_on, before[0].claims[0].to_on)


# ---- the ground --------------------------------------------------------------------------------------------


def _check_ground(
    session: Session, kind: SuccessionKind, before: Sequence[Before], after: Sequence[After], terms: Terms
) -> tuple[int, int]:
    """What is lost and what is added, in cm2, if the kind of succession allows that."""
    _check_apart(after, terms)
    old, new = _union([one.ground for one in before]), _union([one.ground for one in after])
    lost, added = difference(old, new), difference(new, old)
    if kind == "boundary":
        _check_added(session, before[0], after[0], terms)
    else:
        grounds = [*(one.ground for one in before), *(one.ground for one in after)]
        _check_kept(lost, added, min(area_m2(ground) for ground in grounds), terms)
        _check_sums(before, after, terms)
    return _cm2(lost), _cm2(added)


def _check_no_creep(
    session: Session, kind: SuccessionKind, before: Sequence[Before], after: Sequence[After], terms: Terms
) -> None:
    """A sliver is tolerated once, not at every split and merge again: the successors are held against the
    ground that came in by submission or survey, however often it was split and merged since
    (`GroundNotKept`).
    """
    if kind == "boundary":
        return
    first = _first_grounds(session, before)
    new = _union([one.ground for one in after])
    added = difference(new, _union(first))
    _check_kept(None, added, min(area_m2(one) for one in [*first, *(one.ground for one in after)]), terms)


def _first_grounds(session: Session, before: Sequence[Before]) -> list[Polygonal]:
    """Outlines of the land that the predecessors came of by splits and merges; where an outline was erased,
    its heir's stands for it.
    """
    found: dict[str, Polygonal] = {}
    waiting = [(one.parcel.id, one.ground) for one in before]
    while waiting:
        parcel, ground = waiting.pop()
        older = _parents(session, parcel)
        if older is None:
            found[parcel] = ground
        else:
            waiting += [one for one in older if one[0] not in found]
    return list(found.values())


def _parents(session: Session, parcel: str) -> list[tuple[str, Polygonal]] | None:
    """The parcels that this one came of by a split or a merge, each with its last outline; None if it came in
    otherwise, or an outline is gone.
    """
    rows = session.execute(
        sa.select(ParcelLineage.predecessor_id, ParcelVersion.wkb)
        .join(Parcel, Parcel.id == ParcelLineage.predecessor_id)
        .join(
            ParcelVersion,
            sa.and_(ParcelVersion.parcel_id == Parcel.id, ParcelVersion.version == Parcel.version),
        )
        .where(ParcelLineage.successor_id == parcel, ParcelLineage.kind.in_(("split", "merge")))
        .order_by(ParcelLineage.predecessor_id)
    ).all()
    if not rows or any(row.wkb is None for row in rows):
        return None
    return [(row.predecessor_id, from_wkb(row.wkb)) for row in rows]


def _union(grounds: Sequence[Polygonal]) -> Polygonal:
    return grounds[0] if len(grounds) == 1 else polygonal(union_all(list(grounds)))


def _cm2(ground: Polygonal | None) -> int:
    return 0 if ground is None else area_cm2(ground)


def _check_apart(after: Sequence[After], terms: Terms) -> None:
    rule = overlap_rule(terms)
    for n, one in enumerate(after):
        for other in after[n + 1 :]:
            found = overlap(one.ground, other.ground, rule)
            if found.kind is OverlapKind.REFUSED:
                raise SuccessorsOverlap(one=one.draft.id, other=other.draft.id, **_shared_facts(found))


def _shared_facts(found: Overlap) -> dict[str, str | int | float]:
    return {"overlap_m2": round(found.area_m2, 2), "rule": found.rule}


def _check_kept(lost: Polygonal | None, added: Polygonal | None, smallest_m2: float, terms: Terms) -> None:
    """Nothing but slivers is lost or added (`GroundNotKept`)."""
    rule = overlap_rule(terms)
    areas_m2 = [0.0 if ground is None else area_m2(ground) for ground in (lost, added)]
    kinds = [
        kind_of(ground, ground_m2, smallest_m2, rule)
        for ground, ground_m2 in zip((lost, added), areas_m2, strict=True)
    ]
    if OverlapKind.REFUSED in kinds:
        lost_m2, added_m2 = (round(one, 2) for one in areas_m2)
        raise GroundNotKept(lost_m2=lost_m2, added_m2=added_m2, rule=rule.name)


def tolerance_cm2(predecessors_cm2: int, terms: Terms) -> int:
    """By how much the areas of a split or a merge may differ: the sliver share of the whole, or what the rule
    calls no overlap, whichever is more.
    """
    return max(terms.overlap_ignored_cm2, predecessors_cm2 * terms.sliver_share_ppm // MILLION)


def _check_sums(before: Sequence[Before], after: Sequence[After], terms: Terms) -> None:
    old = sum(one.version.area_cm2 for one in before)
    new = sum(one.draft.area_cm2 for one in after)
    if abs(new - old) > tolerance_cm2(old, terms):
        raise AreasDoNotReconcile(
            successors_cm2=new, predecessors_cm2=old, tolerance_cm2=tolerance_cm2(old, terms)
        )


def _check_added(session: Session, before: Before, after: After, terms: Terms) -> None:
    """What a new boundary adds is no other live parcel's ground (`AddedGroundTaken`). What the predecessor
    shared with a neighbour before stays as it was explained.
    """
    rule = overlap_rule(terms)
    found = overlaps_with_live_parcels(session, after.ground, rule, except_parcels=(before.parcel.id,))
    taken = [
        one
        for one in found
        if one.overlap.kind is OverlapKind.REFUSED and _is_new(one.overlap, before.ground, terms)
    ]
    if taken:
        taken.sort(key=lambda one: (-one.overlap.area_m2, one.parcel))
        listed = [{"parcel": one.parcel, **overlap_facts(one.overlap)} for one in taken]
        raise AddedGroundTaken(predecessor=before.parcel.id, overlaps=listed, **listed[0])


def _is_new(shared: Overlap, old: Polygonal, terms: Terms) -> bool:
    """Whether the old outline did not share that ground."""
    added = None if shared.geometry is None else difference(shared.geometry, old)
    return _cm2(added) > terms.overlap_ignored_cm2


def _verdicts(desk: Desk, case: Case) -> dict[int, dict[str, ClaimVerdict]]:
    """For each successor and pool, that its ground is free from its first day on (`ClaimRefused`)."""
    today = civil_date(desk.now).isoformat()
    if case.project is None or case.dates is None:
        _check_unclaimed(desk.session, case, today)
        return {}
    grounds = [
        ProjectGround(n, case.before[0].parcel, case.before[0].version, one.ground, one.draft.id)
        for n, one in enumerate(case.after)
    ]
    replaced = [claim.id for claim in case.claims]
    return claim_verdicts(desk.session, case.project, case.programme, grounds, today, case.dates, replaced)


def _check_unclaimed(session: Session, case: Case, today: str) -> None:
    """Land in no project claims nothing yet; what a new boundary adds must not be claimed by others."""
    if case.kind != "boundary":
        return
    (old,), (new,) = case.before, case.after
    period = DateRange(case.from_on, FOREVER)
    for pool in case.terms.pools:
        verdict = check(session, new.ground, period, pool, case.programme, today=today)
        taken = [one for one in verdict.refused if _is_new(one.overlap, old.ground, case.terms)]
        if taken:
            listed = [
                {"parcel": one.other.parcel or one.other.claim, **overlap_facts(one.overlap)} for one in taken
            ]
            raise AddedGroundTaken(predecessor=old.parcel.id, overlaps=listed, **listed[0])


def _parts(
    before: Sequence[Before], after: Sequence[After], declared_ppm: Sequence[int] | None
) -> list[Part]:
    """What each successor has of each predecessor; the shares of one predecessor add up to a million."""
    parts: list[Part] = []
    for old in before:
        shared = [_cm2(intersection(old.ground, new.ground)) for new in after]
        heirs = [n for n, cm2 in enumerate(shared) if cm2 or declared_ppm is not None]
        if not any(shared):
            raise NothingInherited(parcel=old.parcel.id)
        shares = declared_ppm or largest_remainder(MILLION, [shared[n] for n in heirs])
        parts += [
            Part(old.parcel.id, after[n].draft.id, shared[n], share)
            for n, share in zip(heirs, shares, strict=True)
        ]
    for new in after:
        if not sum(part.shared_cm2 for part in parts if part.successor == new.draft.id):
            raise NothingInherited(parcel=new.draft.id)
    return parts


# ---- reading -----------------------------------------------------------------------------------------------


def load_succession(session: Session, succession: str) -> Succession:
    row = session.get(Succession, succession)
    if row is None:
        raise NotFound(kind="succession", id=succession)
    return row
