"""Parcel files over HTTP: behind the answer, again, by whom; field mappings; the page without JavaScript."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from geo.vector import write_geojson
from registry.clock import clock_of
from registry.database import Database
from registry.parcels.import_models import ParcelImport
from registry.parcels.mapping import load_mapping
from tests.registry.api.life import Life
from tests.registry.land import ground, row

PAGE = "/land/import"


def file_of(folder: Path, *numbers: int, apart_m: int = 400, **changed: Any) -> Path:
    """Land far from that of the life; the numbers tell one test's from another's."""
    path = folder / f"parcels-{numbers[0]}.geojson"
    rows = [row(n, ground(30_000 + apart_m * n, 20_000, 300, 300), **changed) for n in numbers]
    path.write_text(write_geojson(rows), encoding="utf-8")
    return path


def send(life: Life, who: str, path: Path, *, prefer: str = "", **form: str) -> httpx.Response:
    with path.open("rb") as content:
        return life[who].http.post(
            "/parcel-imports",
            files={"file": (path.name, content)},
            data={"programme": life.programme, **form},
            headers={"Prefer": prefer} if prefer else {},
        )


def done(life: Life, who: str, location: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = life[who].http.get(location.removeprefix("/api/v1"))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        if found["status"] not in ("queued", "running"):
            return found
        time.sleep(0.1)
    raise AssertionError("the import did not end")


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    return body


def test_an_import_goes_on_behind_the_answer_and_is_answered_again(life: Life, tmp_path: Path) -> None:
    path = file_of(tmp_path, 701, 702)
    begun = send(life, "甲村", path, prefer="respond-async")
    assert begun.status_code == 202, begun.text
    assert begun.headers["Preference-Applied"] == "respond-async"
    ended = done(life, "甲村", begun.headers["Location"])
    assert (ended["status"], ended["kept"], ended["report"]["rows"]) == ("taken", True, 2)

    again = send(life, "甲村", path, prefer="respond-async")
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert again.json()["drafts"] == ended["report"]["drafts"]
    plainly = send(life, "甲村", path)
    assert (plainly.status_code, plainly.json()["drafts"]) == (200, ended["report"]["drafts"])
    listed = life["甲村"].get("/parcel-imports", limit=200).json()["items"]
    assert ended["id"] in {one["id"] for one in listed}


def test_a_refused_import_keeps_its_report_as_a_table(life: Life, tmp_path: Path) -> None:
    path = file_of(tmp_path, 711, 712, apart_m=150)
    begun = send(life, "甲村", path, prefer="respond-async").json()
    ended = done(life, "甲村", f"/parcel-imports/{begun['id']}?outlines=true")
    assert (ended["status"], ended["kept"]) == ("refused", False)
    (problem,) = ended["report"]["problems"]
    assert (problem["code"], problem["row"], problem["file"]) == ("rows_overlap", 2, path.name)
    assert problem["shared"]["type"] == "Polygon"
    table = life["甲村"].get(f"/parcel-imports/{begun['id']}/report.csv")
    assert table.content.startswith(b"\xef\xbb\xbf")
    assert table.headers["content-type"].startswith("text/csv")
    refused(life["乙村"].get(f"/parcel-imports/{begun['id']}/report.csv"), 404, "not_found")


def test_a_dry_run_answers_a_table_where_one_is_asked_for(life: Life, tmp_path: Path) -> None:
    path = file_of(tmp_path, 721, 722, apart_m=150)
    with path.open("rb") as content:
        answer = life["甲村"].http.post(
            "/parcel-imports",
            files={"file": (path.name, content)},
            data={"programme": life.programme, "dry_run": "true"},
            headers={"Accept": "text/csv"},
        )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert "rows_overlap" in answer.content.decode("utf-8-sig")


def test_a_file_that_cannot_be_read_is_a_row_like_any_other(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "land.gml"
    path.write_text("<?xml version='1.0'?><gml:FeatureCollection xmlns:gml='http://www.opengis.net/gml'/>")
    body = refused(send(life, "甲村", path), 415, "format_unsupported")
    (line,) = body["errors"]
    assert (line["row"], line["file"], line["code"]) == (0, "land.gml", "format_unsupported")
    assert line["advice_zh"]
    begun = send(life, "甲村", path, prefer="respond-async")
    ended = done(life, "甲村", begun.headers["Location"])
    assert (ended["status"], ended["report"]["problems"][0]["row"]) == ("refused", 0)


def test_the_file_and_the_outline_as_uploaded_are_for_who_may(life: Life, tmp_path: Path) -> None:
    path = file_of(tmp_path, 731)
    report = send(life, "甲村", path).json()
    file = f"/parcel-imports/{report['import_id']}/file"
    assert life["甲村"].get(file).content == path.read_bytes()
    assert life["registry"].get(file).content == path.read_bytes()
    for stranger, status in (("乙村", 404), ("firm", 404), ("nobody", 401)):
        assert life[stranger].get(file).status_code == status
    parcel = life.parcels[0]
    source = life["operator"].get(f"/parcels/{parcel}/source").json()
    assert source["geometry"]["type"] in ("Polygon", "MultiPolygon")
    assert (source["crs"], source["properties"]["datum"]) == ("OGC:CRS84", "as_stated")
    assert len(source["properties"]["geometry_sha256"]) == 64
    refused(life["firm"].get(f"/parcels/{parcel}/source"), 404, "not_found")

    dropped = life["甲村"].http.delete(f"/parcel-imports/{report['import_id']}")
    assert (dropped.status_code, dropped.json()["discarded"]) == (200, 1)
    refused(life["甲村"].get(file), 404, "not_found")
    refused(life["乙村"].http.delete(f"/parcel-imports/{report['import_id']}"), 404, "not_found")


def test_an_import_that_a_restart_cut_off_is_said_to_be_and_can_be_sent_again(
    life: Life, tmp_path: Path
) -> None:
    path = file_of(tmp_path, 741)
    import_id = send(life, "甲村", path).json()["import_id"]
    life["甲村"].http.delete(f"/parcel-imports/{import_id}")
    database = Database(life.home.database_url)
    with database.write() as session:
        row = session.get_one(ParcelImport, import_id)
        row.status, row.created_at = "running", clock_of(database).now()
    database.dispose()
    assert life["甲村"].get(f"/parcel-imports/{import_id}").json()["status"] == "interrupted"
    begun = send(life, "甲村", path, prefer="respond-async")
    assert done(life, "甲村", begun.headers["Location"])["status"] == "taken"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"values": "[1]"}, "invalid_request"),
        ({"values": '{"village": {}}'}, "invalid_request"),
        ({"accept_repairs": '{"0": "x"}'}, "invalid_request"),
        ({"datum": "mars"}, "invalid_request"),
        ({"mapping": "nobody's"}, "not_found"),
        ({"programme": "X.1"}, "not_found"),
    ],
)
def test_declarations_that_mean_nothing_are_refused_before_the_file_is_read(
    life: Life, tmp_path: Path, form: dict[str, str], code: str
) -> None:
    path = file_of(tmp_path, 751)
    for prefer in ("", "respond-async"):
        answer = send(life, "甲村", path, prefer=prefer, **form)
        refused(answer, 404 if code == "not_found" else 422, code)


def test_a_mapping_is_saved_changed_by_revision_used_and_deleted(life: Life, tmp_path: Path) -> None:
    mapping = load_mapping().model_dump(mode="json")
    mapping["fields"]["subcompartment"]["headings"] = ["图斑"]
    http, place = life["甲村"].http, "/field-mappings/常山"
    made = http.put(place, json=mapping)
    assert (made.status_code, made.headers["ETag"]) == (201, '"r1"')
    refused(http.put(place, json=mapping), 428, "revision_missing")
    refused(http.put(place, json=mapping, headers={"If-Match": '"r9"'}), 412, "revision_differs")
    changed = http.put(place, json=mapping, headers={"If-Match": '"r1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"r2"')
    body = refused(http.put("/field-mappings/x", json={"fields": {}}), 422, "mapping_refused")
    assert {"field", "message"} <= set(body["errors"][0])
    refused(life["firm"].http.put(place, json=mapping), 403, "not_authorised")
    refused(life["乙村"].get(place), 404, "not_found")

    path = file_of(tmp_path, 761)
    path.write_text(path.read_text(encoding="utf-8").replace('"小班"', '"图斑"'), encoding="utf-8")
    dry = send(life, "甲村", path, dry_run="true").json()
    assert dry["proposed"] == {"subcompartment": "图斑"}
    assert send(life, "甲村", path, dry_run="true", mapping="常山").json()["problems"] == []
    names = [one["name"] for one in life["甲村"].get("/field-mappings").json()["items"]]
    assert names == ["subcompartments-zh", "常山"]
    assert http.delete(place, headers={"If-Match": '"r2"'}).status_code == 204


# ---- the page ----------------------------------------------------------------------------------------------


def post_page(life: Life, key: str, path: Path, **form: str) -> httpx.Response:
    """The page's form as a browser without JavaScript sends it: the key first."""
    with path.open("rb") as content:
        parts: list[tuple[str, Any]] = [
            (name, (None, value)) for name, value in {"key": key, "programme": life.programme, **form}.items()
        ]
        return httpx.post(
            f"{life.served.base}{PAGE}?lang=zh", files=[*parts, ("file", (path.name, content))], timeout=60
        )


