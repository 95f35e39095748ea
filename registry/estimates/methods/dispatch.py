"""From an equation id and named values to its outputs: what `method calc` and the test vectors use.

Each equation of this table is a function whose keyword arguments are the published argument names. The values
are read strictly by the types of those arguments: nothing missing, nothing unknown, nothing that is not
finite.
"""

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal

from registry.estimates.methods import area, constants, crediting, forest, raster, uncertainty
from registry.estimates.methods.errors import (
    MissingInput,
    NotFinite,
    OutOfRange,
    UnknownEquation,
    UnknownInput,
    WrongType,
    WrongUnit,
)
from registry.estimates.methods.parameters import BiomassFactors, DeductionRule, Growth, default_parameters

Outputs = dict[str, object]
T = typing.TypeVar("T")


class _Result(typing.Protocol):
    """A frozen dataclass whose fields are outputs."""

    __dataclass_fields__: typing.ClassVar[dict[str, dataclasses.Field[typing.Any]]]


def _outputs(*results: _Result) -> Outputs:
    """The fields of result values by their published names, decimals as numbers."""
    out: Outputs = {}
    for result in results:
        for field in dataclasses.fields(result):
            value = getattr(result, field.name)
            if isinstance(value, tuple):
                value = list(value)
            out[str(field.metadata.get("output", field.name))] = (
                float(value) if isinstance(value, Decimal) else value
            )
    return out


def _rule(code: str) -> DeductionRule:
    return default_parameters().deduction_rules.row(code)


def _factors(equation: str, stand_type: str | None, given: Mapping[str, float | None]) -> BiomassFactors:
    """Factors as given; those that are not given come from the stand type's row of table 3.1."""
    row = default_parameters().stand_types.row(stand_type).factors if stand_type else None
    values: dict[str, float] = {}
    for field, value in given.items():
        if value is None and row is None:
            raise MissingInput(equation=equation, field=field)
        values[field] = getattr(row, field) if value is None else value
    return BiomassFactors(**values)


def _e_f1(
    *,
    area_ha: float,
    v1_m3_ha: float,
    v2_m3_ha: float,
    years: float,
    stand_type: str | None = None,
    wood_density: float | None = None,
    bef: float | None = None,
    root_shoot: float | None = None,
    carbon_fraction: float | None = None,
) -> Outputs:
    given = {
        "wood_density": wood_density,
        "bef": bef,
        "root_shoot": root_shoot,
        "carbon_fraction": carbon_fraction,
    }
    factors = _factors("E-F1", stand_type, given)
    return _outputs(
        forest.volume_stock_change(
            area_ha=area_ha, v1_m3_ha=v1_m3_ha, v2_m3_ha=v2_m3_ha, years=years, factors=factors
        )
    )


def _e_f2(
    *,
    area_ha: float,
    v1_m3_ha: float,
    v2_m3_ha: float,
    years: float,
    stand_type: str | None = None,
    a: float | None = None,
    b: float | None = None,
    root_shoot: float | None = None,
    carbon_fraction: float | None = None,
) -> Outputs:
    tables = default_parameters()
    reference = tables.stand_types.row(stand_type).factors if stand_type else None
    values: dict[str, float] = {}
    given = {"a": a, "b": b, "root_shoot": root_shoot, "carbon_fraction": carbon_fraction}
    for field, value in given.items():
        if value is not None:
            values[field] = value
        elif stand_type is None:
            raise MissingInput(equation="E-F2", field=field)
        else:
            row = tables.linear_biomass.row(stand_type) if field in ("a", "b") else reference
            values[field] = getattr(row, field)
    return _outputs(
        forest.linear_stock_change(
            area_ha=area_ha, v1_m3_ha=v1_m3_ha, v2_m3_ha=v2_m3_ha, years=years, reference=reference, **values
        )
    )


def _e_f3(
    *, plot_area_ha: float, trees: Sequence[forest.Tree], root_shoot: float, carbon_fraction: float
) -> Outputs:
    return _outputs(
        forest.tree_plot(
            plot_area_ha=plot_area_ha, trees=trees, root_shoot=root_shoot, carbon_fraction=carbon_fraction
        )
    )


