"""The published test vectors, every one of the equations that exist."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from registry.estimates.methods import EQUATIONS, calculate

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors.json").read_text(encoding="utf-8")
)


def assert_agrees(found: object, expected: object, rel: float, path: str = "") -> None:
    if isinstance(expected, list):
        assert isinstance(found, list), path
        assert len(found) == len(expected), path
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_agrees(one, other, rel, f"{path}[{index}]")
    elif isinstance(expected, bool | str) or expected is None:
        assert found == expected, path
    else:
        assert found == pytest.approx(expected, rel=rel, abs=1e-9), path


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_a_published_vector_is_reproduced(vector: Mapping[str, Any]) -> None:
    inputs = dict(vector["inputs"])
    found = calculate(inputs.pop("equation"), inputs)
    assert set(found) >= set(vector["expected"])
    for name, expected in vector["expected"].items():
        assert_agrees(found[name], expected, vector["tolerance"]["rel"], name)


def test_every_equation_has_a_vector() -> None:
    covered = {part for vector in VECTORS for part in vector["inputs"]["equation"].split("/")}
    assert {part for equation in EQUATIONS for part in equation.split("/")} == covered


def test_a_vector_with_one_digit_changed_is_noticed() -> None:
    expected = VECTORS[0]["expected"]["delta_tco2e"]
    with pytest.raises(AssertionError):
        assert_agrees(expected * (1 + 1e-5), expected, VECTORS[0]["tolerance"]["rel"])
