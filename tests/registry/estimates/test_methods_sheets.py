"""Sheets of calculations, from a file, standard input and over HTTP: strict, bounded, refused by name."""

import asyncio
import io
import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from registry import cli, problem
from registry.estimates.method_routes import LIMIT_ITEMS
from registry.estimates.method_routes import router as method_router
from registry.estimates.methods import EQUATIONS, METHODS, calculate
from registry.estimates.methods.equations.documents import LIMIT_BYTES, calculate_sheet
from registry.estimates.methods.errors import (
    MissingInput,
    NotFinite,
    OutOfRange,
    ResultNotFinite,
    WrongType,
    WrongUnit,
)
from tests.registry.estimates.sheets import OWN, PUBLISHED, assert_reproduced

FIRST = {"name": PUBLISHED[0]["name"], "inputs": PUBLISHED[0]["inputs"]}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The real command line: its exit status, what it printed, and what it said beside."""

    def line(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tanhui", "method", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            cli.main()
            status = 0
        except SystemExit as left:
            status = int(left.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return line


def with_inputs(**changed: object) -> dict[str, Any]:
    return {"name": "one", "inputs": FIRST["inputs"] | changed}


def spelt(document: object) -> bytes:
    return json.dumps(document).encode()


def asked(inputs: object) -> bytes:
    return spelt({"name": "x", "inputs": inputs})


PALMS = {"equation": "E-F4", "stand_type": "palm", "area_ha": 1, "ages": [1]}

REFUSED: dict[str, tuple[bytes, str, str]] = {
    "not JSON at all": (b"year,volume\n1,2\n", "method_not_json", ""),
    "nothing at all": (b"", "method_not_json", ""),
    "cut off": (b'{"name": "x", "inputs": {', "method_not_json", ""),
    "not UTF-8": ('{"name": "竹林"}'.encode("gb18030"), "method_not_json", ""),
    "half a surrogate pair": (b'{"name": "\\ud800", "inputs": {}}', "method_not_json", ""),
    "nested without end": (b"[" * 100_000, "method_not_json", ""),
    "a number of five thousand digits": (b"[" + b"9" * 5000 + b"]", "method_not_json", ""),
    "an empty list": (b"[]", "method_nothing_to_calculate", ""),
    "NaN": (b'{"name": "x", "inputs": {"a": NaN}}', "method_not_finite", "NaN"),
    "-Infinity": (b'{"name": "x", "inputs": {"a": -Infinity}}', "method_not_finite", "-Infinity"),
    "an infinity in digits": (spelt(with_inputs()).replace(b"12.5", b"1e999"), "method_not_finite", "area"),
    "a key twice": (b'{"name": "x", "name": "y", "inputs": {}}', "method_key_twice", "name"),
    "an input twice": (b'{"name": "x", "inputs": {"years": 5, "years": 6}}', "method_key_twice", "years"),
    "a list in a list": (b"[[]]", "method_wrong_type", "calculation 1"),
    "a number": (b"3", "method_wrong_type", "calculation 1"),
    "null": (b"null", "method_wrong_type", "calculation 1"),
    "no name": (b'{"inputs": {"equation": "E-F1"}}', "method_missing_input", "name"),
    "a name that is a number": (b'{"name": 1, "inputs": {}}', "method_wrong_type", "name"),
    "no inputs": (b'{"name": "x"}', "method_missing_input", "inputs"),
    "inputs that are a list": (asked([]), "method_wrong_type", "inputs"),
    "no equation": (asked({}), "method_missing_input", "equation"),
    "an equation that is a list": (asked({"equation": []}), "method_wrong_type", "equation"),
    "another key": (b'{"name": "x", "inputs": {}, "remark": 1}', "method_unknown_input", "remark"),
    "an unknown equation": (asked({"equation": "E-F5"}), "method_unknown_equation", "E-F5"),
    "an unknown value": (spelt(with_inputs(tree="fir")), "method_unknown_input", "tree"),
    "a wrong unit": (spelt(with_inputs(area_mu=4)), "method_wrong_unit", "area_ha"),
    "a value out of range": (spelt(with_inputs(root_shoot=1.2)), "method_out_of_range", "root_shoot"),
    "a text for a number": (spelt(with_inputs(years="8")), "method_wrong_type", "years"),
    "an unknown stand type": (asked(PALMS), "method_unknown_stand_type", "palm"),
    "markup": (b'{"name": "[/red]", "inputs": {"equation": "[/red]"}}', "method_unknown_equation", "[/red]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_sheet_is_refused_by_name_with_nothing_printed(case: str, run: Run) -> None:
    raw, code, told = REFUSED[case]
    status, out, err = run("calc", "-", stdin=raw)
    assert (status, out) == (2, "")
    assert f"refused {code}:" in err and told in err
    assert "Traceback" not in err


def test_the_refusal_says_which_calculation_it_is_about(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sheet.json"
    file.write_text(json.dumps([FIRST, with_inputs(years=-1) | {"name": "二号样"}, FIRST]), encoding="utf-8")
    status, out, err = run("calc", str(file))
    assert (status, out) == (2, "")
    assert "years is -1.0" in err and "calculation 2: 二号样" in err


def test_one_calculation_gives_one_answer_and_a_list_a_list(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("calc", "-", stdin=json.dumps(FIRST).encode())
    alone = json.loads(out)
    assert status == 0 and alone["name"] == FIRST["name"] and set(alone) == {"name", "outputs"}
    assert_reproduced(PUBLISHED[0], alone["outputs"])
    file = tmp_path / "sheet.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps([FIRST]).encode())  # as a spreadsheet program saves it
    status, out, _ = run("calc", str(file))
    assert (status, json.loads(out)) == (0, [alone])


def test_a_file_that_is_not_there_fails_in_one_line(run: Run, tmp_path: Path) -> None:
    status, out, err = run("calc", str(tmp_path / "none.json"))
    assert (status, out) == (2, "") and "none.json" in err


def test_more_than_ten_megabytes_are_not_read(run: Run) -> None:
    padded = json.dumps(FIRST).encode() + b" " * LIMIT_BYTES
    status, out, err = run("calc", "-", stdin=padded)
    assert (status, out) == (2, "") and "method_too_large" in err


def test_too_many_calculations_are_refused() -> None:
    sheet = json.dumps([FIRST] * 3).encode()
    with pytest.raises(Exception, match="at most 2"):
        calculate_sheet(sheet, limit_items=2)


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: str(vector["name"]))
def test_a_vector_without_one_of_its_values_is_refused_by_that_name_or_has_a_default(vector: Any) -> None:
    """Leaving out any value either names it or uses what the method's table or clause says."""
    inputs = {key: value for key, value in vector["inputs"].items() if key != "equation"}
    declared = {
        one.name: one.required
        for form in EQUATIONS[vector["inputs"]["equation"]].inputs
        for one in form
        if {other.name for other in form} >= set(inputs)
    }
    for name in inputs:
        rest = {key: value for key, value in inputs.items() if key != name}
        if declared[name]:
            with pytest.raises(MissingInput) as refused:
                calculate(vector["inputs"]["equation"], rest)
            assert refused.value.facts["field"] == name
        else:
            try:
                calculate(vector["inputs"]["equation"], rest)
            except MissingInput as needed:
                assert "stand_type" not in rest, needed.facts
            except OutOfRange as negative:  # -9999 is no density once nobody says that it means "no data"
                assert name == "nodata", negative.facts


