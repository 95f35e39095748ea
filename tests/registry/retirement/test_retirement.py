"""Retirement: units leave for a beneficiary, for good, and the certificate proves it without us."""

from concurrent.futures import wait
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from ledger import tables
from ledger.replay import LedgerState
from registry.accounts.service import NotFound
from registry.documents.bundle import PdfCheck, verify_bundle
from registry.documents.errors import GlyphMissing
from registry.documents.serials import Serial
from registry.issuance.rules import GroundContested, InsufficientUnits
from registry.issuance.units import Selection
from registry.machine import NotAuthorised, Role, TransitionRefused
from registry.market.sales import Buy, OpenListing
from registry.projections import opens_commitment
from registry.projects.models import LandClaim
from registry.retirement.certificates import make_certificate, write_certificate
from registry.retirement.models import Certificate, RetiredRange, Retirement
from registry.retirement.rules import ClaimPeriodInvalid, NotRetired
from registry.retirement.service import OneRetirement, RequestRetirement
from registry.transparency.audit import audit
from tests.registry.people import request_id
from tests.registry.story import Story


def wish(story: Story, units: int = 10, **changed: Any) -> RequestRetirement:
    asked: dict[str, Any] = {
        "project": story.project_id,
        "units": units,
        "beneficiary": "浙江示例纺织有限公司",
        "beneficiary_code": "91330800MA2DEMA017",
        "purpose": "voluntary",
        "text": "抵消本公司 2024 年范围一排放。",
        "jurisdiction": "CN-ZJ",
        "claim_from": date(2024, 1, 1),
        "claim_to": date(2025, 1, 1),
    }
    return RequestRetirement(**(asked | changed))


def requested(story: Story, units: int = 10, **changed: Any) -> str:
    outcome = story.do("firm", "retirement.request", wish(story, units, **changed))
    return str(outcome.answer["retirement"])


def confirmed(story: Story, retirement: str) -> dict[str, Any]:
    return story.both("firm", "firm 2", "retirement.confirm", OneRetirement(retirement=retirement)).answer


def status(story: Story, retirement: str) -> str:
    with story.installation.database.read() as session:
        return session.get_one(Retirement, retirement).status


def write(story: Story, retirement: str) -> dict[str, bytes]:
    installation = story.installation
    with installation.database.read() as session:
        paths = write_certificate(
            session, installation.home, retirement, installation.tiles, installation.vkey
        )
    return {"".join(path.suffixes): path.read_bytes() for path in paths}


def test_units_retire_for_a_beneficiary_and_never_come_back(sold: Story) -> None:
    retirement = requested(sold)
    assert sold.units("firm") == 30
    answer = confirmed(sold, retirement)

    assert sold.balance(f"retired:{sold.programme}") == 10
    assert (sold.units("firm"), status(sold, retirement)) == (30, "retired")
    (serial,) = answer["serials"]
    assert str(Serial.parse(serial).units) == "69-78"  # the tail
    assert len(answer["entries"]) == 2  # what two persons signed, and what the registry did
    with pytest.raises(TransitionRefused):
        sold.do("firm", "retirement.withdraw", OneRetirement(retirement=retirement))
    with pytest.raises(TransitionRefused):
        confirmed(sold, retirement)


def test_the_certificate_is_proven_by_the_key_of_the_log_alone(sold: Story) -> None:
    retirement = requested(sold, 20)
    number = confirmed(sold, retirement)["certificate"]
    files = write(sold, retirement)

    assert number == "QZP1-RC-000001"
    assert set(files) == {".pdf", ".tlog-proof", ".entry", ".statement.json"}
    verified = verify_bundle(
        files[".tlog-proof"],
        files[".entry"],
        files[".statement.json"],
        sold.installation.vkey,
        files[".pdf"],
    )
    stated = verified.statement
    assert verified.pdf is PdfCheck.REPRODUCED
    assert (stated.units, stated.kg, stated.vintages) == (20, 20_000, (2023,))
    assert stated.beneficiary == "浙江示例纺织有限公司"
    assert [(parcel.village, parcel.units) for parcel in stated.parcels] == [("lower村", 5), ("middle村", 15)]
    assert stated.simulated
    assert len(stated.statement_entries) == len(stated.issuance_entries) == 1


def test_a_certificate_is_made_again_with_the_same_bytes_when_the_log_has_grown(sold: Story) -> None:
    retirement = requested(sold)
    confirmed(sold, retirement)
    before = write(sold, retirement)
    for _ in range(3):
        sold.pay_in("firm", 1)
    assert write(sold, retirement) == before


def test_two_retirements_have_two_numbers(sold: Story) -> None:
    numbers = [confirmed(sold, requested(sold, 5))["certificate"] for _ in range(2)]
    assert numbers == ["QZP1-RC-000001", "QZP1-RC-000002"]


def test_names_are_off_the_log_and_open_their_commitments(sold: Story) -> None:
    retirement = requested(sold)
    number = confirmed(sold, retirement)["certificate"]
    tiles = sold.installation.tiles
    everything = b"".join(tiles.read_entries(0, tiles.published_size()))
    assert "纺织".encode() not in everything
    with sold.installation.database.read() as session:
        for row in (session.get_one(Retirement, retirement), session.get_one(Certificate, number)):
            assert opens_commitment(row)
        certificate = session.get_one(Certificate, number)
        certificate.records = (certificate.records or "").replace("浙江示例", "浙江别的")
        assert not opens_commitment(certificate)
        session.rollback()


