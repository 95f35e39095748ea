"""The land claim: (ground x period x pool) may be claimed once, whatever the programme (DESIGN, Truth 3;
invariant I4).

`check` is the one function that decides; enrolment, issuance and retirement call it. It locks the ground's
coarse cells, finds claims by cell, and judges what they share exactly:

* periods are half-open; claims whose periods do not meet do not compete;
* ground that another programme claimed first is free for this one from the day on which that claim ended or
  its dates were over, and for no day before that; a claim declared of an outside registry is such a claim;
* up to `overlap_ignored_cm2` is no overlap; slivers are accepted;
* anything else is refused, naming the neighbour, the area, both shares, the rule and the outline shared.

Whatever is accepted, ground is credited once: to the claim that came first.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.crs import area_m2
from geo.pairs import against
from geo.polygon import (
    Overlap,
    OverlapKind,
    OverlapRule,
    Polygonal,
    cells,
    coarse_of,
    judge_together,
    polygonal,
)
from registry.database import lock_coarse_cells
from registry.parcels.ground import (
    CM2_PER_M2,
    Outlines,
    area_cm2,
    in_chunks,
    outlines_of,
    overlap_facts,
    overlap_rule,
)
from registry.parcels.models import ParcelVersion
from registry.parcels.rules import GroundErased
from registry.programmes.models import Programme
from registry.programmes.service import terms_of
from registry.projects.models import ClaimCell, LandClaim, OutsideClaim, OutsideClaimCell
from registry.projects.rules import ClaimedOutside, ClaimRefused, DateRange

FOREVER: Final = "9999-12-31"
NOWHERE: Final = -1
"""The cell of a claim whose outline was lost with a database: it may be anywhere, so everybody meets it."""
MOST_NAMED: Final = 50
_LEAST_CM2: Final = 1e-3
"""What borders that only touch may seem to share, because coordinates are rounded."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim on some ground. `order` tells the earlier of two: the entry that activated or declared it.

    `outside`: it was declared of another registry, whose code is `programme` and whose number is `project`;
    `parcel` is then the parcel it was declared of, or empty.
    """

    claim: str
    parcel: str
    project: str
    programme: str
    pool: str
    period: DateRange
    active: bool
    order: int
    ground: Polygonal
    outside: bool = False


@dataclass(frozen=True, slots=True)
class ClaimOverlap:
    """What a candidate shares with one competing claim; `earlier` if that claim came first."""

    other: Claimed
    overlap: Overlap
    earlier: bool

    def facts(self) -> dict[str, Any]:
        other = self.other
        return {
            "claim": other.claim,
            "parcel": other.parcel,
            "project": other.project,
            "programme": other.programme,
            "outside": other.outside,
            "from_on": other.period.from_on,
            "to_on": other.period.to_on,
            **overlap_facts(self.overlap),
        }


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """Whether ground may be claimed: what refuses it, which slivers are accepted, and how much of it is
    credited.

    `credited_cm2` is the ground's area without what earlier claims have of it, slivers and less.
    """

    area_cm2: int
    credited_cm2: int
    refused: tuple[ClaimOverlap, ...]
    slivers: tuple[ClaimOverlap, ...]
    rule: str
    programme: str
    """Under which the ground was wanted."""

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
    replaced: Collection[str] = (),
    also: Sequence[Claimed] = (),
    locked: bool = False,
) -> ClaimVerdict:
    """Hold a candidate's ground against every claim on it.

    `except_claims` are the candidate's own claims, when it is checked again; claims activated after the
    oldest of them take nothing from it. `replaced` are claims that end where the candidate begins: they do
    not compete with it either, and give it no seniority. `also` are claims of the same act that no row holds
    yet. `today` (ISO) decides whether a claim under another programme is over. Answers a `ClaimVerdict`;
    `require` turns it into a refusal. Locks the ground until the transaction ends, unless the caller has
    (`locked`). Raises `GroundErased` where a competing claim's outline is gone.
    """
    touched = cells(candidate)
    if not locked:
        lock_coarse_cells(session, coarse_of(touched))
    found = _claims_on(session, touched, pool)
    own = [one.order for one in found if one.claim in except_claims]
    asked = _Asked(period, pool, programme_code(programme.id), today, min(own, default=None))
    left_out = {*except_claims, *replaced}
    rivals = _placed([one for one in found if one.claim not in left_out and asked.meets(one)])
    rivals += [one for one in also if one.claim not in left_out and asked.meets(one)]
    rule = overlap_rule(terms_of(programme))
    shared = against(candidate, [one.ground for one in rivals], rule)
    pairs = [(rivals[place], overlap) for place, overlap in shared]
    return _judge(candidate, pairs, asked.own_order, rule, programme.id)


def require(verdict: ClaimVerdict, candidate: str) -> ClaimVerdict:
    """The verdict, if it is clear; else `ClaimRefused` about the candidate parcel."""
    refuse_all({candidate: verdict})
    return verdict


def refuse_all(verdicts: Mapping[str, ClaimVerdict], *, outlines: bool = True) -> None:
    """`ClaimRefused` with every overlap of every candidate parcel, the largest first; nothing if all are
    clear.

    `outlines`: each is named with the outline of what is shared (GeoJSON), for those who may see the
    candidates' ground; nothing beyond that ground is shown.
    """
    found = [(parcel, one) for parcel, verdict in verdicts.items() for one in verdict.refused]
    if not found:
        return
    found.sort(key=lambda pair: (-pair[1].overlap.area_m2, pair[0], pair[1].other.claim))
    drawn = Outlines()
    listed = [
        {
            "candidate": parcel,
            "wanted_under": verdicts[parcel].programme,
            **one.facts(),
            **(drawn.facts(one.overlap.geometry) if outlines else {}),
        }
        for parcel, one in found[:MOST_NAMED]
    ]
    refusal = ClaimedOutside if found[0][1].other.outside else ClaimRefused
    raise refusal(count=len(found), overlaps=listed, **listed[0])


def lock_ground(session: Session, grounds: Sequence[Polygonal]) -> None:
    """Serialise everybody who decides about this ground; one call for all grounds of an act, so that locks
    are taken in order.
    """
    lock_coarse_cells(session, coarse_of(cell for ground in grounds for cell in cells(ground)))


def index_claim(session: Session, claim: str, ground: Polygonal) -> None:
    """Make a claim findable by its ground."""
    session.execute(sa.insert(ClaimCell), [{"cell": cell, "claim_id": claim} for cell in cells(ground)])


def index_outside_claim(session: Session, claim: str, ground: Polygonal | None) -> None:
    """Make an outside claim findable by its ground, or by everybody when that is lost."""
    touched = [NOWHERE] if ground is None else cells(ground)
    session.execute(
        sa.insert(OutsideClaimCell), [{"cell": cell, "outside_claim_id": claim} for cell in touched]
    )


def index_unplaced(session: Session, claim: str) -> None:
    """Make a claim findable of which nobody knows any more where it lies."""
    session.execute(sa.insert(ClaimCell), [{"cell": NOWHERE, "claim_id": claim}])


def programme_code(programme: str) -> str:
    """A programme's code without the version: its versions are one programme."""
    return programme.rpartition(".")[0]


