"""Plots-calibrated raster change: the raster says where, the plots say how much.

The plots are the sample, the raster's change is an auxiliary variable that is known for all land. Design
based, so a biased raster costs precision and no credibility: its own errors show up as scatter of the plots
around it. Source: Cochran, Sampling Techniques, 3rd ed. 1977, sections 6.11 (combined ratio) and 7.10
(combined regression); in forestry known as model-assisted estimation. The combined forms are used because a
stratum may have as few as three plots. Both have a bias of the order 1/n, and lose one degree of freedom to
the coefficient.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from registry.estimates.methods.checks import finite, total
from registry.estimates.methods.errors import NoRasterChange, NoRasterSpread, PlotWithoutRaster
from registry.estimates.methods.plots import PlotEstimate
from registry.estimates.methods.uncertainty import RELIABILITY, MeanChange, mean_change
from registry.estimates.methods.version import ChangeEstimator


@dataclass(frozen=True, slots=True)
class CalibratedChange:
    """A mean change and how it came about; the coefficient is tC per t of raster dry matter, None for plots
    alone.
    """

    estimator: ChangeEstimator
    coefficient: float | None
    raster_mean_at_plots_t_ha: float | None
    raster_mean_t_ha: float | None
    change: MeanChange


@dataclass(frozen=True, slots=True)
class _Sample:
    """One stratum: its share of the area, the change of plots (tC/ha) and raster (t/ha) at the same
    places.
    """

    area_share: float
    plots: tuple[float, ...]
    raster: tuple[float, ...]
    raster_mean_of_stratum: float

    @property
    def n(self) -> int:
        return len(self.plots)

    @property
    def plot_mean(self) -> float:
        return total(self.plots) / self.n

    @property
    def raster_mean(self) -> float:
        return total(self.raster) / self.n

    def scatter(self, coefficient: float) -> float:
        """Sum of squares of the plots around the line of this slope through the stratum's means."""
        return total(
            (y - self.plot_mean - coefficient * (x - self.raster_mean)) ** 2
            for y, x in zip(self.plots, self.raster, strict=True)
        )

    def cross_products(self) -> tuple[float, float]:
        """Sums of (x - mean)(y - mean) and of (x - mean)**2."""
        pairs = [
            (y - self.plot_mean, x - self.raster_mean) for y, x in zip(self.plots, self.raster, strict=True)
        ]
        return total(y * x for y, x in pairs), total(x * x for _, x in pairs)

    @property
    def weight(self) -> float:
        return self.area_share**2 / (self.n * (self.n - 1))


def calibrate(
    estimate: PlotEstimate,
    raster_delta_at_plot_t_ha: Mapping[str, float],
    raster_mean_delta_t_ha: Mapping[str, float],
    estimator: ChangeEstimator,
    *,
    reliability: float = RELIABILITY,
) -> CalibratedChange:
    """Mean change per hectare of all land from plots, helped by the raster as `estimator` says.

    `raster_delta_at_plot_t_ha` is keyed by plot id, `raster_mean_delta_t_ha` (the mean over all land of a
    stratum) by stand type code; both are changes of dry matter in t/ha between the same two dates.
    `STRATIFIED` is E-U1 and ignores them. Raises `PlotWithoutRaster`, `NoRasterChange` (ratio),
    `NoRasterSpread` (regression), `NotFinite`.
    """
    if estimator is ChangeEstimator.STRATIFIED:
        return CalibratedChange(estimator, None, None, None, estimate.change)
    samples = _samples(estimate, raster_delta_at_plot_t_ha, raster_mean_delta_t_ha)
    at_plots = total(sample.area_share * sample.raster_mean for sample in samples)
    everywhere = total(sample.area_share * sample.raster_mean_of_stratum for sample in samples)
    by_plots = total(sample.area_share * sample.plot_mean for sample in samples)
    if estimator is ChangeEstimator.COMBINED_RATIO:
        if at_plots <= 0:
            raise NoRasterChange(mean_t_ha=at_plots)
        coefficient = by_plots / at_plots
        mean = coefficient * everywhere
    else:
        coefficient = _combined_slope(samples)
        mean = by_plots + coefficient * (everywhere - at_plots)
    change = mean_change(
        area_ha=estimate.change.area_ha,
        mean_tc_ha=mean,
        se_tc_ha=math.sqrt(total(sample.weight * sample.scatter(coefficient) for sample in samples)),
        df=sum(sample.n for sample in samples) - len(samples) - 1,
        reliability=reliability,
    )
    return CalibratedChange(estimator, coefficient, at_plots, everywhere, change)


def _samples(
    estimate: PlotEstimate, at_plot: Mapping[str, float], mean_of: Mapping[str, float]
) -> tuple[_Sample, ...]:
    samples: list[_Sample] = []
    for stratum in estimate.strata:
        name = stratum.name or ""
        plots = [plot for plot in estimate.plots if plot.stratum == name]
        for plot in plots:
            if plot.plot_id not in at_plot or name not in mean_of:
                raise PlotWithoutRaster(plot=plot.plot_id)
            finite(raster_delta_at_plot_t_ha=at_plot[plot.plot_id])
        finite(raster_mean_delta_t_ha=mean_of[name])
        samples.append(
            _Sample(
                stratum.area_ha / estimate.change.area_ha,
                tuple(plot.delta_tc_ha for plot in plots),
                tuple(at_plot[plot.plot_id] for plot in plots),
                mean_of[name],
            )
        )
    return tuple(samples)


def _combined_slope(samples: tuple[_Sample, ...]) -> float:
    products = [(sample.weight, *sample.cross_products()) for sample in samples]
    spread = total(weight * xx for weight, _, xx in products)
    if spread <= 0:
        raise NoRasterSpread()
    return total(weight * xy for weight, xy, _ in products) / spread
