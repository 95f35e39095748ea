"""The ground itself: I4, and that areas are those of the outlines.

The log says who claimed which parcel when; the outlines are in the database, bound by commitments that the
audit opens first. Every claim is judged again against all claims before it, by the same exact rule that
decided it, but found by cells made here from the outlines, so that a damaged index hides nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.findings import Report
from auditor.history import History, ToldClaim, ToldOutside
from geo.errors import GeoRefusal
from geo.polygon import OverlapKind, Polygonal, cells, from_wkb, intersection, judge_overlaps, to_wkb
from registry.parcels.ground import area_cm2, overlap_rule
from registry.parcels.models import ParcelVersion
from registry.projects.claims import competes, programme_code, shared_cm2
from registry.projects.models import ClaimCell, OutsideClaim, OutsideClaimCell
from registry.projects.rules import DateRange, civil_date

TOLERANCE_CM2 = 1
"""Areas are rounded to a whole square centimetre; another machine's last digit may fall on the other side."""

Grounds = Mapping[tuple[str, int], Polygonal]


@dataclass(frozen=True, slots=True)
class Placed:
    """A claim, here or in another registry, with its ground and the 512 m cells it touches."""

    name: str
    claim: ToldClaim | ToldOutside
    ground: Polygonal
    cells: tuple[int, ...]


def check_land(history: History, served: Session, report: Report) -> None:
    """Areas (C1), claims and their index (I4). Erased outlines can no longer be judged; they are noted."""
    grounds = _grounds(served, report)
    for key, stated in history.areas_cm2.items():
        if key in grounds:
            where = f"parcel_version {key[0]}/{key[1]} column area_cm2"
            _check_area(where, stated, grounds[key], report)
    _check_successions(history, grounds, report)
    placed = [*_placed(history, grounds, report), *_outside(history, served, report)]
    _check_index(placed, served, report)
    by_cell: dict[int, list[Placed]] = defaultdict(list)
    for one in sorted(placed, key=lambda one: (one.claim.index, one.name)):
        if isinstance(one.claim, ToldClaim):
            _check_claim(history, one, one.claim, _earlier(one.claim, one.cells, by_cell), report)
        for cell in one.cells:
            by_cell[cell].append(one)


def _grounds(served: Session, report: Report) -> dict[tuple[str, int], Polygonal]:
    grounds: dict[tuple[str, int], Polygonal] = {}
    rows = served.execute(sa.select(ParcelVersion.parcel_id, ParcelVersion.version, ParcelVersion.wkb))
    for parcel, version, wkb in rows:
        where = f"parcel_version {parcel}/{version} column wkb"
        if wkb is None:
            report.note("I4", where, "the outline was erased")
            continue
        try:
            grounds[parcel, version] = from_wkb(wkb)
        except GeoRefusal as refusal:
            report.find("C1", where, refusal)
    return grounds


def _outside(history: History, served: Session, report: Report) -> list[Placed]:
    """Claims in other registries; their areas are checked on the way."""
    rows = {row.id: row.wkb for row in served.execute(sa.select(OutsideClaim.id, OutsideClaim.wkb))}
    placed = []
    for name, claim in history.outside.items():
        where = f"outside_claim {name} column wkb"
        if rows.get(name) is None:
            report.note("I4", where, "the outline was erased")
            continue
        try:
            ground = from_wkb(rows[name])
            placed.append(Placed(name, claim, ground, tuple(cells(ground))))
        except GeoRefusal as refusal:
            report.find("C1", where, refusal)
            continue
        _check_area(f"outside_claim {name} column area_cm2", claim.area_cm2, ground, report)
    return placed


def _check_successions(history: History, grounds: Grounds, report: Report) -> None:
    """C1: what successors have of their predecessors is what the outlines share, and a renewed tenure is of
    the same ground.
    """
    for name, told in history.successions.items():
        versions = {parcel: version for parcel, version, _ in told.predecessors}
        for old, new, stated, _ in told.parts if told.status == "approved" else ():
            before, after = grounds.get((old, versions[old])), grounds.get((new, 1))
            if before is None or after is None:
                continue
            shared = intersection(before, after)
            found = 0 if shared is None else area_cm2(shared)
            report.expect(
                "C1", abs(found - stated) <= TOLERANCE_CM2, f"succession {name} of {old} by {new}",
                f"{stated} cm2 were logged, the outlines share {found}",
            )  # fmt: skip
    for (parcel, version), renewed in history.renewals.items():
        now, before = grounds.get((parcel, version)), grounds.get((parcel, renewed))
        if now is not None and before is not None:
            report.expect(
                "C1", to_wkb(now) == to_wkb(before), f"parcel_version {parcel}/{version} column wkb",
                "it renews a tenure and has another outline",
            )  # fmt: skip


