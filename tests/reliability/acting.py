"""What the clients of a campaign ask for. The request id alone decides it, so that a client can ask again."""

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.accounts.service import RecordDeposit, RegisterPerson
from registry.acts import ROOT
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.office import Command
from registry.settings import Home
from tests.registry.people import People

ORIGIN = "tanhui.test/log"
DEPOSIT_FEN = 700


@dataclass(frozen=True, slots=True)
class Ground:
    """A home in which a bank reports what is paid in for a firm."""

    home: Home
    bank: Mandate
    firm: str

    def to_json(self) -> str:
        home = {"path": str(self.home.path), "url": self.home.database_url}
        return json.dumps({"home": home, "bank": asdict(self.bank), "firm": self.firm})

    @classmethod
    def from_json(cls, text: str) -> "Ground":
        kept = json.loads(text)
        bank = Mandate(**{**kept["bank"], "role": Role(kept["bank"]["role"])})
        return cls(Home.at(Path(kept["home"]["path"]), kept["home"]["url"]), bank, kept["firm"])


def break_ground(home: Home) -> Ground:
    """A new installation on real time, with a bank and a firm."""
    installation = Installation.create(home, ORIGIN)
    people = People(installation)
    bank, firm = people.member(Role.BANK, "bank A"), people.member(Role.ENTERPRISE, "firm A")
    installation.close()
    return Ground(home, bank, firm.organisation)


def asked(ground: Ground, request: str) -> tuple[Mandate, str, Command]:
    """Who asks for which act: two of three requests register a person, the third pays money in."""
    if uuid.UUID(request).int % 3:
        return ROOT, "person.register", RegisterPerson(name="person A")
    deposit = RecordDeposit(organisation=ground.firm, amount_fen=DEPOSIT_FEN, reference=request)
    return ground.bank, "deposit.record", deposit


def grow(home: Home, size: int) -> None:
    """Register persons until the log has so many entries."""
    installation = Installation.open(home)
    while (missing := size - installation.tiles.published_size()) > 0:
        requests = [str(uuid.uuid4()) for _ in range(min(missing, 50))]
        register = RegisterPerson(name="person A")
        sent = [installation.office.send(ROOT, "person.register", register, request) for request in requests]
        for future in sent:
            future.result()
    installation.close()
