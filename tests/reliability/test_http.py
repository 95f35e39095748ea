"""The log over HTTP to a plain client: types, caching, partial tiles and then full ones, gzip, browsers."""

import gzip
import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ledger.client import HttpFiles, LogClient
from ledger.note import NoteVerifier
from ledger.tiles import entries_path, tile_path
from registry.installation import Installation
from registry.settings import Home
from registry.web.log import welcomes_gzip
from tests.registry.api.served import Served
from tests.reliability.acting import ORIGIN, grow
from tests.reliability.judging import vkey_of

NEARLY_FULL = 250
TYPE, CACHE, CODING = "content-type", "cache-control", "content-encoding"


@dataclass(slots=True)
class Answer:
    """What came back, as it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A log of 250 entries."""
    home = Home.at(tmp_path_factory.mktemp("http") / "home")
    Installation.create(home, ORIGIN).close()
    grow(home, NEARLY_FULL)
    served = Served.start(home.path, None)
    yield served
    served.stop()


def ask(served: Served, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(served.base.removeprefix("http://"), timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/log/{path}", headers=named)
    answer = connection.getresponse()
    found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    connection.close()
    return found


def file(served: Served, path: str) -> bytes:
    return (served.home / "log" / path).read_bytes()


def size_of(served: Served) -> int:
    return int(ask(served, "checkpoint").body.split(b"\n")[1])


def test_a_checkpoint_is_text_for_seconds_and_for_everybody(served: Served) -> None:
    answer = ask(served, "checkpoint")
    assert (answer.status, answer.body) == (200, file(served, "checkpoint"))
    assert answer.headers[TYPE] == "text/plain; charset=utf-8"
    seconds = int(answer.headers[CACHE].rpartition("max-age=")[2])
    assert seconds <= 5
    assert answer.headers["access-control-allow-origin"] == "*"
    assert CODING not in answer.headers


def test_tiles_and_bundles_are_bytes_for_ever_and_for_everybody(served: Served) -> None:
    size = size_of(served)
    for path in (tile_path(0, 0, min(size, 256)), entries_path(0, min(size, 256))):
        answer = ask(served, path)
        assert (answer.status, answer.body) == (200, file(served, path))
        assert answer.headers[TYPE] == "application/octet-stream"
        assert answer.headers[CACHE] == "public, max-age=31536000, immutable"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert int(answer.headers["content-length"]) == len(answer.body)
        head = ask(served, path, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]


def test_a_bundle_comes_as_gzip_to_whom_it_is_welcome(served: Served) -> None:
    path = entries_path(0, min(size_of(served), 256))
    plain = ask(served, path)
    small = ask(served, path, Accept_Encoding="deflate, gzip;q=0.8, br")
    assert CODING not in plain.headers
    assert small.headers[CODING] == "gzip"
    assert plain.headers["vary"] == small.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(small.body) == plain.body == file(served, path)
    assert len(small.body) < len(plain.body) * 0.7
    for name in (TYPE, CACHE, "access-control-allow-origin"):
        assert small.headers[name] == plain.headers[name]
    for unwelcome in ("identity", "gzip;q=0", "br, gzip; q=0.000", "deflate"):
        assert CODING not in ask(served, path, Accept_Encoding=unwelcome).headers


def test_hashes_are_never_packed(served: Served) -> None:
    answer = ask(served, tile_path(0, 0, min(size_of(served), 256)), Accept_Encoding="gzip")
    assert CODING not in answer.headers


@pytest.mark.parametrize(
    ("header", "welcome"),
    [
        ("", False), ("gzip", True), ("GZIP", True), ("x-gzip", True), ("*", True), ("*;q=0", False),
        ("gzip;q=0, *", False), ("gzip;q=0.1", True), ("gzip;q=0.0", False), ("br,gzip ; q=1.0", True),
        ("gzipped", False), (";;,=,q", False),
    ],
)  # fmt: skip
def test_a_weight_of_zero_is_no_welcome(header: str, welcome: bool) -> None:
    assert welcomes_gzip(header) == welcome


def test_what_is_not_published_is_not_there(served: Served) -> None:
    for path in (
        tile_path(0, 7),
        tile_path(0, 0, 3),
        entries_path(1, 1),
        "tile/0/0",
        "tile/00/000",
        "tile/8/x",
    ):
        answer = ask(served, path)
        assert answer.status == 404, path
        assert answer.headers[TYPE] == "application/problem+json"
        assert "immutable" not in answer.headers.get(CACHE, "")


def test_a_partial_tile_gives_way_to_the_full_one_while_readers_read(served: Served) -> None:
    partial = [tile_path(0, 0, NEARLY_FULL), entries_path(0, NEARLY_FULL)]
    before = [ask(served, path).body for path in partial]
    verifier = NoteVerifier.parse(vkey_of(Home.at(served.home)))
    client = LogClient(HttpFiles(f"{served.base}/log"), verifier)
    seen = client.verify().head
    assert seen.checkpoint.size == NEARLY_FULL

    grow(Home.at(served.home), 260)
    time.sleep(0.1)
    assert size_of(served) == 260
    assert [ask(served, path).status for path in partial] == [404, 404]
    full = [ask(served, path) for path in (tile_path(0, 0), entries_path(0))]
    assert [answer.status for answer in full] == [200, 200]
    assert all(answer.body.startswith(start) for answer, start in zip(full, before, strict=True))
    for path in (tile_path(1, 0, 1), tile_path(0, 1, 4), entries_path(1, 4)):
        assert ask(served, path).status == 200
    again = LogClient(HttpFiles(f"{served.base}/log"), verifier)
    assert again.verify(seen).since_size == NEARLY_FULL
