"""What every method version and every equation computes, as digests: code that changes a result shows here.

    python -m tests.registry.estimates.results > tests/registry/estimates/method_results.json

Keys are ids with the version of their code (`E-F1@1`), for equations with the name of a vector. When a key's
digest no longer fits, the code computes something else under the same version: raise it and keep the old key.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import date
from typing import Any

from registry.estimates.methods import EQUATIONS, METHODS, calculate
from registry.estimates.methods.bamboo import CulmClass
from registry.estimates.methods.calibration import calibrate
from registry.estimates.methods.crediting import net_reduction
from registry.estimates.methods.plots import (
    CulmPair,
    MeasuredTree,
    PlotRecord,
    TreePair,
    VolumePair,
    estimate_change,
)
from registry.estimates.methods.version import Biomass, MethodVersion
from tests.registry.estimates.sheets import OWN, PUBLISHED


def digest(results: object) -> str:
    """Of results to ten digits, which every machine's mathematics agree on."""
    return hashlib.sha256(json.dumps(_rounded(results), sort_keys=True).encode()).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return format(value, ".10g")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value


def of_equations() -> Iterator[tuple[str, str]]:
    """Every vector, by its equation; a new vector is a new line."""
    for vector in [*PUBLISHED, *OWN]:
        name = vector["inputs"]["equation"]
        given = {key: value for key, value in vector["inputs"].items() if key != "equation"}
        yield f"{name}@{EQUATIONS[name].version} {vector['name']}", digest(calculate(name, given))


def of_methods() -> Iterator[tuple[str, str]]:
    """Every method version over one set of plots, from measurements to the net reduction."""
    for name, method in METHODS.items():
        yield f"{name}@{method.code_version}", digest(_proven(method))


def _proven(method: MethodVersion) -> list[object]:
    strata = {"moso_bamboo": 31.5} if method.biomass is Biomass.CULMS else {"chinese_fir": 31.5, "oak": 12.25}
    plots = [_plot(code, number, method.biomass) for code in strata for number in range(5)]
    estimate = estimate_change(plots, strata, biomass=method.biomass, parameters=method.parameters)
    at_plots = {plot.plot_id: 4.0 + 1.5 * (number % 4) for number, plot in enumerate(plots)}
    change = calibrate(
        estimate,
        at_plots,
        dict.fromkeys(strata, 6.5),
        method.estimator,
        reliability=method.parameters.setting("reliability"),
    ).change
    front = net_reduction(
        delta_project_tco2e=change.delta_tco2e,
        uncertainty_pct=min(change.uncertainty_pct or 0, 30.0),
        delta_baseline_tco2e=10.0,
        project_emissions_tco2e=1.0,
        leakage_tco2e=0.5,
        k_risk=0.1,
        rule=method.rule,
    )
    figures = (change.mean_delta_tc_ha, change.se_tc_ha, change.uncertainty_pct, change.delta_tco2e)
    carbon = [(plot.carbon1_tc_ha, plot.carbon2_tc_ha) for plot in estimate.plots]
    return [carbon, figures, float(front.net_reduction_tco2e), float(front.risk_withheld_tco2e)]


def _plot(code: str, number: int, biomass: Biomass) -> PlotRecord:
    return PlotRecord(
        plot_id=f"{code}-{number}",
        stratum=code,
        area_ha=0.06,
        measured1_on=date(2020, 1, 1),
        measured2_on=date(2025, 1, 1),
        measurement=_measured(code, number, biomass),
    )


def _measured(code: str, number: int, biomass: Biomass) -> VolumePair | TreePair | CulmPair:
    if biomass is Biomass.TREES:
        first = tuple(MeasuredTree(code, 8.0 + number + tree) for tree in range(6))
        return TreePair(first, tuple(MeasuredTree(code, tree.dbh_cm * 1.15) for tree in first))
    if biomass is Biomass.CULMS:
        culms = tuple(CulmClass(8.0 + number / 2 + du, du, 20 + number) for du in (1, 2, 3, 4))
        return CulmPair(culms, tuple(CulmClass(one.dbh_cm, one.du, one.culms + 3 + number) for one in culms))
    return VolumePair(60.0 + 3 * number, 82.0 + 4 * number)


def results() -> dict[str, str]:
    return dict([*of_methods(), *of_equations()])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(results(), indent=1) + "\n")
