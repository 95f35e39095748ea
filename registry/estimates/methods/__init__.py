"""Methods: pure functions from measurements to carbon, and the versioned parameters that they compute with.

No database, no web, no raster: numbers in, numbers out, so that anybody can recompute them.

    area.py forest.py raster.py    E-A1, E-A2; E-F1 to E-F4; E-R1, E-R2
    allometry.py bamboo.py         trees by species group, total biomass over age; E-F6, E-F7
    pools.py plausible.py          E-F10 and the optional pools; whether a density is an ordinary one
    soil.py farm.py accounts.py    E-S1, E-S2; E-S3 to E-S8; E-I1, E-P1
    trade.py money.py labels.py    E-T0 to E-T4; fen; shades and colours
    design.py plots.py             where to measure; plot records and their change with its error
    plot_files.py plot_*.py        reading them from tables and workbooks; what is odd about them
    montecarlo.py *_raster.py      the whole chain drawn again, as a second opinion
    calibration.py                 plots helped by rasters
    uncertainty.py student.py      E-U1, E-U2, the quantile they need
    crediting.py                   E-C1, its front part, E-B1, R-17
    tiers.py version.py            forecasts and what may be issued; what decides a result, as digests
    tables.py parameters.py        tables whose rows have a source and a mark; those of the runs
    library.py data/               those of all other equations; the tables themselves
    quantities.py equations/       units and ranges; equation id and named values to outputs
"""

from registry.estimates.methods.area import PixelArea, PolygonArea, pixel_area, polygon_area
from registry.estimates.methods.bamboo import (
    CulmClass,
    Saturation,
    culm_agb_kg,
    culm_carbon_tc_ha,
    culm_plot,
    saturated_tco2e,
)
from registry.estimates.methods.calibration import CalibratedChange, calibrate
from registry.estimates.methods.crediting import (
    CreditingChain,
    Issuable,
    NetReduction,
    Plausibility,
    Reversal,
    RiskMode,
    crediting_chain,
    issuable_kg,
    net_reduction,
    plausibility,
    reversal,
)
from registry.estimates.methods.equations import EQUATIONS, calculate
from registry.estimates.methods.errors import MethodRefusal
from registry.estimates.methods.forest import (
    GrowthCurve,
    LinearStockChange,
    Tree,
    TreePlot,
    VolumeStockChange,
    growth_curve,
    linear_biomass_t_ha,
    linear_stock_change,
    mixed_volume_carbon_tc_ha,
    tree_plot,
    volume_carbon_tc_ha,
    volume_stock_change,
)
from registry.estimates.methods.parameters import (
    BiomassFactors,
    DeductionRule,
    Mark,
    ParameterSet,
    RowUse,
    SpeciesShare,
    StandType,
    canonical_json,
    default_parameters,
)
from registry.estimates.methods.plausible import Plausible, age_class_of, plausible_density
from registry.estimates.methods.plot_files import RowFault, read_plots, read_tree_plots
from registry.estimates.methods.plots import (
    MeasuredTree,
    PlotChange,
    PlotEstimate,
    PlotRecord,
    TreePair,
    VolumePair,
    check_dates,
    estimate_change,
    plot_change,
)
from registry.estimates.methods.raster import (
    ChangePixel,
    ChangeSums,
    RasterChange,
    RasterStock,
    StockPixel,
    add_sums,
    change_sums,
    raster_change,
    raster_stock,
    raster_stock_of_sums,
)
from registry.estimates.methods.student import incomplete_beta, student_quantile
from registry.estimates.methods.tiers import (
    ExAnte,
    ForecastBand,
    ForecastStand,
    forecast,
    forecast_project,
)
from registry.estimates.methods.uncertainty import (
    Deduction,
    MeanChange,
    Stratum,
    Term,
    deduct,
    deduction_rate,
    stratified_mean,
    uncertainty_of_product_pct,
    uncertainty_of_sum_pct,
)
from registry.estimates.methods.version import (
    DEFAULT_METHOD,
    METHODS,
    Biomass,
    ChangeEstimator,
    MethodVersion,
    method_version,
)

__all__ = [
    "DEFAULT_METHOD",
    "EQUATIONS",
    "METHODS",
    "Biomass",
    "BiomassFactors",
    "CalibratedChange",
    "ChangeEstimator",
    "ChangePixel",
    "ChangeSums",
    "CreditingChain",
    "CulmClass",
    "Deduction",
    "DeductionRule",
    "ExAnte",
    "ForecastBand",
    "ForecastStand",
    "GrowthCurve",
    "Issuable",
    "LinearStockChange",
    "Mark",
    "MeanChange",
    "MeasuredTree",
    "MethodRefusal",
    "MethodVersion",
    "NetReduction",
    "ParameterSet",
    "PixelArea",
    "Plausibility",
    "Plausible",
    "PlotChange",
    "PlotEstimate",
    "PlotRecord",
    "PolygonArea",
    "RasterChange",
    "RasterStock",
    "Reversal",
    "RiskMode",
    "RowFault",
    "RowUse",
    "Saturation",
    "SpeciesShare",
    "StandType",
    "StockPixel",
    "Stratum",
    "Term",
    "Tree",
    "TreePair",
    "TreePlot",
    "VolumePair",
    "VolumeStockChange",
    "add_sums",
    "age_class_of",
    "calculate",
    "calibrate",
    "canonical_json",
    "change_sums",
    "check_dates",
    "crediting_chain",
    "culm_agb_kg",
    "culm_carbon_tc_ha",
    "culm_plot",
    "deduct",
    "deduction_rate",
    "default_parameters",
    "estimate_change",
    "forecast",
    "forecast_project",
    "growth_curve",
    "incomplete_beta",
    "issuable_kg",
    "linear_biomass_t_ha",
    "linear_stock_change",
    "method_version",
    "mixed_volume_carbon_tc_ha",
    "net_reduction",
    "pixel_area",
    "plausibility",
    "plausible_density",
    "plot_change",
    "polygon_area",
    "raster_change",
    "raster_stock",
    "raster_stock_of_sums",
    "read_plots",
    "read_tree_plots",
    "reversal",
    "saturated_tco2e",
    "stratified_mean",
    "student_quantile",
    "tree_plot",
    "uncertainty_of_product_pct",
    "uncertainty_of_sum_pct",
    "volume_carbon_tc_ha",
    "volume_stock_change",
]
