"""The tiers of a number (D1): what may not be issued cannot reach issuance.

* ex ante: a growth curve's forecast (`ExAnte`, here). Shown, never issued.
* screening: rasters alone (a run of `TIER_SCREENING`). Shown; no verifier can sign it.
* proven by plots (a run of `TIER_VERIFIED`): it waits for a verifier (`registry.verification.rules.Proven`).
* verified: over a verifier's signature (`registry.verification.rules.Verified`). Issuance takes this type
  alone and does not know this room.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from registry.estimates.methods.checks import not_negative, total
from registry.estimates.methods.forest import GrowthCurve, check_ages, growth_curve
from registry.estimates.methods.parameters import ParameterSet, default_parameters
from registry.estimates.methods.quantities import Hectares, Quantity


@dataclass(frozen=True, slots=True)
class ExAnte:
    """A forecast by growth curve, always with the band of the site. Never issued."""

    ages: tuple[float, ...]
    poor_site: GrowthCurve
    mean_site: GrowthCurve
    good_site: GrowthCurve


def forecast(
    stand_type: str, *, area_ha: float, ages: Sequence[float], parameters: ParameterSet | None = None
) -> ExAnte:
    """The growth of a stand type on poor, mean and good sites (E-F4). Raises `UnknownStandType`,
    `OutOfRange`.
    """
    tables = parameters or default_parameters()
    row = tables.stand_types.row(stand_type)

    def at(site: str) -> GrowthCurve:
        return growth_curve(
            area_ha=area_ha,
            ages=ages,
            site_factor=tables.setting(f"site_factor_{site}"),
            growth=row.growth,
            factors=row.factors,
        )

    return ExAnte(tuple(ages), at("poor"), at("mean"), at("good"))


@dataclass(frozen=True, slots=True)
class ForecastStand:
    """Land of one stand type and age, years since planting."""

    stand_type: str
    area_ha: Hectares
    age_years: Annotated[float, Quantity("years", low=0, high=1000)]


@dataclass(frozen=True, slots=True)
class ForecastBand:
    """What all stands together are forecast to take up within so many years, on poor, mean and good sites.

    An option is sized on the poor site, the conservative end. Never issued: there is no way from here to a
    `Proven` or a `Verified` quantity.
    """

    poor_site_tco2e: tuple[float, ...]
    mean_site_tco2e: tuple[float, ...]
    good_site_tco2e: tuple[float, ...]


def forecast_project(
    stands: Sequence[ForecastStand],
    after_years: Sequence[float],
    parameters: ParameterSet | None = None,
) -> ForecastBand:
    """The uptake of a project's stands after each of these times (E-F4), with the band of the site.

    Raises `UnknownStandType`, `OutOfRange`.
    """
    tables = parameters or default_parameters()
    check_ages(after_years)

    def on(site: str) -> tuple[float, ...]:
        factor = tables.setting(f"site_factor_{site}")
        return tuple(
            total(_uptake_tco2e(stand, years, factor, tables) for stand in stands) for years in after_years
        )

    return ForecastBand(on("poor"), on("mean"), on("good"))


def _uptake_tco2e(stand: ForecastStand, years: float, site_factor: float, tables: ParameterSet) -> float:
    not_negative(age_years=stand.age_years)
    if years == 0:
        return 0.0
    row = tables.stand_types.row(stand.stand_type)
    curve = growth_curve(
        area_ha=stand.area_ha,
        ages=[stand.age_years, stand.age_years + years],
        site_factor=site_factor,
        growth=row.growth,
        factors=row.factors,
    )
    return curve.delta_tco2e[0]