def test_the_page_is_a_plain_form_that_checks_and_imports(life: Life, tmp_path: Path) -> None:
    path = file_of(tmp_path, 771, 村="乙村")
    key, owners = life.keys["operator"], f"乙村 = {life.organisations['乙村']}"
    checked = post_page(life, key, path, owners=owners)
    assert checked.status_code == 200
    assert "没有发现错误" in checked.text
    assert key not in checked.text  # the answer does not hold the key
    taken = post_page(life, key, path, owners=owners, action="import")
    assert (taken.status_code, 'data-outcome="taken"' in taken.text) == (201, True)
    wrong = post_page(life, key, path, owners="乙村", action="import")
    assert (wrong.status_code, "owners.1" in wrong.text) == (422, True)
    assert wrong.headers["Cache-Control"] == "no-store"


def test_the_page_shows_a_file_that_cannot_be_read(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    answer = post_page(life, life.keys["甲村"], path)
    assert answer.status_code == 200
    assert 'data-outcome="refused"' in answer.text


def test_a_strangers_form_is_sent_back_before_its_file_is_taken(life: Life, tmp_path: Path) -> None:
    path = file_of(tmp_path, 781)
    answer = post_page(life, "wrong.key", path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PAGE}?refused=key&lang=zh"
    shown = httpx.get(f"{life.served.base}{answer.headers['location']}")
    assert (shown.status_code, "密钥未被接受" in shown.text) == (401, True)
    headers = {"Prefer": "respond-async"}
    told = httpx.post(
        f"{life.served.base}{PAGE}", files={"key": (None, "x.y"), "file": ("a", b"")}, headers=headers
    )
    refused(told, 401, "not_authenticated")
    keyless = httpx.post(f"{life.served.base}{PAGE}", data={"key": life.keys["甲村"]})
    assert keyless.status_code == 303  # not a multipart form: there is no key in its first part
    assert json.dumps(life.keys["甲村"]) not in life.served.log.read_text()


def test_the_report_of_an_import_is_a_part_of_the_page(life: Life, tmp_path: Path) -> None:
    begun = send(life, "甲村", file_of(tmp_path, 791), prefer="respond-async", dry_run="true")
    done(life, "甲村", begun.headers["Location"])
    address = f"{life.served.base}{PAGE}/{begun.json()['id']}?lang=en"
    headers = {"Authorization": f"Bearer {life.keys['甲村']}"}
    part = httpx.get(address, headers=headers)
    assert (part.status_code, part.text.lstrip().startswith("<section")) == (200, True)
    assert "No fault found" in part.text
    assert httpx.get(address).status_code == 401
