"""Two server processes on one database, 64 clients: the same units, the same fen, the same request."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry.installation import Installation
from registry.machine import Role
from registry.market.sales import OpenListing
from registry.members import issue_api_key
from registry.settings import Home
from registry.transparency.audit import audit
from tests.registry.api.served import Client, Served, new_id
from tests.registry.story import Story, _continued, _copy, _tell
from tests.reliability.figures import Figures
from tests.reliability.judging import go_accepts

pytestmark = pytest.mark.seconds

CLIENTS = 64
PRICE_FEN = 6000
NEWCOMERS = 3


@dataclass(slots=True)
class Town:
    """A registry with units on sale, served by two processes at once."""

    home: Home
    servers: tuple[Served, Served]
    keys: dict[str, str]
    organisations: dict[str, str]
    listings: list[str]
    project: str

    def client(self, n: int, name: str) -> Client:
        """The nth client asks the one server or the other."""
        return self.servers[n % 2].client(self.keys[name])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    dialect, folder = str(request.param), tmp_path_factory.mktemp("town")
    path, told = _tell(request, dialect, "issued")
    home = _copy(request, path, folder / "home", dialect, "story_issued", f"town_{dialect}")
    story = _continued(told, Installation.open(home))
    listings, keys, organisations = furnish(story)
    story.installation.close()
    url = home.database_url if dialect == "postgresql" else None
    with ThreadPoolExecutor(2) as starting:
        one, two = starting.map(lambda _n: Served.start(home.path, url), range(2))
    town = Town(home, (one, two), keys, organisations, listings, story.project_id)
    try:
        yield town
    finally:
        one.stop()
        two.stop()


def furnish(story: Story) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Three listings, three firms with money, and newcomers whose accounts nobody has used yet."""
    opened = OpenListing(project=story.project_id, units=10, price_fen=PRICE_FEN)
    listings = [str(story.do("operator", "listing.open", opened).answer["listing"]) for _ in range(3)]
    names = ["firm", "rival", "third", *(f"newcomer {n}" for n in range(NEWCOMERS))]
    for name in names[3:]:
        story.actors[name] = story.people.member(Role.ENTERPRISE, name)
    for name in names:
        story.pay_in(name, 10 * PRICE_FEN)
    names.append("bank")
    keys = {name: issue_api_key(story.installation, story[name]) for name in names}
    return listings, keys, {name: story[name].organisation for name in names}


def all_at_once(town: Town, names: list[str], ask: Any) -> list[httpx.Response]:
    """64 requests, spread over both servers."""
    clients = [town.client(n, names[n % len(names)]) for n in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as crowd:
        return list(crowd.map(ask, range(CLIENTS), clients))


def winners(answers: list[httpx.Response]) -> list[httpx.Response]:
    """Those who were served; everybody else got a refusal that names its reason."""
    for answer in answers:
        if answer.status_code != 201:
            assert answer.status_code in (409, 422), answer.text
            assert answer.headers["content-type"] == "application/problem+json"
    return [answer for answer in answers if answer.status_code == 201]


def refusals(answers: list[httpx.Response]) -> Counter[str]:
    return Counter(answer.json()["code"] for answer in answers if answer.status_code != 201)


def held(town: Town, name: str) -> dict[str, int]:
    accounts = town.client(0, name).get("/holdings").json()["accounts"]
    return {one["account"].split(":")[0]: int(one["balance"]) for one in accounts}


def test_of_64_who_want_the_same_units_one_gets_them(town: Town, figures: Figures) -> None:
    listing = town.listings[0]
    answers = all_at_once(
        town,
        ["firm", "rival", "third"],
        lambda _n, client: client.act(f"/listings/{listing}/trades", {"units": 10}),
    )
    figures.tell("the same units", clients=CLIENTS, served=len(winners(answers)), **refusals(answers))
    assert len(winners(answers)) == 1
    assert sum(held(town, name).get("units", 0) for name in ("firm", "rival", "third")) == 10


def test_the_same_fen_is_spent_once_also_from_an_account_that_nobody_used_before(
    town: Town, figures: Figures
) -> None:
    """A newcomer's account for units does not exist before a purchase: a lock on its row locks nothing."""
    name = "newcomer 0"
    assert "units" not in held(town, name)

    def ask(n: int, client: Client) -> httpx.Response:
        listing = town.listings[1 + n % 2]
        return client.act(f"/listings/{listing}/trades", {"units": 10})

    answers = all_at_once(town, [name], ask)
    figures.tell("the same fen", clients=CLIENTS, served=len(winners(answers)), **refusals(answers))
    assert len(winners(answers)) == 1
    assert held(town, name)["units"] == 10
    assert held(town, name)["cash"] == 0


def test_of_64_retirements_of_the_same_units_one_is_taken(town: Town, figures: Figures) -> None:
    name = "newcomer 0"
    body = {
        "project": town.project, "units": 10, "beneficiary": "企业甲",
        "claim_from": "2024-01-01", "claim_to": "2025-01-01",
    }  # fmt: skip
    answers = all_at_once(town, [name], lambda _n, client: client.act("/retirements", body))
    served = [answer for answer in answers if answer.status_code in (201, 202)]
    figures.tell("the same retirement", clients=CLIENTS, served=len(served))
    assert len(served) == 1


def test_one_request_sent_64_times_to_two_servers_is_one_entry_and_one_receipt(town: Town) -> None:
    request, body = new_id(), deposit(town, "the same")
    answers = all_at_once(town, ["bank"], lambda _n, client: client.act("/deposits", body, request))
    assert {answer.status_code for answer in answers} <= {200, 201}
    entries = [one for answer in answers for one in answer.json()["entries"]]
    assert len({(one["index"], one["entry"], one["proof"]) for one in entries}) == 1
    # The other server may answer between commit and publication: then the proof is to be asked for.
    assert len({one["receipt"] for one in entries if one.get("receipt")}) == 1
    assert len({str(answer.json()["answer"]) for answer in answers}) == 1


def test_the_same_request_id_with_other_content_is_refused_by_either_server(town: Town) -> None:
    request = new_id()
    first = town.client(0, "bank").act("/deposits", deposit(town, "first"), request)
    assert first.status_code == 201
    for n in (0, 1):
        other = town.client(n, "bank").act("/deposits", deposit(town, "second"), request)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        again = town.client(n, "bank").act("/deposits", deposit(town, "first"), request)
        assert again.json()["entries"][0]["index"] == first.json()["entries"][0]["index"]


def deposit(town: Town, reference: str) -> dict[str, Any]:
    organisation = town.organisations["newcomer 1"]
    return {"organisation": organisation, "amount_fen": 5, "reference": reference.replace(" ", "-")}


def test_afterwards_the_invariants_hold(town: Town, go_oracle: Path) -> None:
    assert audit(town.home).findings == []
    go_accepts(go_oracle, town.home)
