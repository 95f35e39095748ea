"""Real inventories of the BIOMASS package (umr-amap, GPL-2): read as far as they can prove a change, else
refused for the right reason.
"""

import csv
import io
from pathlib import Path

import pytest

from registry.estimates.methods.errors import BadPlotFile
from registry.estimates.methods.forest import Tree, tree_plot
from registry.estimates.methods.plot_files import read_plot_file
from registry.estimates.plots.convert import convert
from tests.geo.conftest import real_data

__all__ = ["real_data"]


def codes(content: bytes | str) -> dict[str, int]:
    with pytest.raises(BadPlotFile) as refused:
        read_plot_file(content, "trees")
    listed = refused.value.facts["faults"]
    assert isinstance(listed, list)
    found: dict[str, int] = {}
    for fault in listed:
        found[fault["code"]] = found.get(fault["code"], 0) + 1
    return found


@pytest.mark.parametrize("name", ["NouraguesPlot.csv", "forest_inv_exemple.csv", "Coord.csv"])
def test_an_inventory_without_our_headings_lacks_columns(real_data: Path, name: str) -> None:
    assert set(codes((real_data / "plots" / name).read_bytes())) == {"missing_column"}


def test_one_visit_proves_no_change(real_data: Path) -> None:
    """A plot of one hectare with 542 trees, measured once."""
    content = (real_data / "plots" / "NouraguesPlot.csv").read_bytes()
    columns = {"plot_id": "plot", "dbh_cm": "D", "height_m": "H"}
    values = {
        "stratum": "硬阔类", "species": "硬阔类", "area_ha": "1", "measured_on": "2012-09-01",
    }  # fmt: skip
    converted = convert(content, columns, values, "NouraguesPlot.csv")
    plots = {row["plot_id"] for row in csv.DictReader(io.StringIO(converted.decode("utf-8-sig")))}
    assert codes(converted) == {"not_two_dates": len(plots)}


def test_a_second_visit_makes_it_a_change_of_the_very_trees(real_data: Path) -> None:
    """The same trees again five years later, each half a centimetre thicker: what is read adds up to what
    the equation says of the columns.
    """
    content = (real_data / "plots" / "NouraguesPlot.csv").read_text(encoding="utf-8")
    lines = ["plot_id,stratum,area_ha,measured_on,species,dbh_cm,height_m"]
    trees: dict[str, list[float]] = {}
    for row in csv.DictReader(io.StringIO(content)):
        diameter = float(row["D"])
        trees.setdefault(row["plot"], []).append(diameter)
        for year, dbh in ((2012, diameter), (2017, diameter + 0.5)):
            lines.append(f"{row['plot']},硬阔类,1,{year}-09-01,硬阔类,{dbh!r},{row['H']}")
    plots = read_plot_file("\n".join(lines), "trees")
    from registry.estimates.methods import Biomass, default_parameters, plot_change

    density = default_parameters().stand_types.row("hard_broadleaf").factors
    for plot in plots:
        change = plot_change(plot, Biomass.TREES, default_parameters())
        kilograms = sum(0.3 * density.wood_density * d ** (7 / 3) for d in trees[plot.plot_id] if d >= 5)
        carbon = kilograms / 1000 * (1 + density.root_shoot) * density.carbon_fraction
        assert change.carbon1_tc_ha == pytest.approx(carbon, rel=1e-12)
        assert change.delta_tc_ha > 0


def test_our_equation_and_the_pantropical_one_say_alike_of_the_same_trees(real_data: Path) -> None:
    """The package computes these plots by Chave et al. 2014, equation 4, 0.0673 (rho H D^2)^0.976: not ours.
    On the measured wood densities and heights E-F3, which knows no height, lies within a third of it.
    """
    for_plot: dict[str, list[tuple[float, float, float]]] = {}
    with (real_data / "plots" / "NouraguesPlot.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["H"] not in ("", "NA"):
                tree = float(row["D"]), float(row["WD"]), float(row["H"])
                for_plot.setdefault(row["plot"], []).append(tree)
    for trees in for_plot.values():
        ours = tree_plot(
            plot_area_ha=1.0, trees=[Tree(d, wd) for d, wd, _ in trees], root_shoot=0.0, carbon_fraction=1.0
        ).carbon_tc_ha
        chave = sum(0.0673 * (wd * h * d * d) ** 0.976 for d, wd, h in trees) / 1000
        assert 2 / 3 < ours / chave < 3 / 2
