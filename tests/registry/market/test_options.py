"""Options: covered by the estimate, paid to the villages, delivered in the entry that issues the units."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.books import InsufficientBalance
from ledger.effects import Expire
from ledger.entry import parse_payload
from ledger.envelope import decode_leaf
from ledger.log import leaves
from registry.accounts.service import NotFound
from registry.machine import Role, TransitionRefused
from registry.market.models import Option, ProceedsLine
from registry.market.options import AcceptOption, OfferOption, OneOption, OptionInterests
from registry.market.rules import (
    CoverExceeded,
    InterestedParty,
    NothingToElect,
    OwnUnits,
    PastDate,
    WindowClosed,
    WindowOpen,
)
from tests.registry.story import KG, Story

WINDOW = date(2026, 1, 31)


def offered(story: Story, units: int = 20, buyer: str = "firm", strike_fen: int = 5500) -> str:
    command = OfferOption(
        project=story.project_id,
        vintage=2023,
        buyer=story[buyer].organisation,
        units=units,
        premium_fen=800,
        strike_fen=strike_fen,
        window_to=WINDOW,
    )
    return str(story.do("operator", "option.offer", command).answer["option"])


def active(
    story: Story, units: int = 20, buyer: str = "firm", election: str = "standing", **terms: int
) -> str:
    """An active option; its buyer has paid the premium."""
    option = offered(story, units, buyer, **terms)
    story.do(buyer, "option.accept", AcceptOption.model_validate({"option": option, "election": election}))
    story.pay_in(buyer, units * 800)
    story.do(buyer, "option.activate", OneOption(option=option))
    return option


def load(story: Story, option: str) -> Option:
    with story.installation.database.read() as session:
        row = session.get_one(Option, option)
        session.expunge(row)
        return row


def lines(story: Story, kind: str) -> dict[str, int]:
    with story.installation.database.read() as session:
        summed = (
            sa.select(ProceedsLine.line, sa.func.sum(ProceedsLine.amount_fen))
            .where(ProceedsLine.kind == kind)
            .group_by(ProceedsLine.line)
        )
        return {line: int(fen) for line, fen in session.execute(summed)}


def test_the_premium_goes_to_the_villages_to_the_fen(story: Story) -> None:
    story.estimated(KG)
    active(story)

    gross = 20 * 800  # 16000 fen, VAT 905.66, surcharge 108.68, insurance 480
    assert story.cash("firm") == 0
    assert story.balance(f"reserve:tax:{story['operator'].organisation}") == 906 + 109
    assert story.balance(f"reserve:insurance:{story['operator'].organisation}") == 480
    villages = [story.cash(village) for village in story.villages]
    assert sum(villages) == gross - 906 - 109 - 480
    assert max(villages) - min(villages) <= 1  # parcels of the same size, by area before issuance
    assert lines(story, "premium") == {"tax": 1015, "insurance": 480, "village": sum(villages)}


def test_promises_stay_within_the_cover(story: Story) -> None:
    story.estimated(KG)
    active(story, 30)
    with pytest.raises(CoverExceeded) as refused:
        active(story, 10, "rival")
    assert refused.value.facts == {"promised": 40, "vintage": 2023, "cover": 39}
    active(story, 9, "third")


def test_without_an_estimate_nothing_can_be_promised(story: Story) -> None:
    with pytest.raises(CoverExceeded):
        active(story, 1)


def test_a_premium_that_is_not_there_is_not_paid(story: Story) -> None:
    story.estimated(KG)
    option = offered(story)
    story.do("firm", "option.accept", AcceptOption(option=option))
    with pytest.raises(InsufficientBalance):
        story.do("firm", "option.activate", OneOption(option=option))
    assert load(story, option).status == "accepted"


def test_a_standing_option_is_delivered_in_the_issuance(story: Story) -> None:
    story.estimated(KG)
    option = active(story)
    story.pay_in("firm", 20 * 5500)
    before = sum(story.cash(village) for village in story.villages)
    story.verify()
    story.propose()
    outcome = story.approve()

    assert len(outcome.entries) == 1
    assert (story.units("firm"), story.units("operator")) == (20, 58)
    assert story.cash("firm") == 0
    row = load(story, option)
    assert (row.status, row.delivered_units) == ("delivered", 20)
    paid = sum(story.cash(village) for village in story.villages) - before
    vat, surcharge, insurance = 6226, 747, 3300
    assert paid == 110_000 - vat - surcharge - insurance
    assert lines(story, "strike") == {"tax": vat + surcharge, "insurance": insurance, "village": paid}


def test_a_forest_that_under_delivers_is_shared_pro_rata(story: Story) -> None:
    story.estimated(KG)
    options = [active(story, 20, "firm", strike_fen=0), active(story, 10, "rival", strike_fen=0)]
    story.verify(17_000)
    story.propose()
    story.approve()  # 17 units, 2 to the buffer: 15 for 30 promised

    assert (story.units("firm"), story.units("rival"), story.units("operator")) == (10, 5, 0)
    assert [load(story, option).status for option in options] == ["partially_delivered"] * 2
    with pytest.raises(WindowOpen):
        story.do("operator", "option.close_short", OneOption(option=options[0]))
    story.advance(days=400)
    story.pay_in("operator", 8000)
    story.do("operator", "option.close_short", OneOption(option=options[0]))
    assert load(story, options[0]).status == "closed_short"
    assert story.cash("firm") == 10 * 800


def test_an_option_without_election_is_set_aside_and_taken_in_its_window(story: Story) -> None:
    story.estimated(KG)
    option = active(story, election="elected")
    story.verify()
    story.propose()
    story.approve()
    assert (story.units("firm"), story.units("operator")) == (0, 58)
    assert load(story, option).status == "set_aside"

    story.pay_in("firm", 20 * 5500)
    story.do("firm", "option.elect", OneOption(option=option))
    assert (story.units("firm"), story.units("operator"), story.cash("firm")) == (20, 58, 0)
    assert load(story, option).status == "delivered"


def test_units_set_aside_go_back_when_the_window_ends(story: Story) -> None:
    story.estimated(KG)
    option = active(story, election="elected")
    story.verify()
    story.propose()
    story.approve()
    with pytest.raises(WindowOpen):
        story.do("operator", "option.expire", OneOption(option=option))
    story.advance(days=400)
    with pytest.raises(WindowClosed):
        story.do("firm", "option.elect", OneOption(option=option))
    pending = str(load(story, option).pending)
    (index,) = story.do("operator", "option.expire", OneOption(option=option)).entries
    assert (story.units("operator"), load(story, option).status) == (78, "expired")
    with story.installation.database.read() as session:
        kept = tables.reservation.c
        held = session.execute(sa.select(kept.status, kept.deadline_ms).where(kept.pending == pending))
        ends_ms = int(datetime(2026, 1, 31, 16, tzinfo=UTC).timestamp() * 1000)  # midnight in China
        assert held.one() == ("expired", ends_ms)
        (leaf,) = leaves(session, index, index + 1)
    assert parse_payload(decode_leaf(leaf)[1].payload).effects == (Expire(pending),)


def test_an_election_before_issuance_is_carried_out_by_it(story: Story) -> None:
    story.estimated(KG)
    option = active(story, election="elected", strike_fen=0)
    story.do("firm", "option.elect", OneOption(option=option))
    with pytest.raises(NothingToElect):
        story.do("firm", "option.elect", OneOption(option=option))
    story.verify()
    story.propose()
    story.approve()
    assert (story.units("firm"), load(story, option).status) == (20, "delivered")


def test_a_buyer_without_the_strike_does_not_stop_the_issuance(story: Story) -> None:
    story.estimated(KG)
    option = active(story)
    story.verify()
    story.propose()
    story.approve()
    assert (story.units("operator"), load(story, option).status) == (58, "set_aside")


def test_who_may_offer_and_buy(story: Story) -> None:
    story.estimated(KG)
    with pytest.raises(OwnUnits):
        offered(story, buyer="operator")
    with pytest.raises(InterestedParty):
        offered(story, buyer="reviewer")
    option = offered(story)
    with pytest.raises(NotFound):
        story.do("rival", "option.accept", AcceptOption(option=option))
    other = story.people.member(Role.OPERATOR, "another operator")
    with pytest.raises(NotFound):
        story.people.do(other, "option.withdraw", OneOption(option=option))
    story.do("operator", "option.withdraw", OneOption(option=option))
    with pytest.raises(TransitionRefused):
        story.do("firm", "option.accept", AcceptOption(option=option))
    story.advance(days=400)
    with pytest.raises(PastDate):
        offered(story)


def test_a_buyer_of_an_option_has_an_interest_in_the_project(story: Story) -> None:
    offered(story)
    with story.installation.database.read() as session:
        assert list(OptionInterests().parties(session, story.project_id)) == [story["firm"].organisation]
