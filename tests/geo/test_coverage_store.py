"""Shares are kept by parcel, and what is kept is what would be built: whatever was kept before, whoever was
killed, whatever happened to the files.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon

from geo.coverage import Coverage, cover_parcels
from geo.coverage_store import CoverageStore, grid_digest
from geo.crs import Polygonal
from geo.errors import CoverageNotClosed, CoverageUnreadable
from geo.kept import PARTIAL, Kept, keep, remove_abandoned
from geo.polygon import canonical, digest
from geo.raster import Grid
from tests.geo.shapes import stand

GRID = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 1_300, 1_100)
DEGREES = Grid("EPSG:4490", 118.80, 29.00, 0.0003, 0.00025, 700, 600)


def land(count: int) -> list[Polygonal]:
    rng = np.random.default_rng(5)
    places = rng.uniform((118.8, 28.9, 2e-4), (118.9, 29.0, 6e-3), (count, 3)).tolist()
    return [
        canonical(stand(x, y, s, n, hole=n % 3 == 0, parts=1 + n % 2)) for n, (x, y, s) in enumerate(places)
    ]


LAND = land(24)
KEYS = [digest(outline) for outline in LAND]


def same(one: Coverage, other: Coverage) -> bool:
    arrays = other.arrays()
    return one.grid == other.grid and all(
        a.dtype == arrays[name].dtype and np.array_equal(a, arrays[name]) for name, a in one.arrays().items()
    )


def asked(store: CoverageStore, rows: list[int], **how: Any) -> Coverage:
    return store.coverage([LAND[n] for n in rows], [KEYS[n] for n in rows], GRID, **how)


def anew(rows: list[int]) -> Coverage:
    return cover_parcels([LAND[n] for n in rows], GRID)


def never(_rows: object) -> list[Polygonal]:
    raise AssertionError("an outline was asked for that is kept")


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 23), max_size=12), st.sampled_from(["ask", "forget", "join"])))
)
@settings(max_examples=25, deadline=None)
def test_a_store_gives_what_would_be_built_whatever_was_kept_before(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[list[int], str]]
) -> None:
    """Asked for any parcels in any order and again, others forgotten, shards joined in between."""
    store = CoverageStore(tmp_path_factory.mktemp("store"))
    alive: set[int] = set()
    for rows, act in story:
        if act == "ask":
            assert same(asked(store, rows), anew(rows))
            alive |= set(rows)
        elif act == "forget":
            assert store.forget([KEYS[n] for n in rows]) >= len(alive & set(rows))
            alive -= set(rows)
        else:
            store.compact()
            assert store.facts().parcels == len(alive)
    kept = sorted(alive, reverse=True)
    assert same(store.coverage(never, [KEYS[n] for n in kept], GRID), anew(kept))
    assert store.damaged == []


def test_what_is_kept_is_not_built_again_and_needs_no_outlines(tmp_path: Path) -> None:
    store = CoverageStore(tmp_path)
    asked(store, [0, 1, 2])
    asked(store, [2, 3])
    wanted: list[list[int]] = []

    def outlines(rows: Any) -> list[Polygonal]:
        wanted.append(rows.tolist())
        return [LAND[n] for n in rows]

    found = store.coverage(outlines, KEYS[:6], GRID, workers=2)
    assert wanted == [[4, 5]]
    assert same(found, anew([0, 1, 2, 3, 4, 5]))
    assert store.facts().grids == 1
    assert store.facts().parcels == 6


def test_grids_are_kept_apart(tmp_path: Path) -> None:
    store = CoverageStore(tmp_path)
    asked(store, [0, 1])
    there = store.coverage(LAND[:2], KEYS[:2], DEGREES)
    assert same(there, cover_parcels(LAND[:2], DEGREES))
    assert store.facts().grids == 2
    moved = Grid(GRID.crs, GRID.x0 + 5, GRID.y0, GRID.dx, GRID.dy, GRID.width, GRID.height)
    assert len({grid_digest(grid) for grid in (GRID, DEGREES, moved)}) == 3


def shard(store: CoverageStore) -> Path:
    (found,) = (store.folder / grid_digest(GRID)).glob("*.shares")
    return found


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-77])


def flip(place: float) -> Callable[[Path], None]:
    def work(file: Path) -> None:
        data = bytearray(file.read_bytes())
        data[int(place * len(data))] ^= 1
        file.write_bytes(data)

    return work


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, empty, *(flip(place) for place in (0.0, 0.3, 0.6, 0.9, 0.9999))])
@pytest.mark.parametrize("rows", [list(range(12)), [7, 3]])
def test_a_damaged_shard_is_noticed_and_built_again(
    tmp_path: Path, damage: Callable[[Path], None], rows: list[int]
) -> None:
    """Whole or in part: no bit of a file is believed unseen."""
    store = CoverageStore(tmp_path)
    asked(store, list(range(12)))
    file = shard(store)
    damage(file)
    assert same(asked(store, rows), anew(rows))
    assert store.damaged == [file.name]
    assert not file.exists()
    assert same(store.coverage(never, [KEYS[n] for n in rows], GRID), anew(rows))


def test_a_damaged_list_of_the_forgotten_takes_its_shard_along(tmp_path: Path) -> None:
    store = CoverageStore(tmp_path)
    asked(store, [0, 1, 2])
    store.forget(KEYS[:1])
    (struck,) = (tmp_path / grid_digest(GRID)).glob("*.gone")
    flip(0.2)(struck)
    assert same(asked(store, [1, 2]), anew([1, 2]))
    assert not struck.exists()


def test_pages_that_are_not_read_are_not_looked_at(tmp_path: Path) -> None:
    """A few rows of a large file cost their own pages; damage elsewhere is somebody else's."""
    big = np.arange(1 << 19, dtype=np.int64)  # four pages
    keep(tmp_path / "big", {"what": "numbers"}, {"big": big, "none": np.zeros(0)})
    kept = Kept(tmp_path / "big")
    assert kept.facts == {"what": "numbers"}
    assert len(kept.array("none")) == 0
    assert np.array_equal(kept.array("big"), big)
    data = bytearray((tmp_path / "big").read_bytes())
    data[3 << 20] ^= 1
    (tmp_path / "big").write_bytes(data)
    kept = Kept(tmp_path / "big")
    kept.check_rows("big", np.array([5, 200_000]), np.array([9, 200_100]))
    with pytest.raises(CoverageUnreadable):
        kept.check_rows("big", np.array([5]), np.array([400_000]))
    with pytest.raises(CoverageUnreadable):
        kept.array("big")
    with pytest.raises(CoverageUnreadable):
        kept.array("other")


