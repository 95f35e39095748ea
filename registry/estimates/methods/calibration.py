"""Plots-calibrated raster change: the raster says where, the plots say how much.

The plots are the sample, the raster's change is an auxiliary variable that is known for all land. Design
based, so a biased raster costs precision and no credibility: its own errors show up as scatter of the plots
around it. Source: Cochran, Sampling Techniques, 3rd ed. 1977, sections 6.11 (combined ratio) and 7.10
(combined regression); in forestry known as model-assisted estimation. The combined forms are used because a
stratum may have as few as three plots. Both have a bias of the order 1/n.

The error of the first two estimators (`COMBINED_`) is Cochran's for large samples: the scatter around the
line, with one degree of freedom lost to the coefficient. It takes no notice of plots that lie on other raster
values than the land, nor of a slope drawn by few plots, so it says too little. The error of their successors
(`WEIGHTED_`) counts each plot by how much it moves the estimate: its residual times its g-weight (Särndal,
Swensson and Wretman, Biometrika 76, 1989, 527-537; Model Assisted Survey Sampling, 1992, 6.6), over one minus
its leverage, as if it had been left out (Valliant, Survey Methodology 28, 2002, 103-114: close to the
delete-one jackknife). Degrees of freedom are the effective ones (Satterthwaite; Cochran 5.4), so that a
stratum with much land and few plots is not made sure by plots elsewhere, and never more than the first two's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from registry.estimates.methods.checks import finite, total
from registry.estimates.methods.errors import (
    NoRasterChange,
    NoRasterSpread,
    PlotWithoutRaster,
    SlopeRestsOnPlot,
)
from registry.estimates.methods.plots import PlotEstimate
from registry.estimates.methods.uncertainty import RELIABILITY, MeanChange, mean_change
from registry.estimates.methods.version import ChangeEstimator

LEAST_FREE: Final = 1e-9
"""One minus a plot's leverage, at least: below it the line passes through the plot, whatever it measured."""


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
    names: tuple[str, ...]

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
    `NoRasterSpread` and `SlopeRestsOnPlot` (regression), `NotFinite`.
    """
    if estimator is ChangeEstimator.STRATIFIED:
        return CalibratedChange(estimator, None, None, None, estimate.change)
    samples = _samples(estimate, raster_delta_at_plot_t_ha, raster_mean_delta_t_ha)
    at_plots = total(sample.area_share * sample.raster_mean for sample in samples)
    everywhere = total(sample.area_share * sample.raster_mean_of_stratum for sample in samples)
    by_plots = total(sample.area_share * sample.plot_mean for sample in samples)
    if estimator.is_ratio:
        if at_plots <= 0:
            raise NoRasterChange(mean_t_ha=at_plots)
        coefficient = by_plots / at_plots
        mean = coefficient * everywhere
    else:
        coefficient = _combined_slope(samples)
        mean = by_plots + coefficient * (everywhere - at_plots)
    df = sum(sample.n for sample in samples) - len(samples) - 1
    if not estimator.is_weighted:
        parts = [sample.weight * sample.scatter(coefficient) for sample in samples]
    elif estimator.is_ratio:
        parts = [(everywhere / at_plots) ** 2 * one.weight * one.scatter(coefficient) for one in samples]
        df = min(df, _effective_df(samples, parts))
    else:
        parts = _left_out(samples, coefficient, everywhere - at_plots)
        df = min(df, _effective_df(samples, parts))
    change = mean_change(
        area_ha=estimate.change.area_ha,
        mean_tc_ha=mean,
        se_tc_ha=math.sqrt(total(parts)),
        df=df,
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
                tuple(plot.plot_id for plot in plots),
            )
        )
    return tuple(samples)


def _combined_slope(samples: tuple[_Sample, ...]) -> float:
    products = [(sample.weight, *sample.cross_products()) for sample in samples]
    spread = total(weight * xx for weight, _, xx in products)
    if spread <= 0:
        raise NoRasterSpread()
    return total(weight * xy for weight, xy, _ in products) / spread


# ---- errors that know where the plots lie ------------------------------------------------------------------


def _left_out(samples: tuple[_Sample, ...], slope: float, apart_t_ha: float) -> list[float]:
    """Variance of a regression's mean by stratum, (tC/ha)^2; `apart_t_ha` is the raster mean everywhere less
    that at the plots.

    With d the raster at a plot less its stratum's mean, w the stratum's pooling weight and S = sum w d^2 over
    all plots, a plot's share in the estimate is W/n + apart w d / S (W/n times its g-weight), its leverage
    1/n + w d^2 / S.
    """
    spread = total(sample.weight * sample.cross_products()[1] for sample in samples)
    parts: list[float] = []
    for sample in samples:
        moved: list[float] = []
        for name, y, x in zip(sample.names, sample.plots, sample.raster, strict=True):
            off = x - sample.raster_mean
            free = 1 - 1 / sample.n - sample.weight * off * off / spread
            if free < LEAST_FREE:
                raise SlopeRestsOnPlot(plot=name)
            rest = y - sample.plot_mean - slope * off
            share = sample.area_share / sample.n + apart_t_ha * sample.weight * off / spread
            moved.append(share * rest / free)
        parts.append((sample.n - 1) / sample.n * total(one * one for one in moved))
    return parts


def _effective_df(samples: tuple[_Sample, ...], parts: list[float]) -> int:
    """Degrees of freedom of a sum of the strata's variances (Satterthwaite), whole; a hair above the last
    digits, so that the same plots give the same number everywhere. All there are where nothing scatters.
    """
    squares = total(part * part / (sample.n - 1) for sample, part in zip(samples, parts, strict=True))
    if squares <= 0:
        return sum(sample.n - 1 for sample in samples)
    return math.floor(total(parts) ** 2 / squares + 1e-9)
