"""Stocks beside what is printed of such stands: warned of in a report, never refused."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode
from registry.estimates.methods import default_parameters
from registry.estimates.reports.document import compose
from registry.estimates.reports.reading import Part
from registry.estimates.reports.stocks import read_stocks
from registry.estimates.run import compute
from registry.estimates.run_record import RunRecord
from registry.language import Language
from tests.registry.estimates.report_facts import made_report
from tests.registry.estimates.test_run_properties import files as files
from tests.registry.estimates.test_run_properties import inputs_of, whole


@pytest.fixture(scope="module")
def record(files: dict[str, Path]) -> RunRecord:
    outlines = whole()
    given = inputs_of(files, outlines)
    half = tuple(replace(one, credited_cm2=one.area_cm2 // 2) for one in given.parcels)
    return compute(replace(given, parcels=half), outlines, files)


def test_a_density_by_rasters_is_that_of_the_ground_whatever_is_credited(record: RunRecord) -> None:
    factors = default_parameters().stand_types.row("chinese_fir").factors
    found = {one.by: one for one in read_stocks(Part.of_text(record.text))}
    carbon = (1 + factors.root_shoot) * factors.carbon_fraction
    assert float(found["rasters"].start_tc_ha) == pytest.approx(50 * carbon, rel=0.05)
    assert float(found["rasters"].end_tc_ha) == pytest.approx(70 * carbon, rel=0.05)
    assert (found["rasters"].start, found["rasters"].end) == ("plausible", "plausible")


def test_a_density_by_plots_is_the_mean_of_what_the_record_says_of_them(record: RunRecord) -> None:
    document: Any = record.document
    plots = document["evidence"]["plots"]
    found = {one.by: one for one in read_stocks(Part.of_text(record.text))}
    first = sum(float(one["carbon1_tc_ha"]) for one in plots) / len(plots)
    assert float(found["plots"].start_tc_ha) == pytest.approx(first, abs=1e-4)
    change = sum(float(one["delta_tc_ha"]) for one in plots) / len(plots)
    assert float(found["plots"].end_tc_ha - found["plots"].start_tc_ha) == pytest.approx(change, abs=2e-4)


def test_a_stock_ten_times_too_high_is_outside_its_range_and_one_without_a_reference_unknown(
    record: RunRecord,
) -> None:
    document = json.loads(record.text)
    for parcel in document["results"]["parcels"]:
        parcel["stock_end_tco2e"] = repr(10 * float(parcel["stock_end_tco2e"]))
    told = read_stocks(Part.of_text(encode(document).decode()))[-1]
    assert (told.by, told.start, told.end) == ("rasters", "plausible", "above")
    for parcel in document["inputs"]["parcels"]:
        parcel["stand_type"] = "poplar"
    told = read_stocks(Part.of_text(encode(document).decode()))[-1]
    assert (told.start, told.low_tc_ha) == ("unknown", None)


@pytest.mark.parametrize(
    ("language", "warned"),
    [
        (Language.CHINESE, "马尾松期初的碳密度（按栅格）为 2.31 tC/公顷，超出合理范围 5.60–84.10，须说明。"),
        (
            Language.ENGLISH,
            (
                "The carbon of Masson pine at the start (by rasters) is 2.31 tC/ha, outside the plausible "
                "range of 5.60–84.10: to be explained."
            ),
        ),
    ],
)
def test_only_a_stock_outside_its_range_is_warned_of(language: Language, warned: str) -> None:
    texts = list(compose(made_report(), language).texts())
    assert [text for text in texts if "2.31" in text and len(text) > 10] == [warned]
    assert not any("21.40" in text and len(text) > 10 for text in texts)


def test_a_record_without_stocks_says_nothing_of_them() -> None:
    texts = list(compose(made_report(stocks=()), Language.ENGLISH).texts())
    assert not any("plausible range" in text for text in texts)
    assert Decimal(0) == sum((one.start_tc_ha for one in read_stocks(Part({}))), Decimal(0))
