"""Plots from the design to a registered file: on paper, at the command line, in the home."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import openpyxl
import pytest
from shapely import box

from geo.vector import write_geojson
from registry.estimates.input_files import READERS, stored_file
from registry.estimates.methods.errors import BadPlotFile
from registry.estimates.methods.plot_files import read_plot_file
from registry.estimates.methods.plots import PlotRecord
from registry.estimates.models import PreparedRun
from registry.estimates.plots.convert import FieldUnknown, HeadingMissing, convert
from registry.estimates.plots.design import log_seed
from registry.estimates.plots.land import (
    LandWithoutStandTypes,
    ParcelLand,
    check_places,
    file_land,
    project_land,
)
from registry.estimates.plots.store import load_plots, plots_path, register_plots
from registry.estimates.rules import PlotsUnanswered
from registry.estimates.run_record import RunRecord
from registry.installation import Installation
from tests.registry.estimates.test_methods_plot_checks import plot
from tests.registry.forest import HEADER, OUTLINES, Forest, plots_text
from tests.registry.test_cli import Line, line

__all__ = ["line"]


def workbook_of(text: str, path: Path) -> Path:
    """The same table as a workbook, numbers as numbers."""
    book = openpyxl.Workbook()
    for row in csv.reader(io.StringIO(text)):
        book.active.append([_value(cell) for cell in row])
    book.save(path)
    return path


def _value(cell: str) -> str | float:
    """Spreadsheet programs keep fifteen digits."""
    try:
        return float(f"{float(cell):.15g}")
    except ValueError:
        return cell


def in_fifteen_digits(text: str) -> str:
    return "\n".join(",".join(str(_value(cell)) for cell in row) for row in csv.reader(io.StringIO(text)))


# Kept


def test_a_workbook_is_kept_byte_for_byte_and_read_again_from_its_bytes(
    installation: Installation, tmp_path: Path
) -> None:
    path = workbook_of(plots_text(), tmp_path / "样地.xlsx")
    with installation.database.write() as session:
        row = register_plots(session, installation.home, path)
    kept = plots_path(installation.home, row.sha256)
    assert (kept.name, row.plots) == (f"{row.sha256}.xlsx", 6)
    assert kept.read_bytes() == path.read_bytes()
    assert stored_file(installation.home, row.sha256) == kept
    assert READERS["volume"](kept.read_bytes()) == read_plot_file(in_fifteen_digits(plots_text()), "volume")
    with installation.database.read() as session:
        assert load_plots(session, row.sha256).file_name == "样地.xlsx"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_refused_file_says_in_both_languages_what_to_do_and_keeps_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "plots.csv"
    path.write_text(plots_text().replace("chinese_fir", "银杏", 1), encoding="utf-8")
    with installation.database.write() as session, pytest.raises(BadPlotFile) as refused:
        register_plots(session, installation.home, path)
    listed = refused.value.facts["faults"]
    assert isinstance(listed, list)
    (fault,) = listed
    assert (fault["file"], fault["row"], fault["code"]) == ("plots.csv", 2, "unknown_stand_type")
    assert "银杏" in fault["zh"]
    assert "请填写" in fault["zh"]
    assert fault["en"].startswith("银杏 is no stand type")
    assert not (installation.home.path / "plots").exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_plot_that_stands_out_is_kept_once_its_owner_says_why(
    installation: Installation, tmp_path: Path
) -> None:
    def file(reason: str) -> Path:
        path = tmp_path / "plots.csv"
        lines = [
            f"P{n},chinese_fir,{118.4 + n / 1000},28.9,0.06,2020-01-10,60,2024-12-10,{90 + n},"
            for n in range(9)
        ]
        lines.append(f"P9,chinese_fir,118.5,28.9,0.06,2020-01-10,60,2024-12-10,170,{reason}")
        path.write_text("\n".join((f"{HEADER},explanation", *lines)), encoding="utf-8")
        return path

    with installation.database.write() as session:
        with pytest.raises(PlotsUnanswered) as refused:
            register_plots(session, installation.home, file(""))
        listed = refused.value.facts["faults"]
        assert isinstance(listed, list)
        assert [(one["code"], one["plot"]) for one in listed] == [("plot_stands_out", "P9")]
        assert "异常说明" in listed[0]["zh"]
        assert not (installation.home.path / "plots").exists()
        row = register_plots(session, installation.home, file("2021 年施肥，已复测"))
        assert row.plots == 10


# On the ground


LAND = (
    ParcelLand("1", frozenset({"1", "GT-1"}), "chinese_fir", box(118.40, 28.90, 118.41, 28.91)),
    ParcelLand("2", frozenset({"2"}), "oak", box(118.41, 28.90, 118.42, 28.91)),
)


def at(lon: float, lat: float, parcel_key: str | None = None) -> PlotRecord:
    return replace(plot(1), lon_deg=lon, lat_deg=lat, parcel_key=parcel_key)


def test_the_ground_says_where_a_plot_stands() -> None:
    said = {
        one.code: (one.level, one.value, one.limit)
        for place in (
            at(118.405, 28.905, parcel_key="GT-1"),
            at(118.405, 28.905, parcel_key="7"),
            at(118.415, 28.905),
            at(118.5, 28.905),
            at(118.40005, 28.905),
            at(118.40995, 28.905),
        )
        for one in check_places([place], LAND)
    }
    assert said == {
        "plot_in_other_parcel": ("warning", "7", "1"),
        "plot_in_other_stratum": ("error", "chinese_fir", "oak"),
        "plot_outside_project": ("error", "118.500000 E, 28.905000 N", ""),
        "plot_across_border": ("warning", "8.9 m", "0 m"),
    }
    assert check_places([at(118.405, 28.905, parcel_key="GT-1")], LAND) == []


def test_land_comes_from_a_parcel_file_by_its_stand_types(tmp_path: Path) -> None:
    path = tmp_path / "land.geojson"
    features = [(one.outline, {"优势树种": "杉木", "小班号": f"{n}"}) for n, one in enumerate(LAND)]
    path.write_text(write_geojson(features), encoding="utf-8")
    assert [(one.key, one.stand_type) for one in file_land(path)] == [
        ("0", "chinese_fir"),
        ("1", "chinese_fir"),
    ]
    path.write_text(write_geojson([(LAND[0].outline, {"name": "x"})]), encoding="utf-8")
    with pytest.raises(LandWithoutStandTypes):
        file_land(path)


# At the command line


@pytest.mark.parametrize("forest", ["sqlite"], indirect=True)
def test_a_design_is_laid_out_filled_in_checked_and_registered(
    forest: Forest, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a project of the home; its log's last checkpoint is the seed, which nobody can choose."""
    forest.opened()
    installation = forest.land.people.installation
    home, out = installation.home, forest.folder / "design"
    monkeypatch.setenv("TANHUI_DATABASE_URL", home.database_url)
    asked = ("--project", forest.project, "--home", str(home.path), "--lang", "zh")
    status, said = line("plots", "design", *asked, "--out", str(out), "--plots", "9", "--json")
    assert status == 0
    document = json.loads(said)
    seed, source = log_seed(home)
    assert document["seed"] == source
    assert source["root"] == seed
    assert document["plots"] == 9
    with installation.database.read() as session:
        land = project_land(session, forest.project)
    assert [one.outline.equals(outline) for one, outline in zip(land, OUTLINES, strict=True)] == [True] * 3
    filled = filled_in(out / "plots.csv")
    status, said = line("plots", "check", str(filled), *asked, "--period", forest.period, "--json")
    assert (status, json.loads(said)["findings"]) == (0, [])
    status, said = line("plots", "add", str(filled), "--home", str(home.path), "--lang", "en")
    assert (status, "9 plots, nothing odd" in said) == (0, True)
    status, said = line("plots", "list", "--home", str(home.path), "--json")
    assert [one["plots"] for one in json.loads(said)] == [9]
    waypoints = ElementTree.parse(out / "plots.gpx").getroot()
    points = json.loads((out / "plots.geojson").read_text(encoding="utf-8"))
    assert len(waypoints) == len(points["features"]) == 9
    assert points["design_sha256"] == document["design_sha256"]


