"""What a split does to areas and shares, whatever the cut: parts add up to the whole, shares to a million."""

import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Polygon
from shapely.ops import split as cut

from geo.crs import LocalFrame, Polygonal, area_m2
from geo.polygon import canonical, to_wkb
from registry.parcels.ground import area_cm2
from registry.parcels.models import Parcel, ParcelDraft, ParcelVersion
from registry.parcels.rules import MILLION
from registry.programmes.service import programme_file
from registry.projects.rules import AreasDoNotReconcile, GroundNotKept, NothingInherited, SuccessorsOverlap
from registry.projects.succession import (
    After,
    Before,
    _check_apart,
    _check_ground,
    _check_sums,
    _parts,
    tolerance_cm2,
)

TERMS = programme_file().terms
HERE = LocalFrame(118.9, 28.95)


def whole(width_m: float, height_m: float, lean_m: float) -> Polygonal:
    """A leaning four-sided parcel."""
    east, north = HERE.metres_per_degree()
    ring = [(0.0, 0.0), (width_m, lean_m), (width_m + lean_m, height_m + lean_m), (lean_m, height_m)]
    return canonical(Polygon([(118.9 + x / east, 28.95 + y / north) for x, y in ring]))


def parted(ground: Polygonal, shares: Sequence[float], slope: float) -> list[Polygonal]:
    """The ground cut by lines that lean by `slope` of its height."""
    west, south, east, north = ground.bounds
    reach = (north - south) * 2
    pieces: list[Polygonal] = [ground]
    for share in shares:
        x = west + share * (east - west)
        line = LineString([(x - slope * reach, south - reach), (x + slope * reach, north + reach)])
        found: list[Polygonal] = []
        for piece in pieces:
            found += [one for one in cut(piece, line).geoms if isinstance(one, Polygon)]
        pieces = found
    return [canonical(piece) for piece in pieces if area_m2(piece) > 1]


def before(ground: Polygonal) -> Before:
    name = str(uuid.uuid4())
    parcel = Parcel(id=name, status="eligible", organisation_id="village", operator_id=None)
    version = ParcelVersion(parcel_id=name, version=1, area_cm2=area_cm2(ground), wkb=to_wkb(ground))
    return Before(parcel, version, ground, ())


def after(ground: Polygonal) -> After:
    return After(ParcelDraft(id=str(uuid.uuid4()), area_cm2=area_cm2(ground), wkb=to_wkb(ground)), ground)


grounds = st.builds(whole, st.floats(60, 900), st.floats(60, 900), st.floats(-40, 40))
cuts = st.lists(st.floats(0.08, 0.92), min_size=1, max_size=4, unique=True)


@settings(max_examples=60)
@given(grounds, cuts, st.floats(-0.3, 0.3))
def test_the_parts_of_a_split_measure_what_the_whole_did(
    ground: Polygonal, shares: list[float], slope: float
) -> None:
    old, new = before(ground), [after(piece) for piece in parted(ground, shares, slope)]
    lost_cm2, added_cm2 = _check_ground(None, "split", [old], new, TERMS)  # type: ignore[arg-type] # unused
    total = sum(one.draft.area_cm2 for one in new)
    moved_cm2 = lost_cm2 + added_cm2  # where a cut's ends were rounded to a tenth of a millimetre
    assert abs(total - old.version.area_cm2) <= moved_cm2 + len(new) + 1
    assert moved_cm2 <= 2_000


@settings(max_examples=60)
@given(grounds, cuts, st.floats(-0.3, 0.3))
def test_lineage_shares_of_a_parcel_add_up_and_follow_the_ground(
    ground: Polygonal, shares: list[float], slope: float
) -> None:
    old, new = before(ground), [after(piece) for piece in parted(ground, shares, slope)]
    parts = _parts([old], new, None)
    assert sum(part.share_ppm for part in parts) == MILLION
    by_name = {one.draft.id: one.draft.area_cm2 for one in new}
    assert {part.successor for part in parts} == set(by_name)
    for part in parts:
        assert part.shared_cm2 == pytest.approx(by_name[part.successor], abs=1_000)
        exact = part.shared_cm2 * MILLION / sum(one.shared_cm2 for one in parts)
        assert abs(part.share_ppm - exact) < 1


@given(st.lists(st.integers(0, MILLION), min_size=1, max_size=4))
def test_declared_shares_are_kept_as_they_are(first: list[int]) -> None:
    total = sum(first) or 1
    declared = [one * MILLION // total for one in first]
    declared.append(MILLION - sum(declared))
    ground = whole(400, 300, 0)
    pieces = parted(ground, [(n + 1) / len(declared) for n in range(len(declared) - 1)], 0)
    parts = _parts([before(ground)], [after(piece) for piece in pieces], declared)
    assert [part.share_ppm for part in parts] == declared


@settings(max_examples=25)
@given(grounds, st.floats(0.2, 0.8), st.floats(0.02, 0.15))
def test_ground_left_out_or_had_twice_is_refused(ground: Polygonal, at: float, off: float) -> None:
    west, east = parted(ground, [at], 0)
    rest = parted(west, [1 - off], 0)[0] if area_m2(west) > area_m2(east) else parted(east, [off], 0)[-1]
    larger, smaller = (west, east) if area_m2(west) > area_m2(east) else (east, west)
    with pytest.raises(GroundNotKept):
        kept = [after(smaller), after(rest)]
        _check_ground(None, "split", [before(ground)], kept, TERMS)  # type: ignore[arg-type] # unused
    with pytest.raises(SuccessorsOverlap):
        _check_apart([after(larger), after(rest)], TERMS)


def test_a_sliver_along_a_shared_border_is_no_lost_ground() -> None:
    """Two sides that were digitised twice differ by centimetres."""
    ground = whole(300, 300, 0)
    east, _ = HERE.metres_per_degree()
    west_part, east_part = parted(ground, [0.5], 0)
    west, south, mid, north = west_part.bounds
    thinner = canonical(
        Polygon([(west, south), (mid - 0.1 / east, south), (mid - 0.1 / east, north), (west, north)])
    )
    halves = [after(thinner), after(east_part)]
    lost_cm2, added_cm2 = _check_ground(None, "split", [before(ground)], halves, TERMS)  # type: ignore[arg-type]
    assert lost_cm2 == pytest.approx(0.1 * 300 * 10_000, rel=0.01)
    assert added_cm2 < 1_000


def test_areas_reconcile_within_the_programmes_figures() -> None:
    ground = whole(300, 300, 0)
    old = before(ground)
    most = tolerance_cm2(old.version.area_cm2, TERMS)
    assert most == old.version.area_cm2 * TERMS.sliver_share_ppm // MILLION
    assert tolerance_cm2(1, TERMS) == TERMS.overlap_ignored_cm2
    new = after(ground)
    new.draft.area_cm2 = old.version.area_cm2 + most
    _check_sums([old], [new], TERMS)
    new.draft.area_cm2 += 1
    with pytest.raises(AreasDoNotReconcile):
        _check_sums([old], [new], TERMS)


def test_who_has_no_ground_in_common_inherits_nothing() -> None:
    ground = whole(300, 300, 0)
    beside = canonical(Polygon([(x + 0.1, y) for x, y in ground.exterior.coords]))  # type: ignore[union-attr]
    with pytest.raises(NothingInherited):
        _parts([before(ground)], [after(beside)], None)
    with pytest.raises(NothingInherited):
        _parts([before(ground)], [after(ground), after(beside)], [500_000, 500_000])
