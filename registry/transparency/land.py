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
from shapely import union_all
from sqlalchemy.orm import Session

from auditor.findings import Report
from auditor.history import History, ToldClaim
from geo.crs import area_m2
from geo.errors import GeoRefusal
from geo.polygon import Overlap, OverlapKind, Polygonal, cells, from_wkb, judge_overlaps, polygonal
from registry.parcels.ground import CM2_PER_M2, area_cm2, overlap_rule
from registry.parcels.models import ParcelVersion
from registry.projects.claims import FOREVER, programme_code
from registry.projects.models import ClaimCell
from registry.projects.rules import DateRange, civil_date

TOLERANCE_CM2 = 1
"""Areas are rounded to a whole square centimetre; another machine's last digit may fall on the other side."""

Grounds = Mapping[tuple[str, int], Polygonal]


@dataclass(frozen=True, slots=True)
class Placed:
    """A claim with its ground and the 512 m cells it touches."""

    name: str
    claim: ToldClaim
    ground: Polygonal
    cells: tuple[int, ...]


def check_land(history: History, served: Session, report: Report) -> None:
    """Areas (C1), claims and their index (I4). Erased outlines can no longer be judged; they are noted."""
    grounds = _grounds(served, report)
    for key, stated in history.areas_cm2.items():
        if key in grounds:
            _check_area(key, stated, grounds[key], report)
    placed = list(_placed(history, grounds, report))
    _check_index(placed, served, report)
    by_cell: dict[int, list[Placed]] = defaultdict(list)
    for one in placed:
        _check_claim(history, one, _earlier(history, one, by_cell), report)
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


def _check_area(key: tuple[str, int], stated: int, ground: Polygonal, report: Report) -> None:
    found = area_cm2(ground)
    report.expect(
        "C1", abs(found - stated) <= TOLERANCE_CM2, f"parcel_version {key[0]}/{key[1]} column area_cm2",
        f"{stated} cm2 were logged, the outline has {found}",
    )  # fmt: skip


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
    for cell, claim in served.execute(sa.select(ClaimCell.cell, ClaimCell.claim_id)):
        indexed[claim].add(cell)
    for one in placed:
        differing = set(one.cells) ^ indexed[one.name]
        report.expect(
            "I4",
            not differing,
            f"claim_cell {one.name}",
            f"it is not the outline's in {len(differing)} cells",
        )


def _earlier(history: History, one: Placed, by_cell: Mapping[int, list[Placed]]) -> list[Placed]:
    """Claims before this one that hold some of its days, in the cells it touches."""
    near = {other.name: other for cell in one.cells for other in by_cell.get(cell, ())}
    return [other for other in near.values() if _competes(other.claim, one.claim)]


def _competes(other: ToldClaim, claim: ToldClaim) -> bool:
    """Whether a claim held its ground against a later one when that came.

    A claim under another programme holds it until it has ended, also past its own dates.
    """
    if other.pool != claim.pool:
        return False
    over = other.ended_index is not None and other.ended_index < claim.index
    to_on = other.ended_on if over and other.ended_on is not None else other.to_on
    today = civil_date(datetime.fromtimestamp(claim.at_ms / 1000, UTC)).isoformat()
    foreign = programme_code(other.programme) != programme_code(claim.programme)
    if foreign and not over and today < to_on:
        to_on = FOREVER
    return DateRange(other.from_on, to_on).meets(DateRange(claim.from_on, claim.to_on))


def _check_claim(history: History, one: Placed, earlier: Sequence[Placed], report: Report) -> None:
    rule = overlap_rule(history.programmes[one.claim.programme])
    judged = judge_overlaps(one.ground, [other.ground for other in earlier], rule)
    where = f"claim {one.name} of parcel {one.claim.parcel}"
    report.count("I4")
    for other, found in zip(earlier, judged, strict=True):
        report.count("I4")
        if found.kind is OverlapKind.REFUSED:
            report.find(
                "I4",
                where,
                f"it shares {found.area_m2:.2f} m2 with claim {other.name} of {other.claim.parcel}",
            )
    slivers = [found for found in judged if found.kind is OverlapKind.SLIVER]
    credited = max(0, area_cm2(one.ground) - _shared_cm2(slivers))
    stated = one.claim.credited_cm2
    report.expect(
        "I4", abs(credited - stated) <= TOLERANCE_CM2, where,
        f"{stated} cm2 are credited, {credited} are not claimed by others",
    )  # fmt: skip


def _shared_cm2(slivers: Sequence[Overlap]) -> int:
    """The ground under slivers, counted once, rounded up to a whole cm2."""
    shared = [one.geometry for one in slivers if one.geometry is not None]
    if not shared:
        return 0
    return -int(-area_m2(polygonal(union_all(shared))) * CM2_PER_M2 // 1)