@pytest.mark.parametrize("forest", ["sqlite"], indirect=True)
def test_a_run_from_a_workbook_gives_the_kilograms_of_the_same_table_in_csv(forest: Forest) -> None:
    text = in_fifteen_digits(plots_text())
    from_csv = forest.prepare(forest.command(text))
    installation = forest.land.people.installation
    path = workbook_of(text, forest.folder / "plots.xlsx")
    with installation.database.write() as session:
        sha256 = register_plots(session, installation.home, path).sha256
    from_workbook = forest.prepare(forest.command().model_copy(update={"plots": sha256}))
    assert from_workbook.inputs_sha256 != from_csv.inputs_sha256
    assert from_workbook.estimate_kg == from_csv.estimate_kg > 0
    with installation.database.read() as session:
        kept = session.get(PreparedRun, from_workbook.inputs_sha256)
        assert kept is not None
        evidence = RunRecord(kept.record).document["evidence"]
    assert isinstance(evidence, dict)
    opinion = evidence["second_opinion"]
    assert isinstance(opinion, dict)
    assert (opinion["agrees"], opinion["draws"]) == (True, 10_000)
    assert evidence["findings"] == []


def filled_in(sheet: Path) -> Path:
    """As the crew brings the sheet back."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for n, one in enumerate(rows):
        one["前期调查日期"], one["后期调查日期"] = "2020/1/10", "20241210"
        one["前期蓄积(m³/ha)"], one["后期蓄积(m³/ha)"] = "60", str(90 + n)
    path = sheet.with_name("filled.csv")
    with path.open("w", encoding="gb18030", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def test_what_has_to_be_answered_is_status_two(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "plots.csv"
    path.write_text(plots_text().replace("P2", "P1"), encoding="utf-8")
    status, _ = line("plots", "check", str(path))
    assert status == 2
    path.write_text(plots_text(changes=(30, 31, 32, 33, 34, 35)), encoding="utf-8")
    status, said = line("plots", "check", str(path), "--lang", "zh")
    assert (status, "6 个样地" in said) == (0, True)
    assert line("plots", "design", "--out", str(tmp_path / "d"), "--home", str(tmp_path))[0] == 2


def test_a_design_without_a_log_needs_a_seed(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "land.geojson"
    path.write_text(write_geojson([(LAND[0].outline, {"优势树种": "杉木"})]), encoding="utf-8")
    asked = (
        "plots",
        "design",
        "--parcels",
        str(path),
        "--out",
        str(tmp_path / "d"),
        "--home",
        str(tmp_path / "no"),
    )
    assert line(*asked)[0] == 2
    status, said = line(*asked, "--seed", "2024 抽签", "--pilot", "chinese_fir=12:5", "--json")
    assert (status, json.loads(said)["seed"]) == (0, {"kind": "given", "seed": "2024 抽签"})
    first = (tmp_path / "d" / "plots.csv").read_bytes()
    assert line(*asked, "--seed", "2024 抽签", "--pilot", "chinese_fir=12:5")[0] == 0
    assert (tmp_path / "d" / "plots.csv").read_bytes() == first
    assert line(*asked, "--seed", "x", "--pilot", "oak=12:5")[0] == 2


# Other people's files


def test_foreign_headings_are_named_and_every_row_says_where_it_comes_from() -> None:
    content = b"plot,D,sp,when\nA,12.5,x,2019-12-01\nA,NA,x,2024-12-01\n"
    columns = {"plot_id": "plot", "dbh_cm": "D", "measured_on": "when"}
    values = {"species": "杉木", "stratum": "杉木", "area_ha": "0.06"}
    out = convert(content, columns, values, "their.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["dbh_cm"] for row in rows] == ["12.5", ""]
    assert rows[1]["source"].startswith("their.csv 3 sha256:")
    with pytest.raises(BadPlotFile) as refused:
        read_plot_file(out, "trees")
    listed = refused.value.facts["faults"]
    assert isinstance(listed, list)
    assert [fault["code"] for fault in listed] == ["missing_value"]
    with pytest.raises(FieldUnknown):
        convert(content, {"girth": "D"}, {}, "their.csv")
    with pytest.raises(HeadingMissing):
        convert(content, {"dbh_cm": "DBH"}, {}, "their.csv")


def test_a_cell_with_brackets_is_told_as_it_stands(tmp_path: Path) -> None:
    """It is no markup of the terminal."""
    path = tmp_path / "plots.csv"
    path.write_text(plots_text().replace("chinese_fir", "[/杉木]", 1), encoding="utf-8")
    command = [sys.executable, "-m", "registry.cli", "plots", "check", str(path)]
    told = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    assert told.returncode == 2
    assert "“[/杉木]”不是已知的林分类型" in told.stderr
