"""Plot files over HTTP: what is odd is answered in words, and a dry run keeps nothing."""

import json
from pathlib import Path

import httpx

from registry.estimates.methods.design import DesignStratum, lay_out, plots_given
from registry.estimates.plots.design import assumed_pilot, design_document, given_seed
from tests.registry.api.life import Life
from tests.registry.forest import OUTLINES, plots_text


def file(folder: Path, text: str) -> Path:
    path = folder / "plots.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_dry_run_says_what_is_odd_on_the_land_of_the_project(life: Life, tmp_path: Path) -> None:
    before = life["operator"].get("/plot-files").json()["items"]
    away = plots_text().replace("P1,chinese_fir,118.", "P1,chinese_fir,119.", 1).replace("60.0", "61.5")
    asked = f"/plot-files?dry_run=true&period={life.period}"
    answer = life["operator"].upload(asked, file(tmp_path, away))
    assert answer.status_code == 200
    said = answer.json()
    assert (said["dry_run"], said["plots"], said["strata"]) == (True, 6, {"chinese_fir": 6})
    (odd,) = [one for one in said["findings"] if one["level"] == "error"]
    assert (odd["code"], odd["plot"]) == ("plot_outside_project", "P1")
    assert "不在项目的任何地块上" in odd["zh"]
    assert odd["en"].startswith("Plot P1 stands on no parcel")
    assert said["open"] == 1
    assert life["operator"].get("/plot-files").json()["items"] == before


def test_anothers_project_is_as_good_as_missing(life: Life, tmp_path: Path) -> None:
    path = file(tmp_path, plots_text())
    answer = life["甲村"].upload(f"/plot-files?dry_run=true&project={life.project}", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_refused_file_lists_every_fault_in_both_languages(life: Life, tmp_path: Path) -> None:
    text = plots_text().replace("chinese_fir", "银杏", 1).replace("2024-12-10", "10/12/24", 1)
    answer = life["operator"].upload("/plot-files", file(tmp_path, text))
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "plots_bad_file"
    assert [(one["row"], one["field"], one["code"]) for one in problem["errors"]] == [
        (2, "measured2_on", "not_a_date"),
        (2, "stratum", "unknown_stand_type"),
    ]
    assert all(one["zh"] and one["en"] and one["file"] == "plots.csv" for one in problem["errors"])


def test_a_registered_file_is_answered_with_its_findings(life: Life, tmp_path: Path) -> None:
    answer = life["operator"].upload("/plot-files", file(tmp_path, plots_text().replace("0.06", "0.08")))
    assert answer.status_code == 201
    said = answer.json()
    assert (said["dry_run"], said["measurement"], said["reader"]) == (False, "volume", "plots/2")
    assert {one["code"] for one in said["findings"]} == {"plot_area_unusual"}
    assert said["sha256"] in {one["sha256"] for one in life["operator"].get("/plot-files").json()["items"]}


def test_a_design_comes_along_and_what_is_none_is_refused_by_its_code(life: Life, tmp_path: Path) -> None:
    http, path = life["operator"].http, file(tmp_path, plots_text().replace("0.06", "0.05"))

    def upload(content: bytes) -> httpx.Response:
        files = {"file": (path.name, path.read_bytes()), "design": ("design.json", content)}
        return http.post("/plot-files", files=files)

    land = [DesignStratum("chinese_fir", {"1": OUTLINES[0]})]
    pilot = assumed_pilot(land)
    laid = lay_out(land, plots_given(pilot, 3), plot_area_ha=0.05, seed="open")
    document = design_document(
        laid, seed=given_seed("open"), target_error=None, reliability=0.9, pilot=pilot, pilot_source="[A]"
    )
    before = life["operator"].get("/plot-files").json()["items"]
    refused = upload(json.dumps({**document, "seed": {"kind": "given", "seed": "better"}}).encode())
    assert (refused.status_code, refused.json()["code"]) == (422, "design_changed")
    assert upload(b"[]").json()["code"] == "design_malformed"
    assert life["operator"].get("/plot-files").json()["items"] == before
    answer = upload(json.dumps(document).encode())
    assert answer.status_code == 201, answer.text
    assert answer.json()["design_sha256"] == laid.digest()
    codes = [one["code"] for one in answer.json()["findings"]]
    assert codes.count("plot_of_design_missing") == 3 and codes.count("plot_not_designed") == 6
    listed = {
        one["sha256"]: one["design_sha256"] for one in life["operator"].get("/plot-files").json()["items"]
    }
    assert listed[answer.json()["sha256"]] == laid.digest()
