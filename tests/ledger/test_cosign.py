"""Whoever asks witnesses keeps only what verifies, waits no longer than it said, and is not led astray."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ledger.cosign import Round, Witnesses
from ledger.keys import SigningKey
from ledger.merkle import consistency_proof
from ledger.note import Cosigner, NoteVerifier, parse_note, signature_line
from ledger.policy import MalformedPolicy, Policy
from ledger.witness import SIZE_TYPE
from tests.ledger.test_witness import FORK, TREE, WITNESS_VKEY, Tree, witness_at

KEY = SigningKey.from_seed(bytes(range(0x20, 0x40)))
Reply = tuple[int, str, bytes]


@contextmanager
def answering(reply: Callable[[bytes], Reply]) -> Iterator[str]:
    """A server that answers each body as it is told; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/prefix/add-checkpoint"
            status, kind, body = reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prefix"
        server.shutdown()
        thread.join()


def asking(*urls: str) -> Witnesses:
    """One witness of the worked example's key; further ones of other keys. All are needed."""
    keys = [WITNESS_VKEY, *(Cosigner(f"w{i}", SigningKey.generate(), 0).vkey for i in range(1, len(urls)))]
    lines = [f"witness w{i} {keys[i]} {url}" for i, url in enumerate(urls)]
    names = " ".join(f"w{i}" for i in range(len(urls)))
    return Witnesses(Policy.parse("\n".join([*lines, f"group all all {names}", "quorum all", ""]).encode()))


def cosign(witnesses: Witnesses, size: int, tree: Tree = TREE, budget_s: float = 5) -> Round:
    note = tree.note(size)
    return witnesses.cosign(note, lambda old: consistency_proof(old, size, tree.node), budget_s)


def line_of(body: bytes, key: SigningKey = KEY, name: str = "witness.example/w1") -> bytes:
    text = parse_note(body.partition(b"\n\n")[2]).text
    return str(signature_line(text, Cosigner(name, key, 1_700_000_000))).encode()


@pytest.fixture
def real(tmp_path: Path) -> Callable[[bytes], Reply]:
    """The answers of our own witness."""

    def reply(body: bytes) -> Reply:
        answer = witness_at(tmp_path / "seen.db").add_checkpoint(body)
        return answer.status.value, answer.content_type, answer.body

    return reply


def test_it_follows_a_witness_and_asks_with_the_size_that_it_remembers(
    real: Callable[[bytes], Reply],
) -> None:
    asked: list[bytes] = []

    def watched(body: bytes) -> Reply:
        asked.append(body.partition(b"\n")[0])
        return real(body)

    with answering(watched) as url:
        witnesses = asking(url)
        for size in (3, 7, 7, 12):
            got = cosign(witnesses, size)
            assert got.quorum and not got.missing
            assert parse_note(got.note).signatures[1].name == "witness.example/w1"
        assert asked == [b"old 0", b"old 3", b"old 7"], "the line for the same checkpoint was kept"
        assert cosign(asking(url), 20).quorum, "it learns the size that it does not remember"
        assert asked[3:] == [b"old 0", b"old 12"]


def test_a_lost_answer_is_asked_for_again(real: Callable[[bytes], Reply]) -> None:
    lost = [True]

    def reply(body: bytes) -> Reply:
        answer = real(body)
        return (500, "text/plain", b"") if lost and lost.pop() else answer

    with answering(reply) as url:
        witnesses = asking(url)
        assert not cosign(witnesses, 3).quorum
        assert cosign(witnesses, 5).quorum


