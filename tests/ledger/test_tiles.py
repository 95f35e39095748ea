"""The published files: the worked example, other readers, and what is public after any crash."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import tiles
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import LedgerRefusal, MalformedTile, MalformedTree, PublishRefused, TileMissing
from ledger.keys import SigningKey
from ledger.merkle import EMPTY_ROOT, Frontier, inclusion_proof, leaf_hash, verify_inclusion
from ledger.note import NoteSigner
from ledger.tiles import (
    TileDirectory,
    TilePath,
    decode_entry_bundle,
    encode_entry_bundle,
    parse_path,
    tile_path,
)

LOG = NoteSigner("ledger.example/carbon", SigningKey.from_seed(bytes(range(32))))


def entry(i: int) -> bytes:
    return b'{"amount_kg":%d,"seq":%d,"type":"demo"}' % (1000 + i, i)


def entries(start: int, end: int) -> list[bytes]:
    return [entry(i) for i in range(start, end)]


def root_of(leaves: Sequence[bytes]) -> bytes:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
    return frontier.root()


def note(size: int, root: bytes | None = None) -> bytes:
    head = Checkpoint(LOG.name, size, root or root_of(entries(0, size)))
    return sign_checkpoint(head, LOG)


def publish(directory: TileDirectory, old: int, new: int) -> None:
    root = directory.publish(entries, old, new)
    directory.write_checkpoint(note(new, root))


def files(path: Path) -> dict[str, bytes]:
    found = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in found}


# ---- paths and contents ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parsed"),
    [
        ("tile/0/000", TilePath(0, 0, 256)),
        ("tile/0/x001/x234/067", TilePath(0, 1234067, 256)),
        ("tile/1/x001/000", TilePath(1, 1000, 256)),
        ("tile/63/999.p/255", TilePath(63, 999, 255)),
        ("tile/entries/x273/001.p/1", TilePath(None, 273001, 1)),
    ],
)
def test_paths_are_those_of_the_specification(path: str, parsed: TilePath) -> None:
    assert parse_path(path) == parsed
    assert str(parsed) == path


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/X001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/entries/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/\u0660\u0660\u0660",
        "tile/data/000",
        "checkpoint",
        "",
        "tile/0/" + "x999/" * 30 + "000",
        "tile/0/" + "x999/" * 7 + "000",
    ],
)
def test_another_spelling_of_a_path_is_refused(path: str) -> None:
    with pytest.raises(MalformedTile):
        parse_path(path)


@given(st.none() | st.integers(0, 63), st.integers(0, 2**55), st.integers(1, 256))
def test_a_path_reads_back(level: int | None, n: int, width: int) -> None:
    parsed = TilePath(level, n, width)
    assert parse_path(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("level", "n", "width"), [(64, 0, 256), (-1, 0, 256), (0, -1, 256), (0, 0, 0), (0, 0, 257)]
)
def test_there_is_no_path_to_what_is_no_tile(level: int, n: int, width: int) -> None:
    with pytest.raises(MalformedTile):
        tile_path(level, n, width)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_a_bundle_reads_back(some: list[bytes]) -> None:
    data = encode_entry_bundle(some)
    assert decode_entry_bundle(data, len(some)) == some
    for wrong in (data + b"\0", data + b"\0\0", data[:-1], data[1:]):
        try:
            assert decode_entry_bundle(wrong, len(some)) != some
        except MalformedTile:
            continue


@given(st.binary(max_size=80), st.integers(1, 6))
def test_any_bytes_are_one_bundle_or_none(data: bytes, width: int) -> None:
    try:
        some = decode_entry_bundle(data, width)
    except MalformedTile:
        return
    assert encode_entry_bundle(some) == data


def test_a_bundle_has_1_to_256_entries_of_at_most_65535_bytes() -> None:
    for wrong in ([], [b""] * 257, [b"x" * 65_536]):
        with pytest.raises(MalformedTile):
            encode_entry_bundle(wrong)
    assert decode_entry_bundle(encode_entry_bundle([b"x" * 65_535] * 256)) == [b"x" * 65_535] * 256


# ---- the worked example ----------------------------------------------------------------------------------


def test_the_worked_example_to_the_byte(tmp_path: Path) -> None:
    publish(TileDirectory(tmp_path), 0, 3)
    lengths_and_entries = (
        "00287b22616d6f756e745f6b67223a313030302c22736571223a302c2274797065223a2264656d6f227d"
        "00287b22616d6f756e745f6b67223a313030312c22736571223a312c2274797065223a2264656d6f227d"
        "00287b22616d6f756e745f6b67223a313030322c22736571223a322c2274797065223a2264656d6f227d"
    )
    hashes = (
        "e51e2f15b353f8fc7738c61324cf4d49f9fbf561e4e3cd403c4c19da464617fe"
        "3e1ec412ccdfefb4dba0a7142c107df318a6a044aeef7217ae41dbfb9044b756"
        "5bc7ec6b94563630bb48999aeebcba1c4306d5bb8d9beef163663b1984cbef32"
    )
    assert files(tmp_path) == {
        "tile/entries/000.p/3": bytes.fromhex(lengths_and_entries),
        "tile/0/000.p/3": bytes.fromhex(hashes),
        "checkpoint": (
            "ledger.example/carbon\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n\n"
            "— ledger.example/carbon uZMUCmYQcQIeR3FsEIdumCbnSGCiAkOadTP6Ry3QHub+a2pbYO7aNmmKsFev3s"
            "XeliOeLwWUrHDrjLsdPEfWYiLBWAg=\n"
        ).encode(),
    }


def test_the_worked_example_at_300(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    for old, new in ((0, 1), (1, 2), (2, 256), (256, 300)):
        publish(directory, old, new)
    assert (tmp_path / "tile/1/000.p/1").read_bytes().hex() == (
        "bcadeb0139470f3b2096a4965254e102cb959dbb0766c4e15ce65c1a6fa8829f"
    )
    assert directory.root(2).hex() == "719b03cb6d6f4a630b6cb5e542359aeb491972895f43272772ba20fd5506289c"
    assert directory.root(300).hex() == "90a75a4f56cdc0e12092e75265ceee0b6e096d9d9fbdd33ef25bbd1b7623a2fa"
    assert set(files(tmp_path)) == {
        "checkpoint",
        *(f"tile/{kind}/{name}" for kind in ("0", "entries") for name in ("000", "001.p/44")),
        *(f"tile/{kind}/000.p/{width}" for kind in ("0", "entries") for width in (1, 2)),
        "tile/1/000.p/1",
    }


def test_a_log_of_70000_has_the_tiles_of_the_specification(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    root = directory.publish(entries, 0, 70_000)
    names = set(files(tmp_path))
    assert sum(name.startswith("tile/0/") and ".p" not in name for name in names) == 273
    assert sum(name.startswith("tile/entries/") and ".p" not in name for name in names) == 273
    assert {name for name in names if ".p" in name or name.startswith(("tile/1", "tile/2"))} == {
        "tile/0/273.p/112",
        "tile/entries/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }
    assert root == root_of(entries(0, 70_000))
    read = directory.nodes(70_000)
    for index in (0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999):
        proof = inclusion_proof(index, 70_000, read)
        verify_inclusion(index, 70_000, leaf_hash(entry(index)), proof, root)


# ---- reading ---------------------------------------------------------------------------------------------


def test_entries_and_old_roots_are_read_at_any_published_size(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    assert directory.published_size() == 0
    assert directory.checkpoint_bytes() is None
    assert directory.root(0) == EMPTY_ROOT
    assert list(directory.read_entries(0, 0)) == []
    sizes = [0, 1, 200, 256, 257, 511, 512, 700]
    for old, new in pairwise(sizes):
        publish(directory, old, new)
        assert directory.published_size() == new
    reader = TileDirectory(tmp_path)
    for size in sizes:
        assert reader.root(size) == root_of(entries(0, size))
    for start, end in ((0, 700), (0, 1), (255, 257), (256, 512), (699, 700), (300, 300)):
        assert list(reader.read_entries(start, end)) == entries(start, end)
    assert reader.node(0, 699) == leaf_hash(entry(699))
    assert reader.node(8, 1) == root_of(entries(256, 512))
    assert list(reader.read_entries(190, 200, 200)) == entries(190, 200)


def test_what_is_not_published_is_not_read(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    publish(directory, 0, 300)
    for start, end in ((0, 301), (-1, 3), (5, 4)):
        with pytest.raises(MalformedTree):
            directory.read_entries(start, end)
    for level, index in ((0, 300), (8, 1), (2, 75)):
        with pytest.raises(MalformedTree):
            directory.node(level, index)
    (tmp_path / "tile/entries/000").unlink()
    with pytest.raises(TileMissing):
        list(directory.read_entries(0, 10))
    (tmp_path / "tile/0/001.p/44").write_bytes(b"\0" * 43 * 32)
    with pytest.raises(MalformedTile):
        TileDirectory(tmp_path).root(300)


def test_another_reader_reads_the_log(tmp_path: Path) -> None:
    reason = "tlog-scales, the second opinion, is not installed"
    reader = pytest.importorskip("tlog_scales.reader", reason=reason)
    backend = pytest.importorskip("tlog_scales.backend", reason=reason)
    signing = pytest.importorskip("tlog_scales.signing", reason=reason)
    directory = TileDirectory(tmp_path)
    for old, new in ((0, 3), (3, 256), (256, 700)):
        publish(directory, old, new)
        theirs = reader.TilesReader(backend.LocalBackend(tmp_path))
        checkpoint = theirs.get_checkpoint()
        checkpoint.verify(signing.Vkey.from_string(LOG.vkey))
        assert theirs.calculate_root_hash() == checkpoint.root_hash == directory.root(new)
        for index in {0, 1, 2, new // 2, new - 1}:
            assert theirs.get_entry(index) == entry(index)
            proof = theirs.get_inclusion_proof(index, new)
            assert proof.node_hashes == inclusion_proof(index, new, directory.nodes(new))
            proof.check(leaf_hash(entry(index)), checkpoint.root_hash)
        theirs.get_consistency_proof(old, new) if old else None
    directory.prune_partials()
    theirs = reader.TilesReader(backend.LocalBackend(tmp_path))
    theirs.set_size(256)
    assert theirs.calculate_root_hash() == directory.root(256)


# ---- publishing ------------------------------------------------------------------------------------------


def test_publishing_again_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(TileDirectory(tmp_path), 0, 300)
    before = files(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda handle: pytest.fail("nothing is left to write"))
    for old in (0, 1, 256, 299, 300):
        publish(TileDirectory(tmp_path), old, 300)
    assert files(tmp_path) == before


def test_new_entries_may_come_as_a_list(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    directory.write_checkpoint(note(200, directory.publish(entries(0, 200), 0, 200)))
    directory.write_checkpoint(note(300, directory.publish(entries(200, 300), 200, 300)))
    assert directory.root(300) == root_of(entries(0, 300))
    with pytest.raises(PublishRefused):
        directory.publish(entries(300, 302), 300, 301)


def test_the_published_size_never_falls(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    publish(directory, 0, 300)
    before = files(tmp_path)
    with pytest.raises(PublishRefused):
        directory.publish(entries, 0, 299)
    with pytest.raises(PublishRefused):
        directory.write_checkpoint(note(299))
    with pytest.raises(PublishRefused):
        directory.publish(entries, 301, 300)
    assert files(tmp_path) == before


def test_a_fork_is_not_published(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    publish(directory, 0, 5)
    forked = [*entries(0, 4), b"another", entry(5)]
    with pytest.raises(PublishRefused):
        directory.publish(lambda start, end: forked[start:end], 4, 5)
    root = directory.publish(lambda start, end: forked[start:end], 5, 6)
    with pytest.raises(PublishRefused):
        directory.write_checkpoint(note(6, root))
    with pytest.raises(PublishRefused):
        directory.write_checkpoint(note(5, root_of(forked[:5])))
    assert directory.published_size() == 5
    with pytest.raises(PublishRefused):
        directory.publish(entries, 5, 6)
    directory.write_checkpoint(note(6, directory.publish(entries, 5, 6, repair=True)))


def test_a_checkpoint_that_the_tiles_do_not_give_is_not_published(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    root = directory.publish(entries, 0, 5)
    with pytest.raises(PublishRefused):
        directory.write_checkpoint(note(5, bytes(32)))
    with pytest.raises(LedgerRefusal):
        directory.write_checkpoint(note(6))
    other = NoteSigner("other.example/log", LOG.key)
    directory.write_checkpoint(note(5, root))
    with pytest.raises(PublishRefused):
        directory.write_checkpoint(sign_checkpoint(Checkpoint(other.name, 5, root), other))


def test_a_checkpoint_may_gain_a_signature(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    publish(directory, 0, 5)
    witness = NoteSigner("witness.example/w1", SigningKey.from_seed(bytes(32)))
    more = sign_checkpoint(Checkpoint(LOG.name, 5, directory.root(5)), [LOG, witness])
    directory.write_checkpoint(more)
    assert directory.checkpoint_bytes() == more


def test_missing_entries_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(PublishRefused):
        TileDirectory(tmp_path).publish(lambda start, end: entries(start, end)[:-1], 0, 5)


def test_lost_and_spoilt_files_are_made_again(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    publish(directory, 0, 700)
    before = files(tmp_path)
    (tmp_path / "tile/0/001").unlink()
    (tmp_path / "tile/entries/002.p/188").write_bytes(b"spoilt")
    (tmp_path / "tile/1/000.p/2").write_bytes(b"\0" * 64)
    fresh = TileDirectory(tmp_path)
    with pytest.raises(PublishRefused):
        fresh.publish(entries, 0, 700)
    assert fresh.publish(entries, 0, 700, repair=True) == root_of(entries(0, 700))
    assert files(tmp_path) == before


def test_partials_stay_until_the_full_tile_is_public(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    for old, new in ((0, 10), (10, 100), (100, 200)):
        publish(directory, old, new)
    assert directory.prune_partials() == 0
    root = directory.publish(entries, 200, 300)
    assert directory.prune_partials() == 0
    directory.write_checkpoint(note(300, root))
    assert directory.prune_partials() == 6
    assert directory.prune_partials() == 0
    for size in (10, 100, 200, 300):
        assert TileDirectory(tmp_path).root(size) == root_of(entries(0, size))
    assert list(directory.read_entries(5, 10, 10)) == entries(5, 10)
    assert (tmp_path / "tile/0/001.p/44").is_file()


# ---- crashes ---------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone."""


