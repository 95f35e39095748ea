"""Methods and equations as plain values: what `tanhui method` prints, the API answers and the docs list.

A stranger who has only such a page can compute its digests again: that of a table from the table's document,
that of a method or an equation from its record, which holds the digests of its tables.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from registry.estimates.methods.equations import EQUATIONS
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.errors import UnknownMethod
from registry.estimates.methods.library import table_digests, table_document
from registry.estimates.methods.version import METHODS, Biomass, ChangeEstimator, MethodVersion

RUN_METHOD, EQUATION = "run method", "equation"

HOW: Final = (
    "SHA-256, in hexadecimal, of the canonical JSON of `record`: keys sorted, no spaces, UTF-8 (RFC 8785; "
    "there are no floats). The digests under `parameter_tables` are of the `document` of each table, "
    "computed alike."
)

_FOREST: Final = ("森林经营", "Forest management")
_BAMBOO: Final = ("竹林经营", "Bamboo management")
_BIOMASS: Final[Mapping[Biomass, tuple[str, str]]] = {
    Biomass.VOLUME: ("蓄积量法", "stand volume"),
    Biomass.LINEAR: ("生物量—蓄积线性方程", "linear biomass over volume"),
    Biomass.TREES: ("单木异速生长方程", "single trees"),
    Biomass.CULMS: ("立竹", "culms"),
}
_ESTIMATOR: Final[Mapping[ChangeEstimator, tuple[str, str]]] = {
    ChangeEstimator.STRATIFIED: ("分层抽样", "stratified plots"),
    ChangeEstimator.COMBINED_RATIO: ("比估计（栅格辅助）", "plots with a ratio to rasters"),
    ChangeEstimator.COMBINED_REGRESSION: ("回归估计（栅格辅助）", "plots with a regression on rasters"),
    ChangeEstimator.WEIGHTED_RATIO: (
        "比估计（栅格辅助，g 权误差）",
        "plots with a ratio to rasters, errors by g-weights",
    ),
    ChangeEstimator.WEIGHTED_REGRESSION: (
        "回归估计（栅格辅助，g 权误差）",
        "plots with a regression on rasters, errors by g-weights",
    ),
}


def method_list() -> list[dict[str, object]]:
    """Every method version and every equation: id, kind, titles, version, digest, rows by their marks."""
    return [_entry_of_method(one) for one in METHODS.values()] + [
        _entry_of_equation(one) for one in EQUATIONS.values()
    ]


def method_page(name: str) -> dict[str, object]:
    """All of one method version or equation, or `UnknownMethod`."""
    if name in METHODS:
        return _page_of_method(METHODS[name])
    if name in EQUATIONS:
        return _page_of_equation(EQUATIONS[name])
    raise UnknownMethod(method=name[:80])


def equations_of(method: MethodVersion) -> tuple[str, ...]:
    """The equations that a run of the method goes through."""
    own = (method.biomass.value, "E-F7") if method.biomass is Biomass.CULMS else (method.biomass.value,)
    return (*own, "E-R1", "E-R2", "E-U1", "E-U2", "E-C1", "R-17")


# ---- entries -----------------------------------------------------------------------------------------------


def _entry_of_method(method: MethodVersion) -> dict[str, object]:
    biomass, estimator = _BIOMASS[method.biomass], _ESTIMATOR[method.estimator]
    land = _BAMBOO if method.biomass is Biomass.CULMS else _FOREST
    return {
        "id": method.id,
        "kind": RUN_METHOD,
        "title_zh": f"{land[0]}：{biomass[0]}，{estimator[0]}",
        "title": f"{land[1]}: {biomass[1]}, {estimator[1]}",
        "version": method.code_version,
        "superseded_by": method.superseded_by,
        "digest": method.digest(),
        "marks": _marks(method.parameters.digests()),
    }


def _entry_of_equation(equation: Equation) -> dict[str, object]:
    return {
        "id": equation.id,
        "kind": EQUATION,
        "title_zh": equation.title_zh,
        "title": equation.title,
        "version": equation.version,
        "digest": equation.digest(table_digests()),
        "marks": _marks(equation.tables),
    }


def _marks(tables: Iterable[str]) -> dict[str, int]:
    """How many rows of the tables have which mark."""
    count = Counter(
        row[key] for name in tables for row in _rows(name) for key in ("mark", "growth_mark") if key in row
    )
    return {mark: count[mark] for mark in ("S", "P", "A")}


def _rows(table: str) -> Sequence[Mapping[str, object]]:
    rows = table_document(table)["rows"]
    assert isinstance(rows, list)
    return rows


# ---- pages -------------------------------------------------------------------------------------------------


def _page_of_method(method: MethodVersion) -> dict[str, object]:
    return {
        **_entry_of_method(method),
        "record": method.record(),
        "equations": [EQUATIONS[name].document() for name in equations_of(method)],
        "tables": _tables(method.parameters.digests()),
        "recompute": HOW,
    }


def _page_of_equation(equation: Equation) -> dict[str, object]:
    return {
        **_entry_of_equation(equation),
        "record": equation.record(table_digests()),
        "equations": [equation.document()],
        "tables": _tables(equation.tables),
        "recompute": HOW,
    }


def _tables(names: Iterable[str]) -> list[dict[str, object]]:
    return [
        {"name": name, "digest": table_digests()[name], "document": dict(table_document(name))}
        for name in names
    ]