@pytest.mark.parametrize(
    "reply",
    [
        lambda body: (200, "text/plain", b""),
        lambda body: (200, "text/plain", b"\n"),
        lambda body: (200, "text/plain", b"\xff"),
        lambda body: (200, "text/plain", line_of(body, SigningKey.generate())),
        lambda body: (200, "text/plain", line_of(body, KEY, "witness.example/w2")),
        lambda body: (200, "text/plain", line_of(body)[:-1]),
        lambda body: (200, "text/plain", line_of(TREE.request(0, 9))),
        lambda body: (200, "text/plain", line_of(body) * 2),
        lambda body: (200, "text/plain", b"x" * 200_000),
        lambda body: (200, "text/plain", b"other\n\n" + line_of(body)),
        lambda body: (302, "text/plain", b""),
        lambda body: (403, "text/plain", b""),
        lambda body: (404, "text/plain", b""),
        lambda body: (409, "text/plain", b"1\n"),
        lambda body: (409, SIZE_TYPE, b"one\n"),
        lambda body: (409, SIZE_TYPE, b"-1\n"),
        lambda body: (409, SIZE_TYPE, "１\n".encode()),
        lambda body: (409, SIZE_TYPE, b"9" * 30),
        lambda body: (409, SIZE_TYPE, b"2\n"),
        lambda body: (409, SIZE_TYPE, b"0\n"),
        lambda body: (422, "text/plain", b""),
        lambda body: (503, "text/plain", b""),
    ],
)
def test_whatever_is_no_cosignature_is_not_kept_and_is_no_contradiction(
    reply: Callable[[bytes], Reply],
) -> None:
    with answering(reply) as url:
        got = cosign(asking(url), 3)
    assert (got.quorum, got.contradictions, set(got.missing)) == (False, {}, {"w0"})
    assert got.note == TREE.note(3)


def test_further_lines_of_an_answer_are_ignored(real: Callable[[bytes], Reply]) -> None:
    def reply(body: bytes) -> Reply:
        status, kind, lines = real(body)
        return status, kind, lines and line_of(body, SigningKey.generate(), "other") + lines

    with answering(reply) as url:
        got = cosign(asking(url), 3)
    assert got.quorum and len(parse_note(got.note).signatures) == 2


def test_a_witness_that_has_seen_more_or_other_entries_contradicts(real: Callable[[bytes], Reply]) -> None:
    with answering(real) as url:
        assert cosign(asking(url), 9).quorum
        assert cosign(asking(url), 7).contradictions == {"w0": 9}, "it has seen more"
        assert cosign(asking(url), 9, FORK).contradictions == {"w0": 9}, "the same size, another root"
        assert cosign(asking(url), 20, FORK).contradictions == {"w0": 9}, "no proof leads there"
        assert cosign(asking(url), 20).quorum


def test_nobody_waits_for_a_silent_witness_longer_than_the_budget_and_it_gets_one_request(
    real: Callable[[bytes], Reply],
) -> None:
    asked, free = [], threading.Event()

    def silent(body: bytes) -> Reply:
        asked.append(body)
        free.wait(20)
        return 503, "text/plain", b""

    with answering(real) as good, answering(silent) as bad:
        witnesses = asking(good, bad)
        for size in (3, 4, 5):
            began = time.monotonic()
            got = cosign(witnesses, size, budget_s=0.2)
            assert time.monotonic() - began < 2
            assert (got.quorum, set(got.missing)) == (False, {"w1"})
            assert len(parse_note(got.note).signatures) == 2, "the other's line is there"
        assert len(asked) == 1
        free.set()


def test_a_kept_connection_that_was_closed_is_opened_again(real: Callable[[bytes], Reply]) -> None:
    with answering(real) as url:
        witnesses = asking(url)
        assert cosign(witnesses, 3).quorum
        connection = witnesses._clients[0]._connection
        assert connection is not None and connection.sock is not None
        connection.sock.shutdown(2)
        assert cosign(witnesses, 5).quorum


@pytest.mark.parametrize(
    "url", ["ftp://w.example", "w.example", "http://", "http://w.example:x", "http://[", "http://a?b"]
)
def test_an_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(MalformedPolicy):
        asking(url)


def test_a_witness_without_an_address_is_missing() -> None:
    policy = Policy.parse(f"witness w {WITNESS_VKEY}\nquorum w\n".encode())
    got = cosign(Witnesses(policy), 3)
    assert not got.quorum and "no address" in got.missing["w"]
    assert NoteVerifier.parse(WITNESS_VKEY) in Witnesses(policy).verifiers
