"""A stranger reads a published log: what is whole verifies, and whatever was touched is named."""

import functools
import http.server
import itertools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.client import (
    FolderFiles,
    HttpFiles,
    IndexBeyondLog,
    LogAddressRefused,
    LogClient,
    LogWrong,
    files_at,
    read_head,
)
from ledger.keys import SigningKey
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.note import NoteSigner
from ledger.proof import TlogProof
from ledger.tiles import TileDirectory

LOG = NoteSigner("ledger.example/carbon", SigningKey.from_seed(bytes(range(0x20))))
STRANGER = NoteSigner("ledger.example/carbon", SigningKey.from_seed(bytes(range(0x20, 0x40))))
SIZES = (0, 3, 256, 520)


def entry(index: int, what: str = "demo") -> bytes:
    return f'{{"amount_kg":{1000 + index},"seq":{index},"type":"{what}"}}'.encode()


def publish(folder: Path, old: int, new: int, signer: NoteSigner = LOG, what: str = "demo") -> bytes:
    directory = TileDirectory(folder)
    root = directory.publish([entry(i, what) for i in range(old, new)], old, new)
    note = sign_checkpoint(Checkpoint(signer.name, new, root), signer)
    directory.write_checkpoint(note)
    return note


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, bytes]]:
    """A log published at several sizes, and the checkpoint of each."""
    folder = tmp_path_factory.mktemp("published")
    notes = {new: publish(folder, old, new) for old, new in itertools.pairwise(SIZES)}
    return folder, notes


@pytest.fixture
def folder(published: tuple[Path, dict[int, bytes]], tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(published[0], tmp_path / "log"))


def client(folder: Path, signer: NoteSigner = LOG) -> LogClient:
    return LogClient(FolderFiles(folder), signer.verifier)


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The folder behind a plain web server."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_a_whole_log_verifies_and_continues_every_checkpoint_that_was_public(
    published: tuple[Path, dict[int, bytes]],
) -> None:
    folder, notes = published
    for size, note in notes.items():
        seen: dict[int, bytes] = {}
        checked = client(folder).verify(read_head(note, LOG.verifier), seen.__setitem__)
        assert (checked.head.checkpoint.size, checked.since_size) == (520, size)
        assert (checked.bundles, checked.tiles) == (3, 4)
        assert seen == {i: entry(i) for i in range(520)}


def test_a_log_verifies_at_every_size(tmp_path: Path) -> None:
    for size in (0, 1, 2, 3, 255, 256, 257, 512):
        publish(tmp_path / str(size), 0, size)
        assert client(tmp_path / str(size)).verify().head.checkpoint.size == size


def test_the_same_over_http(address: str, published: tuple[Path, dict[int, bytes]]) -> None:
    since = read_head(published[1][3], LOG.verifier)
    checked = LogClient(files_at(address), LOG.verifier).verify(since)
    assert (checked.head.checkpoint.size, checked.since_size) == (520, 3)
    proof, found = LogClient(files_at(address), LOG.verifier).proof(300)
    assert found == entry(300)
    verify_inclusion(300, 520, leaf_hash(found), proof.hashes, checked.head.checkpoint.root)


def test_a_proof_of_every_entry_verifies_and_is_spelled_as_it_is_read(folder: Path) -> None:
    reader = client(folder)
    root = reader.head().checkpoint.root
    for index in range(0, 520, 7):
        proof, found = reader.proof(index)
        assert TlogProof.parse(proof.to_bytes()) == proof
        verify_inclusion(index, 520, leaf_hash(found), proof.hashes, root)
    with pytest.raises(IndexBeyondLog):
        reader.proof(520)


NEEDED = ("checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/8", "tile/1/000.p/2",
          "tile/entries/000", "tile/entries/001", "tile/entries/002.p/8")  # fmt: skip


