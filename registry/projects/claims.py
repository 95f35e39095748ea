"""The land claim: (ground x period x pool) may be claimed once, whatever the programme (DESIGN, Truth 3;
invariant I4).

`check` is the one function that decides; enrolment, issuance and retirement call it. It locks the ground's
coarse cells, finds claims by cell, and judges what they share exactly:

* periods are half-open; claims whose periods do not meet do not compete;
* a claim under another programme holds the ground, also for later periods, until it was ended or its
  dates are over;
* up to `overlap_ignored_cm2` is no overlap; slivers are accepted, and their ground is credited to the earlier
  claim only;
* anything else is refused, naming the neighbour, the area, both shares and the rule.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from shapely import Polygon, union_all
from sqlalchemy.orm import Session

from geo.crs import area_m2
from geo.polygon import (
    Overlap,
    OverlapKind,
    OverlapRule,
    Polygonal,
    cells,
    coarse_cells,
    from_wkb,
    judge_overlaps,
    overlap,
    polygonal,
)
from registry.database import lock_coarse_cells
from registry.parcels.ground import CM2_PER_M2, area_cm2, in_chunks, meeting, overlap_facts, overlap_rule
from registry.parcels.models import ParcelVersion
from registry.parcels.rules import GroundErased
from registry.programmes.models import Programme
from registry.programmes.service import terms_of
from registry.projects.models import ClaimCell, LandClaim
from registry.projects.rules import ClaimRefused, DateRange

FOREVER: Final = "9999-12-31"
NOWHERE: Final = -1
"""The cell of a claim whose outline was lost with a database: it may be anywhere, so everybody meets it."""
MOST_NAMED: Final = 50


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim on some ground. `order` tells the earlier of two: the entry that activated it."""

    claim: str
    parcel: str
    project: str
    programme: str
    pool: str
    period: DateRange
    active: bool
    order: int
    ground: Polygonal


@dataclass(frozen=True, slots=True)
class ClaimOverlap:
    """What a candidate shares with one competing claim; `earlier` if that claim came first."""

    other: Claimed
    overlap: Overlap
    earlier: bool

    def facts(self) -> dict[str, str | int | float]:
        other = self.other
        return {
            "claim": other.claim,
            "parcel": other.parcel,
            "project": other.project,
            "programme": other.programme,
            "from_on": other.period.from_on,
            "to_on": other.period.to_on,
            **overlap_facts(self.overlap),
        }


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """Whether ground may be claimed: what refuses it, which slivers are accepted, and how much of it is
    credited.

    `credited_cm2` is the ground's area without what slivers share with earlier claims.
    """

    area_cm2: int
    credited_cm2: int
    refused: tuple[ClaimOverlap, ...]
    slivers: tuple[ClaimOverlap, ...]
    rule: str

    @property
    def clear(self) -> bool:
        return not self.refused


def check(
    session: Session,
    candidate: Polygonal,
    period: DateRange,
    pool: str,
    programme: Programme,
    *,
    today: str,
    except_claims: Collection[str] = (),
    ending: Collection[str] = (),
    also: Sequence[Claimed] = (),
) -> ClaimVerdict:
    """Hold a candidate's ground against every claim on it.

    `except_claims` are the candidate's own claims, when it is checked again; claims activated after them take
    nothing from it. `ending` are claims that the same act ends before the period begins; they hold nothing of
    it. `also` are claims of the same act that no row holds yet. `today` (ISO) decides whether a
    claim under another programme is over. Answers a `ClaimVerdict`; `require` turns it into a refusal. Locks
    the ground until the transaction ends.
    """
    lock_ground(session, [candidate])
    for one in _unplaced(session, pool):
        if one.claim not in except_claims and _competes(one, period, programme.id, today):
            raise GroundErased(parcel=one.parcel)
    known = _claims_on(session, cells(candidate), pool)
    own_order = min((one.order for one in known if one.claim in except_claims), default=None)
    rivals = [
        one
        for one in (*known, *also)
        if one.claim not in except_claims
        and one.claim not in ending
        and one.pool == pool
        and _competes(one, period, programme.id, today)
    ]
    met = meeting(candidate, [one.ground for one in rivals])
    rivals = [one for one, meets in zip(rivals, met, strict=True) if meets]
    return _judge(candidate, rivals, own_order, overlap_rule(terms_of(programme)))


def require(verdict: ClaimVerdict, candidate: str) -> ClaimVerdict:
    """The verdict, if it is clear; else `ClaimRefused` about the candidate parcel."""
    refuse_all({candidate: verdict})
    return verdict


