"""The tiers of a number (D1): what may not be issued cannot reach issuance.

* ex ante: a growth curve's forecast (`ExAnte`, here). Shown, never issued.
* screening: rasters alone (a run of `TIER_SCREENING`). Shown; no verifier can sign it.
* proven by plots (a run of `TIER_VERIFIED`): it waits for a verifier.
* verified: over a verifier's signature (`registry.verification.rules.Verified`). Issuance takes this type
  alone and does not know this room.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from registry.estimates.methods.forest import GrowthCurve, growth_curve
from registry.estimates.methods.parameters import ParameterSet, default_parameters


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