NONSENSE: tuple[object, ...] = (
    float("nan"),
    float("inf"),
    True,
    "1",
    None,
    [],
    {},
    -1e300,
    1e300,
    -(10**400),
)


@pytest.mark.parametrize("vector", [*PUBLISHED, *OWN], ids=lambda vector: str(vector["name"]))
def test_no_value_of_any_vector_takes_nonsense(vector: Any) -> None:
    """Whatever stands for a number, the answer is a refusal by name and never a fault or a NaN."""
    inputs = {key: value for key, value in vector["inputs"].items() if key != "equation"}
    numbers = [name for name, value in inputs.items() if type(value) in (int, float)]
    for name, bad in product(numbers, NONSENSE):
        try:
            outputs = calculate(vector["inputs"]["equation"], inputs | {name: bad})
        except (NotFinite, OutOfRange, WrongType, MissingInput, ResultNotFinite) as refused:
            assert str(refused)
        else:
            assert bad is None or name == "nodata", (name, bad)  # None stands for "as the table says"
            assert json.dumps(outputs, allow_nan=False)


def test_a_result_beyond_numbers_is_refused() -> None:
    """Each value is in its range, and their quotient is not a number any more."""
    tiny = {"contracted_tco2e": 1e-300, "issued_tco2e": 0.0, "pool_available_tco2e": 0.0}
    rest = {"make_good_cap": 0.0, "prepaid_unit_cny": 45.0, "interest_rate": 0.0, "days": 0.0}
    assert calculate("E-T2", tiny | rest)["delivery_ratio"] == 0
    with pytest.raises(ResultNotFinite):
        calculate("R-17", {"net_tco2e": -1e12, "area_ha": 1e-300, "years": 1e-300})