# ---- who is on the ground ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """A row of `_ON_GROUND`: a claim whose outline was not looked at yet."""

    claim: str
    parcel: str
    project: str
    programme: str
    pool: str
    period: DateRange
    active: bool
    order: int
    outside: bool
    wkb: bytes | None


_ON_GROUND: Final[sa.CompoundSelect[Any]] = sa.union_all(
    sa.select(
        LandClaim.id,
        LandClaim.parcel_id,
        LandClaim.project_id,
        LandClaim.programme_id,
        LandClaim.pool,
        LandClaim.from_on,
        LandClaim.to_on,
        LandClaim.status,
        LandClaim.claimed_index,
        sa.false().label("outside"),
        ParcelVersion.wkb,
    )
    .join(
        ParcelVersion,
        sa.and_(
            ParcelVersion.parcel_id == LandClaim.parcel_id,
            ParcelVersion.version == LandClaim.parcel_version,
        ),
    )
    .where(
        LandClaim.id.in_(
            sa.select(ClaimCell.claim_id).where(ClaimCell.cell.in_(sa.bindparam("cells", expanding=True)))
        ),
        LandClaim.pool == sa.bindparam("pool"),
    ),
    sa.select(
        OutsideClaim.id,
        OutsideClaim.parcel_id,
        OutsideClaim.foreign_id,
        OutsideClaim.registry_code,
        OutsideClaim.pools,
        OutsideClaim.from_on,
        OutsideClaim.to_on,
        OutsideClaim.status,
        OutsideClaim.declared_index,
        sa.true().label("outside"),
        OutsideClaim.wkb,
    )
    .select_from(OutsideClaimCell)
    .join(OutsideClaim, OutsideClaim.id == OutsideClaimCell.outside_claim_id)
    .where(OutsideClaimCell.cell.in_(sa.bindparam("cells", expanding=True))),
)
"""Claims of other registries come once for each cell, withdrawn ones too: a database that was asked for
their state would begin there, and nearly all have the same.
"""