def refuse_all(verdicts: dict[str, ClaimVerdict]) -> None:
    """`ClaimRefused` with every overlap of every candidate parcel, the largest first; nothing if all are
    clear.
    """
    found = [(parcel, one) for parcel, verdict in verdicts.items() for one in verdict.refused]
    if not found:
        return
    found.sort(key=lambda pair: (-pair[1].overlap.area_m2, pair[0], pair[1].other.claim))
    listed = [{"candidate": parcel, **one.facts()} for parcel, one in found]
    raise ClaimRefused(count=len(listed), overlaps=listed[:MOST_NAMED], **listed[0])


def lock_ground(session: Session, grounds: Sequence[Polygonal]) -> None:
    """Serialise everybody who decides about this ground; one call for all grounds of an act, so that locks
    are taken in order.
    """
    lock_coarse_cells(session, sorted({cell for ground in grounds for cell in coarse_cells(ground)}))


def index_claim(session: Session, claim: str, ground: Polygonal) -> None:
    """Make a claim findable by its ground."""
    session.execute(sa.insert(ClaimCell), [{"cell": cell, "claim_id": claim} for cell in cells(ground)])


def index_unplaced(session: Session, claim: str) -> None:
    """Make a claim findable of which nobody knows any more where it lies."""
    session.execute(sa.insert(ClaimCell), [{"cell": NOWHERE, "claim_id": claim}])


def programme_code(programme: str) -> str:
    """A programme's code without the version: its versions are one programme."""
    return programme.rpartition(".")[0]


def _claims_on(session: Session, touched: list[int], pool: str) -> list[Claimed]:
    """Every claim of the pool, running or ended, in the touched cells, earliest first."""
    found: dict[str, Claimed] = {}
    for some in in_chunks(touched):
        rows = session.execute(
            sa.select(LandClaim, ParcelVersion.wkb)
            .join(
                ParcelVersion,
                sa.and_(
                    ParcelVersion.parcel_id == LandClaim.parcel_id,
                    ParcelVersion.version == LandClaim.parcel_version,
                ),
            )
            .where(
                LandClaim.id.in_(sa.select(ClaimCell.claim_id).where(ClaimCell.cell.in_(some))),
                LandClaim.pool == pool,
            )
        )
        for row, wkb in rows:
            if wkb is None:
                raise GroundErased(parcel=row.parcel_id)
            found[row.id] = claimed(row, from_wkb(wkb))
    return sorted(found.values(), key=lambda one: (one.order, one.claim))


def _unplaced(session: Session, pool: str) -> list[Claimed]:
    lost = sa.select(ClaimCell.claim_id).where(ClaimCell.cell == NOWHERE)
    rows = session.scalars(sa.select(LandClaim).where(LandClaim.id.in_(lost), LandClaim.pool == pool))
    return [claimed(row, Polygon()) for row in rows]


def claimed(row: LandClaim, ground: Polygonal) -> Claimed:
    return Claimed(
        claim=row.id,
        parcel=row.parcel_id,
        project=row.project_id,
        programme=row.programme_id,
        pool=row.pool,
        period=DateRange(row.from_on, row.to_on),
        active=row.status == "active",
        order=row.claimed_index,
        ground=ground,
    )


def _competes(one: Claimed, period: DateRange, programme: str, today: str) -> bool:
    """Whether a claim holds its ground at some day of the period."""
    held = one.period
    foreign = programme_code(one.programme) != programme_code(programme)
    if foreign and one.active and today < held.to_on:
        held = DateRange(held.from_on, FOREVER)
    return held.meets(period)


def _judge(
    candidate: Polygonal, rivals: Sequence[Claimed], own_order: int | None, rule: OverlapRule
) -> ClaimVerdict:
    """Earlier claims are judged together (many slivers are as much ground as one strip), later ones each for
    itself: whether their slivers were too many was asked when they came.
    """
    earlier = [one for one in rivals if own_order is None or one.order < own_order]
    later = [one for one in rivals if own_order is not None and one.order >= own_order]
    found = [
        ClaimOverlap(one, judged, True)
        for one, judged in zip(
            earlier, judge_overlaps(candidate, [one.ground for one in earlier], rule), strict=True
        )
    ]
    found += [ClaimOverlap(one, overlap(candidate, one.ground, rule), False) for one in later]
    slivers = tuple(one for one in found if one.overlap.kind is OverlapKind.SLIVER)
    whole = area_cm2(candidate)
    return ClaimVerdict(
        area_cm2=whole,
        credited_cm2=max(0, whole - _shared_cm2([one.overlap for one in slivers if one.earlier])),
        refused=tuple(one for one in found if one.overlap.kind is OverlapKind.REFUSED),
        slivers=slivers,
        rule=rule.name,
    )


def _shared_cm2(overlaps: Sequence[Overlap]) -> int:
    """The ground under overlaps, counted once, rounded up to a whole cm2."""
    shared = [one.geometry for one in overlaps if one.geometry is not None]
    if not shared:
        return 0
    return -int(-area_m2(polygonal(union_all(shared))) * CM2_PER_M2 // 1)
