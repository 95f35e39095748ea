"""What is timed is checked: a wrong proof, log, sum or answer has no rate."""

import random
from pathlib import Path

import psycopg
import pytest

from auditor.audit import audit_alone
from benchmarks.ledger import appends, audits, clients, peers
from benchmarks.ledger.logs import hash_tree, signed_log
from benchmarks.ledger.measure import Ours
from benchmarks.ledger.proofs import Tree, check, prove
from benchmarks.ledger.rounds import ResultWrong
from benchmarks.ledger.service import Server
from benchmarks.ledger.world import found
from ledger.canonical import encode
from ledger.client import FolderFiles, LogClient
from ledger.envelope import Envelope
from ledger.merkle import inclusion_proof
from ledger.note import NoteVerifier
from ledger.tiles import TileDirectory
from tests.postgres import Cluster


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_the_made_up_tree_has_the_tiles_that_its_root_asks_for(tmp_path: Path, size: int) -> None:
    root = hash_tree(tmp_path, size)
    assert TileDirectory(tmp_path).root(size) == root


def test_a_wrong_proof_is_no_proof(tmp_path: Path) -> None:
    tree = Tree.grown(tmp_path, 300)
    rate, seen = prove(tree, 100, random.Random(1))
    assert rate > 0 and seen["p99_us"] >= seen["p50_us"] > 0
    proof = inclusion_proof(7, 300, tree.tiles.nodes(300))
    with pytest.raises(ResultWrong):
        check(tree, 8, proof)


def test_a_generated_log_is_one_that_the_audit_accepts_and_a_changed_one_is_not(tmp_path: Path) -> None:
    log = signed_log(tmp_path, 300, members=2)
    verifier = NoteVerifier.parse(log.vkey)
    assert audit_alone(FolderFiles(log.log), [verifier]).report.findings == []
    assert LogClient(FolderFiles(log.log), verifier).verify().head.checkpoint.size == log.size > 300
    bundle = log.log / "tile/entries/000"
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(ResultWrong, match="failed"):
        audits.hash_audit(log)


def test_what_the_writer_appended_is_compared_with_what_was_sent(tmp_path: Path) -> None:
    installation, world = found(tmp_path / "home", members=2)
    ours = Ours("sqlite", installation, world, rooms=True)
    made = ours.append(ours.wires(20), 8)
    assert (made.entries, made.commits, len(made.latencies_s)) == (20, 3, 3)
    ours.check()
    ours.sent += 1
    with pytest.raises(ResultWrong):
        ours.check()
    installation.close()


def test_an_entry_with_a_wrong_signature_stops_the_measurement(tmp_path: Path) -> None:
    installation, world = found(tmp_path / "home", members=2)
    (first, other) = world.envelopes(0, 2)
    swapped = encode(Envelope(first[1].payload, signatures=other[1].signatures).to_json())
    with pytest.raises(Exception, match="signature"):
        appends.append(installation, [(first[0], swapped)], 1)
    installation.close()


def test_a_position_told_twice_or_not_told_is_noticed(tmp_path: Path) -> None:
    server = Server(process=None, port=0, world=None, folder=tmp_path)  # type: ignore[arg-type]
    body = {"entries": [{"index": 5}]}
    server.note([body, {"entries": [{"index": 6}]}], 2)
    for bodies, entries in (([body], 1), ([{"entries": []}], 1), ([{"entries": [{"index": 7}] * 2}], 2)):
        with pytest.raises(ResultWrong):
            server.note(bodies, entries)
    server.note([{"entries": [{"index": 7}]}], 1)


def test_an_answer_is_whole_when_its_stated_length_is_there() -> None:
    data = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}'
    answer = clients.Answer()
    assert [answer.feed(data[at : at + 20]) for at in range(0, len(data), 20)][-2:] == [False, True]
    assert (answer.status, answer.body) == (201, '{"a":1}')
    with pytest.raises(ValueError, match="length"):
        clients.Answer().feed(b"HTTP/1.1 204 No Content\r\n\r\n")


def test_requests_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    made = [clients.request_bytes("/a", b"{}", {"Idempotency-Key": str(n)}) for n in range(3)]
    clients.save(tmp_path / "requests", made)
    assert clients.load(tmp_path / "requests") == made
    assert made[0].startswith(b"POST /a HTTP/1.1\r\n") and made[0].endswith(b"\r\n\r\n{}")


def test_a_plain_table_with_a_wrong_balance_has_no_rate(postgres_cluster: Cluster) -> None:
    with psycopg.connect(postgres_cluster.conninfo(), autocommit=True) as connection:
        connection.execute("create database plain_books")
    books = peers.PlainBooks(postgres_cluster.conninfo("plain_books"))
    rate, _ = books.append(peers.deposits(0, 10), 4)
    assert rate > 0
    with psycopg.connect(postgres_cluster.conninfo("plain_books"), autocommit=True) as connection:
        connection.execute("update plain_account set balance = balance + 1 where id = 'bank'")
    with pytest.raises(ResultWrong, match="wrong"):
        books.append(peers.deposits(10, 10), 4)
    books.close()


def test_pymerkle_appends_and_proves_what_it_was_given(tmp_path: Path) -> None:
    with peers.merkle_tree(tmp_path / "tree.db") as tree:
        peers.merkle_append(tree, [b"a", b"b"], 1)
        rate, seen = peers.merkle_append(tree, [bytes([n]) for n in range(10)], 4)
        assert rate > 0 and seen["size"] == 12
        assert peers.merkle_prove(tree, 3, random.Random(1))[0] > 0
