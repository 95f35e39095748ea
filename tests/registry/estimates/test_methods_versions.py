"""Methods are known by digests that anybody computes again, and change no result without a new version."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from registry.estimates.methods import EQUATIONS, METHODS, calculate
from registry.estimates.methods.catalogue import equations_of, method_list, method_page
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.equations.reading import evaluate
from registry.estimates.methods.errors import BadParameterTable, UnknownStandType
from registry.estimates.methods.library import (
    data_table,
    document_digest,
    read_data_table,
    table_digests,
    table_names,
)
from registry.estimates.methods.page import page
from registry.estimates.methods.parameters import Mark
from registry.estimates.methods.version import DEFAULT_METHOD, Biomass, ChangeEstimator, method_version
from tests.registry.estimates.results import results
from tests.registry.estimates.sheets import FOLDER, PUBLISHED

ROOT = Path(__file__).resolve().parents[3]

FOREST = "zj-ph-forest-management"
FIRST_RELEASE = {
    f"{FOREST}/1": "33e78bc65339ac040a9545d1d01725ad6be403774eea44d528a3b970efdf7bbb",
    f"{FOREST}-linear/1": "1d532b92b9fbd55cbf2c6a8589cc3f8c30a96ac9cf83bdec7baf5c39535a0182",
    f"{FOREST}-trees/1": "ce4feb52c120181fc5fe47458b3254832be186e282b111608e1c0adb671ca0c3",
    f"{FOREST}-ratio/1": "dc6dafedba5a3b67c9f407328e86bf59ea2193bd5eea274230b3613b1fd49312",
    f"{FOREST}-regression/1": "3b23b6e7c349030b730937d721f65255e1b0fcac1c5c6d38ddc398406f1a0ecb",
}
"""Runs were recorded under these; `recompute` compares them."""


@pytest.mark.parametrize("method", FIRST_RELEASE)
def test_a_method_of_the_first_release_keeps_its_digest(method: str) -> None:
    assert METHODS[method].digest() == FIRST_RELEASE[method]


def test_no_result_changes_under_the_same_version() -> None:
    """A change here: raise the version of what changed, and add its line; old lines stay."""
    kept: dict[str, str] = json.loads((FOLDER / "method_results.json").read_text(encoding="utf-8"))
    found = results()
    assert set(found) <= set(kept), "a new version: add its line by the module's command"
    assert {key: kept[key] for key in found} == found


def test_a_change_of_arithmetic_changes_the_digest_of_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """The safeguard itself: a coefficient changed in the eighth digit is noticed."""
    from registry.estimates.methods import forest

    before = results()
    original = forest.above_ground_t_ha
    monkeypatch.setattr(
        forest, "above_ground_t_ha", lambda volume, factors: original(volume, factors) * (1 + 1e-8)
    )
    changed = {key for key, value in results().items() if before[key] != value}
    names = {key.split("@")[0] for key in changed}
    assert {"E-F1", "E-F1/mixed", "E-F4", "zj-ph-forest-management/1"} <= names
    assert not {"E-S1", "E-F6", "zj-ph-forest-management-trees/1"} & names


def canonical_sha256(document: object) -> str:
    """As docs/methods.md tells strangers: nothing of ours is used."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", [*METHODS, *EQUATIONS])
def test_a_stranger_computes_every_digest_from_the_page_alone(name: str) -> None:
    shown: Any = json.loads(json.dumps(method_page(name)))
    assert canonical_sha256(shown["record"]) == shown["digest"]
    named = shown["record"]["parameter_tables"]
    assert {table["name"] for table in shown["tables"]} == set(named)
    for table in shown["tables"]:
        assert canonical_sha256(table["document"]) == table["digest"] == named[table["name"]]


def test_another_formula_or_another_table_is_another_digest() -> None:
    fir = EQUATIONS["E-F1"]
    tables = dict(table_digests())
    other = Equation(fir.id, fir.title_zh, fir.title, fir.formula + " ", fir.source, fir.forms, fir.tables)
    assert other.digest(tables) != fir.digest(tables)
    assert fir.digest(tables | {"stand_types": "0" * 64}) != fir.digest(tables)
    assert fir.digest(tables | {"gwp": "0" * 64}) == fir.digest(tables)


