"""What field crews call their columns, and in which units.

A heading is a name with a unit: `胸径(cm)`, `胸径_厘米`, `dbh_cm`. Where a quantity is only ever written in
one unit here (diameters in cm, heights in m), its name alone will do. A plot's area and a stand's volume are
written per hectare, per square metre and per mu, so their headings must say which, or the column is refused.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_HA: Final = {"ha": "1", "公顷": "1", "hm2": "1", "m2": "0.0001", "平方米": "0.0001"}
_M3_HA: Final = {
    "m3_ha": "1", "m3/ha": "1", "m3/hm2": "1", "m3_hm2": "1", "m3hm-2": "1", "m3ha-1": "1",
    "立方米每公顷": "1", "立方米/公顷": "1",
}  # fmt: skip
_CM: Final = {"cm": "1", "厘米": "1"}
_M: Final = {"m": "1", "米": "1"}


@dataclass(frozen=True, slots=True)
class Column:
    """A field, the names its column goes by, and its units with their factor; `bare` if a name needs no
    unit.
    """

    field: str
    names: tuple[str, ...]
    units: Mapping[str, str] | None = None
    bare: bool = False


COLUMNS: Final = (
    Column("plot_id", ("plot_id", "样地号", "样地编号", "样地", "样地代码", "固定样地号")),
    Column(
        "stratum",
        (
            "stratum",
            "stand_type",
            "林分类型",
            "优势树种",
            "优势树种(组)",
            "优势树种组",
            "层",
            "分层",
            "森林类型",
        ),
    ),
    Column("parcel_key", ("parcel_key", "小班号", "小班")),
    Column("area_ha", ("area", "样地面积", "面积"), _HA),
    Column("measured1_on", ("measured1_on", "date1", "前期调查日期", "前期日期")),
    Column("measured2_on", ("measured2_on", "date2", "后期调查日期", "后期日期")),
    Column("measured_on", ("measured_on", "调查日期", "日期", "测定日期")),
    Column("v1_m3_ha", ("v1", "volume1", "前期蓄积", "前期蓄积量"), _M3_HA),
    Column("v2_m3_ha", ("v2", "volume2", "后期蓄积", "后期蓄积量"), _M3_HA),
    Column("tree_id", ("tree_id", "样木号", "树号", "样木编号", "竹号")),
    Column("species", ("species", "树种", "树种名称", "树种(组)")),
    Column("dbh_cm", ("dbh", "胸径", "检尺胸径"), _CM, bare=True),
    Column("height_m", ("height", "树高"), _M, bare=True),
    Column("du", ("du", "竹龄_度", "竹龄(度)", "度", "龄级", "竹度")),
    Column("culms", ("culms", "株数", "立竹株数")),
    Column("lon_deg", ("lon_deg", "lon", "longitude", "经度", "东经")),
    Column("lat_deg", ("lat_deg", "lat", "latitude", "纬度", "北纬")),
    Column("explanation", ("explanation", "异常说明", "离群说明")),
)
"""Further columns (坡度, 坡向, 海拔, 备注 ...) are remarks and not read."""

_UNIT: Final = re.compile(r"(?P<name>.+?)(?:\((?P<in>[^()]+)\)|[_/](?P<after>.+))")


@dataclass(frozen=True, slots=True)
class Heading:
    """What a heading is: a field with the factor to its unit, or a known quantity in a wrong or unsaid unit
    (`fault`).
    """

    field: str
    factor: Decimal
    fault: str = ""


def _plain(heading: str) -> str:
    text = unicodedata.normalize("NFKC", heading).strip().lower()
    return re.sub(r"\s+", "", text) if any(ord(letter) > 0x2E7F for letter in text) else text


def _named() -> dict[str, Column]:
    return {_plain(name): column for column in COLUMNS for name in column.names}


_BY_NAME: Final = _named()
_ONE: Final = Decimal(1)


def heading_of(heading: str) -> Heading | None:
    """The field of a heading; None for a remark."""
    text = _plain(heading)
    column = _BY_NAME.get(text)
    if column is not None:
        if column.units is None or column.bare:
            return Heading(column.field, _ONE)
        return Heading(column.field, _ONE, "unit_missing")
    match = _UNIT.fullmatch(text)
    if match is None:
        return None
    column = _BY_NAME.get(match["name"])
    if column is None or column.units is None:
        return None
    factor = column.units.get((match["in"] or match["after"]).replace(" ", ""))
    return (
        Heading(column.field, _ONE, "wrong_unit")
        if factor is None
        else Heading(column.field, Decimal(factor))
    )


def known_columns(cells: Sequence[str]) -> int:
    """How many cells of a row are headings that are known."""
    return len({heading.field for heading in map(heading_of, cells) if heading is not None})