def test_kept_shares_are_held_against_a_fresh_computation(tmp_path: Path) -> None:
    """A shard whose digests are right and whose shares are not: somebody else's program wrote it."""
    store = CoverageStore(tmp_path)
    asked(store, list(range(12)))
    assert store.verify(LAND[:12], KEYS[:12], GRID, sample=5).wrong == ()
    file = shard(store)
    kept = Kept(file)
    arrays = {name: kept.array(name).copy() for name in kept._places}
    of_parcel_3 = np.flatnonzero(arrays["segment_parcel"] == 3)[0]
    arrays["cell_share"][arrays["segment_cells"][of_parcel_3]] *= np.float32(0.99)
    keep(file, kept.facts, arrays)
    found = store.verify(LAND[:12], KEYS[:12], GRID, sample=12)
    assert found.checked == 12
    assert found.wrong == (KEYS[3],)
    assert same(asked(store, list(range(12))), anew(list(range(12))))


def test_an_invalid_outline_is_named_by_its_place_and_nothing_is_kept(tmp_path: Path) -> None:
    tie = Polygon([(118.82, 28.92), (118.824, 28.924), (118.824, 28.92), (118.82, 28.9235)])
    store = CoverageStore(tmp_path)
    asked(store, [0])
    with pytest.raises(CoverageNotClosed) as refusal:
        store.coverage([LAND[0], LAND[1], tie], [KEYS[0], KEYS[1], "0" * 64], GRID)
    assert refusal.value.facts["parcel"] == 2
    assert store.facts().parcels == 1


def test_keys_and_outlines_belong_together(tmp_path: Path) -> None:
    store = CoverageStore(tmp_path)
    with pytest.raises(ValueError, match="2 outlines with 1 keys"):
        store.coverage(LAND[:2], KEYS[:1], GRID)
    with pytest.raises(ValueError, match="SHA-256"):
        store.coverage(LAND[:2], ["ab", "cd"], GRID)
    assert store.coverage([], [], GRID).parcels == 0


def test_many_small_shards_are_joined_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo.coverage_store._MANY_SHARDS", 4)
    store = CoverageStore(tmp_path)
    for n in range(12):
        asked(store, [n])
    assert store.facts().shards <= 5
    assert same(store.coverage(never, KEYS[:12], GRID), anew(list(range(12))))


def test_large_orders_are_kept_in_several_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo.coverage_store.MOST_PARCELS", 5)
    monkeypatch.setattr("geo.coverage_shards.MOST_PARCELS", 5)
    store = CoverageStore(tmp_path)
    rows = [*range(12), 3]
    assert same(asked(store, rows), anew(rows))
    assert store.facts().shards == 3
    store.compact()
    assert same(store.coverage(never, [KEYS[n] for n in rows], GRID), anew(rows))


def test_shares_that_only_another_version_could_use_are_removed(tmp_path: Path) -> None:
    store = CoverageStore(tmp_path)
    asked(store, [0])
    (tmp_path / grid_digest(GRID)).rename(tmp_path / "0123456789abcdef01234567")
    assert store.facts().parcels == 1
    store.compact()
    assert store.facts().parcels == 0