def test_every_digest_is_of_one_thing() -> None:
    digests = [entry["digest"] for entry in method_list()]
    assert len(set(map(str, digests))) == len(digests) == len(METHODS) + len(EQUATIONS)


def test_every_way_to_compute_has_its_words_and_its_equations() -> None:
    for method in METHODS.values():
        assert set(equations_of(method)) <= set(EQUATIONS), method.id
    assert {method.biomass for method in METHODS.values()} == set(Biomass)
    assert {method.estimator for method in METHODS.values()} == set(ChangeEstimator)
    for entry in method_list():
        marks: Any = entry["marks"]
        assert set(marks) == {"S", "P", "A"}


# ---- bamboo ------------------------------------------------------------------------------------------------


def test_bamboo_names_every_row_that_is_not_sure() -> None:
    bamboo = method_version("zj-ph-bamboo-management/1")
    rows = {use.code: use.mark for use in bamboo.rows_to_attest(["moso_bamboo"]) if use.table == "bamboo"}
    assert rows["c_stable_tc_ha"] is rows["root_shoot"] is Mark.ASSUMED
    assert rows["culm_a"] is Mark.PROBABLE
    assert "carbon_fraction" not in rows  # sure: measured
    with pytest.raises(UnknownStandType):
        bamboo.rows_to_attest(["chinese_fir"])


def test_forest_methods_know_no_bamboo_and_carry_none_of_its_tables() -> None:
    forest = method_version(DEFAULT_METHOD)
    assert set(forest.parameters.digests()) == {
        "stand_types", "linear_biomass", "deduction_rules", "estimation_rules",
    }  # fmt: skip
    with pytest.raises(UnknownStandType):
        forest.parameters.roots_and_carbon("moso_bamboo")
    bamboo = method_version("zj-ph-bamboo-management/1").parameters
    assert bamboo.roots_and_carbon("moso_bamboo").root_shoot == 0.20
    assert bamboo.roots_and_carbon("chinese_fir").root_shoot == 0.246


# ---- tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", table_names())
def test_a_tables_digest_is_that_of_its_document(name: str) -> None:
    assert table_digests()[name] == document_digest(name)


def document(**changed: object) -> bytes:
    row = {"code": "x", "value": "1.50", "source": "somebody", "mark": "S"}
    whole = {
        "table": "t",
        "version": "1",
        "title_zh": "表",
        "title": "a table",
        "columns": {"value": "t"},
        "words": [],
        "rows": [row],
    }
    return json.dumps(whole | changed).encode()


ROW = {"code": "x", "value": "1.50", "source": "somebody", "mark": "S"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        document(columns={}),
        document(words="value"),
        document(table="u"),
        document(rows=[]),
        document(rows=[ROW, ROW]),
        document(rows=[ROW | {"value": 1.5}]),
        document(rows=[ROW | {"value": "NaN"}]),
        document(rows=[ROW | {"mark": "B"}]),
        document(rows=[ROW | {"source": ""}]),
        document(rows=[ROW | {"remark": "x"}]),
        document(rows=[{key: value for key, value in ROW.items() if key != "value"}]),
        document(remark="x"),
    ],
)
def test_a_table_that_is_not_as_declared_is_refused(raw: bytes) -> None:
    assert read_data_table("t", document()).value("x") == 1.5
    with pytest.raises(BadParameterTable):
        read_data_table("t", raw)


def test_a_value_that_its_source_does_not_give_is_not_made_up() -> None:
    table = data_table("reference_densities")
    assert table.optional("masson_pine", "planted_over_mature") is None
    with pytest.raises(BadParameterTable):
        table.value("masson_pine", "planted_over_mature")
    with pytest.raises(UnknownStandType):
        data_table("no_such_table")


