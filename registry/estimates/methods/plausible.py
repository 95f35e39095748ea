"""Whether a stock lies where stocks of its kind lie in Zhejiang (table 3.4): a warning, no refusal."""

from dataclasses import dataclass
from typing import Final, Literal

from registry.estimates.methods.checks import not_negative
from registry.estimates.methods.library import DataRow, data_table

AGE_CLASSES: Final = ("young", "middle", "near_mature", "mature", "over_mature")
_SAME_AS: Final = {"slash_pine": "other_pine", "metasequoia": "cryptomeria", "nanmu": "camphor"}
"""Stand types without a row of their own, by analogy as in table 3.2."""


_AGED_AS: Final = {
    "chinese_fir": "chinese_fir",
    **dict.fromkeys(("masson_pine", "slash_pine", "other_pine"), "pines_planted"),
    **dict.fromkeys(
        ("oak", "hard_broadleaf", "schima", "camphor", "nanmu", "liquidambar"), "slow_broadleaf_natural"
    ),
}
"""The row of `age_classes` that a stand type follows."""


def age_class_of(stand_type: str, age_years: float) -> str | None:
    """The age class of a stand, as the table of classes has it; None for stand types that it leaves out."""
    not_negative(age_years=age_years)
    row = _AGED_AS.get(stand_type)
    if row is None:
        return None
    table = data_table("age_classes")
    for name in AGE_CLASSES[:-1]:
        last = table.optional(row, name)
        if last is not None and age_years < last + 1:
            return name
    return AGE_CLASSES[-1]


@dataclass(frozen=True, slots=True)
class Plausible:
    """Where a density lies: the printed means, widened on both sides; `unknown` where there are none."""

    status: Literal["plausible", "below", "above", "unknown"]
    tc_ha: float
    low_tc_ha: float | None
    high_tc_ha: float | None
    source: str


def plausible_density(stand_type: str, age_class: str | None, tc_ha: float) -> Plausible:
    """Hold the carbon density of a tree layer, tC/ha, against the means of its stand type.

    With an age class only the means of that class are looked at, where there are some. The band from half of
    the lowest mean to twice the highest is an assumption, and a row of `plausible_density`.
    """
    not_negative(tc_ha=tc_ha)
    table = data_table("reference_densities")
    row = table.table.rows.get(_SAME_AS.get(stand_type, stand_type))
    if row is None:
        return Plausible("unknown", tc_ha, None, None, "")
    means = _means(row, age_class) or _means(row, None)
    band = data_table("plausible_density")
    low = min(means) * band.value("tree_layer", "low")
    high = max(means) * band.value("tree_layer", "high")
    status: Literal["plausible", "below", "above"] = "plausible"
    if tc_ha < low:
        status = "below"
    elif tc_ha > high:
        status = "above"
    return Plausible(status, tc_ha, low, high, row.source)


def _means(row: DataRow, age_class: str | None) -> list[float]:
    """The printed means of an age class; of all classes and the whole stand type without one."""
    classes = AGE_CLASSES if age_class is None else (age_class,)
    columns = [f"{origin}_{one}" for origin in ("planted", "natural") for one in classes]
    columns += ["tree_layer"] if age_class is None else []
    found = (row.values.get(column) for column in columns)
    return [float(value) for value in found if value is not None]
