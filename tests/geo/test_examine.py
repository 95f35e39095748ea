"""A parcel file examined whole in the confined child says what its rows say one by one."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, box
from shapely.geometry import mapping

from benchmarks.land import world
from geo import batch, pairs
from geo.crs import area_m2, from_store, swapped_axes
from geo.datum import Datum, from_wgs84
from geo.errors import (
    CrsConflict,
    DatumConflict,
    FileUnreadable,
    NotGeoJson,
    ReaderStopped,
    TooManyCrossings,
    TooMuchOverlap,
)
from geo.examine import STEPS, Declared, Examination, examine_file, examine_parcels
from geo.polygon import MAX_VERTICES, OverlapKind, OverlapRule, canonical, cells, overlap, to_wkb
from geo.repair import propose_repair
from geo.vector import Limits, read_parcels
from geo.vector import examine as examine_one_by_one
from tests.geo.shapes import QUZHOU, degrees_box, land, stand

RULE = OverlapRule()
X, Y = QUZHOU
BOW_TIE = Polygon([(X, Y), (X + 0.001, Y + 0.001), (X + 0.001, Y), (X, Y + 0.001)])


def written(path: Path, shapes: list[Any], crs: str | None = None) -> Path:
    """A GeoJSON file of these outlines; None is a feature without one."""
    features = [
        {
            "type": "Feature",
            "properties": {"小班": str(n), "亩": n / 2},
            "geometry": None if shape is None else mapping(shape),
        }
        for n, shape in enumerate(shapes, start=1)
    ]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if crs is not None:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def said(found: Examination) -> list[Any]:
    return [
        (fault.row, fault.field, fault.value, fault.code, fault.template, fault.facts)
        for fault in found.faults
    ]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good outlines, neighbours that share ground, a sliver, and rows with something wrong."""
    first = degrees_box(X, Y, 100, 100)
    rows = [
        first,
        stand(X + 0.02, Y, 0.002, 4, hole=True, parts=2),
        BOW_TIE,
        degrees_box(X + 50 / 97_500, Y, 100, 100),
        None,
        degrees_box(X, Y + 99.8 / 110_850, 100, 100),
        box(181.0, 28.0, 181.1, 28.1),
        box(118.0, 28.0, 119.0, 29.0),
    ]
    return written(tmp_path_factory.mktemp("mixed") / "parcels.geojson", rows)