def _claims_on(session: Session, touched: list[int], pool: str) -> list[_Found]:
    """Every claim of the pool, running or ended, in the touched cells or of lost place, earliest first."""
    found: dict[str, _Found] = {}
    for some in in_chunks([NOWHERE, *touched]):
        rows = session.execute(_ON_GROUND, {"cells": some, "pool": pool}).all()
        for claim, parcel, project, programme, pools, from_on, to_on, status, order, outside, wkb in rows:
            if outside and (status != "declared" or pool not in pools.split(",")):
                continue
            found[claim] = _Found(
                claim=claim,
                parcel=parcel or "",
                project=project,
                programme=programme,
                pool=pool,
                period=DateRange(from_on, to_on),
                active=bool(outside) or status == "active",
                order=order,
                outside=bool(outside),
                wkb=wkb,
            )
    return sorted(found.values(), key=lambda one: (one.order, one.claim))


def _placed(found: Sequence[_Found]) -> list[Claimed]:
    """The claims with their outlines; `GroundErased` if one has none any more."""
    stored: list[bytes] = []
    for one in found:
        if one.wkb is None:
            raise GroundErased(parcel=one.parcel or one.claim)
        stored.append(one.wkb)
    return [
        Claimed(
            claim=one.claim,
            parcel=one.parcel,
            project=one.project,
            programme=one.programme,
            pool=one.pool,
            period=one.period,
            active=one.active,
            order=one.order,
            ground=ground,
            outside=one.outside,
        )
        for one, ground in zip(found, outlines_of(stored), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a candidate asks for. `programme` without its version; `own_order` of its oldest own claim."""

    period: DateRange
    pool: str
    programme: str
    today: str
    own_order: int | None

    def meets(self, one: "_Found | Claimed") -> bool:
        """Whether a claim holds its ground against this candidate."""
        later = self.own_order is not None and one.order >= self.own_order
        foreign = one.outside or programme_code(one.programme) != self.programme
        return one.pool == self.pool and competes(
            one.period, self.period, foreign=foreign and not later, over=not one.active, today=self.today
        )


def competes(held: DateRange, wanted: DateRange, *, foreign: bool, over: bool, today: str) -> bool:
    """Whether a claim over `held` stands against one over `wanted`.

    An earlier claim under another programme (`foreign`) leaves the ground from the day on which it ended
    (`over`) or its dates were past, and for no day before.
    """
    if held.from_on >= held.to_on:
        return False  # it ended on the day it began
    if foreign:
        return wanted.from_on < (held.to_on if over or today >= held.to_on else FOREVER)
    return held.meets(wanted)


# ---- what they share ---------------------------------------------------------------------------------------


def _judge(
    candidate: Polygonal,
    pairs: Sequence[tuple[Claimed, Overlap]],
    own_order: int | None,
    rule: OverlapRule,
    programme: str,
) -> ClaimVerdict:
    """Earlier claims are judged together (many slivers are as much ground as one strip), later ones each for
    itself: whether their slivers were too many was asked when they came.
    """
    earlier = [(one, shared) for one, shared in pairs if own_order is None or one.order < own_order]
    later = [(one, shared) for one, shared in pairs if own_order is not None and one.order >= own_order]
    judged = judge_together([shared for _, shared in earlier], rule)
    found = [ClaimOverlap(one, shared, True) for (one, _), shared in zip(earlier, judged, strict=True)]
    whole = area_cm2(candidate)
    shared = shared_cm2(one.overlap for one in found if one.overlap.kind is not OverlapKind.REFUSED)
    found += [ClaimOverlap(one, shared, False) for one, shared in later]
    return ClaimVerdict(
        area_cm2=whole,
        credited_cm2=max(0, whole - shared),
        refused=tuple(one for one in found if one.overlap.kind is OverlapKind.REFUSED),
        slivers=tuple(one for one in found if one.overlap.kind is OverlapKind.SLIVER),
        rule=rule.name,
        programme=programme,
    )


def shared_cm2(overlaps: Iterable[Overlap]) -> int:
    """The ground under overlaps, counted once, rounded up to a whole cm2: what is not credited again.

    Also what is too little to be an overlap: many neighbours that each share a square metre share ground.
    """
    shared = [one.geometry for one in overlaps if one.geometry is not None]
    if not shared:
        return 0
    ground = shared[0] if len(shared) == 1 else polygonal(shapely.union_all(np.array(shared, dtype=object)))
    return max(0, math.ceil(area_m2(ground) * CM2_PER_M2 - _LEAST_CM2))
