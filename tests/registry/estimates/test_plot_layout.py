"""A plot file and the design that it was laid out by: one digest says which seed drew the places."""

import csv
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shapely import box

from registry.estimates.methods.design import Design, DesignStratum, lay_out, plots_given
from registry.estimates.methods.plots import PlotRecord
from registry.estimates.plots.design import assumed_pilot, design_document, given_seed
from registry.estimates.plots.layout import (
    DesignChanged,
    DesignMalformed,
    DesignSeedUnknown,
    Layout,
    check_layout,
    layout_of,
    read_layout,
    require_known_seed,
)
from registry.estimates.plots.store import record_plots, store_plots
from registry.estimates.rules import RegisteredOtherwise
from registry.settings import Home
from tests.registry.estimates.test_methods_plot_checks import plot
from tests.registry.estimates.test_plots import filled_in
from tests.registry.forest import Forest
from tests.registry.test_cli import Line
from tests.registry.test_cli import line as line

LAND = {"1": box(118.40, 28.90, 118.41, 28.91), "2": box(118.41, 28.90, 118.42, 28.91)}


@pytest.fixture(scope="module")
def design() -> Design:
    strata = [DesignStratum("chinese_fir", {"1": LAND["1"]}), DesignStratum("oak", {"2": LAND["2"]})]
    return lay_out(strata, plots_given(assumed_pilot(strata), 8), plot_area_ha=0.0667, seed="open")


@pytest.fixture
def document(design: Design) -> dict[str, Any]:
    strata = [DesignStratum("chinese_fir", {"1": LAND["1"]}), DesignStratum("oak", {"2": LAND["2"]})]
    made = design_document(
        design,
        seed=given_seed("open"),
        target_error=None,
        reliability=0.9,
        pilot=assumed_pilot(strata),
        pilot_source="[A]",
    )
    document: dict[str, Any] = json.loads(json.dumps(made))
    return document


def measured(design: Design) -> list[PlotRecord]:
    return [
        replace(plot(1), plot_id=one.plot_id, stratum=one.stratum, lon_deg=one.lon_deg, lat_deg=one.lat_deg)
        for one in design.plots
    ]


def found(plots: list[PlotRecord], layout: Layout) -> list[tuple[str, str | None]]:
    return [(one.code, one.plot) for one in check_layout(plots, layout)]


def test_a_design_is_read_back_as_it_was_laid_out(design: Design, document: dict[str, Any]) -> None:
    layout = read_layout(json.dumps(document).encode())
    assert (layout.sha256, layout.places) == (design.digest(), design.plots)
    assert layout.plot_area_ha == 0.0667
    assert found(measured(design), layout) == []


def test_plots_moved_left_out_or_added_are_named(design: Design, document: dict[str, Any]) -> None:
    layout, (first, second, third, *rest) = layout_of(document), measured(design)
    away = replace(first, lon_deg=(first.lon_deg or 0) + 0.0003)  # 29 m; its circle has 13.8 m
    near = replace(second, lon_deg=(second.lon_deg or 0) + 0.0001)
    renamed = replace(third, plot_id="C-3")
    added = replace(third, plot_id="X", lon_deg=118.4005)
    assert found([away, near, renamed, added, *rest[:-1]], layout) == [
        ("plot_off_design", first.plot_id),
        ("plot_not_designed", "X"),
        ("plot_of_design_missing", rest[-1].plot_id),
    ]
    told = check_layout([away], layout)[0]
    assert (told.value, told.limit) == ("29.3 m", "13.8 m")
    other = replace(first, stratum="oak")
    assert found([other, second, third, *rest], layout) == [("plot_of_other_stratum", first.plot_id)]


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda one: one["places"][0].update(lon_deg="118.4000001"), DesignChanged),
        (lambda one: one["seed"].update(seed="another"), DesignChanged),
        (lambda one: one["places"].pop(), DesignChanged),
        (lambda one: one.update(design_sha256="0" * 64), DesignChanged),
        (lambda one: one.update(plot_area_ha="0.06"), DesignChanged),
        (lambda one: one["places"][0].update(lat_deg="nan"), DesignMalformed),
        (lambda one: one["places"][0].update(plot_id=7), DesignMalformed),
        (lambda one: one["places"].append(one["places"][0]), DesignMalformed),
        (lambda one: one.update(places={}), DesignMalformed),
        (lambda one: one.pop("seed"), DesignMalformed),
        (lambda one: one["seed"].update(kind="dice"), DesignMalformed),
        (lambda one: one["seed"].update(size=1.5), DesignMalformed),
        (lambda one: one.update(plot_area_ha="inf"), DesignMalformed),
        (lambda one: one["places"][0].update(plot_id="\ud800"), DesignMalformed),
        (lambda one: one.update(version="plots-design/9"), DesignMalformed),
    ],
)
def test_a_changed_design_is_found_out(
    document: dict[str, Any], change: Change, refusal: type[Exception]
) -> None:
    change(document)
    with pytest.raises(refusal):
        read_layout(json.dumps(document).encode())


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"null", b"[" * 100_000])
def test_what_is_no_design_is_refused(content: bytes) -> None:
    with pytest.raises(DesignMalformed):
        read_layout(content)


