"""Every point at which the power can go while a batch is written: what was answered is there, once."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger.errors import LedgerRefusal
from ledger.log import LogCorrupt
from registry.anchor import DatabaseBehind
from registry.errors import RegistryRefusal
from registry.installation import Installation
from registry.settings import Home
from tests.reliability.acting import Ground, grow
from tests.reliability.calls import Call, record
from tests.reliability.conftest import Grounds
from tests.reliability.disk import Disk, Image
from tests.reliability.figures import Figures
from tests.reliability.judging import Verdict, judge
from tests.reliability.loading import Said
from tests.reliability.nursery import Nursery, heard

WAL = "tanhui.db-wal"
EACH = 10
"""One image of so many is also audited; in a short run only these are given to Go."""


@dataclass(slots=True)
class Recorded:
    """A process that wrote some groups, and the home as it was before it began."""

    ground: Ground
    before: Path
    calls: list[Call]
    said: Path


def recorded(nursery: Nursery, strace: str, grounds: Grounds, groups: list[int], size: int = 0) -> Recorded:
    ground = grounds()
    grow(ground.home, size)
    before = ground.home.path.parent / "before"
    shutil.copytree(ground.home.path, before)
    child = nursery.start(ground, ground.home.path.parent, groups=groups, gated=True)
    calls = record(strace, child, ground.home.path.parent / "trace")
    return Recorded(ground, before, calls, child.said)


@dataclass(slots=True)
class Point:
    """What a start finds, and what had been said to clients by then."""

    image: Image
    said: Said
    after: str


def points(run: Recorded, *, mixed: bool) -> Iterator[list[Point]]:
    """For each call that touched the home, what the power may leave right after it (or in its midst)."""
    disk, lines = Disk(run.before, below=run.ground.home.path), list[str]()
    for call in run.calls:
        if call.path == str(run.said) and call.name == "write":
            lines.append(call.texts[0].decode())
        elif disk.follow(call):
            said = Said().hear(lines)
            yield [Point(image, said, call.name) for image in disk.crashes(mixed=mixed)]


def distinct(run: Recorded, *, mixed: bool) -> tuple[list[Point], Counter[str]]:
    """One point for each different image, the one by which most had been answered; and the calls by name."""
    found: dict[bytes, Point] = {}
    calls: Counter[str] = Counter()
    for together in points(run, mixed=mixed):
        calls[together[0].after] += 1
        for point in together:
            found[point.image.digest()] = point
    return list(found.values()), calls


def judge_all(run: Recorded, found: Sequence[Point], go: Path, verdict: Verdict, *, thorough: bool) -> None:
    for number, point in enumerate(found):
        folder = run.ground.home.path.parent / f"point{number}"
        home = Home.at(folder / "home")
        home.path.mkdir(parents=True)
        point.image.write_to(home.path)
        whole = number % EACH == 0
        try:
            ground = replace(run.ground, home=home)
            judge(ground, point.said, verdict, go=go if thorough or whole else None, audited=whole)
        except BaseException as failure:
            failure.add_note(f"the power went after {point.after}, image {number} of {len(found)}")
            raise
        shutil.rmtree(folder)


def campaign(run: Recorded, go: Path, figures: Figures, name: str, *, thorough: bool) -> None:
    found, calls = distinct(run, mixed=thorough)
    verdict = Verdict()
    judge_all(run, found, go, verdict, thorough=thorough)
    figures.tell(
        name,
        crash_points=calls.total(),
        writes=calls["pwrite64"] + calls["write"],
        syncs=calls["fsync"] + calls["fdatasync"],
        names_and_lengths=sum(
            calls[name] for name in ("openat", "ftruncate", "rename", "unlink", "mkdir", "rmdir")
        ),
        different_images=len(found),
        judged=verdict.rounds,
        audits=verdict.audited,
        acknowledged=verdict.acknowledged,
        lost=verdict.lost,
        doubled=verdict.doubled,
    )
    assert verdict.rounds == len(found)
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.acknowledged > 0


@pytest.mark.slow
def test_the_power_may_go_at_every_point_of_one_act(
    nursery: Nursery, strace: str, on_sqlite: Grounds, go_oracle: Path, figures: Figures
) -> None:
    """From the start of a process to its end: its act, its tiles and checkpoint, the folding of the WAL."""
    run = recorded(nursery, strace, on_sqlite, [1])
    campaign(run, go_oracle, figures, "crash points of one act", thorough=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "groups"),
    [("crash points of one act", 0, [1]), ("crash points across a tile", 252, [1, 8])],
    ids=["one act", "across a tile"],
)
def test_the_power_may_go_at_every_point_and_keep_any_part(
    nursery: Nursery, strace: str, on_sqlite: Grounds, go_oracle: Path, figures: Figures,
    name: str, size: int, groups: list[int],
) -> None:  # fmt: skip
    run = recorded(nursery, strace, on_sqlite, groups, size)
    campaign(run, go_oracle, figures, name, thorough=True)


# ---- files that are damaged though they were synced --------------------------------------------------------


def damaged(ground: Ground, name: str, data: bytes, folder: Path) -> Ground:
    """The home with other bytes in one of its files."""
    shutil.copytree(ground.home.path, folder / "home")
    (folder / "home" / name).write_bytes(data)
    return replace(ground, home=Home.at(folder / "home"))


def refuses_to_start(ground: Ground) -> bool:
    """The home is not opened, and says why: it is behind what was public, or it is damaged."""
    try:
        Installation.open(ground.home).close()
    except (DatabaseBehind, LogCorrupt, sa.exc.DatabaseError):
        return True
    return False


def test_a_wal_that_lost_its_end_or_has_zeros_there_is_a_state_that_was_or_is_refused(
    nursery: Nursery, on_sqlite: Grounds, go_oracle: Path, figures: Figures, tmp_path: Path
) -> None:
    """Synced bytes are gone: no protocol brings them back, but nothing is signed beside what was public."""
    ground = on_sqlite()
    child = nursery.start(ground, ground.home.path.parent)
    child.await_lines(100)
    child.kill()
    said, wal = heard(child), (ground.home.path / WAL).read_bytes()
    verdict, refused = Verdict(), 0
    for number, end in enumerate(range(0, len(wal), max(len(wal) // 15, 1) | 1)):
        for tail in (b"", bytes(len(wal) - end)):
            folder = tmp_path / f"damaged{number}-{len(tail)}"
            folder.mkdir()
            spoiled = damaged(ground, WAL, wal[:end] + tail, folder)
            public = (spoiled.home.log / "checkpoint").read_bytes()
            try:
                judge(spoiled, said, verdict, go=go_oracle if number % EACH == 0 else None, audited=False)
            except (AssertionError, LedgerRefusal, RegistryRefusal, sa.exc.DatabaseError) as failure:
                failure.add_note(f"the WAL of {len(wal)} bytes ended at {end}, then {len(tail)} zeros")
                if not refuses_to_start(spoiled):
                    raise
                assert (spoiled.home.log / "checkpoint").read_bytes() == public
                refused += 1
            shutil.rmtree(folder)
    figures.tell("damaged WAL", images=verdict.rounds + refused, started=verdict.rounds, refused=refused)
    assert refused > 0