def test_defaults_of_equations_are_those_of_their_tables() -> None:
    """What may be left out is what a table or the formula itself states."""
    pools, manure, fire = data_table("pools"), data_table("manure"), data_table("fire")
    shrubs = {one.name: one for one in EQUATIONS["pool/shrubs"].inputs[0]}
    assert not shrubs["shrub_to_forest"].required
    given = {
        "area_ha": 1,
        "forest_biomass_t_ha": 100,
        "crown_cover_share": pools.value("shrub_min_crown_cover"),
        "carbon_fraction": 1,
    }
    expected = 100 * pools.value("shrub_min_crown_cover") * pools.value("shrub_to_forest")
    assert calculate("pool/shrubs", given)["carbon_tc_ha"] == pytest.approx(expected)
    baseline = calculate("baseline/share", {"delta_project_tco2e": 1})["delta_baseline_tco2e"]
    assert baseline == pools.value("baseline_share")
    soil = calculate(
        "pool/soil", {"area_ha": 1, "soc_ref_tc_ha": 1000, "flu_before": 0.1, "years_elapsed": 1}
    )
    assert soil["annual_tc_ha"] == pools.value("soil_cap_tc_ha_year")
    (pigs,) = (one for one in PUBLISHED if one["inputs"]["equation"] == "E-S4")
    rest = {
        key: value
        for key, value in pigs["inputs"].items()
        if key not in ("equation", "days", "ch4_density_kg_m3")
    }
    assert evaluate(EQUATIONS["E-S4"], rest)["net_tco2e"] == pytest.approx(pigs["expected"]["net_tco2e"])
    assert pigs["inputs"]["vs_kg_day"] == manure.value("pig_vs")
    assert pigs["inputs"]["mcf_baseline"] == manure.value("mcf_pit_17")
    (burnt,) = (one for one in PUBLISHED if one["inputs"]["equation"] == "E-F10")
    for name, row in (("combustion_factor", "combustion_factor"), ("gef_ch4_g_kg", "gef_ch4")):
        assert burnt["inputs"][name] == fire.value(row)


def test_the_vectors_use_the_tables_own_rows() -> None:
    """Every factor of the published vectors that a table has is the table's."""
    nitrogen, rice, farm = data_table("nitrogen"), data_table("rice_methane"), data_table("farm_inputs")
    gwp, soil, products = data_table("gwp"), data_table("soil_ipcc06"), data_table("bamboo_products")
    by_equation = {vector["inputs"]["equation"]: vector["inputs"] for vector in PUBLISHED}
    paddy, orchard, organic = by_equation["E-S3+E-S6"], by_equation["E-S8"], by_equation["E-S5"]
    assert (paddy["gwp_ch4"], paddy["gwp_n2o"]) == (gwp.value("AR5", "ch4"), gwp.value("AR5", "n2o"))
    assert paddy["ef1"] == nitrogen.value("ef1_flooded_rice")
    assert (paddy["frac_leach"], paddy["ef5"]) == (nitrogen.value("frac_leach"), nitrogen.value("ef5"))
    assert (paddy["efc_kg_ha_day"], paddy["days"]) == (rice.value("efc"), rice.value("days"))
    assert (paddy["sf_water"], paddy["cfoa"]) == (
        rice.value("sf_water_multiple"),
        rice.value("cfoa_straw_under_30_days"),
    )
    assert (organic["ef1_synthetic"], organic["ef1_organic"]) == (
        nitrogen.value("ef1_synthetic"),
        nitrogen.value("ef1_organic"),
    )
    assert organic["nfrv"] == farm.value("nfrv") and organic["n_fraction"] == farm.value("organic_n_fraction")
    assert organic["manufacture_ef_kgco2e_kgn"] == farm.value("manufacture_ef")
    assert orchard["diesel_ef_kg_l"] == farm.value("diesel_ef")
    assert orchard["grid_ef_kg_kwh"] == farm.value("grid_ef_2022")
    thresholds = data_table("label_thresholds")
    assert orchard["ratio_thresholds"] == [
        thresholds.value("orchard", column) for column in ("first", "second", "third")
    ]
    assert by_equation["E-S7"]["ratio_thresholds"] == [
        thresholds.value("farm", column) for column in ("first", "second")
    ]
    assert PUBLISHED[7]["inputs"]["half_life_years"] == products.value("half_life_panels_years")
    (step,) = (one["inputs"] for one in PUBLISHED if one["name"].startswith("V17 "))
    assert step["soc_ref_tc_ha"] == soil.value("soc_ref_lac")
    assert step["project"] == {
        "flu": soil.value("flu_paddy"),
        "fmg": soil.value("fmg_full"),
        "fi": soil.value("fi_high"),
    }


def test_the_page_for_implementers_is_current() -> None:
    """python -m registry.estimates.methods.page > docs/methods.md"""
    assert (ROOT / "docs" / "methods.md").read_text(encoding="utf-8") == page()
