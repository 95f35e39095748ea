"""The published test vectors, every one, through the functions and through the command line."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from registry.estimates.methods import EQUATIONS, calculate
from tests.conftest import not_tested
from tests.registry.estimates.sheets import OWN, PUBLISHED, assert_agrees, assert_reproduced

FENCED = re.compile(r"^```json\n(.*?)\n```$", re.S | re.M)


@pytest.mark.parametrize("vector", [*PUBLISHED, *OWN], ids=lambda vector: str(vector["name"]))
def test_a_vector_is_reproduced(vector: Mapping[str, Any]) -> None:
    inputs = dict(vector["inputs"])
    assert_reproduced(dict(vector), calculate(inputs.pop("equation"), inputs))


def test_a_published_vector_lists_every_output() -> None:
    for vector in PUBLISHED:
        inputs = dict(vector["inputs"])
        assert set(calculate(inputs.pop("equation"), inputs)) == set(vector["expected"]), vector["name"]


def test_every_equation_has_a_vector() -> None:
    assert {vector["inputs"]["equation"] for vector in [*PUBLISHED, *OWN]} == set(EQUATIONS)


def test_a_vector_with_one_digit_changed_is_noticed() -> None:
    expected = PUBLISHED[0]["expected"]["delta_tco2e"]
    with pytest.raises(AssertionError):
        assert_agrees(expected * (1 + 1e-5), expected, PUBLISHED[0]["tolerance"]["rel"])


def calculated(sheet: object) -> Any:
    """What the command prints for a sheet on its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "registry.cli", "method", "calc", "-"],
        input=json.dumps(sheet).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_methodology_itself_is_reproduced_by_the_command_line(test_data: Path) -> None:
    """Every fenced block of its section on vectors, in one process, as it stands there."""
    page = test_data.parent / "METHODOLOGY.md"
    if not page.is_file():
        not_tested("no METHODOLOGY.md beside the folder of real data")
    text = page.read_text(encoding="utf-8")
    vectors = [json.loads(block) for block in FENCED.findall(text[text.index("\n## 7. ") :])]
    assert len(vectors) == 37
    assert vectors == PUBLISHED
    answers = calculated(vectors)
    assert [answer["name"] for answer in answers] == [vector["name"] for vector in vectors]
    for vector, answer in zip(vectors, answers, strict=True):
        assert_reproduced(vector, answer["outputs"])