def _check_area(where: str, stated: int, ground: Polygonal, report: Report) -> None:
    found = area_cm2(ground)
    report.expect(
        "C1",
        abs(found - stated) <= TOLERANCE_CM2,
        where,
        f"{stated} cm2 were logged, the outline has {found}",
    )


def _placed(history: History, grounds: Grounds, report: Report) -> list[Placed]:
    """Claims in the order of their activation."""
    placed = []
    for name, claim in sorted(history.claims.items(), key=lambda item: (item[1].index, item[0])):
        ground = grounds.get((claim.parcel, claim.version))
        if ground is None:
            continue
        try:
            placed.append(Placed(name, claim, ground, tuple(cells(ground))))
        except GeoRefusal as refusal:
            report.find("I4", f"claim {name}", refusal)
    return placed


def _check_index(placed: Sequence[Placed], served: Session, report: Report) -> None:
    """That each claim can be found by its ground: what the index misses, enrolment would not see."""
    indexed: dict[str, set[int]] = defaultdict(set)
    for index in (
        sa.select(ClaimCell.claim_id, ClaimCell.cell),
        sa.select(OutsideClaimCell.outside_claim_id, OutsideClaimCell.cell),
    ):
        for claim, cell in served.execute(index):
            indexed[claim].add(cell)
    for one in placed:
        differing = set(one.cells) ^ indexed[one.name]
        table = "claim_cell" if isinstance(one.claim, ToldClaim) else "outside_claim_cell"
        report.expect(
            "I4",
            not differing,
            f"{table} {one.name}",
            f"it is not the outline's in {len(differing)} cells",
        )


def _earlier(claim: ToldClaim, touched: Sequence[int], by_cell: Mapping[int, list[Placed]]) -> list[Placed]:
    """Claims before this one that hold some of its days, in the cells it touches."""
    near = {other.name: other for cell in touched for other in by_cell.get(cell, ())}
    return [other for other in near.values() if _competes(other.claim, claim)]


def _competes(other: ToldClaim | ToldOutside, claim: ToldClaim) -> bool:
    """Whether a claim held its ground against a later one when that came."""
    today = civil_date(datetime.fromtimestamp(claim.at_ms / 1000, UTC)).isoformat()
    wanted = DateRange(claim.from_on, claim.to_on)
    if isinstance(other, ToldOutside):
        withdrawn = other.withdrawn_index is not None and other.withdrawn_index < claim.index
        held = DateRange(other.from_on, other.to_on)
        return (
            not withdrawn
            and claim.pool in other.pools
            and competes(held, wanted, foreign=True, over=False, today=today)
        )
    over = other.ended_index is not None and other.ended_index < claim.index
    to_on = other.ended_on if over and other.ended_on is not None else other.to_on
    foreign = programme_code(other.programme) != programme_code(claim.programme)
    return other.pool == claim.pool and competes(
        DateRange(other.from_on, to_on), wanted, foreign=foreign, over=over, today=today
    )


def _check_claim(
    history: History, one: Placed, claim: ToldClaim, earlier: Sequence[Placed], report: Report
) -> None:
    rule = overlap_rule(history.programmes[claim.programme])
    judged = judge_overlaps(one.ground, [other.ground for other in earlier], rule)
    where = f"claim {one.name} of parcel {claim.parcel}"
    report.count("I4")
    for other, found in zip(earlier, judged, strict=True):
        report.count("I4")
        if found.kind is OverlapKind.REFUSED:
            whose = other.claim.parcel if isinstance(other.claim, ToldClaim) else other.claim.registry
            report.find("I4", where, f"it shares {found.area_m2:.2f} m2 with claim {other.name} of {whose}")
    accepted = [found for found in judged if found.kind is not OverlapKind.REFUSED]
    slivers = [found for found in accepted if found.kind is OverlapKind.SLIVER]
    # an earlier version of this program credited what is too little to be an overlap to both
    least = max(0, area_cm2(one.ground) - shared_cm2(accepted)) - TOLERANCE_CM2
    most = max(0, area_cm2(one.ground) - shared_cm2(slivers)) + TOLERANCE_CM2
    report.expect(
        "I4",
        least <= claim.credited_cm2 <= most,
        where,
        f"{claim.credited_cm2} cm2 are credited, {least + TOLERANCE_CM2} are not claimed by others",
    )
