"""What a report says of the evidence behind a figure: who drew the plots' places, and what the log binds."""

from dataclasses import replace

import pytest

from registry.estimates.reports.document import compose
from registry.estimates.reports.facts import DesignUsed, Report
from registry.language import Language
from tests.registry.estimates.report_facts import made_report


def texts(report: Report) -> list[str]:
    return list(compose(report, Language.ENGLISH).texts())


def with_design(design: DesignUsed | None) -> Report:
    report = made_report()
    assert report.plots is not None
    return replace(report, plots=replace(report.plots, design=design))


def test_a_seed_out_of_the_log_is_told_from_one_that_was_given() -> None:
    told = texts(made_report())
    assert "root of a checkpoint of the log: published before the design, nobody's choice" in told
    assert "log.example 41" in told and "d5" * 32 in told and "5d" * 32 in told
    given = texts(with_design(DesignUsed("d5" * 32, "given", "lucky 7", None, None, 13, ())))
    assert "given by the designer: a choice cannot be ruled out" in given
    assert "lucky 7" in given


def test_plots_that_left_their_design_are_warned_of() -> None:
    told = texts(made_report())
    assert "13 places designed; 1 moved, missing or added (see checks and warnings)" in told
    assert any("plot P-13: " in one and "in the design, but not in the file" in one for one in told)


@pytest.mark.parametrize(
    ("design", "said"),
    [
        (None, "none was brought with the file; nobody can tell whether the places were drawn"),
        (DesignUsed("d5" * 32), "not recorded"),
    ],
)
def test_a_missing_design_is_said_to_be_missing(design: DesignUsed | None, said: str) -> None:
    told = texts(with_design(design))
    assert said in told
    assert not any("places designed" in one for one in told)


def test_what_a_verifier_attested_is_bound_and_what_is_not_is_said() -> None:
    report = made_report()
    assert report.outcome is not None
    told = texts(report)
    assert told.count(report.attestation_sha256) == 2, "this run's digest, and the statement's"
    assert any(one.startswith("The express override of assumptions is chosen") for one in told)
    sure = replace(report, attested=tuple(one for one in report.attested if one.mark == "P"))
    assert not any("express override" in one for one in texts(sure))


def test_nothing_is_bound_before_there_is_a_statement() -> None:
    told = texts(made_report(outcome=None))
    assert not any("The log's entry holds this digest" in one for one in told)
    assert not any("express override" in one for one in told)
