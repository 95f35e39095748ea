"""A run computed again by a program that shares no line with it, `tests/oracles/recompute_bundle`."""

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geo.polygon import to_wkb
from registry.estimates.bundles.writing import _method
from registry.estimates.inputs import method_inputs
from registry.estimates.run_record import RunRecord
from tests.oracles import recompute_bundle as stranger
from tests.registry.estimates.test_bundle import ONE, Told, told
from tests.registry.estimates.test_first_records import KEPT
from tests.registry.estimates.test_run import Given, source, villages

__all__ = ["source", "told", "villages"]  # fixtures

OURS = {"auditor", "benchmarks", "fixtures", "geo", "ledger", "migrations", "registry", "tests"}
EXACT = "within 0.0e+00"


def written(given: Given, record: RunRecord, folder: Path) -> Path:
    """The parts of a bundle that the computation needs, without a database and a log."""
    for kind in ("outlines", "rasters", "plots"):
        (folder / kind).mkdir(parents=True)
    (folder / "record.json").write_text(record.text)
    for parcel, outline in zip(given.inputs.parcels, given.outlines, strict=True):
        (folder / "outlines" / f"{parcel.geometry_sha256}.wkb").write_bytes(to_wkb(outline))
    for name, sha256 in record.inputs.file_digests.items():
        kind, ending = ("plots", "csv") if name == "plots" else ("rasters", "tif")
        shutil.copyfile(given.files[name], folder / kind / f"{sha256}.{ending}")
    return folder


@pytest.fixture(scope="module")
def bundle(villages: Given, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(villages, villages.run(), tmp_path_factory.mktemp("bundle") / "run")


def test_the_program_uses_nothing_of_ours() -> None:
    tree = ast.parse(Path(stranger.__file__).read_text())
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {
        name.split(".")[0]
        for node in named
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert not modules & OURS
    assert not any(isinstance(node, ast.ImportFrom) and node.level for node in named)


@ONE
def test_a_bundle_of_the_registry_gives_the_same_kilograms_by_another_program(told: Told) -> None:
    """As a stranger starts it: one file, one process. The rasters are in degrees."""
    line = [sys.executable, stranger.__file__, str(told.bundle)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["differs"]) == (0, {}), done.stderr
    agrees = found["agrees"]
    assert agrees["kilograms of the run, from its files alone"] == EXACT
    assert agrees["kilograms of each parcel, from its files alone"] == EXACT
    for what in ("the entry's commitment to the record", "root of the tree that the entry's hash leads to"):
        assert agrees[what] == "the same"
    assert any("signatures" in one for one in found["not_checked"])


@pytest.mark.parametrize(
    "method",
    [
        "zj-ph-forest-management/1",
        pytest.param("zj-ph-forest-management-linear/1", marks=pytest.mark.slow),
    ],
)
def test_three_villages_agree_to_the_kilogram(villages: Given, tmp_path: Path, method: str) -> None:
    """172 parcels, five stand types, metres: every parcel's kilograms, from the files alone."""
    record = villages.run(**method_inputs(method))
    found = stranger.recompute(written(villages, record, tmp_path / "run"))
    assert found.differs == {}
    assert found.agrees["kilograms of the run, from its files alone"] == EXACT
    assert found.agrees["kilograms of each parcel, from its files alone"] == EXACT


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("zj-ph-forest-management-ratio/1", marks=pytest.mark.slow),
        pytest.param("zj-ph-forest-management-regression/1", marks=pytest.mark.slow),
        "zj-ph-forest-management-ratio/2",
        "zj-ph-forest-management-regression/2",
    ],
)
def test_calibrated_runs_agree_within_what_two_discs_differ(
    villages: Given, tmp_path: Path, method: str
) -> None:
    record = villages.run(**method_inputs(method))
    found = stranger.recompute(written(villages, record, tmp_path / "run"))
    assert found.differs == {}
    assert "raster change at plots (t/ha)" in found.agrees


def test_a_run_without_plots_is_as_uncertain_there(villages: Given, tmp_path: Path) -> None:
    """E-R2: the change by rasters and its uncertainty, neighbours' pixels merged."""
    record = villages.run(plots=None)
    found = stranger.recompute(written(villages, record, tmp_path / "run"))
    assert found.differs == {}
    assert found.agrees["kilograms of a run without plots"] == EXACT
    assert "uncertainty_pct by raster (E-R2)" in found.agrees


Change = Callable[[Any], None]


def _more(record: Any) -> None:
    record["results"]["estimate_kg"] += 1


def _moved(record: Any) -> None:
    first, second = record["results"]["parcels"][:2]
    first["estimate_kg"] += 5
    second["estimate_kg"] -= 5


def _larger(record: Any) -> None:
    record["inputs"]["parcels"][3]["area_cm2"] += 1000


def _stock(record: Any) -> None:
    parcel = record["results"]["parcels"][7]
    parcel["agb_end_t"] = repr(float(parcel["agb_end_t"]) * (1 + 1e-5))


def _certain(record: Any) -> None:
    record["evidence"]["change"]["change"]["uncertainty_pct"] = "4.0"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_more, "kilograms of the run"),
        (_moved, "kilograms of each parcel"),
        (_larger, "areas of record"),
        (_stock, "agb_end_t by raster"),
        (_certain, "mean change and its uncertainty"),
    ],
)
def test_a_record_that_says_otherwise_is_found_out(
    bundle: Path, tmp_path: Path, change: Change, named: str
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "changed")
    record = json.loads((folder / "record.json").read_text())
    change(record)
    (folder / "record.json").write_bytes(stranger.canonical(record))
    found = stranger.recompute(folder)
    assert any(what.startswith(named) for what in found.differs), found.differs


def test_a_plot_with_more_wood_is_found_out_by_its_digest_and_its_kilograms(
    bundle: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "changed")
    (plots,) = (folder / "plots").iterdir()
    plots.write_text(plots.read_text(encoding="utf-8-sig").replace("83.64", "93.64", 1), encoding="utf-8")
    found = stranger.recompute(folder)
    assert {"names of files are their digests", "kilograms of the run, from its files alone"} <= set(
        found.differs
    )


def test_what_it_cannot_compute_it_says(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "trees")
    record = json.loads((folder / "record.json").read_text())
    record["inputs"]["plots"]["measurement"] = "trees"
    (folder / "record.json").write_bytes(stranger.canonical(record))
    assert stranger.main(str(folder)) == 2
    assert "no second implementation" in json.loads(capsys.readouterr().out)["cannot_compute"]


def test_a_record_of_the_first_release_gives_the_same_kilograms_there(tmp_path: Path) -> None:
    """Version 1 states neither grid, classes, band nor rows: they come from the files and the tables."""
    with zipfile.ZipFile(KEPT) as kept:
        kept.extractall(tmp_path)
    record = RunRecord((tmp_path / "record.json").read_text())
    for member in _method(record):
        target = tmp_path / member.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(member.content if isinstance(member.content, bytes) else b"")
    for file in (tmp_path / "files").iterdir():
        kind = "plots" if file.suffix == ".csv" else "rasters"
        (tmp_path / kind).mkdir(exist_ok=True)
        shutil.copyfile(file, tmp_path / kind / f"{stranger.sha256(file.read_bytes())}{file.suffix}")
    found = stranger.recompute(tmp_path)
    assert found.differs == {}
    assert found.agrees["kilograms of each parcel, from its files alone"] == EXACT
