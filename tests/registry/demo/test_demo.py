"""The demo tells the whole life of a credit, leaves what a stranger needs, and its audit passes."""

import csv
import json
import shutil
import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fixtures import quzhou_bad
from fixtures.quzhou import generate
from geo.vector import examine, read_parcels
from tests.registry.demo.conftest import Tanhui

ROOT = Path(__file__).parents[3]
PLOT_COLUMNS = "plot_id,parcel_key,stand_type,lon,lat,area_ha,date1,volume1_m3_ha,date2,volume2_m3_ha"


def summary(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return loaded


def test_the_readme_shows_what_the_demo_prints(told: tuple[Path, list[str]]) -> None:
    _, lines = told
    assert len(lines) == 10
    readme = (ROOT / "README.md").read_text()
    for line in lines:
        assert f"    {line}\n" in readme, line


def test_the_folder_holds_everything_that_was_promised(demo: Path) -> None:
    for name in ("tanhui.db", "log.vkey", "log/checkpoint", "summary.json"):
        assert (demo / name).is_file(), name
    assert len((demo / "log.vkey").read_text().splitlines()) == 1
    for suffix in (".pdf", ".tlog-proof", ".entry"):
        assert list((demo / "certificates").glob(f"*{suffix}")), suffix


def test_the_summary_adds_up(demo: Path) -> None:
    told = summary(demo)
    assert told["parcels"] == 172
    assert told["area_m2"] * 15 / 10_000 == pytest.approx(30_000, rel=0.01)
    assert told["verified_kg"] == 1000 * told["issued"] + told["residue_kg"]
    assert 0 <= told["residue_kg"] < 2 * 1000
    assert told["buffer"] >= told["issued"] * 0.10
    assert told["retired"] == 120
    assert len(told["proceeds_fen"]) == 3
    assert all(type(fen) is int and fen > 0 for fen in told["proceeds_fen"].values())


def test_what_the_buyers_paid_is_what_villages_tax_and_insurance_got(demo: Path) -> None:
    """400 t at 8.00 and 55.00, 300 t at 68.00, 500 t at 73.41: every fen of it is in one of the accounts."""
    paid = 400 * (800 + 5_500) + 300 * 6_800 + 500 * 7_341
    balances = "select sum(credits_posted - debits_posted) from account where account like ?"
    with sqlite3.connect(demo / "tanhui.db") as database:
        reserved = database.execute(balances, ("reserve:%",)).fetchone()[0]
    assert reserved + sum(summary(demo)["proceeds_fen"].values()) == paid


def test_the_audit_of_the_demo_passes(demo: Path, tanhui: Tanhui) -> None:
    done = tanhui("audit", demo, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["passed"] is True
    assert json.loads(done.stdout)["size"] == summary(demo)["log_size"]


def test_the_certificate_verifies_from_any_of_its_files(demo: Path, tanhui: Tanhui) -> None:
    for file in sorted((demo / "certificates").iterdir()):
        done = tanhui("certificate", "verify", file)
        assert done.returncode == 0, f"{file.name}: {done.stdout}{done.stderr}"


def test_a_pdf_alone_verifies_whatever_it_was_renamed_to(demo: Path, tanhui: Tanhui, tmp_path: Path) -> None:
    (pdf,) = (demo / "certificates").glob("*.pdf")
    renamed = tmp_path / "certificate (1).pdf"
    shutil.copy(pdf, renamed)
    done = tanhui("certificate", "verify", renamed, "--vkey", demo / "log.vkey")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_certificate_in_which_one_byte_was_changed_is_refused(
    demo: Path, tanhui: Tanhui, tmp_path: Path
) -> None:
    for suffix in (".tlog-proof", ".entry", ".statement.json"):
        folder = tmp_path / suffix
        shutil.copytree(demo / "certificates", folder)
        (file,) = folder.glob(f"*{suffix}")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        done = tanhui("certificate", "verify", file, "--vkey", demo / "log.vkey")
        assert done.returncode == 2, suffix
        assert "refused" in done.stderr


def test_a_serial_of_the_certificate_is_measured_again_to_the_kilogram(demo: Path, tanhui: Tanhui) -> None:
    (statement,) = (demo / "certificates").glob("*.statement.json")
    serial = next(s for s in _texts(json.loads(statement.read_text())) if s.count("-") == 8)
    done = tanhui("recompute", serial, "--home", demo)
    assert done.returncode == 0, done.stdout + done.stderr


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def test_an_occupied_folder_stays_as_it_is(demo: Path, tanhui: Tanhui) -> None:
    before = (demo / "tanhui.db").read_bytes()
    done = tanhui("demo", "--once", demo)
    assert done.returncode == 2
    assert "home_taken" in done.stderr
    assert (demo / "tanhui.db").read_bytes() == before


# ---- files of one's own ------------------------------------------------------------------------------------


def test_files_of_ones_own_are_needed_all_three(tanhui: Tanhui, tmp_path: Path) -> None:
    done = tanhui("demo", "--once", tmp_path / "demo", "--plots", tmp_path / "plots.csv")
    assert done.returncode == 2
    assert "demo_input_missing" in done.stderr


def test_the_demo_runs_on_real_land_and_real_rasters(test_data: Path, tanhui: Tanhui, tmp_path: Path) -> None:
    """A real outline over two real 30 m rasters, their numbers read as densities; plots are invented."""
    real = test_data / "rasters" / "hispaniola"
    outline = real / "gfw_sample.gpkg"
    plots = _plots_inside(outline, tmp_path / "plots.csv")
    start = real / "Hansen_GFC-2023-v1.11_treecover2000_20N_080W.tif"
    end = tmp_path / "end.tif"
    per_pixel = real / "gfw_forest_carbon_gross_emissions_Mg_CO2e_px_20N_080W.tif"
    folder = tmp_path / "demo"

    refused = tanhui(
        "demo", "--once", folder, "--parcels", outline, "--agb", start, per_pixel, "--plots", plots
    )
    assert (refused.returncode, "raster_unit_contradicted" in refused.stderr) == (2, True), refused.stderr
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copyfile(per_pixel, end)

    done = tanhui("demo", "--once", folder, "--parcels", outline, "--agb", start, end, "--plots", plots)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "assumed, because your files do not say" in done.stdout
    assert summary(folder)["parcels"] == 1
    assert summary(folder)["issued"] > 0


def _plots_inside(outline: Path, target: Path) -> Path:
    """Twelve plots of masson pine around a point inside the outline, growing steadily."""
    rows, _ = examine(read_parcels(outline))
    inside = rows[0].geometry.representative_point()
    with target.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(PLOT_COLUMNS.split(","))
        for n in range(12):
            place = (f"{inside.x + n % 4 * 3e-4:.7f}", f"{inside.y + n // 4 * 3e-4:.7f}")
            growth = (date(2020, 1, 10), 60 + n, date(2024, 12, 20), 80 + n + n % 4)
            table.writerow([f"p{n}", "", "masson_pine", *place, 0.06, *growth])
    return target


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param(quzhou_bad.with_overlap, "rows_overlap", marks=pytest.mark.slow),
        pytest.param(quzhou_bad.with_bow_tie, "geometry_invalid", marks=pytest.mark.slow),
        (quzhou_bad.without_prj, "crs_meridian_unknown"),
        pytest.param(quzhou_bad.with_duplicate_row, "row_repeated", marks=pytest.mark.slow),
    ],
)
def test_a_bad_parcel_file_is_refused_by_code(spoil: Any, code: str, tanhui: Tanhui, tmp_path: Path) -> None:
    made = generate(tmp_path / "input")
    spoiled = spoil(made, tmp_path)
    done = tanhui(
        "demo", "--once", tmp_path / "demo", "--parcels", spoiled.path,
        "--agb", made.agb_start, made.agb_end, "--plots", made.plots_csv,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout
    assert code in done.stdout + done.stderr