@pytest.mark.parametrize(
    ("equation", "given", "expected"),
    [
        ("E-F1", "v1_m3_mu", "v1_m3_ha"),
        ("E-A2", "centre_lat_rad", "centre_lat_deg"),
        ("E-S2", "straw_t_ha", "straw_kg_ha"),
        ("E-T4", "area_ha", "area_mu"),
        ("E-S4", "vs_g_day", "vs_kg_day"),
    ],
)
def test_a_quantity_in_another_unit_is_refused_with_the_one_that_is_meant(
    equation: str, given: str, expected: str
) -> None:
    with pytest.raises(WrongUnit) as refused:
        calculate(equation, {given: 1})
    assert refused.value.facts["expected"] == expected


EDGES: dict[str, tuple[str, dict[str, object], str]] = {
    "a culm too thin": ("E-F6", {"classes": [{"dbh_cm": 4.99, "du": 1, "culms": 1}]}, "classes[0].dbh_cm"),
    "a culm too thick": ("E-F6", {"classes": [{"dbh_cm": 16.01, "du": 1, "culms": 1}]}, "classes[0].dbh_cm"),
    "an unborn culm": ("E-F6", {"classes": [{"dbh_cm": 8, "du": 0, "culms": 1}]}, "classes[0].du"),
    "a culm of the fifth du": ("E-F6", {"classes": [{"dbh_cm": 8, "du": 5, "culms": 1}]}, "classes[0].du"),
    "culms owed": ("E-F6", {"classes": [{"dbh_cm": 8, "du": 1, "culms": -1}]}, "classes[0].culms"),
    "a pixel over the pole": ("E-A2", {"centre_lat_deg": 89.9999}, "centre_lat_deg"),
    "thresholds that fall": ("E-S7", {"ratio_thresholds": [1.0, 0.5]}, "ratio_thresholds"),
    "thresholds alike": ("E-S7", {"ratio_thresholds": [0.5, 0.5]}, "ratio_thresholds"),
    "a threshold too few": ("E-S8", {"ratio_thresholds": [0.8, 1.0]}, "ratio_thresholds"),
    "more abated than emitted": ("E-I1", {"abatement_tco2": 14_150.76}, "abatement_tco2"),
    "a tree too thin": ("E-F3", {"trees": [{"dbh_cm": 4.99, "wood_density": 0.3}]}, "trees[0].dbh_cm"),
    "too little volume for E-F2": ("E-F2", {"v1_m3_ha": 9.99}, "volume_m3_ha"),
    "too much straw for E-S2": ("E-S2", {"straw_kg_ha": 12_001}, "straw_kg_ha"),
    "ages that fall": ("E-F4", {"ages": [5, 5]}, "ages[1]"),
}


@pytest.mark.parametrize("case", EDGES)
def test_what_lies_just_outside_of_an_equation_is_refused(case: str) -> None:
    equation, change, field = EDGES[case]
    vector = next(one for one in PUBLISHED if one["inputs"]["equation"] == equation)
    inputs = {key: value for key, value in vector["inputs"].items() if key != "equation"}
    assert calculate(equation, inputs)
    with pytest.raises(OutOfRange) as refused:
        calculate(equation, inputs | change)
    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    ("equation", "name", "count"),
    [("E-F4", "ages", 1001), ("E-U1", "strata", 1001), ("E-R1", "pixels", 100_001)],
)
def test_lists_are_bounded(equation: str, name: str, count: int) -> None:
    vector = next(one for one in [*PUBLISHED, *OWN] if one["inputs"]["equation"] == equation)
    inputs = {key: value for key, value in vector["inputs"].items() if key != "equation"}
    inputs[name] = [inputs[name][0]] * count
    with pytest.raises(OutOfRange) as refused:
        calculate(equation, inputs)
    assert refused.value.facts["field"] == name


BAD_OUTLINES = {
    "not closed": [[118.8, 28.9], [118.9, 28.9], [118.9, 29.0], [118.8, 29.0]],
    "two numbers too few": [[118.8, 28.9], [118.9, 28.9], [118.8, 28.9]],
    "crossing itself": [[118.8, 28.9], [118.9, 29.0], [118.9, 28.9], [118.8, 29.0], [118.8, 28.9]],
    "beyond the pole": [[118.8, 89.0], [118.9, 89.0], [118.9, 90.1], [118.8, 89.0]],
    "latitude before longitude": [[28.9, 118.8], [28.9, 118.9], [29.0, 118.9], [28.9, 118.8]],
}