def crash_at(monkeypatch: pytest.MonkeyPatch, point: int) -> Callable[[], int]:
    """Stop before the operation on the disk with this number; returns a count of those that were seen."""
    seen = 0

    def counted(operation: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object) -> object:
            nonlocal seen
            seen += 1
            if seen == point:
                raise Crash
            return operation(*arguments)

        return step

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "mkdir", lambda self, **options: counted(os.mkdir)(self))
    return lambda: seen


def check_public(path: Path, sizes: set[int]) -> None:
    """What a stranger sees is whole: a checkpoint of a published size, and every file it needs."""
    reader = TileDirectory(path)
    checkpoint = reader.published()
    size = checkpoint.size if checkpoint else 0
    assert size in sizes
    if checkpoint:
        assert reader.root(size) == checkpoint.root == root_of(entries(0, size))
    assert list(reader.read_entries(0, size)) == entries(0, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (3, 5), (250, 260), (0, 513)])
def test_after_a_crash_at_any_point_the_log_is_whole_and_publishing_goes_on(
    tmp_path: Path, old: int, new: int
) -> None:
    point, finished = 0, False
    while not finished:
        point += 1
        path = tmp_path / str(point)
        if old:
            publish(TileDirectory(path), 0, old)
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, point)
            try:
                publish(TileDirectory(path), old, new)
                finished = True
            except Crash:
                pass
        check_public(path, {new} if finished else {old, new})
        again = TileDirectory(path)
        publish(again, again.published_size(), new)
        check_public(path, {new})
        assert not any((path / ".staging").iterdir())
    assert point >= 10


