"""What is timed of estimation is right: a world from a seed, sums that are checked, and no figures when one
is wrong.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from benchmarks.ledger.rounds import ResultWrong
from benchmarks.measure import check, measure, once, report
from benchmarks.measure.measure import Case, measured
from benchmarks.measure.world import Extent, World, WorldDiffers, read_outlines, world

SMALL = Extent(pixels=1_200, counts=(60, 400), rasters=2)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory.mktemp("world"), SMALL)


def test_the_same_seed_gives_the_same_world(small: World, tmp_path: Path) -> None:
    again = world(tmp_path / "again", SMALL)
    assert again.digest == small.digest
    assert again.digest != world(tmp_path / "other", Extent(600, (20,), 1, seed=2)).digest
    assert not again.is_published
    outlines = small.metres(400)
    assert len(outlines) == 400 and shapely.is_valid(outlines).all()
    assert {one.wkb for one in small.metres(60)} <= {one.wkb for one in outlines}, "part of the larger one"
    recorded, keys = small.recorded(60)
    assert len(set(keys)) == len(recorded) == 60


def test_a_world_that_was_changed_is_not_measured(small: World, tmp_path: Path) -> None:
    made = world(tmp_path / "w", Extent(600, (20,), 1))
    (file,) = made.rasters(30, 1)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WorldDiffers, match="agb-30m"):
        world(tmp_path / "w", Extent(600, (20,), 1))
    with pytest.raises(WorldDiffers, match="another extent"):
        world(small.folder, Extent(600, (20,), 1))


@pytest.fixture(scope="module")
def figures(small: World) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_run", once.run)  # here: a process for each would be the slow part of it
        return measured(small, (Case(400, 10, 1, rounds=2, peer_rounds=1), Case(60, 30, 2, 1, 1)))


def test_a_method_runs_in_a_process_of_its_own(small: World, figures: dict[str, Any]) -> None:
    files = measure._prepared(small, Case(400, 10, 1))
    row = next(row for row in measure.ROWS if row.name == "repeat, 1")
    said = measure._run(files.task(row))
    assert said["sha256"] == figures["cases"][0]["runs"]["repeat, 1"][0]["sha256"]
    with pytest.raises(ResultWrong, match="read: "):
        measure._run(replace(files.task(measure.ROWS[0]), blocks="/nowhere.npy"))


def test_every_method_is_timed_and_its_sums_are_exact(small: World, figures: dict[str, Any]) -> None:
    case, lean = figures["cases"]
    assert {name: len(runs) for name, runs in case["runs"].items()} == {
        row.name: 1 if row.peer else 2 for row in measure.ROWS
    }
    assert set(lean["runs"]) == {row.name for row in measure.ROWS if row.workers == 2 or row.peer}
    assert all(run["wall_s"] > 0 and run["peak_mib"] > 0 for runs in case["runs"].values() for run in runs)
    assert case["checked"]["exact_parcels"] > 60
    assert 0 < case["checked"]["exact"] < 1e-7
    assert json.dumps(figures)


def test_the_table_shows_every_row_and_what_was_not_measured(figures: dict[str, Any]) -> None:
    text = report.table(figures, "about")
    assert "ANOTHER WORLD" in text and "60 parcels, 30 m, 2 rasters" in text
    assert all(f"| {report.NAMES[row.name]} |" in text for row in measure.ROWS)
    assert text.count("not measured in this run") == len(report.TARGETS)


def test_targets_are_judged_by_ratios_of_one_round() -> None:
    def runs(*walls: float) -> list[dict[str, float]]:
        one = {"cpu_s": 1.0, "peak_mib": 460.0, "store_bytes": 50_000 * 1024, "parcels": 50_000}
        return [{"wall_s": wall, **one} for wall in walls]

    case: dict[str, Any] = {
        "parcels": 50_000,
        "cell_m": 10,
        "rasters": 1,
        "checked": {"exact": 2e-8, "exact_parcels": 180, "closure": 2e-7},
        "runs": {
            "read, 2": runs(1.0, 2.0, 4.0),
            "repeat, 2": runs(1.2, 2.4, 4.8),
            "first, 2": runs(4.0, 4.0, 4.0),
            report.PEERS[0]: runs(36.0),
            report.PEERS[1]: runs(23.0),
        },
    }
    facts = {
        "digest": "0" * 64,
        "published": True,
        "vertices": 1,
        "median_ha": 1,
        "with_holes": 0,
        "in_two_parts": 0,
    }
    rows = {
        line.split(",")[0][2:]: line.split("|")[4:7]
        for line in report.table({"world": facts, "cases": [case]}, "about").splitlines()
        if line.startswith("| T") and "50,000 at 10 m" in line
    }
    said = {name: (middle.strip(), verdict.strip()) for name, (middle, _, verdict) in rows.items()}
    assert said["T1 repeat over the read bound"] == ("1.20 x", "must")
    assert said["T2 feature-sequential over repeat"] == ("30 x", "must")
    assert said["T2 raster-sequential over repeat"] == ("19 x", "**missed**")
    assert said["T3 the better over first estimate"] == ("5.75 x", "**missed**")
    assert said["T6 sums against exact intersections"][1] == "must"
    assert said["T6 closure of the shares"][1] == "**missed**"
    assert said["T7 kept shares of a parcel"] == ("1.00 KiB", "must")
    assert said["T7 peak memory of a repeat"] == ("460 MiB", "**missed**")


# ---- a wrong value has no figures --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["repeat", "first", "exactextract-feature"])
def test_a_wrong_sum_in_any_method_ends_the_measurement(
    small: World, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """One parcel's sum in one raster, wrong by a millionth; a plain time afterwards would be a lie."""

    def wrong(task: Any) -> dict[str, Any]:
        said = once.run(task)
        if task.method == method and task.keep is not None:
            sums = np.load(task.keep)
            sums[1, 17, 0] *= 1 + 1e-6
            np.save(task.keep, sums)
        return said

    monkeypatch.setattr(measure, "_run", wrong)
    chosen = ("repeat, 2", "first, 2", "exactextract by feature")
    rows = [row for row in measure.ROWS if row.name in chosen]
    with pytest.raises(ResultWrong, match="differ by 1"):
        measured(small, (Case(60, 10, 2, rounds=1, peer_rounds=1),), rows)