@pytest.mark.parametrize(
    ("selection", "units", "numbers"),
    [
        (Selection(), 10, ["69-78"]),
        (Selection(by="fifo"), 10, ["39-48"]),
        (Selection(by="range", start=50, end=54), 5, ["50-54"]),
        (Selection(by="parcel", parcel=3), 15, ["64-78"]),
        (Selection(by="fifo", vintage=2023), 40, ["39-78"]),
    ],
)
def test_the_holder_chooses_which_units_retire(
    sold: Story, selection: Selection, units: int, numbers: list[str]
) -> None:
    confirmed(sold, requested(sold, units, selection=selection))
    with sold.installation.database.read() as session:
        rows = session.scalars(sa.select(RetiredRange).order_by(RetiredRange.start_number)).all()
        assert [f"{row.start_number}-{row.end_number}" for row in rows] == numbers


def test_more_than_is_held_free_is_refused_and_nothing_is_written(sold: Story) -> None:
    requested(sold, 30)
    with sold.installation.database.read() as session:
        size = session.execute(sa.select(tables.head.c.size)).scalar_one()
    for asked in (wish(sold, 11), wish(sold, 1, selection=Selection(vintage=2024))):
        with pytest.raises(InsufficientUnits) as refused:
            sold.do("firm", "retirement.request", asked)
        assert refused.value.code == "insufficient_units"
    with pytest.raises(InsufficientUnits):
        sold.do("rival", "retirement.request", wish(sold, 1))
    with sold.installation.database.read() as session:
        assert session.execute(sa.select(tables.head.c.size)).scalar_one() == size


def test_parallel_requests_never_lock_more_than_is_held(sold: Story) -> None:
    office = sold.installation.office
    futures = [
        office.send(sold["firm"], "retirement.request", wish(sold, 15), request_id()) for _ in range(6)
    ]
    wait(futures)
    refused = [future.exception() for future in futures if future.exception() is not None]
    assert len(refused) == 4
    assert all(isinstance(one, InsufficientUnits) for one in refused)
    assert sold.units("firm") == 10


def test_a_withdrawn_request_frees_its_units(sold: Story) -> None:
    retirement = requested(sold)
    sold.do("firm", "retirement.withdraw", OneRetirement(retirement=retirement))
    assert (sold.units("firm"), status(sold, retirement)) == (40, "withdrawn")
    with pytest.raises(NotRetired), sold.installation.database.read() as session:
        make_certificate(session, retirement, sold.installation.tiles, sold.installation.vkey)


def test_two_persons_of_the_holder_confirm(sold: Story) -> None:
    retirement, request = requested(sold), request_id()
    command = OneRetirement(retirement=retirement)
    office = sold.installation.office
    assert office.execute(sold["firm"], "retirement.confirm", command, request).status == "awaiting"
    with pytest.raises(NotAuthorised):
        office.confirm(sold["rival"], request)
    with pytest.raises(NotFound):
        sold.do("rival", "retirement.confirm", command)
    assert status(sold, retirement) == "requested"


def test_an_individual_confirms_alone(sold: Story) -> None:
    person = sold.people.member(Role.INDIVIDUAL, "张三")
    sold.actors["person"] = person
    opened = OpenListing(project=sold.project_id, units=5, price_fen=6000)
    listing = str(sold.do("operator", "listing.open", opened).answer["listing"])
    sold.pay_in("person", 5 * 6000)
    sold.do("person", "trade.buy", Buy(listing=listing, units=5))
    asked = wish(sold, 2, beneficiary="张三", beneficiary_code="")
    retirement = str(sold.do("person", "retirement.request", asked).answer["retirement"])
    sold.do("person", "retirement.confirm", OneRetirement(retirement=retirement))
    assert status(sold, retirement) == "retired"
    assert audit(sold.installation.home).findings == []


def test_what_a_certificate_could_not_say_is_refused_at_the_request(sold: Story) -> None:
    with pytest.raises(ClaimPeriodInvalid):
        sold.do("firm", "retirement.request", wish(sold, claim_to=date(2024, 1, 1)))
    with pytest.raises(GlyphMissing):
        sold.do("firm", "retirement.request", wish(sold, beneficiary="\U00012000"))
    assert sold.units("firm") == 40


@pytest.mark.parametrize("name", ["企业乙\n注销 9999 个", "a\u2028b", "a\tb", " 企业乙", "企业乙\u3000"])
def test_a_beneficiarys_name_is_one_line_that_poses_as_nothing_else(sold: Story, name: str) -> None:
    with pytest.raises(ValidationError):
        wish(sold, beneficiary=name)


def test_units_of_ground_without_a_claim_do_not_retire(sold: Story) -> None:
    retirement = requested(sold)
    with sold.installation.database.write() as session:
        session.execute(sa.update(LandClaim).values(to_on="2023-06-30"))
    with pytest.raises(GroundContested):
        confirmed(sold, retirement)
    assert sold.balance(f"retired:{sold.programme}") == 0


def test_the_log_with_a_retirement_replays_from_its_tiles(sold: Story, tmp_path: Path) -> None:
    confirmed(sold, requested(sold))
    tiles = sold.installation.tiles
    state = LedgerState()
    for leaf in tiles.read_entries(0, tiles.published_size()):
        state.apply(leaf)
    assert state.books.account(f"retired:{sold.programme}").balance == 10
