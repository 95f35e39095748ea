"""Pages made from the code are the code's."""

from pathlib import Path

from registry.catalogue import ACTS, MACHINES, PROJECTIONS
from registry.transparency.handbook import handbook

ROOT = Path(__file__).parents[3]


def test_the_rules_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "rules.md").read_text() == handbook()


def test_every_machine_has_a_projection_and_every_projection_a_machine() -> None:
    assert set(MACHINES) == set(PROJECTIONS)


def test_every_machine_can_be_left_only_by_its_table() -> None:
    for machine in MACHINES.values():
        assert machine.initial not in machine.terminal
        for state, action in machine.steps:
            assert machine.step(state, action, "x").after in machine.states


def test_acts_are_named_by_what_they_act_on() -> None:
    assert all("." in name for name in ACTS)
