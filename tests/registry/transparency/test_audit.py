"""The audit passes on what the registry wrote, and finds whatever was changed behind its back."""

from pathlib import Path

import pytest

from registry.accounts.service import RecordDeposit
from registry.installation import Installation
from registry.machine import Role
from registry.transparency.audit import audit
from tests.registry.people import People


@pytest.fixture
def written(people: People) -> Installation:
    """A small installation with members and money."""
    bank = people.member(Role.BANK, "bank A")
    firm = people.member(Role.ENTERPRISE, "企业甲")
    people.do(
        bank, "deposit.record", RecordDeposit(organisation=firm.organisation, amount_fen=700, reference="s1")
    )
    return people.installation


def failures(installation: Installation) -> list[str]:
    return [str(finding) for finding in audit(installation.home).findings]


def test_the_audit_passes_on_what_the_registry_wrote(written: Installation) -> None:
    report = audit(written.home)
    assert report.findings == []
    assert report.size == 10
    for check in ("L1", "L2", "L3", "I8", "I9", "I11", "I12", "I13", "I15", "C1"):
        assert report.made[check] > 0, check


def test_a_missing_tile_is_found(written: Installation) -> None:
    newest = max(
        (written.home.log / "tile" / "0").rglob("*"),
        key=lambda p: (p.is_file(), int(p.name) if p.name.isdigit() else 0),
    )
    newest.unlink()
    assert any(newest.name in finding for finding in failures(written))


def test_an_audit_needs_the_log_key(written: Installation, tmp_path: Path) -> None:
    other = Installation.create(type(written.home).at(tmp_path / "other"), "tanhui.test/log")
    other.close()
    written.home.vkey.write_text(other.vkey + "\n")
    assert [f for f in failures(written) if f.startswith("L1")]
