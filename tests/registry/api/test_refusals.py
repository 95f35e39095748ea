"""Bad input over HTTP: each refused with its code, and nothing written."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from geo.vector import write_geojson
from ledger.keys import SigningKey
from registry.web.bodies import KEY_IN_FORM, MEBIBYTE, UPLOAD_BYTES
from tests.registry.api.life import Life
from tests.registry.api.served import new_id
from tests.registry.land import ground, row


def log_size(life: Life) -> int:
    return int(life["nobody"].get("/public/summary").json()["log_size"])


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["type"] == f"urn:tanhui:problem:{code}" and body["title"] and body["detail"]
    return body


# ---- who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "x", "nonsense.secret", "{prefix}.wrong", "{prefix}", "."])
def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(life: Life, key: str | None) -> None:
    prefix = life.keys["firm"].partition(".")[0]
    wrong = life.served.client(None if key is None else key.format(prefix=prefix))
    body = refused(wrong.get("/me"), 401, "not_authenticated")
    assert body["facts"] == {}
    assert wrong.get("/me").headers["www-authenticate"].startswith("Bearer")


def test_a_key_that_reads_does_not_act(life: Life) -> None:
    mandate = life["bank"].get("/me").json()["mandate"]
    reader = life.served.client(life.api_key(mandate, scope="read"))
    before = log_size(life)
    assert reader.get("/me").json()["scope"] == "read"
    deposit = life.deposit(1)
    refused(reader.act("/deposits", deposit), 403, "key_reads_only")
    refused(reader.confirm(new_id()), 403, "key_reads_only")
    assert log_size(life) == before


def test_a_role_that_may_not_act_is_refused(life: Life) -> None:
    deposit = {"organisation": life.organisations["firm"], "amount_fen": 10**9, "reference": "r"}
    refused(life["firm"].act("/deposits", deposit), 403, "not_authorised")


@pytest.mark.parametrize("kind", ["options", "retirements", "parcels", "runs", "statements", "requests"])
def test_what_is_anothers_and_what_does_not_exist_are_the_same(life: Life, kind: str) -> None:
    listed: Any = {
        "options": life.option,
        "retirements": life.retirement,
        "parcels": life.parcels[0],
        "runs": life["operator"].get("/periods").json()["items"][0]["run"],
        "statements": life["operator"].get("/statements").json()["items"][0]["id"],
        "requests": life["operator"].get("/requests", status="done").json()["items"][0]["request"],
    }
    foreign, missing = listed[kind], new_id()
    answers = [life["buyer"].get(f"/{kind}/{id_}") for id_ in (foreign, missing)]
    assert [answer.status_code for answer in answers] == [404, 404]
    first, second = (
        answer.text.replace(id_, "ID") for answer, id_ in zip(answers, (foreign, missing), strict=True)
    )
    assert first == second


def test_acting_on_what_is_anothers_is_acting_on_nothing(life: Life) -> None:
    for path in (f"/retirements/{life.retirement}/withdrawal", f"/retirements/{new_id()}/withdrawal"):
        refused(life["buyer"].act(path), 404, "not_found")


def test_a_private_persons_certificate_is_for_the_person_and_officials(life: Life) -> None:
    asked = {
        "project": life.project,
        "units": 1,
        "beneficiary": "王五",
        "claim_from": "2024-01-01",
        "claim_to": "2025-01-01",
    }
    retirement = life["person"].done("/retirements", asked)["retirement"]
    number = life["person"].done(f"/retirements/{retirement}/confirmation")["certificate"]
    path = f"/public/certificates/{number}.statement.json"
    for name in ("nobody", "firm"):
        refused(life[name].get(path), 404, "not_found")
    for name in ("person", "registry"):
        assert "王五" in life[name].get(path).text


# ---- how it is asked -----------------------------------------------------------------------------


def test_twenty_copies_of_one_request_are_one_act(life: Life) -> None:
    before, id_ = log_size(life), new_id()
    deposit = life.deposit(7)

    def send(_: int) -> httpx.Response:
        return life.served.client(life.keys["bank"]).act("/deposits", deposit, id_)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert log_size(life) == before + 1


def test_a_request_id_is_not_used_twice_for_different_things(life: Life) -> None:
    id_ = new_id()
    deposit = life.deposit(7)
    assert life["bank"].act("/deposits", deposit, id_).status_code == 201
    refused(life["bank"].act("/deposits", {**deposit, "amount_fen": 8}, id_), 422, "idempotency_key_reused")


def test_an_act_without_a_request_id_is_refused(life: Life) -> None:
    deposit = life.deposit(7)
    refused(life["bank"].http.post("/deposits", json=deposit), 400, "idempotency_key_missing")
    refused(life["bank"].act("/deposits", deposit, "NOT-A-UUID"), 400, "request_id_malformed")


@pytest.mark.parametrize(
    ("changed", "field", "type_"),
    [
        ({"surprise": 1}, "surprise", "extra_forbidden"),
        ({"amount_fen": "7"}, "amount_fen", "int_type"),
        ({"amount_fen": 7.5}, "amount_fen", "int_type"),
        ({"amount_fen": True}, "amount_fen", "int_type"),
        ({"amount_fen": 0}, "amount_fen", "greater_than"),
        ({"amount_fen": 2**53}, "amount_fen", "less_than_equal"),
        ({"reference": "村民 张三"}, "reference", "string_pattern_mismatch"),
    ],
)
def test_unknown_fields_and_lax_values_are_named(
    life: Life, changed: dict[str, Any], field: str, type_: str
) -> None:
    deposit = {**life.deposit(), **changed}
    body = refused(life["bank"].act("/deposits", deposit), 422, "invalid_request")
    assert [(one["field"], one["type"]) for one in body["errors"]] == [(field, type_)]
    assert "张三" not in str(body)


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"[1]", "application/json", 400, "body_malformed"),
        (b"{", "application/json", 400, "body_malformed"),
        (b'{"a": NaN}', "application/json", 400, "body_malformed"),
        (b'{"a": 1, "a": 2}', "application/json", 400, "body_malformed"),
        (b'{"a": "\xff"}', "application/json", 400, "body_malformed"),
        (b"[" * 100_000, "application/json", 400, "body_malformed"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "media_type_unsupported"),
        (b" " * 1_100_000, "application/json", 413, "body_too_large"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    life: Life, content: bytes, kind: str, status: int, code: str
) -> None:
    headers = {"Content-Type": kind, "Idempotency-Key": new_id()}
    refused(life["bank"].http.post("/deposits", content=content, headers=headers), status, code)


def test_a_body_that_does_not_say_how_long_it_is_has_the_same_limit(life: Life) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": new_id()}
    content = (b" " * 65536 for _ in range(20))
    refused(life["bank"].http.post("/deposits", content=content, headers=headers), 413, "body_too_large")


def test_a_form_that_does_not_say_how_long_it_is_has_its_limit_too(life: Life) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="p.csv"\r\n\r\n'
    content = (head if n == 0 else b"x" * MEBIBYTE for n in range(18))
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = life["operator"].http.post("/plot-files", content=content, headers=headers)
    refused(answer, 413, "body_too_large")


@pytest.mark.parametrize("path", sorted(set(UPLOAD_BYTES) - KEY_IN_FORM))
@pytest.mark.parametrize("key", [None, "x.y"])
def test_a_stranger_is_refused_before_its_file_is_read(life: Life, path: str, key: str | None) -> None:
    """Nothing of the body is sent: who waits for it does not answer."""
    address = httpx.URL(life.served.base)
    sign = "" if key is None else f"Authorization: Bearer {key}\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{sign}Content-Length: 9000000\r\n"
    form = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall((head + form).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_paths_and_methods_that_are_not_there(life: Life) -> None:
    refused(life["firm"].get("/nothing"), 404, "resource_unknown")
    refused(life["firm"].http.delete("/me"), 405, "method_not_allowed")
    refused(life["firm"].get("/parcels", limit=0), 422, "invalid_request")
    refused(life["firm"].get("/parcels", cursor="!"), 400, "cursor_malformed")


# ---- what it asks for ----------------------------------------------------------------------------


def test_a_second_issuance_is_refused(life: Life) -> None:
    before = log_size(life)
    refused(life["operator"].act("/issuances", {"period": life.period}), 409, "already_issued")
    refused(life["operator"].act(f"/issuances/{life.issuance_id}/approval"), 409, "already_issued")
    assert log_size(life) == before


def test_more_than_is_held_cannot_retire(life: Life) -> None:
    before = log_size(life)
    asked = {
        "project": life.project,
        "units": 10_000,
        "beneficiary": "企业甲（示例）",
        "claim_from": "2024-01-01",
        "claim_to": "2025-01-01",
    }
    body = refused(life["firm"].act("/retirements", asked), 409, "insufficient_units")
    assert (body["facts"]["asked"], body["facts"]["available"]) == (10_000, 2)
    assert log_size(life) == before


def test_a_quantity_that_is_not_verified_is_not_issued(life: Life) -> None:
    dates = {"from_on": "2025-01-01", "to_on": "2026-01-01"}
    opened = life["operator"].act(f"/projects/{life.project}/periods", dates)
    periods = life["operator"].get("/periods").json()["items"]
    (period,) = (one["id"] for one in periods if one["from_on"] == "2025-01-01")
    assert opened.status_code in (201, 409)
    refused(life["operator"].act("/issuances", {"period": period}), 409, "unverified_quantity")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("parcels.zip", b"PK\x05\x06" + bytes(18)),
        ("parcels.shp", b"no shapefile at all"),
        ("x.geojson", b"{}"),
    ],
)
def test_a_file_that_holds_no_parcels_is_refused(life: Life, name: str, content: bytes) -> None:
    path = life.folder / name
    path.write_bytes(content)
    response = life["甲村"].upload("/parcel-imports", path, programme=life.programme)
    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"


def test_a_refused_import_lists_every_bad_row_and_imports_nothing(life: Life, tmp_path: Path) -> None:
    rows = [
        row(90, ground(5000, 0, 300, 300)),
        row(91, ground(5100, 0, 300, 300)),
        row(92, ground(6000, 0, 300, 300), 期限至="不详"),
    ]
    path = tmp_path / "bad.geojson"
    path.write_text(write_geojson(rows), encoding="utf-8")
    before = life["甲村"].get("/parcel-drafts").json()["items"]
    body = refused(
        life["甲村"].upload("/parcel-imports", path, programme=life.programme), 422, "import_refused"
    )
    assert body["facts"]["count"] == len(body["errors"]) == 2
    assert {error["row"] for error in body["errors"]} == {2, 3}
    assert all(error["code"] and error["zh"] and error["en"] for error in body["errors"])
    assert life["甲村"].get("/parcel-drafts").json()["items"] == before


# ---- signatures ----------------------------------------------------------------------------------


def test_an_envelope_by_another_key_changes_nothing(life: Life) -> None:
    before = log_size(life)
    deposit = life.deposit(7)
    prepared = life["bank"].act("/deposits", deposit, prepare=True)
    assert prepared.status_code == 200
    answer = life["bank"].bring(SigningKey.generate(), prepared.json())
    assert 400 <= answer.status_code < 500
    assert log_size(life) == before


def test_a_stranger_neither_sees_nor_signs_a_request(life: Life) -> None:
    deposit = life.deposit(7)
    prepared = life["bank"].act("/deposits", deposit, prepare=True).json()
    id_ = prepared["request"]
    for answer in (
        life["firm"].get(f"/requests/{id_}"),
        life["firm"].bring(SigningKey.generate(), prepared),
        life["firm"].confirm(id_),
        life["firm"].confirm(new_id()),
    ):
        refused(answer, 404, "request_unknown")
    assert life["bank"].get(f"/requests/{id_}").json()["says"]["facts"]["reference"] == deposit["reference"]


def test_a_request_waits_for_a_second_person_who_finds_and_confirms_it(life: Life) -> None:
    asked = {
        "project": life.project,
        "units": 1,
        "beneficiary": "企业甲（示例）",
        "claim_from": "2024-01-01",
        "claim_to": "2025-01-01",
    }
    retirement = life["firm"].done("/retirements", asked)["retirement"]
    awaiting = life["firm"].act(f"/retirements/{retirement}/confirmation").json()
    id_ = awaiting["request"]
    assert awaiting["needed"] and awaiting["payload"]
    found = [one["request"] for one in life["firm 2"].get("/requests").json()["items"]]
    assert found == [id_]
    for stranger in ("firm", "buyer", "operator 2"):
        assert life[stranger].get("/requests").json()["items"] == []
        refused(life[stranger].confirm(id_), 404, "request_unknown")
    done = life["firm 2"].confirm(id_)
    assert done.status_code == 201 and done.json()["answer"]["certificate"]
    assert life["firm 2"].confirm(id_).json() == done.json(), "confirming again answers the same"
    assert life["firm 2"].get("/requests").json()["items"] == []
    assert life["firm 2"].get(f"/requests/{id_}").json()["status"] == "done"
    refused(life["buyer"].get(f"/requests/{id_}"), 404, "request_unknown")


def test_time_cannot_be_moved_over_http(life: Life) -> None:
    paths = life["nobody"].get("/openapi.json").json()["paths"]
    assert not [path for path in paths if "clock" in path or "time" in path]
    for path in ("/clock", "/clock/advance"):
        refused(
            life["registry"].http.post(path, json={"to": "2099-01-01T00:00:00Z"}), 404, "resource_unknown"
        )


# ---- in which language ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ({}, None, "zh-CN"),
        ({}, "en-GB,en;q=0.9", "en"),
        ({}, "fr, en;q=0.3, zh;q=0.8", "zh-CN"),
        ({}, "fr", "zh-CN"),
        ({"lang": "en"}, "zh-CN", "en"),
        ({"lang": "zh"}, "en", "zh-CN"),
        ({"lang": "klingon"}, "en", "en"),
    ],
)
def test_a_refusal_is_said_in_the_readers_language(
    life: Life, query: dict[str, str], header: str | None, language: str
) -> None:
    headers = {} if header is None else {"Accept-Language": header}
    answer = life["nobody"].http.get("/me", params=query, headers=headers)
    assert answer.headers["content-language"] == language
    assert ("密钥" in answer.json()["detail"]) is (language == "zh-CN")


# ---- what no database can hold -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/parcels/%00", 400),
        ("/parcels?status=%00", 400),
        ("/parcels/%ff%fe", 404),
        ("/parcels/" + "x" * 4000, 404),
        ("/parcels?status=" + "x" * 4000, 200),
        ("/parcels?cursor=AA", 400),
        ("/parcels?cursor=7aCA", 400),
        ("/public/entries?before=99999999999999999999", 422),
        ("/log/entries/99999999999999999999", 404),
        ("/log/entries/-1", 404),
        ("/log/proof/9007199254740993", 404),
        ("/public/serials/%E2%80%AE", 422),
        ("/public/certificates/..%2F..%2Flog.vkey", 404),
        ("/public/certificates/x.pdf", 404),
    ],
)
def test_strange_addresses_are_answered_and_never_a_fault(life: Life, path: str, status: int) -> None:
    assert life["registry"].http.get(path).status_code == status


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\u202e"])
def test_characters_that_cannot_be_kept_are_refused(life: Life, text: str) -> None:
    content = json.dumps({"name": text}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": new_id()}
    answer = life["registry"].http.post("/persons", content=content, headers=headers)
    assert answer.status_code in (400, 422), answer.text


def test_forms_with_strange_fields_are_refused(life: Life) -> None:
    path = life.folder / "any.geojson"
    path.write_bytes(b"{}")
    for programme in ("\x00", "x" * 300):
        refused(life["甲村"].upload("/parcel-imports", path, programme=programme), 422, "invalid_request")
    refused(life["甲村"].upload("/parcel-imports", path, programme="X.1"), 404, "not_found")
    refused(life["甲村"].upload("/parcel-imports", path), 422, "invalid_request")
    owners = life["operator"].upload("/parcel-imports", path, programme=life.programme, owners="[1]")
    refused(owners, 422, "invalid_request")
