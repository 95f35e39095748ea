"""The crediting chain, what issuance takes from it, and the tiers that keep unverified numbers out."""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.estimates.methods import (
    DEFAULT_METHOD,
    METHODS,
    ChangePixel,
    NetReduction,
    Plausibility,
    RiskMode,
    add_sums,
    calculate,
    change_sums,
    crediting_chain,
    default_parameters,
    forecast,
    issuable_kg,
    method_version,
    net_reduction,
    plausibility,
    reversal,
)
from registry.estimates.methods.errors import (
    BadParameterTable,
    ImplausibleRemoval,
    MissingInput,
    NotFinite,
    OutOfRange,
    UncertaintyTooHigh,
    UncertaintyUndefined,
    UnknownEquation,
    UnknownInput,
    UnknownMethod,
    UnknownStandType,
    WrongType,
    WrongUnit,
)
from registry.estimates.methods.parameters import Mark, canonical_json, read_settings, read_stand_types

AR_CM = default_parameters().deduction_rules.row("ar_cm")
TONNES = st.decimals(-100_000, 100_000, places=6, allow_nan=False)
GAINS = st.decimals(0, 10_000, places=6, allow_nan=False)


def front(
    project: object, uncertainty_pct: float | None = 5.0, risk: object = Decimal("0.1")
) -> NetReduction:
    return net_reduction(
        delta_project_tco2e=project,  # type: ignore[arg-type]
        uncertainty_pct=uncertainty_pct,
        delta_baseline_tco2e=0,
        project_emissions_tco2e=0,
        leakage_tco2e=0,
        k_risk=risk,  # type: ignore[arg-type]
        rule=AR_CM,
    )


# The chain


@given(TONNES, st.floats(0, 30), TONNES, GAINS, GAINS, st.decimals(0, 1, places=4), TONNES)
def test_nothing_is_lost_or_made_in_the_chain(
    project: Decimal,
    uncertainty_pct: float,
    baseline: Decimal,
    emissions: Decimal,
    leakage: Decimal,
    risk: Decimal,
    carry: Decimal,
) -> None:
    for mode in RiskMode:
        for unit in (Decimal(1), Decimal("0.001")):
            chain = crediting_chain(
                delta_project_tco2e=project,
                uncertainty_pct=uncertainty_pct,
                delta_baseline_tco2e=baseline,
                project_emissions_tco2e=emissions,
                leakage_tco2e=leakage,
                k_risk=risk,
                risk_mode=mode,
                carry_in_tco2e=carry,
                unit_tco2e=unit,
                rule=AR_CM,
            )
            assert chain.issued_tco2e + chain.carry_out_tco2e == chain.creditable_tco2e
            assert chain.issued_tco2e >= 0
            assert chain.issued_tco2e % unit == 0
            assert chain.carry_out_tco2e < unit
            assert chain.buffer_units_tco2e <= chain.risk_withheld_tco2e
            assert chain.project_adjusted_tco2e <= project


def test_the_floor_is_that_of_the_decimal_and_not_of_its_binary_neighbour() -> None:
    assert math.floor(1000 * 2.002) == 2001  # what naive binary arithmetic would issue
    assert issuable_kg(front(2.002, risk=0), RiskMode.BUFFER).verified_kg == 2002


@given(st.integers(0, 10**12))
def test_every_whole_kilogram_survives_being_written_in_tonnes(kilograms: int) -> None:
    assert issuable_kg(front(kilograms / 1000), RiskMode.BUFFER).verified_kg == kilograms


@given(st.floats(0, 1e6), st.sampled_from([0.0, 0.1, 0.15, 0.2, 1.0]))
def test_issuable_kilograms_are_the_exact_value_rounded_down_once(project: float, risk: float) -> None:
    exact = Fraction(repr(project)) * (1 - Fraction(repr(risk))) * 1000
    assert issuable_kg(front(project, risk=risk), RiskMode.DEDUCT).verified_kg == math.floor(exact)
    whole = issuable_kg(front(project, risk=risk), RiskMode.BUFFER)
    assert whole.verified_kg == math.floor(Fraction(repr(project)) * 1000)
    assert not whole.reversal


def test_a_net_loss_is_a_reversal_and_never_a_negative_batch() -> None:
    for mode in RiskMode:
        result = issuable_kg(front(-250.0001, 25.0), mode)
        assert (result.verified_kg, result.reversal, result.loss_kg) == (0, True, 277_501)
    nothing = issuable_kg(front(0), RiskMode.BUFFER)
    assert (nothing.verified_kg, nothing.reversal, nothing.loss_kg) == (0, False, 0)


def test_an_estimate_too_uncertain_stops_the_chain() -> None:
    with pytest.raises(UncertaintyTooHigh) as refusal:
        front(100, 30.1)
    assert refusal.value.facts == {"uncertainty_pct": 30.1, "limit_pct": 30.0}
    with pytest.raises(UncertaintyUndefined):
        front(100, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, Decimal("NaN"), Decimal("-Infinity")])
