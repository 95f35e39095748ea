"""A holder merges what adjoins; who held the units before is still known."""

import pytest
import sqlalchemy as sa

from ledger.units import UnitRange
from registry.issuance.merging import MergeUnits, NothingToMerge
from registry.issuance.models import Batch
from registry.issuance.units import Selection, free_blocks, serial_of
from registry.market.sales import Buy, CancelListing, OpenListing
from registry.programmes.rules import units_account
from registry.projects.models import Project
from registry.transparency.trace import trace
from tests.registry.story import Story


def ranges(story: Story, actor: str) -> list[str]:
    with story.installation.database.read() as session:
        account = units_account(story[actor].organisation, story.programme)
        return [str(block.units) for block in free_blocks(session, account, story.project_id)]


def merge(story: Story, actor: str, start: int, end: int) -> None:
    story.do(actor, "block.merge", MergeUnits(project=story.project_id, start=start, end=end))


@pytest.fixture
def parted(issued: Story) -> Story:
    """Units that a listing cut out of the operator's block and gave back."""
    command = OpenListing(
        project=issued.project_id, units=30, price_fen=100, selection=Selection(by="range", start=21, end=50)
    )
    listing = str(issued.do("operator", "listing.open", command).answer["listing"])
    issued.do("operator", "listing.cancel", CancelListing(listing=listing))
    return issued


def test_what_a_cancelled_listing_left_in_pieces_is_made_whole(parted: Story) -> None:
    before = ranges(parted, "operator")
    assert before[0] == "1-20"
    assert before[1] == "21-50"
    merge(parted, "operator", 1, 50)
    assert ranges(parted, "operator") == ["1-50", *before[2:]]
    held = parted.units("operator")
    merge(parted, "operator", 1, int(before[2].split("-")[1]))
    assert ranges(parted, "operator") == ["1-78"]
    assert parted.units("operator") == held == 78


@pytest.mark.parametrize(
    ("actor", "start", "end"),
    [
        ("operator", 1, 20),  # one block alone
        ("operator", 1, 49),  # a part of a block
        ("operator", 2, 50),
        ("operator", 50, 1),
        ("operator", 1, 79),  # the buffer's units are not the operator's
        ("firm", 1, 50),
    ],
)
def test_only_whole_blocks_of_the_holder_are_merged(parted: Story, actor: str, start: int, end: int) -> None:
    before = ranges(parted, "operator")
    with pytest.raises(NothingToMerge):
        merge(parted, actor, start, end)
    assert ranges(parted, "operator") == before


def test_what_is_locked_is_not_merged(parted: Story) -> None:
    command = OpenListing(
        project=parted.project_id, units=5, price_fen=100, selection=Selection(by="range", start=21, end=25)
    )
    parted.do("operator", "listing.open", command)
    with pytest.raises(NothingToMerge):
        merge(parted, "operator", 1, 50)


def test_a_serial_of_merged_units_leads_to_everybody_who_held_them(parted: Story) -> None:
    merge(parted, "operator", 1, 50)
    command = OpenListing(
        project=parted.project_id, units=10, price_fen=100, selection=Selection(by="range", start=16, end=25)
    )
    listing = str(parted.do("operator", "listing.open", command).answer["listing"])
    parted.pay_in("firm", 1000)
    parted.do("firm", "trade.buy", Buy(listing=listing, units=10))
    with parted.installation.database.read() as session:
        project = session.get_one(Project, parted.project_id)
        wanted = sa.select(Batch).where(Batch.project_id == project.id, Batch.start_number <= 16)
        batch = session.scalars(wanted.order_by(Batch.start_number.desc())).first()
        assert batch is not None
        found = trace(session, str(serial_of(session, project, batch, UnitRange(16, 25))))
    held = [(one.start, one.end, one.organisation) for one in found.holders]
    operator, firm = parted["operator"].organisation, parted["firm"].organisation
    assert held[0] == (16, 25, operator)
    assert held[-1] == (16, 25, firm)