def _e_f4(
    *,
    area_ha: float,
    ages: Sequence[float],
    site_factor: float = 1.0,
    stand_type: str | None = None,
    asymptote_m3_ha: float | None = None,
    k: float | None = None,
    c: float | None = None,
    wood_density: float | None = None,
    bef: float | None = None,
    root_shoot: float | None = None,
    carbon_fraction: float | None = None,
) -> Outputs:
    given = {
        "wood_density": wood_density,
        "bef": bef,
        "root_shoot": root_shoot,
        "carbon_fraction": carbon_fraction,
    }
    factors = _factors("E-F4", stand_type, given)
    row = default_parameters().stand_types.row(stand_type).growth if stand_type else None
    curve: dict[str, float] = {}
    for field, value in {"asymptote_m3_ha": asymptote_m3_ha, "k": k, "c": c}.items():
        if value is None and row is None:
            raise MissingInput(equation="E-F4", field=field)
        curve[field] = getattr(row, field) if value is None else value
    return _outputs(
        forest.growth_curve(
            area_ha=area_ha, ages=ages, site_factor=site_factor, growth=Growth(**curve), factors=factors
        )
    )


def _e_a2(
    *,
    centre_lat_deg: float,
    pixel_height_deg: float,
    pixel_width_deg: float,
    ellipsoid: Literal["CGCS2000", "WGS84"] = "CGCS2000",
    a_m: float | None = None,
    inv_f: float | None = None,
) -> Outputs:
    flattening = {"CGCS2000": constants.CGCS2000_INV_F, "WGS84": constants.WGS84_INV_F}[ellipsoid]
    return _outputs(
        area.pixel_area(
            centre_lat_deg=centre_lat_deg,
            pixel_height_deg=pixel_height_deg,
            pixel_width_deg=pixel_width_deg,
            a_m=constants.CGCS2000_A_M if a_m is None else a_m,
            inv_f=flattening if inv_f is None else inv_f,
        )
    )


def _e_r1(
    *,
    pixel_area_ha: float,
    pixels: Sequence[raster.StockPixel],
    root_shoot: float,
    carbon_fraction: float,
    nodata: float | None = None,
) -> Outputs:
    read = [
        dataclasses.replace(pixel, agb_t_ha=None) if pixel.agb_t_ha == nodata else pixel for pixel in pixels
    ]
    return _outputs(
        raster.raster_stock(
            pixel_area_ha=pixel_area_ha, pixels=read, root_shoot=root_shoot, carbon_fraction=carbon_fraction
        )
    )


def _e_r2(
    *,
    rho_space: float,
    rho_time: float,
    z_value: float,
    root_shoot: float,
    carbon_fraction: float,
    pixels: Sequence[raster.ChangePixel],
    rule: str = "ar_cm",
) -> Outputs:
    change = raster.raster_change(
        raster.change_sums(pixels, rho_time),
        rho_space=rho_space,
        z_value=z_value,
        root_shoot=root_shoot,
        carbon_fraction=carbon_fraction,
    )
    deduction = uncertainty.deduct(change.delta_tco2e, change.uncertainty_pct, _rule(rule))
    errors = [raster.pixel_delta_sd(pixel, rho_time) for pixel in pixels]
    return {"pixel_delta_sd": errors, **_outputs(change, deduction)}


def _e_u1(*, strata: Sequence[uncertainty.Stratum], reliability: float) -> Outputs:
    return _outputs(uncertainty.stratified_mean(strata=strata, reliability=reliability))


def _e_u2(*, quantity_tco2e: float, uncertainty_pct: float, rule: str = "ar_cm") -> Outputs:
    return _outputs(uncertainty.deduct(quantity_tco2e, uncertainty_pct, _rule(rule)))


def _e_u1_u2(*, strata: Sequence[uncertainty.Stratum], reliability: float, rule: str = "ar_cm") -> Outputs:
    change = uncertainty.stratified_mean(strata=strata, reliability=reliability)
    return _outputs(change, uncertainty.deduct(change.delta_tco2e, change.uncertainty_pct, _rule(rule)))


def _e_c1(
    *,
    delta_project_tco2e: float,
    uncertainty_pct: float,
    delta_baseline_tco2e: float,
    project_emissions_tco2e: float,
    leakage_tco2e: float,
    k_risk: float,
    risk_mode: Literal["deduct", "buffer"],
    carry_in_tco2e: float,
    unit_tco2e: float,
    rule: str = "ar_cm",
) -> Outputs:
    return _outputs(
        crediting.crediting_chain(
            delta_project_tco2e=delta_project_tco2e,
            uncertainty_pct=uncertainty_pct,
            delta_baseline_tco2e=delta_baseline_tco2e,
            project_emissions_tco2e=project_emissions_tco2e,
            leakage_tco2e=leakage_tco2e,
            k_risk=k_risk,
            risk_mode=crediting.RiskMode(risk_mode),
            carry_in_tco2e=carry_in_tco2e,
            unit_tco2e=unit_tco2e,
            rule=_rule(rule),
        )
    )


