"""Areas: E-A1, E-A2."""

from typing import Annotated, Final, Literal

from registry.estimates.methods import area, constants
from registry.estimates.methods.area import PixelArea, PolygonArea
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.quantities import Many, Quantity

Degrees = Annotated[float, Quantity("degrees", low=-180, high=180)]
Latitude = Annotated[float, Quantity("degrees", low=-90, high=90)]
PixelSide = Annotated[float, Quantity("degrees", above=0, high=180)]
Metres = Annotated[float, Quantity("m", above=0, high=1e9)]
InverseFlattening = Annotated[float, Quantity("1", above=1, high=1e6)]
Position = Annotated[list[Degrees], Many(2, 2)]
Ring = Annotated[list[Position], Many(4, 100_000)]
Rings = Annotated[list[Ring], Many(1, 1000)]
"""A shell and its holes, as GeoJSON writes a polygon."""


def _polygon(*, rings: Rings) -> PolygonArea:
    return area.polygon_area([rings])


def _parts(*, parts: Annotated[list[Rings], Many(1, 1000)]) -> PolygonArea:
    return area.polygon_area(parts)


def _pixel(
    *,
    centre_lat_deg: Latitude,
    pixel_height_deg: PixelSide,
    pixel_width_deg: PixelSide,
    ellipsoid: Literal["CGCS2000", "WGS84"] = "CGCS2000",
    a_m: Metres | None = None,
    inv_f: InverseFlattening | None = None,
) -> PixelArea:
    flattening = {"CGCS2000": constants.CGCS2000_INV_F, "WGS84": constants.WGS84_INV_F}[ellipsoid]
    return area.pixel_area(
        centre_lat_deg=centre_lat_deg,
        pixel_height_deg=pixel_height_deg,
        pixel_width_deg=pixel_width_deg,
        a_m=constants.CGCS2000_A_M if a_m is None else a_m,
        inv_f=flattening if inv_f is None else inv_f,
    )


EQUATIONS: Final = (
    Equation(
        "E-A1",
        "地块椭球面积",
        "Ground area of an outline",
        "area of the rings on the ellipsoid of CGCS2000; holes subtracted, parts added",
        "clause 2.9; geodesic area, edges straight in longitude and latitude (EPSG:4490)",
        (_polygon, _parts),
    ),
    Equation(
        "E-A2",
        "经纬度像元面积",
        "Area of a pixel of degrees",
        "b^2/2 dlambda (F(phi + dphi/2) - F(phi - dphi/2)), F = sin p/(1 - e^2 sin^2 p) + atanh(e sin p)/e",
        "clause 2.9; ellipsoid of CGCS2000 or WGS 84",
        (_pixel,),
    ),
)
