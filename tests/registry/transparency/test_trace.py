"""A serial leads to its ground, the run that measured it, who verified it, and everybody who held it."""

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.units import UnitRange
from registry.accounts.keys import RevokeKey
from registry.accounts.service import NotFound
from registry.documents.errors import SerialBatchDisagrees, SerialCheckDigitsWrong
from registry.documents.serials import Serial, UnitKind
from registry.estimates.service import load_run
from registry.issuance.models import Batch
from registry.issuance.service import ApproveIssuance, ProposeIssuance
from registry.machine import Role
from registry.transparency.audit import audit
from registry.transparency.recomputing import recompute_serial
from registry.transparency.review import UnderReview
from registry.transparency.trace import Trace, trace
from tests.registry.forest import Forest, forest

__all__ = ["forest"]


def issued(forest: Forest) -> Serial:
    """The serial of the first vintage's whole batch."""
    people, registry = forest.land.people, forest.land.registry.first
    forest.verifying()
    forest.verify()
    proposed = people.do(registry, "issuance.propose", ProposeIssuance(period=forest.period))
    issuer = people.member(Role.ISSUER, "登记备案机构")
    approve = ApproveIssuance(issuance=str(proposed.answer["issuance"]))
    people.together(registry, issuer, "issuance.approve", approve)
    with people.installation.database.read() as session:
        batch = session.scalars(sa.select(Batch).order_by(Batch.vintage)).first()
        assert batch is not None
        units = UnitRange(batch.start_number, batch.end_number)
        return Serial("QZP", "330802", UnitKind.REMOVAL_NATURE, 1, batch.vintage, batch.number, units)


def traced(forest: Forest, serial: object) -> Trace:
    with forest.land.people.installation.database.read() as session:
        return trace(session, str(serial))


def test_a_serial_leads_to_everything_it_rests_on(forest: Forest) -> None:
    serial = issued(forest)
    found = traced(forest, serial)
    assert found.units == serial.count
    assert found.statement["verifier"] == forest.land.verifier.organisation
    assert found.statement["verifier_name"] == "审核机构"
    assert sum(home.end - home.start + 1 for home in found.homes) == serial.count
    assert {home.number for home in found.homes} <= {1, 2, 3}
    held = {(holder.start, holder.end) for holder in found.holders}
    assert sum(end - start + 1 for start, end in held) == serial.count
    assert {holder.organisation for holder in found.holders} == {forest.owner.organisation, "registry"}
    assert {holder.entry_index for holder in found.holders} == {found.issuance["entry_index"]}
    with forest.land.people.installation.database.read() as session:
        assert load_run(session, found.run["id"]).period_id == forest.period
    assert found.run["entry_index"] < found.statement["entry_index"] < found.issuance["entry_index"]


def test_what_a_compromised_key_signed_is_shown_under_review_from_the_named_entry_on(forest: Forest) -> None:
    serial = issued(forest)
    found = traced(forest, serial)
    assert found.under_review == ()
    people, first = forest.land.people, forest.land.registry.first
    with people.installation.database.read() as session:
        key = tables.actor_key.c
        keyid = str(session.scalars(sa.select(key.keyid).where(key.person == first.person)).one())
    index = found.issuance["entry_index"]
    revoke = RevokeKey(key=keyid, reason="compromised", suspect_from=index)
    revoked = people.do(people.installation.root, "key.revoke", revoke).entries[0]
    assert traced(forest, serial).under_review == (UnderReview(index, keyid, revoked),)
    report = audit(people.installation.home)
    assert report.passed
    assert {f"entry {index}", f"entry {revoked}"} <= {note.where for note in report.notes}


def test_one_unit_leads_to_one_parcel_and_one_holder(forest: Forest) -> None:
    serial = issued(forest)
    found = traced(forest, serial.part(UnitRange(serial.units.start, serial.units.start)))
    assert len(found.homes) == len(found.holders) == 1


def test_the_kilograms_of_a_serial_are_computed_again(forest: Forest) -> None:
    serial = issued(forest)
    installation = forest.land.people.installation
    with installation.database.read() as session:
        again = recompute_serial(session, installation.home, str(serial))
    assert again.same
    assert again.to_json()["kg"] == again.outcome.recorded_kg > 0
    assert again.lines()[-1] == "the same"


def test_a_raster_that_was_changed_is_named(forest: Forest) -> None:
    serial = issued(forest)
    installation = forest.land.people.installation
    stored = installation.home.rasters / f"{forest.rasters['agb_end']}.tif"
    stored.write_bytes(stored.read_bytes() + b"!")
    with installation.database.read() as session:
        again = recompute_serial(session, installation.home, str(serial))
    assert not again.same
    assert [one.name for one in again.outcome.differences] == ["agb_end"]


def test_units_that_were_never_issued_lead_nowhere(forest: Forest) -> None:
    serial = issued(forest)
    beyond = UnitRange(10_000_000, 10_000_001)
    unknown = Serial("QZP", "330802", serial.kind, 1, serial.vintage, serial.batch, beyond)
    with pytest.raises(NotFound):
        traced(forest, unknown)
    with pytest.raises(NotFound):
        traced(forest, Serial("QZP", "330803", serial.kind, 1, serial.vintage, serial.batch, serial.units))


def test_a_serial_that_contradicts_itself_is_refused(forest: Forest) -> None:
    serial = issued(forest)
    with pytest.raises(SerialBatchDisagrees):
        traced(
            forest, Serial("QZP", "330802", serial.kind, 1, serial.vintage + 1, serial.batch, serial.units)
        )
    spoiled = str(serial)[:-2] + ("02" if str(serial)[-2:] != "02" else "03")
    with pytest.raises(SerialCheckDigitsWrong):
        traced(forest, spoiled)
