"""Vectors and how results are held against them."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

FOLDER: Final = Path(__file__).parent


def read(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return vectors


PUBLISHED: Final = read("vectors.json")
"""Those of the methodology, every fenced block of its section 7."""
OWN: Final = read("own_vectors.json")
"""Of equations without a published one; the numbers were computed by formulas written down a second time."""


def assert_agrees(found: object, expected: object, rel: float, path: str = "") -> None:
    if isinstance(expected, list):
        assert isinstance(found, list), path
        assert len(found) == len(expected), path
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_agrees(one, other, rel, f"{path}[{index}]")
    elif isinstance(expected, bool | str) or expected is None:
        assert found == expected and type(found) is type(expected), path
    else:
        assert not isinstance(found, bool | str), path
        assert found == pytest.approx(expected, rel=rel, abs=1e-9), path


def assert_reproduced(vector: dict[str, Any], outputs: dict[str, Any]) -> None:
    assert set(outputs) >= set(vector["expected"])
    for name, expected in vector["expected"].items():
        assert_agrees(outputs[name], expected, vector["tolerance"]["rel"], f"{vector['name']}: {name}")
