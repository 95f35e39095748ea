"""Why a calculation is refused. Each class is one reason; its `code` is stable and its `template` is
translated.
"""

from registry.errors import RegistryRefusal


class MethodRefusal(RegistryRefusal):
    """Root of every refusal of a calculation."""

    code = "method_refused"
    template = "The calculation was refused."


class UnknownEquation(MethodRefusal):
    code = "method_unknown_equation"
    template = "There is no equation {equation}."


class MissingInput(MethodRefusal):
    code = "method_missing_input"
    template = "Equation {equation} needs the value {field}."


class UnknownInput(MethodRefusal):
    code = "method_unknown_input"
    template = "Equation {equation} takes no value {field}."


class WrongUnit(MethodRefusal):
    code = "method_wrong_unit"
    template = "{field} is in the wrong unit; {expected} is expected."


class WrongType(MethodRefusal):
    code = "method_wrong_type"
    template = "{field} must be of the type {expected}; {value} is not."


class NotFinite(MethodRefusal):
    code = "method_not_finite"
    template = "{field} must be a finite number; {value} is not."


class OutOfRange(MethodRefusal):
    code = "method_out_of_range"
    template = "{field} is {value}; it must be {rule}."


class ResultNotFinite(MethodRefusal):
    """An input so large, or a divisor so small, that the result leaves the range of numbers."""

    code = "method_result_not_finite"
    template = "Equation {equation} has no finite result {field} for these inputs."


class SheetNotJson(MethodRefusal):
    code = "method_not_json"
    template = "The calculations cannot be read as JSON: {reason}."


class SheetKeyTwice(MethodRefusal):
    code = "method_key_twice"
    template = "The key {key} occurs twice in one object."


class SheetEmpty(MethodRefusal):
    code = "method_nothing_to_calculate"
    template = "There is nothing to calculate: the list is empty."


class SheetTooLarge(MethodRefusal):
    code = "method_too_large"
    template = "The calculations have more than {limit_bytes} bytes."


class TooManyCalculations(MethodRefusal):
    code = "method_too_many"
    template = "There are {count} calculations; at most {limit} are made at once."


class UnknownStandType(MethodRefusal):
    code = "method_unknown_stand_type"
    template = "The parameter table {table} has no stand type {stand_type}."


class UnknownMethod(MethodRefusal):
    code = "method_unknown"
    template = "There is no method {method}."


class BadParameterTable(MethodRefusal):
    code = "method_bad_parameter_table"
    template = "The parameter table {table} cannot be read: {field} is missing or malformed."


class SharesNotWhole(MethodRefusal):
    code = "method_shares_not_whole"
    template = "The species shares of a mixed stand add up to {total}; they must add up to 1."


class TooFewPlots(MethodRefusal):
    code = "plots_too_few"
    template = "Stratum {stratum} has {plots} plots; at least {needed} are needed."


class DuplicatedPlot(MethodRefusal):
    code = "plots_duplicated"
    template = "Plot {plot} occurs more than once."


class PlotOutsideStrata(MethodRefusal):
    code = "plots_outside_strata"
    template = "Plot {plot} belongs to stratum {stratum}, which has no land here."


class PlotOutsidePeriod(MethodRefusal):
    code = "plots_outside_period"
    template = (
        "Plot {plot} was measured on {measured_on}, more than {tolerance_days} days away from {expected_on}."
    )


class PlotWithoutRaster(MethodRefusal):
    code = "plots_without_raster"
    template = "Plot {plot} has no raster change to be calibrated with."


class MixedMeasurements(MethodRefusal):
    code = "plots_wrong_measurement"
    template = "Plot {plot} does not hold what the biomass equation {equation} needs."


class BadPlotFile(MethodRefusal):
    code = "plots_bad_file"
    template = "The plot file has {count} faults; nothing was read."


class StratumTooSmall(MethodRefusal):
    """The ground on which a plot's centre may stand is too small or too narrow."""

    code = "design_stratum_too_small"
    template = "Stratum {stratum} has room for {room} plots beside each other; {plots} are wanted."


class TooManyPlots(MethodRefusal):
    code = "design_too_many_plots"
    template = "The target needs {plots} plots, more than {most}: aim lower, or know the strata better."


class NoRasterChange(MethodRefusal):
    code = "calibration_no_raster_change"
    template = "The raster shows no gain at the plots ({mean_t_ha} t/ha), so no ratio can be formed."


class NoRasterSpread(MethodRefusal):
    code = "calibration_no_raster_spread"
    template = "The raster change is the same at all plots of each stratum, so no slope can be fitted."


class SlopeRestsOnPlot(MethodRefusal):
    code = "calibration_slope_rests_on_plot"
    template = (
        "The slope rests on the plot {plot} alone: without it the raster change is the same at all plots of "
        "each stratum. Measure more plots."
    )


class UncertaintyTooHigh(MethodRefusal):
    code = "uncertainty_too_high"
    template = "The uncertainty of {uncertainty_pct} % is above {limit_pct} %: measure more plots."


class UncertaintyUndefined(MethodRefusal):
    code = "uncertainty_undefined"
    template = "The mean change is zero but its error is not, so its relative uncertainty does not exist."


class ImplausibleRemoval(MethodRefusal):
    code = "removal_implausible"
    template = "A removal of {rate_tco2e_ha_year} tCO2e per hectare and year is above {limit_tco2e_ha_year}."
