"""The pictures of a report that are drawn of numbers: strata, plots, draws, and plots against the raster.

Each is there when the record has what it shows.
"""

from collections.abc import Iterator
from textwrap import fill
from typing import Final

from registry.estimates.reports.blocks import Picture, Speaker
from registry.estimates.reports.drawing import (
    PlotPoint,
    StratumMean,
    calibration_picture,
    changes_picture,
    draws_picture,
    strata_picture,
)
from registry.estimates.reports.facts import PlotChangeFact, Report
from registry.estimates.reports.words import stand_type

C_TO_CO2: Final = 44 / 12
SHARE_PCT: Final = 68
NAME_WIDTH: Final = 16
STANDS_OUT: Final = "plot_stands_out"


def strata_pictures(report: Report, say: Speaker) -> Iterator[Picture]:
    """Mean change by stratum with its interval, and the plots that it is the mean of."""
    change = report.change
    if change is None or not report.strata:
        return
    t = float(change.t_value)
    strata = [
        StratumMean(stand_type(say, one.code), one.n, float(one.mean), t * float(one.se))
        for one in report.strata
    ]
    plots = sum(one.n for one in report.strata)
    overall = StratumMean(
        say("全部土地", "all land"), plots, float(change.mean_tc_ha), t * float(change.se_tc_ha)
    )
    yield _picture(
        strata_picture(strata, overall=overall, language=say.language),
        say("各层平均变化量及其 90 % 区间", "mean change of each stratum with its interval of 90 %"),
    )
    if report.plot_changes:
        yield _picture(
            changes_picture(_points(report, say), language=say.language),
            say(
                "每个样地的变化量；横线为中位数，离群样地加圈并注明编号",
                "the change of every plot; lines are medians, plots that stand out are ringed and named",
            ),
        )


def opinion_pictures(report: Report, say: Speaker) -> Iterator[Picture]:
    """What was drawn, beside the formula; and the plots beside the raster that helps them."""
    change, opinion = report.change, report.second_opinion
    if change is None:
        return
    if opinion is not None and {"histogram_counts", "histogram_tco2e"} <= set(opinion.told):
        half = float(abs(change.t_value * change.se_tc_ha * change.area_ha)) * C_TO_CO2
        yield _picture(
            draws_picture(
                opinion.told,
                formula_tco2e=float(change.delta_tco2e),
                half_width_tco2e=half,
                language=say.language,
            ),
            say(
                "抽样得到的变化量分布，与公式的数值和区间对照",
                "the drawn changes beside the value and interval of the formula",
            ),
        )
    yield from _calibration(report, change, say)


def screening_pictures(report: Report, say: Speaker) -> Iterator[Picture]:
    """The drawn change by rasters alone, beside E-R2."""
    found = report.screening
    if found is None or found.opinion is None or not found.opinion.told.get("histogram_counts"):
        return
    half = float(found.uncertainty_pct or 0) * abs(float(found.delta_tco2e)) / 100
    yield _picture(
        draws_picture(
            found.opinion.told,
            formula_tco2e=float(found.delta_tco2e),
            half_width_tco2e=half,
            language=say.language,
        ),
        say(
            "仅用栅格：抽样误差后的变化量分布，与 E-R2 的数值和区间对照",
            "rasters alone: the changes with drawn errors beside the value and interval of E-R2",
        ),
    )


def _calibration(report: Report, change: PlotChangeFact, say: Speaker) -> Iterator[Picture]:
    slope, everywhere, at_plots = (
        change.coefficient,
        change.raster_mean_t_ha,
        change.raster_mean_at_plots_t_ha,
    )
    points = _points(report, say)
    if slope is None or everywhere is None or at_plots is None or not points:
        return
    mean = sum(point.change_tc_ha for point in points) / len(points)
    ratio = change.estimator in ("combined_ratio", "weighted_ratio")
    yield _picture(
        calibration_picture(
            points,
            slope=float(slope),
            through=(0.0, 0.0) if ratio else (float(at_plots), mean),
            raster_mean_t_ha=float(everywhere),
            language=say.language,
        ),
        say("样地变化量与栅格变化量", "changes of the plots against those of the raster"),
    )


def _points(report: Report, say: Speaker) -> list[PlotPoint]:
    out = {one.plot for one in report.findings or () if one.code == STANDS_OUT}
    return [
        PlotPoint(
            one.plot,
            fill(stand_type(say, one.stratum), NAME_WIDTH, break_long_words=False),
            float(one.delta_tc_ha),
            one.plot in out,
            None if one.raster_delta_t_ha is None else float(one.raster_delta_t_ha),
        )
        for one in report.plot_changes or ()
    ]


def _picture(svg: str, caption: str) -> Picture:
    return Picture(svg[svg.index("<svg") :], caption, caption, SHARE_PCT)