def test_every_file_is_synced_before_it_has_its_name_and_its_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the first a power loss leaves an empty file, without the second none."""
    synced: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_sync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def record_replace(self: Path, target: Path) -> Path:
        assert synced[-1] == str(self)
        synced.append(f"renamed {target}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_replace)
    publish(TileDirectory(tmp_path), 0, 300)
    renames = [at for at, line in enumerate(synced) if line.startswith("renamed ")]
    assert len(renames) == 6
    for at in renames:
        assert synced[at + 1] == str(Path(synced[at].removeprefix("renamed ")).parent)
    assert synced[renames[-1]].endswith("checkpoint")


def test_what_a_crash_left_half_written_is_cleared(tmp_path: Path) -> None:
    publish(TileDirectory(tmp_path), 0, 3)
    (tmp_path / ".staging" / "checkpoint").write_bytes(b"half")
    publish(TileDirectory(tmp_path), 3, 4)
    assert not any((tmp_path / ".staging").iterdir())


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), OSError(5, "Input/output error")])
def test_a_full_or_failing_disk_stops_publishing_and_keeps_what_is_public(
    tmp_path: Path, fault: OSError
) -> None:
    publish(TileDirectory(tmp_path), 0, 3)

    def fail(handle: int) -> None:
        raise fault

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match=fault.strerror):
            publish(TileDirectory(tmp_path), 3, 5)
    check_public(tmp_path, {3})
    publish(TileDirectory(tmp_path), 3, 5)
    check_public(tmp_path, {5})


# ---- several writers -------------------------------------------------------------------------------------


def test_threads_take_turns(tmp_path: Path) -> None:
    directories = [TileDirectory(tmp_path) for _ in range(3)]
    faults: list[BaseException] = []

    def work(directory: TileDirectory) -> None:
        try:
            for _ in range(15):
                with directory.publishing():
                    size = directory.published_size()
                    publish(directory, size, size + 7)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(directory,)) for directory in directories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    check_public(tmp_path, {3 * 15 * 7})


HOLDER = """
import sys
from ledger.tiles import TileDirectory
with TileDirectory(sys.argv[1]).publishing():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    root = Path(tiles.__file__).parent.parent
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_another_process_waits_and_a_dead_one_holds_nothing(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    done = threading.Event()

    def work() -> None:
        publish(TileDirectory(tmp_path), 0, 3)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert not done.wait(0.3)
    holder.kill()
    assert done.wait(20)
    thread.join()
    check_public(tmp_path, {3})
