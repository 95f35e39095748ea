"""Areas on the ellipsoid: of a pixel (E-A2), of an outline of longitudes and latitudes (E-A1).

Outlines of parcels are measured by `geo`, and so are these; the pixel is a second way to the same ground.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from registry.estimates.methods.checks import finite, positive
from registry.estimates.methods.constants import CGCS2000_A_M, CGCS2000_INV_F, M2_PER_HA, MU_PER_HA
from registry.estimates.methods.errors import OutOfRange

Ring = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class PolygonArea:
    """Ground area of an outline; holes are subtracted, parts added."""

    area_m2: float
    area_ha: float
    area_mu: float


def polygon_area(parts: Sequence[Sequence[Ring]]) -> PolygonArea:
    """Ground area on the ellipsoid of CGCS2000 (E-A1); edges are straight in longitude and latitude.

    Each part is a shell and its holes, closed rings of longitude and latitude in degrees of EPSG:4490. Raises
    `OutOfRange` for a ring of fewer than four positions, one that is not closed or leaves the globe, and
    `GeoRefusal` for an outline that crosses itself or whose parts overlap.
    """
    import shapely

    from geo.crs import area_m2
    from geo.polygon import check_valid

    for number, part in enumerate(parts):
        for index, ring in enumerate(part):
            _check_ring(f"parts[{number}][{index}]", ring)
    polygons = [shapely.Polygon(shell, holes) for shell, *holes in parts]
    outline = check_valid(polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons))
    ground_m2 = area_m2(outline)
    return PolygonArea(ground_m2, ground_m2 / M2_PER_HA, ground_m2 / M2_PER_HA * MU_PER_HA)


def _check_ring(name: str, ring: Ring) -> None:
    if len(ring) < 4:
        raise OutOfRange(field=name, value=len(ring), rule=">= 4 positions")
    for position in ring:
        if len(position) != 2 or not (abs(position[0]) <= 180 and abs(position[1]) <= 90):
            raise OutOfRange(
                field=name, value=str(list(position))[:80], rule="longitude, latitude in degrees"
            )
    if list(ring[0]) != list(ring[-1]):
        raise OutOfRange(field=name, value=str(list(ring[-1])), rule=f"closed at {list(ring[0])}")


@dataclass(frozen=True, slots=True)
class PixelArea:
    pixel_area_m2: float
    pixel_area_ha: float
    pixel_area_mu: float


def pixel_area(
    *,
    centre_lat_deg: float,
    pixel_height_deg: float,
    pixel_width_deg: float,
    a_m: float = CGCS2000_A_M,
    inv_f: float = CGCS2000_INV_F,
) -> PixelArea:
    """Area of a pixel between two parallels and two meridians of an ellipsoid (E-A2).

    Angles in degrees, `a_m` the semi-major axis in metres, `inv_f` the inverse flattening. Raises `NotFinite`
    and `OutOfRange`, also for a pixel that reaches over a pole.
    """
    finite(centre_lat_deg=centre_lat_deg)
    positive(pixel_height_deg=pixel_height_deg, pixel_width_deg=pixel_width_deg, a_m=a_m, inv_f=inv_f)
    half = pixel_height_deg / 2
    if abs(centre_lat_deg) + half > 90:
        raise OutOfRange(field="centre_lat_deg", value=centre_lat_deg, rule=">= -90, <= 90")
    flattening = 1 / inv_f
    b_m = a_m * (1 - flattening)
    e = math.sqrt(flattening * (2 - flattening))

    def zone(latitude_deg: float) -> float:
        sine = math.sin(math.radians(latitude_deg))
        return sine / (1 - (e * sine) ** 2) + math.atanh(e * sine) / e

    height = zone(centre_lat_deg + half) - zone(centre_lat_deg - half)
    area_m2 = b_m**2 / 2 * math.radians(pixel_width_deg) * height
    area_ha = area_m2 / M2_PER_HA
    return PixelArea(area_m2, area_ha, area_ha * MU_PER_HA)
