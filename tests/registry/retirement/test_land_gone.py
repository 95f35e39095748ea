"""Units outlive what becomes of their land: they retire after their parcel was split or suspended."""

from datetime import date

import pytest

from registry.parcels.models import Parcel
from registry.retirement.service import OneRetirement, RequestRetirement
from registry.transparency.audit import audit
from tests.registry.life import approve, draft, part, proposal, propose, suspend
from tests.registry.story import Story


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_units_of_a_split_and_of_a_suspended_parcel_retire_all_the_same(sold: Story) -> None:
    """The firm's 40 units grew on the second and the third village's parcels."""
    _, lower, middle = sold.parcels
    heirs = [draft(sold, "lower", part(0, 0.5, n=1)), draft(sold, "lower", part(0.5, 1, n=1))]
    approve(sold, propose(sold, proposal(sold, "split", [lower], heirs), "lower"))
    suspend(sold, middle)
    asked = RequestRetirement(
        project=sold.project_id,
        units=40,
        beneficiary="浙江示例纺织有限公司",
        beneficiary_code="91330800MA2DEMA017",
        text="抵消",
        jurisdiction="CN-ZJ",
        claim_from=date(2024, 1, 1),
        claim_to=date(2025, 1, 1),
    )
    retirement = str(sold.do("firm", "retirement.request", asked).answer["retirement"])
    sold.both("firm", "firm 2", "retirement.confirm", OneRetirement(retirement=retirement))
    assert sold.units("firm") == 0
    with sold.installation.database.read() as session:
        states = [session.get_one(Parcel, one).status for one in (lower, middle)]
    assert states == ["superseded", "suspended"]
    assert audit(sold.installation.home).findings == []
