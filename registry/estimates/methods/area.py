"""Areas that follow from the ellipsoid alone. Polygons are measured in `geo`; this is the check on its
pixels.
"""

import math
from dataclasses import dataclass

from registry.estimates.methods.checks import finite, positive
from registry.estimates.methods.constants import CGCS2000_A_M, CGCS2000_INV_F, M2_PER_HA, MU_PER_HA
from registry.estimates.methods.errors import OutOfRange


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
