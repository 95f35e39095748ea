"""An installation with members whose keys the benchmark holds, and the signed entries that they bring.

Every entry is one deposit as the accounts room logs it: a transfer of two postings, one subject, one state,
signed by the client beforehand. So a registry's audit accepts a log of them, not only the ledger's.
"""

import secrets
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ledger.canonical import JsonValue, encode
from ledger.effects import Posting, Transfer
from ledger.entry import Payload
from ledger.envelope import Envelope
from ledger.keys import SigningKey
from registry.accounts.rules import BANK_ACCOUNT, DEPOSIT, MONEY, cash_account
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.members import issue_api_key, register_organisation, register_person
from registry.settings import Home

ORIGIN: Final = "bench.example/log"
COUNTY: Final = "330802"
CLERKS: Final = 8
"""Persons of the bank with keys of their own."""
RECEIVERS: Final = 32
"""Organisations that receive money, each with one account."""


@dataclass(frozen=True, slots=True)
class World:
    """A bank whose clerks sign, and the organisations whose accounts they credit."""

    bank: str
    clerks: tuple[tuple[Mandate, bytes], ...]
    """With the seeds of their keys, so that other processes can sign for them."""
    receivers: tuple[str, ...]
    api_keys: tuple[str, ...]
    """Of the clerks, in their order."""
    teller_key: str
    """Of a teller of the bank whose signing key the registry keeps."""

    def signed(self, n: int, clerk: int) -> tuple[str, Envelope]:
        """Deposit number `n`, signed by a clerk: request id and envelope."""
        mandate, seed = self.clerks[clerk]
        payload = self._deposit(n, mandate)
        return payload.id, Envelope(payload.to_bytes()).sign(_key(seed))

    def envelopes(self, start: int, count: int) -> Iterator[tuple[str, Envelope]]:
        """The deposits from number `start` on, signed by the clerks in turn."""
        for n in range(start, start + count):
            yield self.signed(n, n % len(self.clerks))

    def wires(self, start: int, count: int) -> list[tuple[str, bytes]]:
        """The same, as the bytes that a client sends."""
        return [(entry_id, encode(signed.to_json())) for entry_id, signed in self.envelopes(start, count)]

    def credited(self, count: int) -> dict[str, int]:
        """What the first `count` deposits leave in each account, in fen."""
        sums: Counter[str] = Counter()
        for n in range(count):
            sums[cash_account(self.receivers[n % len(self.receivers)])] += amount_fen(n)
        return dict(sums)

    def command(self, n: int) -> dict[str, JsonValue]:
        """What deposit number `n` asks for, as the registry's act takes it."""
        return {
            "organisation": self.receivers[n % len(self.receivers)],
            "amount_fen": amount_fen(n),
            "reference": f"R-{n}",
        }

    def _deposit(self, n: int, by: Mandate) -> Payload:
        entry_id = str(uuid.uuid4())
        receiver = self.receivers[n % len(self.receivers)]
        postings = (
            Posting(BANK_ACCOUNT, MONEY, -amount_fen(n)),
            Posting(cash_account(receiver), MONEY, amount_fen(n)),
        )
        return Payload(
            type="act",
            id=entry_id,
            by=by.person,
            role=by.role.value,
            mandate=by.id,
            machine=DEPOSIT.name,
            subject=entry_id,
            action="record",
            before=DEPOSIT.initial,
            after=DEPOSIT.step(DEPOSIT.initial, "record", entry_id).after,
            facts={"bank": self.bank, **self.command(n)},
            effects=(Transfer(entry_id, postings),),
        )


def found(
    folder: Path, database_url: str | None = None, *, members: int = RECEIVERS
) -> tuple[Installation, World]:
    """A new installation on real time, with the bank, its clerks and the receivers enrolled."""
    installation = Installation.create(Home.at(folder, database_url), ORIGIN)
    bank = register_organisation(installation, "bank", Role.BANK, COUNTY)
    clerks = []
    for n in range(min(CLERKS, members)):
        seed = secrets.token_bytes(32)
        public = _key(seed).public_bytes.hex()
        clerks.append((register_person(installation, bank, Role.BANK, f"clerk {n}", public), seed))
    teller = register_person(installation, bank, Role.BANK, "teller")
    receivers = tuple(
        register_organisation(installation, f"receiver {n}", Role.ENTERPRISE, COUNTY) for n in range(members)
    )
    api_keys = tuple(issue_api_key(installation, mandate) for mandate, _ in clerks)
    return installation, World(bank, tuple(clerks), receivers, api_keys, issue_api_key(installation, teller))


def amount_fen(n: int) -> int:
    """Of deposit number `n`."""
    return 100 + n % 9973


@cache
def _key(seed: bytes) -> SigningKey:
    return SigningKey.from_seed(seed)