def test_exact_intersections_see_a_lost_hole_and_a_lost_part(small: World) -> None:
    moved = small.metres(400)
    some = check.of_every_kind(moved, 4)
    (raster,) = small.rasters(10, 1)
    right = check.exact(moved[some], raster)
    filled = moved[some].copy()
    holed = [n for n, one in enumerate(filled) if one.geom_type == "Polygon" and one.interiors]
    parted = [n for n, one in enumerate(filled) if one.geom_type == "MultiPolygon"]
    assert holed and parted
    filled[holed[0]] = shapely.Polygon(filled[holed[0]].exterior)
    filled[parted[0]] = filled[parted[0]].geoms[0]
    wrong = check.exact(filled, raster)
    for n in (holed[0], parted[0]):
        assert check.worst(right[None, [n]], wrong[None, [n]]) > 1e-3
    rest = [n for n in range(len(some)) if n not in (holed[0], parted[0])]
    assert check.worst(right[None, rest], wrong[None, rest]) == 0.0


def test_other_sums_in_a_later_round_are_noticed(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def moody(task: Any) -> dict[str, Any]:
        said = once.run(task)
        seen.append(task.method)
        if seen.count("repeat") == 3 and task.method == "repeat":  # one in each round, one with four workers
            said["sha256"] = "0" * 64
        return said

    monkeypatch.setattr(measure, "_run", moody)
    rows = [row for row in measure.ROWS if row.name in ("repeat, 2", "first, 2")]
    with pytest.raises(ResultWrong, match="another round"):
        measured(small, (Case(60, 10, 1, rounds=2, peer_rounds=0),), rows)


def test_a_file_of_outlines_gives_them_back(small: World, tmp_path: Path) -> None:
    from benchmarks.measure.world import write_outlines

    some = small.metres(60)
    write_outlines(tmp_path / "some.npz", some)
    assert (read_outlines(tmp_path / "some.npz") == some).all()


def test_a_ratio_to_a_rival_is_of_times_and_not_the_difference_of_its_sums() -> None:
    by_feature = next(one for one in report.TARGETS if one.name.startswith("T2 feature"))
    runs = {by_feature.of: [{"wall_s": 30.0}], by_feature.over: [{"wall_s": 1.0}]}
    assert report.values({"runs": runs, "checked": {by_feature.of: 3.5e-9}}, by_feature) == [30.0]
