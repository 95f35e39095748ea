"""Mandates say who signs for whom, so not every role is given for every organisation."""

import pytest

from registry.accounts.service import RoleRefused
from registry.machine import Role
from tests.registry.people import People


def test_no_firm_sheds_its_second_signature_by_calling_a_member_an_individual(people: People) -> None:
    firm = people.organisation(Role.ENTERPRISE, "企业甲")
    with pytest.raises(RoleRefused):
        people.person(firm, Role.INDIVIDUAL)
    people.person(firm, Role.ENTERPRISE)


def test_an_individual_acts_for_its_own_account(people: People) -> None:
    assert people.member(Role.INDIVIDUAL, "张三").role is Role.INDIVIDUAL
