"""The tiers of a number, as types: what may not be issued cannot be handed to issuance (D1).

`Screening` (rasters alone) and `ExAnte` (a growth curve) are shown and never issued. `Measured` is what plots
prove. Only `Verified`, a measured quantity that a verifier signed, is what issuance takes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from registry.estimates.methods.calibration import CalibratedChange
from registry.estimates.methods.crediting import (
    Issuable,
    NetReduction,
    Number,
    RiskMode,
    issuable_kg,
    net_reduction,
)
from registry.estimates.methods.errors import OutOfRange, SignedMoreThanMeasured
from registry.estimates.methods.forest import GrowthCurve, growth_curve
from registry.estimates.methods.parameters import ParameterSet, default_parameters
from registry.estimates.methods.plots import PlotEstimate
from registry.estimates.methods.raster import RasterChange
from registry.estimates.methods.version import MethodVersion

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Screening:
    """What rasters alone say about a change. Never issued: its error is large and unproven (vector V11b)."""

    change: RasterChange
    valid_area_share: float


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
class Verified:
    """A quantity that a verifier signed; the only thing that issuance accepts.

    `signed_kg` is at most what was measured (`SignedMoreThanMeasured`); `statement_sha256` is the digest of
    the signed statement, lower-case hex; `method_digest` that of the method version.
    """

    issuable: Issuable
    signed_kg: int
    verifier: str
    statement_sha256: str
    method_digest: str

    def __post_init__(self) -> None:
        if self.signed_kg < 0:
            raise OutOfRange(field="signed_kg", value=self.signed_kg, rule=">= 0")
        if self.signed_kg > self.issuable.verified_kg:
            raise SignedMoreThanMeasured(signed_kg=self.signed_kg, issuable_kg=self.issuable.verified_kg)
        if not self.verifier:
            raise OutOfRange(field="verifier", value="", rule="!= ''")
        for field, digest in (
            ("statement_sha256", self.statement_sha256),
            ("method_digest", self.method_digest),
        ):
            if not _SHA256.fullmatch(digest):
                raise OutOfRange(field=field, value=digest, rule="[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Measured:
    """A change that plots prove, taken through the front part of E-C1; it waits for a verifier.

    `plots` is the plain estimate, `change` the one that the method's estimator gave, `screening` the raster
    result shown beside it.
    """

    method: MethodVersion
    plots: PlotEstimate
    change: CalibratedChange
    front: NetReduction
    issuable: Issuable
    screening: Screening | None

    def signed(self, *, signed_kg: int, verifier: str, statement_sha256: str) -> Verified:
        """The verified quantity; a verifier may sign less than was measured, never more."""
        return Verified(self.issuable, signed_kg, verifier, statement_sha256, self.method.digest())


def measured(
    method: MethodVersion,
    plots: PlotEstimate,
    change: CalibratedChange,
    *,
    delta_baseline_tco2e: Number,
    project_emissions_tco2e: Number,
    leakage_tco2e: Number,
    k_risk: Number,
    risk_mode: RiskMode,
    screening: Screening | None = None,
) -> Measured:
    """Take a plots-based change through E-C1's front part. Refusals as in `net_reduction`.

    The biomass equation and estimator must be those of the method, or `OutOfRange`.
    """
    if plots.biomass is not method.biomass:
        raise OutOfRange(field="biomass", value=plots.biomass.value, rule=f"= {method.biomass.value}")
    if change.estimator is not method.estimator:
        raise OutOfRange(field="estimator", value=change.estimator.value, rule=f"= {method.estimator.value}")
    front = net_reduction(
        delta_project_tco2e=change.change.delta_tco2e,
        uncertainty_pct=change.change.uncertainty_pct,
        delta_baseline_tco2e=delta_baseline_tco2e,
        project_emissions_tco2e=project_emissions_tco2e,
        leakage_tco2e=leakage_tco2e,
        k_risk=k_risk,
        rule=method.rule,
    )
    return Measured(method, plots, change, front, issuable_kg(front, risk_mode), screening)