def test_what_is_not_finite_never_enters_the_chain(bad: object) -> None:
    with pytest.raises(NotFinite):
        front(bad)


def test_what_is_out_of_range_never_enters_the_chain() -> None:
    for bad in (1e13, Decimal("1e-999")):
        with pytest.raises(OutOfRange):
            front(bad)
    for risk in (-0.1, 1.1):
        with pytest.raises(OutOfRange):
            front(100, risk=risk)
    with pytest.raises(OutOfRange):
        front(100, -1.0)


# Reversal and plausibility


@given(GAINS, GAINS, GAINS, st.booleans())
def test_every_lost_tonne_is_covered_by_somebody(
    loss: Decimal, own: Decimal, pool: Decimal, intentional: bool
) -> None:
    result = reversal(
        loss_tco2e=loss, project_buffer_tco2e=own, pooled_buffer_tco2e=pool, intentional=intentional
    )
    cancelled = result.cancel_project_buffer_tco2e + result.cancel_pooled_buffer_tco2e
    assert cancelled + result.developer_liability_tco2e == loss
    assert result.project_buffer_after_tco2e + result.pooled_buffer_after_tco2e == own + pool - cancelled
    assert min(result.project_buffer_after_tco2e, result.pooled_buffer_after_tco2e) >= 0
    if intentional:
        assert result.developer_liability_tco2e == loss


def test_an_implausible_rate_asks_for_a_second_verifier_and_then_is_refused() -> None:
    def gate(net_tco2e: float) -> Plausibility:
        return plausibility(net_tco2e=net_tco2e, area_ha=10.0, years=5.0, parameters=default_parameters())

    assert gate(600) is Plausibility.ORDINARY
    assert gate(600.1) is Plausibility.SECOND_VERIFIER
    with pytest.raises(ImplausibleRemoval):
        gate(1500.1)


# Dispatch


FIR = {"stand_type": "chinese_fir", "area_ha": 12.5, "v1_m3_ha": 68.2, "v2_m3_ha": 97.7, "years": 8}


def test_the_table_fills_the_factors_of_a_stand_type() -> None:
    assert calculate("E-F1", FIR)["delta_tco2e"] == pytest.approx(439.4558732, rel=1e-9)
    assert calculate("E-F2", FIR)["delta_tc"] == pytest.approx(12.5 * 29.5 * 0.4652 * 0.52)
    assert calculate("E-F4", {"stand_type": "chinese_fir", "area_ha": 20, "ages": [10]})[
        "volume_m3_ha"
    ] == pytest.approx([46.73140405])


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"v1_m3_mu": 4.5}, WrongUnit, "v1_m3_mu"),
        ({"remark": "x"}, UnknownInput, "remark"),
        ({"area_ha": math.nan}, NotFinite, "area_ha"),
        ({"area_ha": math.inf}, NotFinite, "area_ha"),
        ({"area_ha": 10**400}, NotFinite, "area_ha"),
        ({"area_ha": "12.5"}, WrongType, "area_ha"),
        ({"area_ha": True}, WrongType, "area_ha"),
        ({"area_ha": 0}, OutOfRange, "area_ha"),
        ({"v1_m3_ha": -1}, OutOfRange, "v1_m3_ha"),
        ({"stand_type": "baobab"}, UnknownStandType, None),
        ({"stand_type": None}, MissingInput, "wood_density"),
    ],
)
def test_bad_inputs_are_refused_by_name(
    change: dict[str, object], reason: type[Exception], field: str | None
) -> None:
    with pytest.raises(reason) as refusal:
        calculate("E-F1", {**FIR, **change})
    if field:
        assert refusal.value.facts["field"] == field  # type: ignore[attr-defined]
    assert "{" not in str(refusal.value)


def test_a_missing_key_is_refused_by_name_also_inside_a_list() -> None:
    for name in set(FIR) - {"stand_type"}:
        with pytest.raises(MissingInput) as refusal:
            calculate("E-F1", {key: value for key, value in FIR.items() if key != name})
        assert refusal.value.facts == {"equation": "E-F1", "field": name}
    with pytest.raises(MissingInput) as refusal:
        calculate("E-U1", {"reliability": 0.9, "strata": [{"area_ha": 4, "n": 3, "mean": 2.0}]})
    assert refusal.value.facts["field"] == "strata[0].sd"
    with pytest.raises(WrongType):
        calculate("E-U1", {"reliability": 0.9, "strata": [{"area_ha": 4, "n": 3.5, "mean": 2.0, "sd": 1}]})
    with pytest.raises(UnknownEquation):
        calculate("E-X9", {})


def test_a_stand_type_without_a_linear_row_is_refused() -> None:
    with pytest.raises(UnknownStandType):
        calculate("E-F2", {**FIR, "stand_type": "eucalyptus"})


# Raster


