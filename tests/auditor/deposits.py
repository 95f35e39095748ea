"""A log of deposits made without a registry: genesis, a bank, some firms, then one signed deposit an entry.

For what needs many entries and no database: the audit's speed and memory, and logs that are cut or touched.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.effects import Effect, Limit, OpenAccount, Posting, Transfer
from ledger.entry import Payload
from ledger.envelope import Envelope, encode_leaf
from ledger.keys import SigningKey
from ledger.note import NoteSigner
from ledger.tiles import TileDirectory
from registry.accounts.rules import BANK_ACCOUNT, MONEY, cash_account
from registry.machine import Role

BEGAN_MS = 1_735_689_600_000
"""2025-01-01 00:00 UTC."""
STEP_MS = 60_000
CHUNK = 4096
FIRMS = 20


@dataclass(slots=True)
class Depositing:
    """Who acts in the log, and the entries one after the other."""

    origin: str = "deposits.test/log"
    firms: int = FIRMS
    step_ms: int = STEP_MS
    log_key: SigningKey = field(default_factory=lambda: SigningKey.from_seed(b"l" * 32))
    root: SigningKey = field(default_factory=lambda: SigningKey.from_seed(b"r" * 32))
    system: SigningKey = field(default_factory=lambda: SigningKey.from_seed(b"s" * 32))
    teller: SigningKey = field(default_factory=lambda: SigningKey.from_seed(b"t" * 32))
    made: int = 0

    @property
    def signer(self) -> NoteSigner:
        return NoteSigner(self.origin, self.log_key)

    @property
    def vkey(self) -> str:
        return self.signer.vkey

    def leaves(self, entries: int) -> Iterator[bytes]:
        """The first `entries` leaves of the log."""
        bank, teller, mandate = (_id(f"{name} of {self.origin}") for name in ("bank", "teller", "mandate"))
        firms = [_id(f"firm {n} of {self.origin}") for n in range(self.firms)]
        began = [self._genesis(), self._organisation(bank, Role.BANK), self._person(teller)]
        began += [self._key(teller), self._mandate(mandate, teller, bank)]
        began += [self._organisation(firm, Role.ENTERPRISE) for firm in firms]
        for n in range(entries):
            if n < len(began):
                yield self._leaf(began[n], self.root)
            else:
                deposit = self._deposit(n, bank, teller, mandate, firms[n % len(firms)])
                yield self._leaf(deposit, self.teller)

    def publish(self, folder: Path, entries: int) -> None:
        """Write the log's folder at this size."""
        tiles, size, chunk = TileDirectory(folder), 0, []
        for leaf in self.leaves(entries):
            chunk.append(leaf)
            if len(chunk) == CHUNK:
                tiles.publish(chunk, size, size + len(chunk))
                size, chunk = size + len(chunk), []
        tiles.publish(chunk, size, size + len(chunk))
        checkpoint = Checkpoint(self.origin, entries, tiles.root(entries))
        tiles.write_checkpoint(sign_checkpoint(checkpoint, self.signer))

    def _leaf(self, payload: Payload, key: SigningKey) -> bytes:
        self.made += 1
        at_ms = BEGAN_MS + self.made * self.step_ms
        return encode_leaf(at_ms, Envelope(payload.to_bytes()).sign(key))

    def _genesis(self) -> Payload:
        keys = [_key(self.root, "root"), _key(self.system, "system")]
        facts = {"vkey": self.vkey, "clock": "real", "keys": keys}
        account = OpenAccount(BANK_ACCOUNT, MONEY, Limit.NONE, False, "registry")
        return self._by_root(
            "log", "open", self.origin, "open", facts, effects=(account,), type="genesis", id=_id(self.origin)
        )

    def _organisation(self, name: str, kind: Role) -> Payload:
        account = OpenAccount(cash_account(name), MONEY, Limit.FLOOR, False, name)
        facts = {"kind": kind.value, "county": "330800"}
        return self._by_root("organisation", "register", name, "registered", facts, effects=(account,))

    def _person(self, name: str) -> Payload:
        return self._by_root("person", "register", name, "registered", {})

    def _key(self, person: str) -> Payload:
        facts = {"keys": [_key(self.teller, person)]}
        return self._by_root("key", "add", self.teller.keyid, "active", facts, type="key.add")

    def _mandate(self, name: str, person: str, organisation: str) -> Payload:
        facts = {"person": person, "organisation": organisation, "role": Role.BANK.value}
        return self._by_root("mandate", "grant", name, "active", facts)

    def _by_root(
        self, machine: str, action: str, subject: str, after: str, facts: dict[str, Any], **more: Any
    ) -> Payload:
        return Payload(
            **{
                "type": "act", "id": _id(f"{machine} {subject}"), "by": "root", "role": "root",
                "mandate": "root", "machine": machine, "subject": subject, "action": action, "before": "none",
                "after": after, "facts": facts,
            }
            | more
        )  # fmt: skip

    def _deposit(self, n: int, bank: str, teller: str, mandate: str, firm: str) -> Payload:
        name, fen = _id(f"deposit {n}"), 100 + n % 900
        lines = (Posting(BANK_ACCOUNT, MONEY, -fen), Posting(cash_account(firm), MONEY, fen))
        effects: tuple[Effect, ...] = (Transfer(name, lines),)
        facts: dict[str, Any] = {
            "bank": bank, "organisation": firm, "amount_fen": fen, "reference": f"line-{n}"
        }  # fmt: skip
        return Payload(
            type="act", id=name, by=teller, role="bank", mandate=mandate, machine="deposit", subject=name,
            action="record", before="none", after="recorded", facts=facts, effects=effects,
        )  # fmt: skip


def _key(key: SigningKey, person: str) -> dict[str, str]:
    return {"public": key.public_bytes.hex(), "person": person, "custody": "server", "suite": "ed25519"}


def _id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))