def _e_b1(
    *, loss_tco2e: float, project_buffer_tco2e: float, pooled_buffer_tco2e: float, intentional: bool
) -> Outputs:
    return _outputs(
        crediting.reversal(
            loss_tco2e=loss_tco2e,
            project_buffer_tco2e=project_buffer_tco2e,
            pooled_buffer_tco2e=pooled_buffer_tco2e,
            intentional=intentional,
        )
    )


EQUATIONS: Final[Mapping[str, Callable[..., Outputs]]] = types.MappingProxyType(
    {
        "E-A2": _e_a2,
        "E-F1": _e_f1,
        "E-F2": _e_f2,
        "E-F3": _e_f3,
        "E-F4": _e_f4,
        "E-R1": _e_r1,
        "E-R2": _e_r2,
        "E-U1": _e_u1,
        "E-U2": _e_u2,
        "E-U1/E-U2": _e_u1_u2,
        "E-C1": _e_c1,
        "E-B1": _e_b1,
    }
)


def calculate(equation: str, inputs: Mapping[str, object]) -> Outputs:
    """Run an equation on values by their published names and return every output by its published name.

    Numbers are JSON numbers, never text. Raises `UnknownEquation`, `MissingInput`, `UnknownInput`,
    `WrongUnit` (a known quantity under another unit, such as `v1_m3_mu`), `WrongType`, `NotFinite`, and what
    the equation refuses.
    """
    function = EQUATIONS.get(equation)
    if function is None:
        raise UnknownEquation(equation=equation)
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    required = {name for name, one in parameters.items() if one.default is inspect.Parameter.empty}
    known = {name: hints[name] for name in parameters}
    return function(**_read_fields(equation, "", known, required, inputs))


def _read_fields(
    equation: str, path: str, known: Mapping[str, object], required: set[str], values: Mapping[str, object]
) -> dict[str, object]:
    for name in values:
        if name not in known:
            expected = _same_quantity(str(name), known)
            if expected is not None:
                raise WrongUnit(field=path + str(name), expected=path + expected)
            raise UnknownInput(equation=equation, field=path + str(name))
    for name in known:
        if name in required and name not in values:
            raise MissingInput(equation=equation, field=path + name)
    return {name: _read(equation, path + name, known[name], value) for name, value in values.items()}


_UNIT_WORDS: Final = frozenset(
    (
        "m3",
        "m2",
        "ha",
        "mu",
        "km2",
        "t",
        "kg",
        "g",
        "tc",
        "tco2e",
        "tco2",
        "pct",
        "share",
        "fraction",
        "cm",
        "mm",
        "m",
        "deg",
        "rad",
        "years",
        "months",
        "days",
    )
)


def _stem(name: str) -> str:
    words = name.lower().split("_")
    while len(words) > 1 and words[-1] in _UNIT_WORDS:
        words.pop()
    return "_".join(words)


def _same_quantity(name: str, known: Mapping[str, object]) -> str | None:
    stem = _stem(name)
    return next((other for other in known if _stem(other) == stem and _stem(other) != other), None)


def _read(equation: str, path: str, kind: object, value: object) -> object:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _read(equation, path, next(one for one in arguments if one is not types.NoneType), value)
    if origin is Literal:
        if value not in arguments:
            raise OutOfRange(field=path, value=str(value), rule=" | ".join(map(str, arguments)))
        return value
    if kind in (float, int):
        return _read_number(path, kind, value)
    if kind is bool or kind is str:
        return _typed(path, kind, value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _read_value(equation, path, kind, _typed(path, dict, value))
    items = _typed(path, list, value)
    return [_read(equation, f"{path}[{i}]", arguments[0], item) for i, item in enumerate(items)]


def _typed(path: str, kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise WrongType(field=path, expected=kind.__name__, value=str(value)[:80])
    return value


def _read_number(path: str, kind: object, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(field=path, expected="number", value=str(value)[:80])
    try:
        number = float(value)
    except OverflowError:
        raise NotFinite(field=path, value=str(value)[:80]) from None
    if not math.isfinite(number):
        raise NotFinite(field=path, value=str(value))
    if kind is int:
        if number != int(number):
            raise WrongType(field=path, expected="whole number", value=str(value))
        return int(value)
    return number


def _read_value(equation: str, path: str, kind: type, values: Mapping[str, object]) -> object:
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    required = {
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    return kind(**_read_fields(equation, path + ".", hints, required, values))