@given(
    st.lists(
        st.builds(
            ChangePixel,
            st.floats(0, 1),
            st.floats(0, 300),
            st.floats(0, 300),
            st.floats(0, 50),
            st.floats(0, 50),
        ),
        min_size=2,
        max_size=30,
    ),
    st.integers(1, 29),
)
def test_the_sums_of_a_parcel_are_those_of_its_parts(pixels: list[ChangePixel], cut: int) -> None:
    whole = change_sums(pixels, 0.2)
    parts = add_sums([change_sums(pixels[:cut], 0.2), change_sums(pixels[cut:], 0.2)])
    for name in ("area_ha", "delta_t", "error_t", "error_squared_t2"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12, abs=1e-9)


# Parameters and versions


def test_a_parameter_table_changes_its_digest_with_any_digit() -> None:
    document = (
        '{"table": "estimation_rules", "version": "1", "rows": [{"code": "a", "value": "%s", "unit": "t",'
        ' "source": "s", "mark": "A"}]}'
    )
    one, same, other = (
        read_settings((document % value).encode()).digest() for value in ("0.30", "0.30", "0.31")
    )
    assert one == same != other


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"table": "stand_types", "version": "1", "rows": []}',
        b'{"table": "stand_types", "version": "1", "rows": [{"code": "x"}]}',
        b'{"table": "other", "version": "1", "rows": [{}]}',
    ],
)
def test_a_malformed_parameter_table_is_refused(raw: bytes) -> None:
    with pytest.raises(BadParameterTable):
        read_stand_types(raw)


def test_canonical_json_has_one_form_and_no_floats() -> None:
    assert canonical_json({"b": "亩", "a": [1, None, True]}) == '{"a":[1,null,true],"b":"亩"}'.encode()
    with pytest.raises(TypeError):
        canonical_json({"a": [0.1]})


def test_the_printed_factor_per_cubic_metre_belongs_to_each_stand_type() -> None:
    """The computed column of table 3.1 catches a slip in any of its four factors."""
    printed = {
        "masson_pine": 1.1199,
        "chinese_fir": 1.1917,
        "cypress": 1.8888,
        "slash_pine": 1.6207,
        "hard_broadleaf": 2.3004,
        "soft_broadleaf": 1.6105,
        "oak": 2.1697,
        "camphor": 1.4940,
        "nanmu": 1.8226,
        "liquidambar": 2.6889,
        "schima": 2.5965,
        "eucalyptus": 1.7158,
        "cryptomeria": 1.1401,
        "metasequoia": 1.0144,
        "other_pine": 1.5626,
        "conifer_mixed": 1.5228,
        "broadleaf_mixed": 1.6546,
        "conifer_broadleaf_mixed": 1.8341,
    }
    rows = default_parameters().stand_types.rows
    assert set(rows) == set(printed)
    for code, row in rows.items():
        f = row.factors
        found = f.wood_density * f.bef * (1 + f.root_shoot) * f.carbon_fraction * 44 / 12
        assert found == pytest.approx(printed[code], abs=5.1e-5), code


def test_the_slope_of_the_linear_equation_belongs_to_each_stand_type() -> None:
    """Table 3.3 prints the carbon of a cubic metre by E-F2."""
    printed = {
        "masson_pine": 0.2316,
        "chinese_fir": 0.2419,
        "cypress": 0.3126,
        "slash_pine": 0.2641,
        "hard_broadleaf": 0.5856,
        "soft_broadleaf": 0.2306,
        "oak": 0.5726,
        "camphor": 0.5096,
        "schima": 0.5147,
        "cryptomeria": 0.2179,
        "conifer_mixed": 0.3006,
        "broadleaf_mixed": 0.4796,
        "conifer_broadleaf_mixed": 0.4052,
    }
    tables = default_parameters()
    for code, slope in printed.items():
        carbon_fraction = tables.stand_types.row(code).factors.carbon_fraction
        assert tables.linear_biomass.row(code).a * carbon_fraction == pytest.approx(slope, abs=5.1e-5), code


def test_a_method_version_is_known_by_its_digest() -> None:
    digests = {method.digest() for method in METHODS.values()}
    assert len(digests) == len(METHODS)
    method = method_version(DEFAULT_METHOD)
    assert method.digest() != replace(method, code_version="2").digest()
    with pytest.raises(UnknownMethod):
        method_version("zj-ph-forest-management/0")


def test_rows_that_are_not_sure_are_named_for_attestation() -> None:
    uses = method_version().rows_to_attest(["chinese_fir", "chinese_fir"])
    assert [(use.table, use.code) for use in uses if use.table != "estimation_rules"] == [
        ("stand_types", "chinese_fir"),
        ("deduction_rules", "ar_cm"),
    ]
    assert all(use.mark is not Mark.SURE for use in uses)


# Tiers


def test_a_forecast_shows_the_band_of_the_site() -> None:
    band = forecast("chinese_fir", area_ha=20, ages=[5, 10, 20])
    for poor, mean, good in zip(
        band.poor_site.stock_tco2e, band.mean_site.stock_tco2e, band.good_site.stock_tco2e, strict=True
    ):
        assert poor == pytest.approx(0.8 * mean)
        assert good == pytest.approx(1.3 * mean)
    with pytest.raises(OutOfRange):
        forecast("chinese_fir", area_ha=20, ages=[10, 5])