def test_a_file_is_examined_as_its_rows_are_one_by_one(mixed: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = examine_file(mixed, Declared(), rule=RULE, progress=lambda *step: told.append(step))
    file = read_parcels(mixed)
    good, faults = examine_one_by_one(file)
    good = [row for row in good if row.number != 8]  # a whole degree has too many cells
    assert found.numbers == [row.number for row in good] == [1, 2, 4, 6]
    assert found.wkb == [to_wkb(row.geometry) for row in good]
    assert found.areas_cm2 == [round(area_m2(row.geometry) * 10_000) for row in good]
    assert [one.tolist() for one in found.cells] == [cells(row.geometry) for row in good]
    assert found.bounds.tolist() == [list(row.geometry.bounds) for row in good]
    assert said(found)[:-1] == [
        (one.row, one.field, one.value, one.code, one.template, one.facts) for one in faults
    ]
    assert (found.faults[-1].row, found.faults[-1].code) == (8, "too_many_cells")
    assert found.attributes == [dict(row.attributes) for row in file.rows]
    assert found.source_wkb == [
        None if row.geometry is None else shapely.to_wkb(row.geometry) for row in file.rows
    ]
    assert (found.crs, found.count, found.kind, found.layer) == (file.crs, 8, "geojson", "geojson")
    by_number = {row.number: row.geometry for row in good}
    assert found.overlaps == [
        (later, earlier, overlap(by_number[later], by_number[earlier], RULE))
        for later, earlier in ((4, 1), (6, 1), (6, 4))
    ]
    assert [one.kind for _, _, one in found.overlaps] == [
        OverlapKind.REFUSED, OverlapKind.SLIVER, OverlapKind.SLIVER,
    ]  # fmt: skip
    assert [step for at, (step, _, _) in enumerate(told) if at == 0 or told[at - 1][0] != step] == list(STEPS)
    assert all(0 <= done <= total for _, done, total in told)


def test_rows_that_were_read_before_are_examined_the_same(mixed: Path) -> None:
    inside, outside = (
        examine_file(mixed, Declared(), rule=RULE),
        examine_parcels(read_parcels(mixed), Declared(), rule=RULE),
    )
    for name in (
        "numbers",
        "wkb",
        "areas_cm2",
        "attributes",
        "source_wkb",
        "overlaps",
        "crs",
        "hints",
        "count",
    ):
        assert getattr(inside, name) == getattr(outside, name), name
    assert said(inside) == said(outside)
    assert inside.faults[0].repair == outside.faults[0].repair
    assert examine_file(mixed, Declared(), rule=None).overlaps == []


def test_an_invalid_outline_brings_a_proposal_and_is_replaced_by_it_when_that_is_accepted(
    mixed: Path,
) -> None:
    fault = examine_file(mixed, Declared(), rule=RULE).faults[0]
    expected = propose_repair(canonical(BOW_TIE))
    assert (fault.row, fault.code) == (3, "geometry_invalid")
    assert fault.repair == expected and expected is not None
    again = examine_file(mixed, Declared(repairs={3: expected.sha256}), rule=RULE)
    assert 3 not in [one.row for one in again.faults]
    assert again.repaired == {3: expected}
    assert again.numbers == [1, 2, 3, 4, 6]
    assert again.wkb[2] == to_wkb(expected.geometry)
    assert again.areas_cm2[2] == round(area_m2(expected.geometry) * 10_000)
    assert again.cells[2].tolist() == cells(expected.geometry)
    assert again.source_wkb[2] == to_wkb(BOW_TIE), "what was drawn stays as it was drawn"
    assert (3, 1) in [(later, earlier) for later, earlier, _ in again.overlaps]
    other = examine_file(mixed, Declared(repairs={3: "0" * 64, 99: expected.sha256}), rule=RULE)
    assert other.faults[0].repair == expected and not other.repaired


def test_an_outline_without_a_way_out_says_why(tmp_path: Path) -> None:
    """A scribble, a line to and fro, a knot in a ring of too many points, and one that can be mended."""
    rng = np.random.default_rng(1)
    scribble = Polygon(rng.uniform(0, 0.01, (200, 2)) + np.array([X, Y]))
    line = Polygon([(X, Y), (X + 0.002, Y), (X + 0.001, Y)])
    turn = np.linspace(0, 6.2, 2_500)
    ring = np.column_stack([X + 0.01 * np.cos(turn), Y + 0.01 * np.sin(turn)])
    knot = Polygon([*ring, (X + 0.02, Y - 0.001), (X + 0.021, Y), (X + 0.02, Y), (X + 0.021, Y - 0.001)])
    file = written(tmp_path / "bad.geojson", [scribble, line, knot, BOW_TIE])
    faults = examine_file(file, Declared(), rule=None).faults
    assert [(one.code, one.facts.get("why")) for one in faults] == [
        ("geometry_beyond_repair", "too_many_crossings"),
        ("geometry_beyond_repair", "nothing_left"),
        ("geometry_beyond_repair", "too_many_vertices"),
        ("geometry_invalid", None),
    ]
    assert [one.repair is not None for one in faults] == [False, False, False, True]


def test_what_the_uploader_declares_is_done_to_every_row(tmp_path: Path) -> None:
    shapes = [stand(X + k / 100, Y, 0.002, k) for k in range(3)]
    straight = examine_file(written(tmp_path / "a.geojson", shapes), Declared(), rule=None)
    exchanged = written(tmp_path / "b.geojson", [swapped_axes(shape) for shape in shapes])
    assert examine_file(exchanged, Declared(swapped=True), rule=None).wkb == straight.wkb
    assert {one.code for one in examine_file(exchanged, Declared(), rule=None).faults} == {"axes_swapped"}
    shifted = written(tmp_path / "c.geojson", [from_wgs84(shape, Datum.GCJ02) for shape in shapes])
    moved = examine_file(shifted, Declared(datum=Datum.GCJ02), rule=None)
    away = shapely.hausdorff_distance(shapely.from_wkb(moved.wkb), shapely.from_wkb(straight.wkb))
    assert moved.datum is Datum.GCJ02 and float(np.max(away)) < 2e-8
    metres = written(tmp_path / "d.geojson", [from_store(shapes[0], "EPSG:4549")], "EPSG:4549")
    assert examine_file(metres, Declared(), rule=None).crs == "EPSG:4549"
    with pytest.raises(DatumConflict):
        examine_file(metres, Declared(datum=Datum.BD09), rule=None)
    with pytest.raises(CrsConflict):
        examine_file(metres, Declared(crs=4490), rule=None)


def test_a_file_that_is_none_is_refused_with_the_readers_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.geojson"
    broken.write_text('{"type": "FeatureCollection"')
    with pytest.raises(NotGeoJson):
        examine_file(broken, Declared(), rule=RULE)
    with pytest.raises(FileUnreadable):
        examine_file(tmp_path / "absent.geojson", Declared(), rule=RULE)
    empty = examine_file(written(tmp_path / "empty.geojson", []), Declared(), rule=RULE)
    assert (empty.count, empty.numbers, empty.wkb, empty.faults, empty.overlaps) == (0, [], [], [], [])
    assert empty.attributes == [] and empty.bounds.shape == (0, 4)


def test_rows_with_different_attributes_keep_each_its_own(tmp_path: Path) -> None:
    path = written(tmp_path / "a.geojson", [box(X, Y, X + 0.001, Y + 0.001)] * 2)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["features"][1]["properties"] = {"号": 2**40, "字": "𠮷"}
    path.write_text(json.dumps(document))
    found = examine_file(path, Declared(), rule=None)
    assert found.attributes == [{"小班": "1", "亩": 0.5}, {"号": 2**40, "字": "𠮷"}]


# --- what a file may cost -----------------------------------------------------------------------------------


def comb(x: float, y: float, teeth: int, *, upright: bool) -> Polygon:
    """A valid outline that runs forth and back: two of them, across each other, meet at teeth squared
    places.
    """
    along = np.repeat(np.arange(teeth) * 1e-6, 4)[:, None]
    out = np.tile(np.array([0.0, 0.01, 0.01, 0.0]), teeth)[:, None]
    step = np.tile(np.array([0.0, 0.0, 4e-7, 4e-7]), teeth)[:, None]
    points = np.hstack([along + step, out])
    points = np.vstack([points, [[teeth * 1e-6, -0.001], [0.0, -0.001]]])
    return Polygon((points if upright else points[:, ::-1]) + np.array([x, y]))


def test_the_same_parcel_many_times_over_is_refused_before_it_is_compared(tmp_path: Path) -> None:
    outlines = [stand(X, Y, 0.01, 1)] * 3_000
    with pytest.raises(TooMuchOverlap):
        pairs.among(outlines, RULE, pairs.Limits(judged=100_000))
    left = pairs.Limits()
    pairs.among(outlines[:20], RULE, left)
    assert left.judged == pairs.MAX_JUDGED_VERTICES - 190 * (2 * 38 + pairs.PAIR_VERTICES)


@pytest.mark.slow
def test_large_outlines_across_each_other_end_within_the_limits_of_the_child(tmp_path: Path) -> None:
    teeth = MAX_VERTICES // 4 - 10
    rows = [comb(X, Y, teeth, upright=True), comb(X, Y, teeth, upright=False)]
    path = written(tmp_path / "combs.geojson", rows)
    limits = Limits(seconds=10, memory_mib=2048)
    with pytest.raises((ReaderStopped, TooManyCrossings)):
        examine_file(path, Declared(), rule=RULE, limits=limits)


def test_a_child_that_takes_too_long_or_too_much_is_stopped(tmp_path: Path) -> None:
    rows = [comb(X + 0.1 * n, Y, 20_000, upright=True) for n in range(10)]
    path = written(tmp_path / "combs.geojson", rows)
    with pytest.raises(ReaderStopped) as refused:
        examine_file(path, Declared(), rule=RULE, limits=Limits(seconds=1))
    assert refused.value.facts["reason"] == "time"
    with pytest.raises(ReaderStopped) as refused:
        examine_file(path, Declared(), rule=RULE, limits=Limits(memory_mib=150))
    assert refused.value.facts["reason"] in ("memory", "died")


# --- overlaps of many ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def register() -> list[Any]:
    """Neighbours as a cadastre has them, some drawn again a little wider, some moved, some inside others."""
    metres = world.outlines(600, seed=7)
    metres = np.concatenate([metres, world.grown(metres[:60], 0.2), world.moved(metres[60:90], 30.0)])
    found = batch.record(list(metres), f"EPSG:{world.EPSG}")
    assert not found.refused
    inside = [
        shapely.buffer(outline, -0.0002).representative_point().buffer(0.0001)
        for outline in found.outlines[:20]
    ]
    return [*found.outlines, *(canonical(one) for one in inside)]


def test_overlaps_found_at_once_are_those_found_one_by_one(
    register: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = shapely.STRtree(register)
    later, earlier = tree.query(register, predicate="intersects")
    expected = [
        (int(a), int(b), overlap(register[a], register[b], RULE))
        for a, b in sorted(zip(later, earlier, strict=True))
        if b < a
    ]
    kinds = {kind: sum(one.kind is kind for _, _, one in expected) for kind in OverlapKind}
    assert min(kinds.values()) > 20, "there is something of each kind"
    real = [one for one in expected if one[2].kind is not OverlapKind.NONE]
    for worth in (0, 10**9):  # with the bound taken first, and without
        monkeypatch.setattr(pairs, "_WORTH_SCREENING", worth)
        assert pairs.among(register, RULE) == real
        monkeypatch.setattr(pairs, "_PAIRS_AT_ONCE", 100)
    assert pairs.between(register[600:], register[:600], RULE) == [
        (later - 600, earlier, one) for later, earlier, one in real if earlier < 600 <= later
    ]
    one, other = (
        [register[at] for at in side] for side in zip(*[(a, b) for a, b, _ in expected], strict=True)
    )
    assert pairs.overlaps(one, other, RULE) == [shared for _, _, shared in expected]


def test_a_rule_that_ignores_nothing_is_kept(register: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rule = OverlapRule("strict", 0.0, 0.25, 0.01)
    monkeypatch.setattr(pairs, "_WORTH_SCREENING", 0)
    some = register[:40] + register[600:640]
    expected = {
        (a, b)
        for a in range(len(some))
        for b in range(a)
        if overlap(some[a], some[b], rule).kind is not OverlapKind.NONE
    }
    assert {(a, b) for a, b, _ in pairs.among(some, rule)} == expected


def test_nothing_shares_nothing() -> None:
    assert pairs.among([], RULE) == [] == pairs.between([], [box(0, 0, 1, 1)], RULE)
    assert pairs.between([box(0, 0, 1, 1)], [], RULE) == []
    assert pairs.overlaps([], [], RULE) == []


@given(st.lists(land(), min_size=2, max_size=2), st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_the_bound_on_what_two_outlines_share_is_never_below_it(
    outlines: list[Any], east: float, north: float
) -> None:
    """Two outlines anywhere on each other: a bound that were too low would let ground be claimed twice."""
    first = canonical(outlines[0])
    west, south, right, top = first.bounds
    x, y = outlines[1].bounds[:2]
    step = (west - x + east * (right - west), south - y + north * (top - south))
    second = canonical(shapely.transform(outlines[1], lambda xy: xy + step))
    shared = overlap(first, second, RULE)
    ones, others = (pairs._Ground.of([shape]) for shape in (first, second))
    none = np.zeros(1, dtype=np.int64)
    for least in (shared.area_m2 * 0.9, shared.area_m2 * 0.3, RULE.none_at_most_m2):
        rule = OverlapRule("r", least, 0.25, 0.01)
        little = pairs._screened(ones, others, none, none, rule)
        assert not (little[0] and shared.area_m2 > least)


def test_rows_without_any_attribute_are_rows(tmp_path: Path) -> None:
    features = [{"type": "Feature", "properties": {}, "geometry": mapping(degrees_box(X, Y, 100, 100))}] * 2
    path = tmp_path / "bare.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    found = examine_file(path, Declared(), rule=None)
    assert (found.count, found.attributes, found.numbers) == (2, [{}, {}], [1, 2])


def test_rows_without_any_attribute_are_rows_all_the_same(tmp_path: Path) -> None:
    path = written(tmp_path / "a.geojson", [degrees_box(X, Y, 100, 100), degrees_box(X + 0.01, Y, 100, 100)])
    document = json.loads(path.read_text(encoding="utf-8"))
    for feature in document["features"]:
        feature["properties"] = {}
    path.write_text(json.dumps(document))
    found = examine_file(path, Declared(), rule=None)
    assert found.attributes == [{}, {}] and found.count == len(found.numbers) == 2


def test_an_examination_is_given_up_where_its_answer_is_not_wanted_any_more(mixed: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(ReaderStopped) as refusal:
        examine_file(mixed, Declared(), rule=RULE, stop=stop)
    assert refusal.value.facts["reason"] == "given_up"
