"""The figures that are kept make the table of the page."""

import json
from pathlib import Path

import pytest

from tests.reliability import figures
from tests.reliability.figures import Figures


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(figures, "RESULTS", tmp_path / "results")
    figures.RESULTS.mkdir()
    return figures.RESULTS


def test_a_long_run_keeps_its_figures_and_a_short_one_does_not(results: Path) -> None:
    Figures(kept=False).tell("kill", rounds=3)
    assert list(results.iterdir()) == []
    Figures(kept=True).tell("kill on sqlite 1", rounds=3, lost=0)
    (file,) = results.iterdir()
    assert json.loads(file.read_text())["counts"] == {"rounds": 3, "lost": 0}


def test_the_parts_of_a_campaign_are_one_row(results: Path) -> None:
    assert "No run has been kept" in figures.table()
    for part in (1, 2):
        Figures(kept=True).tell(f"kill on sqlite {part}", rounds=100, acknowledged=1000, lost=0, doubled=0)
    assert "| kill on sqlite | rounds 200 | 2,000 | 0 | 0 |" in figures.table()


def test_the_page_has_a_place_for_the_table() -> None:
    assert "<!-- table: reliability -->" in (figures.RESULTS.parent / "README.md").read_text()