@pytest.mark.parametrize("case", BAD_OUTLINES)
def test_an_outline_that_is_none_is_refused(case: str, run: Run) -> None:
    sheet = {"name": case, "inputs": {"equation": "E-A1", "rings": [BAD_OUTLINES[case]]}}
    status, out, err = run("calc", "-", stdin=json.dumps(sheet).encode())
    assert (status, out) == (2, "") and "refused" in err and f"calculation 1: {case}" in err


# ---- what is listed and shown ------------------------------------------------------------------------------


def test_the_list_names_every_method_and_equation(run: Run) -> None:
    status, out, _ = run("list", "--json")
    entries = json.loads(out)
    assert status == 0 and [one["id"] for one in entries] == [*METHODS, *EQUATIONS]
    assert all(one["title_zh"] and one["title"] and len(one["digest"]) == 64 for one in entries)
    status, plain, _ = run("list")
    assert status == 0 and all(name in plain for name in [*METHODS, *EQUATIONS])


def test_what_is_shown_of_an_equation_is_what_it_takes_and_gives(run: Run) -> None:
    status, out, _ = run("show", "E-F1")
    assert status == 0
    for told in ("area_ha ha (number, > 0, <= 1e+12)", "-> delta_tco2e tCO2e", "[P] chinese_fir", "蓄积量法"):
        assert told in out
    page = json.loads(run("show", "E-S1", "--json")[1])
    assert len(page["equations"][0]["forms"]) == 2
    assert [table["name"] for table in page["tables"]] == ["soil_ipcc06", "soil_ipcc19"]


def test_an_unknown_method_is_refused(run: Run) -> None:
    status, out, err = run("show", "E-F5")
    assert (status, out) == (2, "") and "method_unknown" in err


# ---- over HTTP ---------------------------------------------------------------------------------------------


class Client:
    """Asks the routes as a server would be asked, without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, f"/api/v1/methods{path}", **more)

        return asyncio.run(asked())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers=headers)

    def post(self, content: bytes, kind: str = "application/json", query: str = "") -> httpx.Response:
        return self.ask("POST", f"/calculate{query}", content=content, headers={"Content-Type": kind})


@pytest.fixture(scope="module")
def client() -> Client:
    app = FastAPI()
    app.include_router(method_router, prefix="/api/v1")
    problem.install(app)
    return Client(app)


def test_the_same_calculations_over_http(client: Client) -> None:
    answer = client.post(json.dumps(PUBLISHED).encode())
    assert answer.status_code == 200
    for vector, found in zip(PUBLISHED, answer.json(), strict=True):
        assert_reproduced(vector, found["outputs"])
    assert client.post(json.dumps(FIRST).encode()).json() == answer.json()[0]


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_refusals_over_http(case: str, client: Client) -> None:
    raw, code, _ = REFUSED[case]
    answer = client.post(raw)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


def test_a_refusal_over_http_names_the_calculation_in_the_readers_language(client: Client) -> None:
    sheet = json.dumps([FIRST, with_inputs(years=-1) | {"name": "二号样"}]).encode()
    answer = client.post(sheet, query="?lang=zh")
    body = answer.json()
    assert (body["code"], body["facts"]["item"], body["facts"]["item_name"]) == (
        "method_out_of_range",
        2,
        "二号样",
    )
    assert "不符合要求" in body["detail"]


def test_a_request_is_bounded_and_typed(client: Client) -> None:
    many = client.post(json.dumps([FIRST] * (LIMIT_ITEMS + 1)).encode())
    assert (many.status_code, many.json()["code"]) == (422, "method_too_many")
    large = client.post(json.dumps(FIRST).encode() + b" " * 1024 * 1024)
    assert (large.status_code, large.json()["code"]) == (413, "method_too_large")
    assert client.post(json.dumps(FIRST).encode(), "text/plain").status_code == 415


def test_ids_with_slashes_are_the_rest_of_the_path(client: Client) -> None:
    listed = client.get("").json()["items"]
    assert [one["id"] for one in listed] == [*METHODS, *EQUATIONS]
    for one in listed:
        page = client.get(f"/{one['id']}")
        assert (page.status_code, page.json()["digest"]) == (200, one["digest"]), one["id"]
    encoded = client.get("/zj-ph-forest-management%2F1")
    assert encoded.json()["id"] == "zj-ph-forest-management/1"
    again = client.get("/E-F1", **{"If-None-Match": client.get("/E-F1").headers["etag"]})
    assert again.status_code == 304
    missing = client.get("/E-F5")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
