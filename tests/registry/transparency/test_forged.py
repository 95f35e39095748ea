"""Logs that the registry forged with its own keys: signed, in the tree, with tables to match, and still
found, by the check whose rule they break.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy.orm import Session

from geo.polygon import from_wkb
from ledger.canonical import JsonValue
from ledger.effects import (
    Effect,
    Limit,
    Move,
    OpenAccount,
    OpenBlock,
    Post,
    Posting,
    SplitBlock,
    Transfer,
    Transition,
)
from ledger.entry import Payload
from registry.accounts.rules import MONEY, cash_account
from registry.acts import SYSTEM
from registry.issuance.models import Batch
from registry.issuance.plan import IssuancePlan, plan_issuance
from registry.issuance.service import ApproveIssuance
from registry.issuance.units import locked_blocks
from registry.machine import Role
from registry.market.options import AcceptOption, OfferOption, OneOption
from registry.market.sales import Buy, OpenListing
from registry.market.settlement import divide
from registry.parcels.models import ParcelVersion
from registry.parcels.service import AcceptParcel, FindEligible, SubmitParcel
from registry.programmes.rules import (
    buffer_account,
    issuance_account,
    residue_account,
    residue_asset,
    residue_source,
    unit_asset,
    units_account,
)
from registry.projects.claims import index_claim
from registry.projects.service import NamePeriod, load_project
from registry.retirement.service import OneRetirement, RequestRetirement
from registry.verification.service import AcceptPeriod, VerifyPeriod
from tests.registry.story import DIGEST, KG, Story
from tests.registry.transparency.forging import forge, found, logged, prepared, written

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])


# ---- issuances ---------------------------------------------------------------------------------------------


def approval(story: Story) -> Payload:
    return prepared(story, story["operator"], "issuance.approve", ApproveIssuance(issuance=story.issuance))


def planned(kg: Mapping[int, int], buffer_ppm: int = 100_000) -> IssuancePlan:
    return plan_issuance(
        kg, date(2023, 1, 1), date(2024, 1, 1), total_kg=sum(kg.values()), unit_kg=1000,
        buffer_ppm=buffer_ppm, residue_kg=0, last_number=0, last_batch=0,
    )  # fmt: skip


def issue(story: Story, plan: IssuancePlan, **facts: Any) -> None:
    """Carry out a plan that is not the verified one, in every fact and every effect."""
    honest = approval(story)
    asset, name = unit_asset(story.programme), f"{honest.subject}.2023"
    source, residue = issuance_account(story.programme), residue_asset(story.programme)
    own = units_account(story["operator"].organisation, story.programme)
    effects: list[Effect] = [e for e in honest.effects if not isinstance(e, OpenBlock | Transfer)]
    postings = (
        Posting(residue_source(story.programme), residue, -plan.residue_after_kg),
        Posting(residue_account(story.project_id), residue, plan.residue_after_kg),
    )
    effects.append(Transfer(f"{honest.id}.r", postings))
    (batch,) = plan.batches
    for units, account, kind in (
        (batch.project_range, own, "a"),
        (batch.buffer_range, buffer_account(story.project_id), "b"),
    ):
        if units is not None:
            effects.append(
                OpenBlock(f"{honest.id}.{kind}", story.project_id, name, units, asset, account, source)
            )
    forged = replace(honest, facts=honest.facts | plan.facts() | facts, effects=tuple(effects))
    forge(story, forged, story["operator"], story["issuer"])


def test_the_honest_plan_forged_in_the_same_way_is_found_nowhere(story: Story) -> None:
    story.proposed(KG)
    issue(story, planned(KG))
    assert found(story) == {}


def test_more_units_than_were_verified_are_found_as_i5(story: Story) -> None:
    story.proposed(KG)
    issue(story, planned(KG | {1: KG[1] + 3_000}))
    checks = found(story)
    assert set(checks) == {"I5", "I7"}
    assert "signed were 87412" in str(checks["I5"][0])
    assert "parcel 1" in checks["I7"][0].where


def test_a_residue_that_vanishes_is_found_as_i5(story: Story) -> None:
    story.proposed(KG)
    issue(story, replace(planned(KG), residue_after_kg=1))
    assert set(found(story)) == {"I5"}


def test_a_missing_buffer_is_found_as_i6(story: Story) -> None:
    story.proposed(KG)
    issue(story, planned(KG, buffer_ppm=50_000))
    checks = found(story)
    assert set(checks) == {"I6", "I7"}
    assert "5 of 87 units are in the buffer; 9 are due" in str(checks["I6"][0])


def test_units_given_another_home_parcel_are_found_as_i7(story: Story) -> None:
    story.proposed(KG)
    plan = planned(KG)
    (batch,) = plan.batches
    one, two, three = batch.homes
    issue(story, replace(plan, batches=(replace(batch, homes=(one - 5, two + 5, three)),)))
    checks = found(story)
    assert set(checks) == {"I7"}
    assert {"parcel 1", "parcel 2"} <= {" ".join(f.where.split()[-2:]) for f in checks["I7"]}


# ---- verification ------------------------------------------------------------------------------------------


def test_a_verifier_with_a_stake_is_found_as_i9(story: Story) -> None:
    """A person of the project's own operator, with a verifier's mandate, signs the quantity."""
    insider = story.people.person(story["operator"].organisation, Role.VERIFIER)
    period = story.estimated(KG)
    story.do("operator", "period.submit", NamePeriod(period=period))
    story.do("verifier", "period.accept", AcceptPeriod(period=period))
    honest = prepared(
        story,
        story["verifier"],
        "period.verify",
        VerifyPeriod(period=period, reason_code="own_finding", findings="Plots measured again."),
    )
    facts = honest.facts | {"verifier": insider.organisation}
    forge(story, replace(honest, by=insider.person, mandate=insider.id, facts=facts), insider)
    checks = found(story)
    assert set(checks) == {"I9", "C1"}  # the forger kept no record for the commitment, either
    assert "not independent" in str(checks["I9"][0])


# ---- land --------------------------------------------------------------------------------------------------


def test_ground_that_is_claimed_twice_is_found_as_i4(story: Story) -> None:
    draft = story._draft(0, "lower")  # the ground of the first village's parcel
    submit = SubmitParcel(
        draft=draft,
        evidence_sha256=DIGEST,
        resolution_sha256=DIGEST,
        operator=story["operator"].organisation,
    )
    story.both("lower", "lower 2", "parcel.submit", submit)
    story.do("reviewer", "parcel.accept", AcceptParcel(parcel=draft))
    eligible = FindEligible(parcel=draft, programme=story.programme, overlap_reason="boundary_agreed")
    story.both("reviewer", "registry", "parcel.find_eligible", eligible)
    (first, *_) = logged(story, "parcel", "enrol")
    claim = "a-second-claim"
    facts = first.facts | {"number": 4, "claims": [[claim, "forest-biomass", 1]]}
    effects = tuple(
        replace(effect, subject=claim) for effect in first.effects if isinstance(effect, Transition)
    )
    payload = written(story, SYSTEM, "parcel", "enrol", draft, facts, effects)

    def index(session: Session) -> None:
        version = session.get_one(ParcelVersion, (draft, 1))
        assert version.wkb is not None
        index_claim(session, claim, from_wkb(version.wkb))

    forge(story, payload, SYSTEM, also=index)
    checks = found(story)
    assert set(checks) == {"I4", "I8"}  # and no act let the parcel join
    assert checks["I8"][0].what == "the project has no such parcel with number 4"
    assert checks["I4"][0].where == f"claim {claim} of parcel {draft}"
    assert story.parcels[0] in checks["I4"][0].what


# ---- options -----------------------------------------------------------------------------------------------


def accepted(story: Story, units: int) -> str:
    offered = OfferOption(
        project=story.project_id,
        vintage=2023,
        buyer=story["firm"].organisation,
        units=units,
        premium_fen=800,
        strike_fen=0,
        window_to=date(2026, 1, 31),
    )
    option = str(story.do("operator", "option.offer", offered).answer["option"])
    story.do("firm", "option.accept", AcceptOption(option=option))
    return option


def split(story: Story, fen: int) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """A payment divided by the rule: its facts, and fen by account."""
    with story.installation.database.read() as session:
        proceeds = divide(session, load_project(session, story.project_id), fen)
    owner = story["operator"].organisation
    received = [
        (f"reserve:tax:{owner}", proceeds.tax_fen),
        (f"reserve:insurance:{owner}", proceeds.insurance_fen),
        *((cash_account(village), part) for village, part in proceeds.villages),
    ]
    return proceeds.facts(), received


def paying(name: str, payer: str, payees: Sequence[tuple[str, int]]) -> Transfer:
    total = sum(fen for _, fen in payees)
    postings = (Posting(payer, MONEY, -total), *(Posting(account, MONEY, fen) for account, fen in payees))
    return Transfer(name, postings)


@pytest.mark.parametrize("stated", [39, 60])
def test_an_option_beyond_its_cover_is_found_as_i10(story: Story, stated: int) -> None:
    story.estimated(KG)
    story.pay_in("firm", 100_000)
    small, large = accepted(story, 10), accepted(story, 50)
    honest = prepared(story, story["firm"], "option.activate", OneOption(option=small))
    proceeds, received = split(story, 50 * 800)
    payer = cash_account(story["firm"].organisation)
    opened = tuple(effect for effect in honest.effects if not isinstance(effect, Transfer))
    facts = honest.facts | {"units": 50, "promised_units": 50, "cover_units": stated, "proceeds": proceeds}
    payload = replace(
        honest, subject=large, facts=facts, effects=(*opened, paying(f"{honest.id}.p", payer, received))
    )
    forge(story, payload, story["firm"])
    checks = found(story)
    assert set(checks) == {"I10"}
    assert checks["I10"][0].what == "50 units are promised, the estimate covers 39"


def test_a_delivery_that_keeps_units_back_is_found_as_i10(story: Story) -> None:
    story.estimated(KG)
    story.pay_in("firm", 100_000)
    option = accepted(story, 20)
    story.do("firm", "option.activate", OneOption(option=option))
    story.verify()
    story.propose()
    honest = approval(story)
    effects: list[Effect] = []
    firm = units_account(story["firm"].organisation, story.programme)
    own = units_account(story["operator"].organisation, story.programme)
    for effect in honest.effects:
        if isinstance(effect, OpenBlock) and effect.account == firm:
            kept, given = effect.units.split(effect.units.start + 3)
            effects.append(replace(effect, block=f"{effect.block}x", units=kept, account=own))
            effects.append(replace(effect, units=given))
        else:
            effects.append(effect)
    payload = replace(honest, effects=tuple(effects))
    forge(story, payload, story["operator"], story["issuer"])
    checks = found(story)
    assert set(checks) == {"I10"}
    assert "20 units" in checks["I10"][0].what
    assert "16 are made there" in checks["I10"][0].what


# ---- money -------------------------------------------------------------------------------------------------


def bought(story: Story) -> Payload:
    opened = OpenListing(project=story.project_id, units=20, price_fen=6000)
    listing = str(story.do("operator", "listing.open", opened).answer["listing"])
    story.pay_in("firm", 20 * 6000)
    return prepared(story, story["firm"], "trade.buy", Buy(listing=listing, units=20))


def test_a_fen_that_goes_to_another_village_is_found_as_i11(issued: Story) -> None:
    honest = bought(issued)
    facts: dict[str, Any] = dict(honest.facts)
    (upper, more), (lower, less), *rest = facts["proceeds"]["villages"]
    villages = [[upper, more + 1], [lower, less - 1], *rest]
    taken = {cash_account(upper): 1, cash_account(lower): -1}
    effects = tuple(
        replace(
            effect,
            postings=tuple(
                replace(posting, amount=posting.amount + taken.get(posting.account, 0))
                for posting in effect.postings
            ),
        )
        if isinstance(effect, Transfer)
        else effect
        for effect in honest.effects
    )
    payload = replace(
        honest, facts=facts | {"proceeds": facts["proceeds"] | {"villages": villages}}, effects=effects
    )
    forge(issued, payload, issued["firm"])
    checks = found(issued)
    assert set(checks) == {"I11"}
    assert {upper, lower} <= {finding.where.rsplit(":", 1)[-1] for finding in checks["I11"]}


def test_units_sold_for_less_than_their_price_are_found_as_i11(issued: Story) -> None:
    honest = bought(issued)
    proceeds, received = split(issued, 20)
    payer = cash_account(issued["firm"].organisation)
    effects = tuple(e for e in honest.effects if not isinstance(e, Transfer))
    facts = honest.facts | {"proceeds": proceeds, "amount_fen": 20}
    payload = replace(
        honest, facts=facts, effects=(*effects, paying("cheap", payer, [r for r in received if r[1]]))
    )
    forge(issued, payload, issued["firm"])
    checks = found(issued)
    assert set(checks) == {"I11"}
    assert "units and price give 120000" in str(checks["I11"][0])


def test_money_that_an_unrelated_act_takes_is_found_as_i11(issued: Story) -> None:
    issued.pay_in("firm", 500)
    payer, payee = (cash_account(issued[name].organisation) for name in ("firm", "operator"))
    honest = prepared(
        issued,
        issued["operator"],
        "listing.open",
        OpenListing(project=issued.project_id, units=1, price_fen=1),
    )
    payload = replace(honest, effects=(*honest.effects, paying("gone", payer, [(payee, 500)])))
    forge(issued, payload, issued["operator"])
    checks = found(issued)
    assert set(checks) == {"I11"}
    assert "is no payment" in str(checks["I11"][0])


def test_units_that_an_unrelated_act_gives_away_are_found_as_i8(issued: Story) -> None:
    """The opening of a listing that hands over, free of charge, what a purchase of another would."""
    purchase = bought(issued)
    handed_over = tuple(effect for effect in purchase.effects if isinstance(effect, SplitBlock | Post))
    firm = issued["firm"].organisation
    account = units_account(firm, issued.programme)
    opened = OpenAccount(account, unit_asset(issued.programme), Limit.FLOOR, True, firm)
    honest = prepared(
        issued,
        issued["operator"],
        "listing.open",
        OpenListing(project=issued.project_id, units=1, price_fen=1),
    )
    forge(issued, replace(honest, effects=(opened, *handed_over)), issued["operator"])
    assert issued.units("firm") == 20
    assert set(found(issued)) == {"I8"}


# ---- retirements -------------------------------------------------------------------------------------------


def test_a_certificate_of_other_units_than_were_retired_is_found_as_i14(sold: Story) -> None:
    wished = RequestRetirement(
        project=sold.project_id,
        units=5,
        beneficiary="浙江示例纺织有限公司",
        claim_from=date(2024, 1, 1),
        claim_to=date(2025, 1, 1),
    )
    first, second = (
        str(sold.do("firm", "retirement.request", wished).answer["retirement"]) for _ in range(2)
    )
    sold.both("firm", "firm 2", "retirement.confirm", OneRetirement(retirement=first))
    confirmed = prepared(sold, sold["firm"], "retirement.confirm", OneRetirement(retirement=second))
    forge(sold, confirmed, sold["firm"], sold["firm 2"])
    (honest,) = logged(sold, "retirement", "retire")
    (request,) = [p for p in logged(sold, "retirement", "request") if p.subject == second]
    pending: Any = request.facts["pending"]
    with sold.installation.database.read() as session:
        batch = session.query(Batch).one().id
        blocks = locked_blocks(session, pending)
    (post,) = honest.effects
    assert isinstance(post, Post)
    ranges: list[JsonValue] = [[batch, block.units.start, block.units.end] for block in blocks]
    moves = tuple(Move(block.block, post.moves[0].to) for block in blocks)
    payload = replace(
        written(sold, SYSTEM, "retirement", "retire", second, {}),
        facts=honest.facts | {"certificate": "QZP1-RC-000002", "ranges": ranges},  # the first one's serials
        commitments=dict(honest.commitments),
        effects=(replace(post, pending=pending, moves=moves),),
    )
    forge(sold, payload, SYSTEM)
    checks = found(sold)
    assert set(checks) == {"I14", "C1"}  # the forger kept no record for the commitment, either
    assert "serials" in checks["I14"][0].where
