"""A retirement's records are erased: the units stay retired, the certificate is gone."""

from datetime import date

import pytest
import sqlalchemy as sa

from registry.machine import Role
from registry.records.service import EraseRecord
from registry.retirement.certificates import make_certificate, write_certificate
from registry.retirement.models import Certificate, Retirement
from registry.retirement.rules import CertificateErased
from registry.retirement.service import OneRetirement, RequestRetirement
from registry.vacuum import vacuum
from tests.registry.story import Story, dialect, sold

__all__ = ["dialect", "sold"]

BENEFICIARY = "某某纪念林"


def test_an_erased_certificate_is_not_written_again_and_its_files_go(sold: Story) -> None:
    installation = sold.installation
    wish = RequestRetirement(
        project=sold.project_id, units=10, beneficiary=BENEFICIARY,
        claim_from=date(2024, 1, 1), claim_to=date(2025, 1, 1),
    )  # fmt: skip
    retirement = str(sold.do("firm", "retirement.request", wish).answer["retirement"])
    sold.both("firm", "firm 2", "retirement.confirm", OneRetirement(retirement=retirement))
    with installation.database.read() as session:
        written = write_certificate(
            session, installation.home, retirement, installation.tiles, installation.vkey
        )
        asked = session.get_one(Retirement, retirement).commitment
        (stated,) = session.scalars(sa.select(Certificate.commitment)).all()
    assert all(path.exists() for path in written)

    registrar = sold.people.member(Role.REGISTRY_ADMIN, "another registry")
    second = sold.people.colleague(registrar)
    for commitment in (asked, stated):
        sold.people.together(registrar, second, "record.erase", EraseRecord(commitment=commitment))
    with installation.database.read() as session:
        row = session.get_one(Retirement, retirement)
        assert (row.status, row.units, row.beneficiary) == ("retired", 10, None)
        with pytest.raises(CertificateErased):
            make_certificate(session, retirement, installation.tiles, installation.vkey)
    assert sorted(vacuum(installation.home)) == sorted(f"certificates/{path.name}" for path in written)
    assert not any(path.exists() for path in written)
    if installation.database.engine.dialect.name == "sqlite":
        for path in installation.home.path.glob("*.db*"):
            assert BENEFICIARY.encode() not in path.read_bytes()
            assert BENEFICIARY.encode("unicode_escape") not in path.read_bytes()