def test_of_what_is_not_kept_on_no_byte_stays_on_the_disk(tmp_path: Path) -> None:
    """On any grid, in any shard, struck out before or not, beside a damaged shard, or half written."""
    store = CoverageStore(tmp_path)
    asked(store, [0, 1, 2, 3])
    asked(store, [4, 5])
    store.coverage(LAND[1:3], KEYS[1:3], DEGREES)
    store.forget(KEYS[3:4])
    folder = tmp_path / grid_digest(GRID)
    (folder / f"a.shares.b{PARTIAL}").write_bytes(traces(anew([1]))[0])
    said = {n: [*traces(anew([n])), bytes.fromhex(KEYS[n])] for n in range(6)}
    assert all(on_disk(tmp_path, bytes_) for n in (0, 1, 2, 4, 5) for bytes_ in said[n])
    damaged = min(folder.glob("*.shares"))
    flip(0.5)(damaged)
    store.keep_only([KEYS[n] for n in (0, 4, 9)])
    for n in (1, 2, 3, 5):
        assert not any(on_disk(tmp_path, bytes_) for bytes_ in said[n])
    assert store.damaged == [damaged.name]
    assert same(asked(store, [0, 4]), anew([0, 4]))


def test_it_is_told_how_many_parcels_were_forgotten_with_the_others(tmp_path: Path) -> None:
    store = CoverageStore(tmp_path)
    asked(store, [0, 1, 2])
    store.coverage(LAND[:2], KEYS[:2], DEGREES)
    assert store.keep_only(KEYS[1:9]) == 2
    assert (store.facts().parcels, store.facts().grids) == (3, 2)
    assert same(store.coverage(never, KEYS[1:3], GRID), anew([1, 2]))
    assert store.keep_only(KEYS[1:9]) == 0
    assert store.keep_only([]) == 3
    assert store.facts().parcels == 0
    assert CoverageStore(tmp_path / "nowhere").keep_only([]) == 0


def traces(coverage: Coverage) -> list[bytes]:
    """What betrays the outline of a parcel: the shares of its edge cells, and its area."""
    return [coverage.cell_share.tobytes(), coverage.ground_m2.tobytes()]


def on_disk(folder: Path, sought: bytes) -> bool:
    return any(sought in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_file_half_written_is_removed_when_its_writer_is_dead_and_not_before(tmp_path: Path) -> None:
    left = tmp_path / f"0123.shares.ab{PARTIAL}"
    left.write_bytes(b"half a shard")
    with left.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_SH)
        remove_abandoned(tmp_path)
        assert left.exists()
    remove_abandoned(tmp_path)
    assert not left.exists()


def test_a_writer_locks_its_file_until_it_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        remove_abandoned(tmp_path)
        return moved(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    keep(tmp_path / "numbers", {}, {"n": np.arange(5)})
    assert Kept(tmp_path / "numbers").array("n").tolist() == [0, 1, 2, 3, 4]


# --- processes ----------------------------------------------------------------------------------------------

BUILDER = """
import sys
from pathlib import Path
from geo.coverage_store import CoverageStore
from tests.geo.test_coverage_store import GRID, KEYS, LAND
store = CoverageStore(sys.argv[1])
store.coverage(LAND[:2], KEYS[:2], GRID)
Path(sys.argv[2]).touch()
for turn in range(int(sys.argv[3])):
    for n in range(len(LAND)):
        store.coverage(LAND[: n + 1], KEYS[: n + 1], GRID)
    store.forget(KEYS[: 12 + turn % 5])
    store.compact()
print(store.damaged)
"""


def builder(folder: Path, ready: Path, turns: int) -> "subprocess.Popen[str]":
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", BUILDER, str(folder), str(ready), str(turns)]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env={**os.environ})


def test_a_writer_killed_at_any_moment_leaves_nothing_wrong(tmp_path: Path) -> None:
    """kill -9 while shards are written, struck out and joined; who comes next finds all or nothing."""
    ready = tmp_path / "ready"
    process = builder(tmp_path / "store", ready, 10_000)
    while not ready.exists():
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store = CoverageStore(tmp_path / "store")
    left = tmp_path / "store" / grid_digest(GRID) / f"0123.shares.ab{PARTIAL}"
    left.write_bytes(b"half a shard")
    assert same(asked(store, list(range(24))), anew(list(range(24))))
    store.compact()
    assert not left.exists()
    assert same(store.coverage(never, KEYS, GRID), anew(list(range(24))))
    assert store.damaged == []


def test_two_processes_build_forget_and_join_the_same_parcels(tmp_path: Path) -> None:
    both = [builder(tmp_path / "store", tmp_path / f"ready-{n}", 2) for n in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert output.strip() == "[]"
    store = CoverageStore(tmp_path / "store")
    assert same(asked(store, list(range(24))), anew(list(range(24))))


def test_digests_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    alike = [f"{'ab' * 8}{n:048x}" for n in (7, 3, 5)]
    store = CoverageStore(tmp_path)
    store.coverage(LAND[:2], alike[:2], GRID)
    found = store.coverage(lambda rows: [LAND[2] for _ in rows], [alike[2], alike[1], alike[0]], GRID)
    assert same(found, anew([2, 1, 0]))
