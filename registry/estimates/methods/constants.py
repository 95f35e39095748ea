"""Constants that are sure (METHODOLOGY section 0); everything that is not is a row of a parameter table."""

from typing import Final

C_TO_CO2: Final = 44 / 12
"""Mass of CO2 per mass of carbon; the fraction, never 3.67."""

N_TO_N2O: Final = 44 / 28
"""Mass of N2O per mass of the nitrogen in it."""

MU_PER_HA: Final = 15
KG_PER_T: Final = 1000
M2_PER_HA: Final = 10_000

CGCS2000_A_M: Final = 6378137.0
CGCS2000_INV_F: Final = 298.257222101
WGS84_INV_F: Final = 298.257223563
