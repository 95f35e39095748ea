"""Who must sign a step, as tables."""

import pytest

from registry.machine import (
    ConfirmationMissing,
    Mandate,
    Needs,
    NotAuthorised,
    Role,
    Signer,
    check_authority,
    check_carried,
    step,
)

RULE = step("confirmed", Role.ENTERPRISE, Role.INDIVIDUAL, needs=Needs.TWO_PERSONS, alone=(Role.INDIVIDUAL,))
FIRST, SECOND = (Mandate(f"m{n}", f"p{n}", "firm", Role.ENTERPRISE) for n in (1, 2))
SOMEBODY = Mandate("m3", "p3", "somebody", Role.INDIVIDUAL)
ALSO_IN_THE_FIRM = Mandate("m4", "p3", "firm", Role.INDIVIDUAL)


def signed(*mandates: Mandate) -> list[Signer]:
    return [Signer(mandate.person, (mandate,)) for mandate in mandates]


def authorise(by: Mandate, *others: Mandate) -> None:
    check_authority("retirement", "confirm", RULE, by, by.person, signed(by, *others))


def test_a_role_that_acts_alone_needs_one_signature_and_takes_no_second() -> None:
    authorise(SOMEBODY)
    with pytest.raises(NotAuthorised):
        authorise(SOMEBODY, FIRST)


def test_the_others_still_need_two_persons() -> None:
    authorise(FIRST, SECOND)
    with pytest.raises(ConfirmationMissing):
        authorise(FIRST)


def test_who_acts_alone_confirms_for_nobody() -> None:
    with pytest.raises(NotAuthorised):
        authorise(FIRST, ALSO_IN_THE_FIRM)


def test_a_step_that_an_entry_causes_follows_the_same_rule() -> None:
    check_carried("retirement", "confirm", RULE, signed(SOMEBODY))
    check_carried("retirement", "confirm", RULE, signed(FIRST, SECOND))
    for signers in (signed(FIRST), signed(FIRST, Mandate("m5", "p5", "other firm", Role.ENTERPRISE))):
        with pytest.raises(NotAuthorised):
            check_carried("retirement", "confirm", RULE, signers)


@pytest.mark.parametrize(
    "machine, action",
    [("mandate", "end"), ("person", "register"), ("organisation", "register"), ("key", "add")],
)
def test_who_may_act_is_changed_by_nobody_beside_another_step(machine: str, action: str) -> None:
    """Not even by the root, who may take the step as an entry of its own."""
    root = Mandate("root", "root", "registry", Role.ROOT)
    with pytest.raises(NotAuthorised, match="an entry of its own"):
        check_carried(machine, action, step("done", Role.ROOT), signed(root))
    check_carried("key", "succeed", step("active", Role.ROOT), signed(root))
