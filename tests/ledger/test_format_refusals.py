"""Every refusal of the formats has a code, a sentence and facts."""

import json
from string import Formatter

import pytest

from ledger import errors
from ledger.errors import LedgerRefusal

REFUSALS = [
    item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, LedgerRefusal)
]


def test_codes_and_sentences_are_their_own() -> None:
    assert len(REFUSALS) > 15
    assert len({refusal.code for refusal in REFUSALS}) == len(REFUSALS)
    assert len({refusal.template for refusal in REFUSALS}) == len(REFUSALS)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_a_refusal_says_its_facts_in_a_sentence(refusal: type[LedgerRefusal]) -> None:
    names = [name for _, name, _, _ in Formatter().parse(refusal.template) if name]
    raised = refusal(**{name: f"the {name}" for name in names})
    assert str(raised).endswith(".")
    assert all(f"the {name}" in str(raised) for name in names)
    assert json.loads(json.dumps(raised.facts)) == raised.facts
