"""What is timed of land is checked: the made-up parcels are clean, and a wrong import has no figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from benchmarks.land import import_once, imports, world
from benchmarks.land.files import columns, write, written
from benchmarks.land.register import fill
from benchmarks.land.register import world as registered_world
from benchmarks.ledger.rounds import ResultWrong
from geo.examine import Declared, examine_file
from geo.polygon import OverlapKind, OverlapRule


def test_the_made_up_parcels_touch_and_never_overlap() -> None:
    some = world.outlines(900, seed=3)
    assert shapely.is_valid(some).all()
    assert (world.outlines(900, seed=3) == some).all(), "the same seed gives the same land"
    later, earlier = shapely.STRtree(some).query(some, predicate="intersects")
    pairs = later < earlier
    assert pairs.sum() > 2 * len(some), "they have neighbours"
    assert shapely.area(shapely.intersection(some[later[pairs]], some[earlier[pairs]])).max() == 0.0
    assert np.array_equal(shapely.get_coordinates(some), np.round(shapely.get_coordinates(some), 3))
    two_parts = (shapely.get_type_id(some) == 6).mean()
    with_hole = np.array([len(part.interiors) > 0 for part in shapely.get_parts(some)]).mean()
    assert abs(two_parts - world.TWO_PART_SHARE) < 0.01 and 0.02 < with_hole < 0.06


def test_planted_overlaps_are_found_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "PLANTED", (300, 10))
    found = imports.check_planted(tmp_path)
    assert found["planted"] == 20 <= found["refused"] and found["slivers"] > 10
    monkeypatch.setattr(imports, "moved", lambda some, _: world.moved(some, 200_000.0))
    with pytest.raises(ResultWrong):
        imports.check_planted(tmp_path)


def test_a_border_drawn_by_somebody_else_is_a_sliver(tmp_path: Path) -> None:
    some = world.outlines(40, seed=9)
    file = np.concatenate([some[1:], world.grown(some[:1], 0.2)])
    path = tmp_path / "grown.zip"
    write(path, file, columns(40, np.full(40, 10_000)))
    found = examine_file(path, Declared(), rule=OverlapRule())
    assert found.attributes[0]["县"] == "330802" and found.encoding == "gb18030"
    assert {one.kind for _, _, one in found.overlaps} <= {OverlapKind.SLIVER}


def test_an_import_is_timed_by_step_and_a_remark_on_it_has_no_figures(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 60
    fill(database_url, registered_world(size, size), claims=False)
    rows = world.outlines(2 * size)[size:]
    path = written(tmp_path / "file.zip", rows)
    for module, name in import_once.TIMED:
        monkeypatch.setattr(module, name, getattr(module, name))  # taken back at the end
    figures: dict[str, Any] = import_once.main(database_url, path, size, tmp_path)
    assert set(figures["steps_s"]) == {*import_once.STEPS, "rest"}
    assert figures["whole_s"] == pytest.approx(sum(figures["steps_s"].values()), rel=0.01)
    assert all(seconds >= 0 for seconds in figures["steps_s"].values())
    again = written(tmp_path / "on-others.zip", world.outlines(2 * size)[size - 1 : -1])
    with pytest.raises(ResultWrong, match="said: "):
        import_once.main(database_url, again, size, tmp_path)


def test_the_table_says_must_aim_and_missed() -> None:
    def one(seconds: float) -> dict[str, float]:
        return {"min": seconds, "median": seconds, "max": seconds}

    def run(seconds: float) -> dict[str, Any]:
        steps = {step: one(1.0) for step in (*import_once.STEPS, "rest")}
        other = {name: one(1.0) for name in ("cpu_s", "peak_mib", "child_peak_mib")}
        return {"whole_s": one(seconds), "steps_s": steps, **other}

    planted = {"rows": 1, "planted": 1, "refused": 1, "slivers": 1}
    for seconds, met in ((5.9, "aim"), (9.9, "must"), (10.1, "**missed**")):
        figures = {
            "planted": planted,
            "imports": {"100000": {"databases": {"SQLite": run(seconds), "PostgreSQL": run(99.0)}}},
            "service": {"parcels": 172, "whole_s": one(3.0), "steps_s": {"import": one(1.0)}},
        }
        text = imports.table(figures, "about")
        assert f"| import of 100,000 parcels, SQLite | 10 s | 6 s | {seconds:.2f} s |" in text
        assert f"| {met} |" in text.split("SQLite | 10 s")[1].splitlines()[0]
        assert "| overlaps among them | 1.00 | 1.00 |" in text