@pytest.mark.parametrize("name", NEEDED)
def test_a_flipped_byte_anywhere_is_refused_at_its_place(folder: Path, name: str) -> None:
    file = folder / name
    whole = file.read_bytes()
    places = range(len(whole)) if name == "checkpoint" else range(0, len(whole), max(1, len(whole) // 12))
    for at in places:
        for bit in (0x01, 0x20) if name == "checkpoint" else (1 << at % 8,):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            with pytest.raises(LogWrong) as wrong:
                client(folder).verify()
            expected = {name, name.replace("entries", "0")}
            assert str(wrong.value.facts["place"]) in expected, (at, wrong.value)


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("spoil", ["missing", "empty", "short", "long", "huge"])
def test_a_file_that_is_not_whole_is_refused_at_its_place(folder: Path, name: str, spoil: str) -> None:
    file = folder / name
    whole = file.read_bytes()
    if spoil == "missing":
        file.unlink()
    else:
        huge = whole + bytes(17_000_000)
        file.write_bytes({"empty": b"", "short": whole[:-1], "long": whole + b"\0", "huge": huge}[spoil])
    with pytest.raises(LogWrong) as wrong:
        client(folder).verify()
    assert wrong.value.facts["place"] == name


def test_a_partial_tile_may_have_given_way_to_the_full_one(folder: Path) -> None:
    note = (folder / "checkpoint").read_bytes()
    publish(folder, 520, 768)
    shutil.rmtree(folder / "tile/0/002.p")
    shutil.rmtree(folder / "tile/entries/002.p")
    (folder / "checkpoint").write_bytes(note)
    assert client(folder).verify().head.checkpoint.size == 520


def test_another_key_of_the_same_name_is_refused(folder: Path) -> None:
    with pytest.raises(LogWrong) as wrong:
        client(folder, STRANGER).verify()
    assert wrong.value.facts["place"] == "checkpoint"


def test_a_fork_and_a_log_that_shrank_are_refused(
    published: tuple[Path, dict[int, bytes]], tmp_path: Path
) -> None:
    """Both are signed by the log's own key: only the saved checkpoint tells."""
    saved = read_head(published[1][256], LOG.verifier)
    publish(tmp_path / "fork", 0, 300, what="fork")
    publish(tmp_path / "shrunk", 0, 255)
    publish(tmp_path / "same", 0, 256, what="fork")
    for name in ("fork", "shrunk", "same"):
        assert client(tmp_path / name).verify().since_size is None
        with pytest.raises(LogWrong) as wrong:
            client(tmp_path / name).verify(saved)
        assert wrong.value.facts["place"] == "checkpoint"


@pytest.mark.parametrize(
    "address",
    ["ftp://a/log", "file:///etc", "http://", "http://a:x/", "http://a/?q", "http://a/ b", "absent"],
)
def test_what_names_no_log_is_refused(address: str) -> None:
    with pytest.raises(LogAddressRefused):
        files_at(address)


def test_a_server_that_answers_with_a_fault_is_not_a_missing_file(folder: Path) -> None:
    class Faulty(_Quiet):
        def do_GET(self) -> None:
            self.send_error(503)

    class Broken(_Quiet):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")

    class Nonsense(_Quiet):
        def do_GET(self) -> None:
            self.wfile.write(b"not http\r\n\r\n")

    for handler in (Faulty, Broken, Nonsense):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            with pytest.raises(OSError, match=r"503|broke off|not HTTP"):
                HttpFiles(f"http://127.0.0.1:{server.server_port}").read("checkpoint", 1000)
            server.shutdown()
            thread.join()


# ---- the second opinion ------------------------------------------------------------------------------------


def oracle(program: Path, folder: Path, *since: Path) -> subprocess.CompletedProcess[str]:
    line = [str(program), str(folder), LOG.vkey, *map(str, since)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_go_accepts_what_we_publish(go_oracle: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "since").write_bytes(publish(tmp_path / "before", 0, 256))
    answer = oracle(go_oracle, folder, tmp_path / "since")
    assert answer.returncode == 0, answer.stderr
    root = client(folder).head().checkpoint.text().split("\n")[2]
    assert answer.stdout.split() == ["520", root]


@pytest.mark.parametrize("name", NEEDED)
def test_what_go_refuses_we_refuse(go_oracle: Path, folder: Path, name: str) -> None:
    """A flipped bit in every file; our parser is stricter than Go's, never more lenient."""
    file = folder / name
    whole = file.read_bytes()
    refused = 0
    for at in range(0, len(whole), max(1, len(whole) // 12)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        theirs = oracle(go_oracle, folder).returncode
        refused += theirs != 0
        with pytest.raises(LogWrong):
            client(folder).verify()
    assert refused >= 11, "the oracle hardly refused anything: it judges nothing"


def test_go_refuses_a_fork_as_we_do(go_oracle: Path, tmp_path: Path) -> None:
    (tmp_path / "since").write_bytes(publish(tmp_path / "log", 0, 256))
    publish(tmp_path / "fork", 0, 300, what="fork")
    assert oracle(go_oracle, tmp_path / "fork").returncode == 0
    assert oracle(go_oracle, tmp_path / "fork", tmp_path / "since").returncode == 1
