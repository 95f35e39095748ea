"""Many acts in one request: each by itself, in order, once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ledger.effects import Posting, Transfer
from ledger.entry import Payload
from ledger.envelope import Envelope
from ledger.keys import SigningKey
from ledger.log import ledger_source
from ledger.verify import verify_entry
from registry.accounts.rules import BANK_ACCOUNT, MONEY, cash_account
from registry.accounts.service import AddKey
from registry.database import Database
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.members import issue_api_key
from registry.settings import Home
from registry.transparency.audit import audit
from tests.registry.api.conftest import postgres_for
from tests.registry.api.served import Client, Served, new_id
from tests.registry.conftest import START
from tests.registry.people import People


@dataclass(slots=True)
class Bank:
    """A bank with a key of its own, and the organisation it reports money for."""

    home: Home
    served: Served
    client: Client
    mandate: Mandate
    organisation: str
    key: SigningKey

    def statement_line(self, fen: int = 100, reference: str | None = None, **more: Any) -> dict[str, Any]:
        request = new_id()
        command = {
            "organisation": self.organisation,
            "amount_fen": fen,
            "reference": reference or request,
        }
        return {"id": request, "act": "deposit.record", "command": command, **more}

    def signed(self, line: dict[str, Any], key: SigningKey | None = None) -> dict[str, Any]:
        """The line with the envelope over what it will log, made without asking the registry."""
        command = line["command"]
        fen = command["amount_fen"]
        payload = Payload(
            type="act",
            id=line["id"],
            by=self.mandate.person,
            role="bank",
            mandate=self.mandate.id,
            machine="deposit",
            subject=line["id"],
            action="record",
            before="none",
            after="recorded",
            facts={"bank": self.mandate.organisation, **command},
            effects=(
                Transfer(
                    line["id"],
                    (
                        Posting(BANK_ACCOUNT, MONEY, -fen),
                        Posting(cash_account(self.organisation), MONEY, fen),
                    ),
                ),
            ),
        )
        return {**line, "envelope": Envelope(payload.to_bytes()).sign(key or self.key).to_json()}

    def send(self, *lines: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.post(list(lines))
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def post(self, lines: Any) -> httpx.Response:
        return self.client.http.post("/acts", json={"acts": lines})

    def read(self, address: str) -> httpx.Response:
        return httpx.get(self.served.base + address)

    def balance_fen(self) -> int:
        database = Database(self.home.database_url)
        with database.read() as session:
            account = ledger_source(session).account(cash_account(self.organisation))
        database.dispose()
        assert account is not None
        return account.balance


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def bank(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    url = postgres_for(request, "batches") if request.param == "postgresql" else None
    home = Home.at(tmp_path_factory.mktemp("batches") / "home", url)
    installation = Installation.create(home, "tanhui.test/log", simulated_at=START)
    people = People(installation)
    mandate = people.member(Role.BANK, "bank A")
    firm = people.member(Role.ENTERPRISE, "firm A")
    key = SigningKey.generate()
    own = AddKey(person=mandate.person, public_key=key.public_bytes.hex(), custody="client")
    people.do(installation.root, "key.add", own)
    api_key = issue_api_key(installation, mandate)
    installation.close()
    served = Served.start(home.path, url)
    yield Bank(home, served, served.client(api_key), mandate, firm.organisation, key)
    served.stop()


def codes(results: list[dict[str, Any]]) -> list[str]:
    return [
        result["problem"]["code"] if result["status"] == "refused" else result["status"] for result in results
    ]


def test_each_act_of_a_batch_is_done_or_refused_by_itself(bank: Bank) -> None:
    good, other = bank.statement_line(100), bank.statement_line(250)
    results = bank.send(
        good,
        bank.statement_line(0),
        {**bank.statement_line(), "act": "deposit.invent"},
        {**bank.statement_line(), "act": "period.estimate"},
        bank.statement_line(5, reference=good["command"]["reference"]),
        {**bank.statement_line(), "id": "not an id"},
        other,
    )
    refused = ["invalid_request", "act_unknown", "act_unknown", "deposit_recorded", "request_id_malformed"]
    assert codes(results) == ["done", *refused, "done"]
    first, last = results[0]["entries"][0]["index"], results[-1]["entries"][0]["index"]
    assert last == first + 1
    assert results[0]["answer"] == {"deposit": good["id"]}
    proof = bank.read(results[-1]["entries"][0]["proof"])
    assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")
    assert "receipt" not in results[-1]["entries"][0]


def test_whoever_asks_gets_the_proof_of_every_entry_with_the_answer(bank: Bank) -> None:
    lines = [bank.statement_line() for _ in range(3)]
    answer = bank.client.http.post("/acts", json={"acts": lines, "receipts": True})
    (vkey,) = httpx.get(f"{bank.served.base}/log/vkey").text.split()
    assert answer.status_code == 200, bank.served.log.read_text()
    for result in answer.json()["results"]:
        (entry,) = result["entries"]
        leaf = bank.read(entry["entry"] + "/leaf").content
        assert verify_entry(entry["receipt"].encode(), leaf, vkey).index == entry["index"]
        assert entry["receipt"] == bank.read(entry["proof"]).text


def test_a_batch_sent_twice_is_done_once(bank: Bank) -> None:
    lines = [bank.statement_line() for _ in range(20)]
    once, again = bank.send(*lines), bank.send(*reversed(lines))
    assert once == again[::-1]
    assert codes(bank.send({**lines[3], "command": {**lines[3]["command"], "amount_fen": 7}})) == [
        "idempotency_key_reused"
    ]


def test_the_same_id_twice_in_one_batch_is_one_act(bank: Bank) -> None:
    line = bank.statement_line()
    first, second = bank.send(line, line)
    assert first == second and first["status"] == "done"


def test_a_program_signs_before_it_asks(bank: Bank) -> None:
    before = bank.balance_fen()
    signed = bank.signed(bank.statement_line(300))
    (result,) = bank.send(signed)
    assert result["status"] == "done"
    assert bank.balance_fen() == before + 300
    entry = bank.read(result["entries"][0]["entry"]).json()
    assert [s["keyid"] for s in entry["envelope"]["signatures"]] == [bank.key.keyid]


def test_what_was_signed_is_what_is_done_or_nothing_is(bank: Bank) -> None:
    before = bank.balance_fen()
    line = bank.statement_line(300)
    envelope = bank.signed(line)["envelope"]
    dearer = {**line, "command": {**line["command"], "amount_fen": 301}, "envelope": envelope}
    strange = bank.signed(bank.statement_line(), SigningKey.generate())
    damaged = bank.signed(bank.statement_line())
    signature = damaged["envelope"]["signatures"][0]
    signature["sig"] = "A" * 85 + signature["sig"][85:]
    unsigned = bank.signed(bank.statement_line())
    unsigned["envelope"]["signatures"] = []
    found = codes(bank.send(dearer, strange, damaged, unsigned))
    assert found == ["state_moved_since_prepare", "key_unknown", "signature_refused", "not_authorised"]
    assert bank.balance_fen() == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"acts": []}, 422, "invalid_request"),
        ({"acts": [{"id": "x"}]}, 422, "invalid_request"),
        ({"acts": "x"}, 422, "invalid_request"),
        ([], 400, "body_malformed"),
    ],
)
def test_what_is_no_batch_is_refused_whole(bank: Bank, body: Any, status: int, code: str) -> None:
    answer = bank.client.http.post("/acts", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_batch_needs_a_key_that_acts(bank: Bank) -> None:
    for key in (None, "a.b"):
        answer = bank.served.client(key).http.post("/acts", json={"acts": [bank.statement_line()]})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_after_all_that_the_books_stand(bank: Bank) -> None:
    assert audit(bank.home).findings == []