def test_a_run_names_the_design_of_its_plots(
    forest: Forest, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laid out by the log's last checkpoint, measured, registered with the design, estimated."""
    forest.opened()
    installation = forest.land.people.installation
    home, out = installation.home, forest.folder / "design"
    monkeypatch.setenv("TANHUI_DATABASE_URL", home.database_url)
    at = ("--home", str(home.path))
    asked = (
        "plots",
        "design",
        "--project",
        forest.project,
        "--out",
        str(out),
        "--plots",
        "9",
        "--lang",
        "zh",
    )
    assert line(*asked, *at)[0] == 0
    layout = read_layout((out / "design.json").read_bytes())
    assert layout.seed["kind"] == "log"
    filled = filled_in(out / "plots.csv")
    status, said = line("plots", "add", str(filled), "--design", str(out / "design.json"), "--json", *at)
    told = json.loads(said)
    assert (status, told["design_sha256"], told["findings"]) == (0, layout.sha256, [])
    command = forest.command().model_copy(update={"plots": told["sha256"]})
    prepared = forest.prepare(command)
    plots = prepared.record.inputs.plots
    assert plots is not None and plots.design_sha256 == layout.sha256
    with installation.database.write() as session:
        again = record_plots(session, store_plots(home, filled))
        assert again.design_sha256 == layout.sha256
    forged = layout_of({**layout.document, "seed": {**layout.seed, "size": 1}})
    with pytest.raises(DesignSeedUnknown):
        require_known_seed(home, forged)
    other = _other(home, forest, line, out)
    with pytest.raises(RegisteredOtherwise), installation.database.write() as session:
        record_plots(session, store_plots(home, filled, layout=other))


def _other(home: Home, forest: Forest, line: Line, out: Path) -> Layout:
    asked = ("--project", forest.project, "--home", str(home.path), "--plots", "9", "--seed", "other")
    assert line("plots", "design", *asked, "--out", str(out / "other"))[0] == 0
    return read_layout((out / "other" / "design.json").read_bytes())


@pytest.mark.parametrize("forest", ["sqlite"], indirect=True)
def test_a_crew_that_left_out_a_plot_is_asked_why(
    forest: Forest, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forest.opened()
    home = forest.land.people.installation.home
    monkeypatch.setenv("TANHUI_DATABASE_URL", home.database_url)
    asked = ("--project", forest.project, "--home", str(home.path), "--plots", "9", "--lang", "zh")
    assert line("plots", "design", *asked, "--out", str(tmp_path))[0] == 0
    filled = filled_in(tmp_path / "plots.csv")
    rows = filled.read_text(encoding="gb18030").splitlines(keepends=True)
    filled.write_text("".join(rows[:-1]), encoding="gb18030")
    gone = next(csv.reader(rows[-1:]))[0]
    design = ("--design", str(tmp_path / "design.json"))
    status, said = line("plots", "add", str(filled), *design, "--home", str(home.path), "--json")
    checked = line("plots", "check", str(filled), *design, "--json")
    assert (checked[0], json.loads(checked[1])["findings"]) == (0, json.loads(said)["findings"])
    (odd,) = json.loads(said)["findings"]
    assert (status, odd["code"], odd["plot"], odd["level"]) == (0, "plot_of_design_missing", gone, "warning")
    assert "不在文件中" in odd["zh"]


def test_a_file_of_strangers_is_compared_in_no_time(document: dict[str, Any]) -> None:
    """Thousands of plots of other numbers in one place, beside as many designed ones."""
    places = [
        {
            "plot_id": f"d{n}",
            "stratum": "oak",
            "parcel_key": "2",
            "lon_deg": "118.4150000",
            "lat_deg": "28.9050000",
        }
        for n in range(4_000)
    ]
    layout = Layout({**document, "places": places})
    plots = [replace(plot(n), lon_deg=118.4152, lat_deg=28.905, stratum="oak") for n in range(4_000)]
    began = time.process_time()
    assert len(check_layout(plots, layout)) == 8_000
    assert time.process_time() - began < 3
