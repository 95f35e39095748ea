"""A field mapping is data: headings, kinds and words, read strictly."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.estimates.methods.parameters import bamboo_parameters
from registry.language import Language, translations
from registry.parcels.mapping import DATA, FieldMap, columns_of, load_mapping, read_row
from registry.parcels.rules import MappingUnreadable, mu_of_cm2
from tests.registry.land import ground, row

MAPPING = load_mapping()


def read(**changed: Any) -> tuple[dict[str, str | int], list[str]]:
    _, attributes = row(1, ground(0, 0), **changed)
    columns, missing = columns_of(MAPPING, attributes)
    assert not missing
    fields, faults = read_row(MAPPING, columns, attributes)
    return fields, [fault.refusal.code for fault in faults]


def test_the_bureaus_table_is_read_into_codes_decimals_and_whole_areas() -> None:
    fields, faults = read(面积亩=15.0, 蓄积="0120.50", 期限至="2044年7月1日")
    assert not faults
    assert fields["stand_type"] == "chinese_fir"
    assert fields["declared_area"] == 100_000_000  # 15 mu are one hectare
    assert fields["volume_m3_ha"] == "120.5"
    assert fields["tenure_until"] == "2044-07-01"
    assert (fields["origin"], fields["age_group"], fields["tenure_kind"]) == (
        "planted",
        "middle",
        "collective",
    )


@pytest.mark.parametrize(
    ("heading", "value", "code"),
    [
        ("县代码", "33080", "not_a_county"),
        ("县代码", None, "value_missing"),
        ("村", "  ", "value_missing"),
        ("村", "村" * 201, "text_too_long"),
        ("优势树种", "银杏", "word_unknown"),
        ("面积亩", "nan", "not_a_number"),
        ("面积亩", "1e400", "not_a_number"),
        ("面积亩", 0, "out_of_bounds"),
        ("面积亩", -3.5, "out_of_bounds"),
        ("面积亩", "三十", "not_a_number"),
        ("郁闭度", 1.2, "out_of_bounds"),
        ("期限至", "2044-02-30", "not_a_date"),
        ("期限至", "长期", "not_a_date"),
    ],
)
def test_a_value_that_means_nothing_is_refused_under_its_heading(heading: str, value: Any, code: str) -> None:
    _, faults = read(**{heading: value})
    assert faults == [code]


def test_every_fault_of_a_row_is_found_not_the_first_only() -> None:
    _, faults = read(县代码="x", 面积亩="y", 期限至="z")
    assert sorted(faults) == ["not_a_county", "not_a_date", "not_a_number"]


def test_an_optional_field_may_be_empty() -> None:
    fields, faults = read(蓄积=None)
    assert not faults
    assert "volume_m3_ha" not in fields


def test_missing_columns_are_named_with_what_they_may_be_called() -> None:
    _, missing = columns_of(MAPPING, {"县代码": "330802", "村": "甲村"})
    assert {one.facts["field"] for one in missing} == {
        "compartment", "subcompartment", "stand_type", "declared_area", "tenure_kind",
        "certificate", "tenure_until",
    }  # fmt: skip
    assert "面积亩" in str(missing[3])


def test_every_species_of_the_mapping_has_parameters() -> None:
    known = bamboo_parameters()
    for code in MAPPING.codes["stand_types"].values():
        assert translations(Language.CHINESE).pgettext("stand type", code) != code
        assert known.roots_and_carbon(code).carbon_fraction > 0


def test_another_bureaus_headings_are_another_file(tmp_path: Path) -> None:
    document = json.loads((DATA / "subcompartments-zh.json").read_text(encoding="utf-8"))
    document["name"] = "hectares"
    document["fields"]["declared_area"] = {"headings": ["MJ_HA"], "kind": "area", "unit": "ha"}
    document["codes"]["stand_types"]["衢州杉"] = "chinese_fir"
    path = tmp_path / "hectares.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    mapping = load_mapping(path)
    _, attributes = row(1, ground(0, 0), MJ_HA=2.5, 优势树种="衢州杉")
    columns, _ = columns_of(mapping, attributes)
    fields, faults = read_row(mapping, columns, attributes)
    assert not faults
    assert fields["declared_area"] == 250_000_000
    assert fields["stand_type"] == "chinese_fir"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["fields"].pop("county"),
        lambda d: d["fields"]["declared_area"].pop("unit"),
        lambda d: d["fields"]["origin"].update(codes="nothing"),
        lambda d: d["fields"]["village"].update(kind="poem"),
        lambda d: d.update(surprise=1),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(tmp_path: Path, spoil: Any) -> None:
    document = json.loads((DATA / "subcompartments-zh.json").read_text(encoding="utf-8"))
    spoil(document)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(MappingUnreadable):
        load_mapping(path)


def test_a_mapping_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingUnreadable):
        load_mapping(tmp_path / "none.json")


ANYTHING = st.one_of(st.none(), st.text(max_size=30), st.integers(), st.floats())


@given(values=st.fixed_dictionaries({how.headings[0]: ANYTHING for how in MAPPING.fields.values()}))
def test_whatever_a_file_holds_becomes_a_value_or_a_fault(values: dict[str, Any]) -> None:
    columns, _ = columns_of(MAPPING, values)
    fields, faults = read_row(MAPPING, columns, values)
    empty = {c for f, c in columns.items() if not MAPPING.fields[f].required and f not in fields}
    assert {columns[field] for field in fields} | {fault.heading for fault in faults} | empty == set(values)
    assert all(isinstance(value, str | int) for value in fields.values())


@given(mu=st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(10**6), places=4))
def test_mu_survive_the_way_to_whole_square_centimetres_and_back(mu: Decimal) -> None:
    fields, faults = read(面积亩=str(mu))
    assert not faults
    assert Decimal(mu_of_cm2(int(fields["declared_area"]))) == mu


def test_the_default_mapping_is_one() -> None:
    assert isinstance(MAPPING, FieldMap)
