"""What the server shows to everybody: log, pages, documentation, health."""

import json
import re

import httpx
import pytest
from fastapi.openapi.models import OpenAPI

from tests.registry.api.life import MEMBERS, Life


def get(life: Life, path: str, **headers: str) -> httpx.Response:
    return httpx.get(life.served.base + path, headers=headers)


def test_the_checkpoint_is_text_that_is_kept_for_seconds(life: Life) -> None:
    answer = get(life, "/log/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert int(re.fullmatch(r"public, max-age=(\d+)", answer.headers["cache-control"])[1]) <= 5  # type: ignore[index]
    assert answer.content == (life.home.log / "checkpoint").read_bytes()


def test_tiles_never_change(life: Life) -> None:
    size = int(get(life, "/log/checkpoint").text.splitlines()[1])
    for path in (f"tile/0/000.p/{size}", f"tile/entries/000.p/{size}") if size < 256 else ("tile/0/000",):
        answer = get(life, f"/log/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.content == (life.home.log / path).read_bytes()


@pytest.mark.parametrize(
    "path", ["tile/0/999", "tile/0/../../log.vkey", "tile/%2e%2e/%2e%2e/log.vkey", "tile/x", "keys"]
)
def test_nothing_but_the_log_lies_under_log(life: Life, path: str) -> None:
    answer = get(life, f"/log/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_answer_carries_the_safe_headers(life: Life) -> None:
    for path in ("/", "/docs", "/api/v1/me", "/nope", "/log/checkpoint", "/static/style.css"):
        headers = get(life, path).headers
        assert "default-src 'self'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_page_says_everything_without_a_script(life: Life) -> None:
    page = get(life, "/?lang=zh").text
    summary = get(life, "/api/v1/public/summary").json()
    assert '<html lang="zh-CN">' in page and "模拟时钟" in page
    for state in ("held", "retired", "buffer"):
        assert f">{summary['units'][state]:,}<" in page
    assert get(life, "/log/vkey").text.strip().replace("+", "&#43;") in page.replace("+", "&#43;")
    assert f'/api/v1/log/entries/{summary["log_size"] - 1}"' in page
    assert "甲村" in page and "<script>" not in page
    english = get(life, "/?lang=en").text
    assert '<html lang="en">' in english and "Credits by state" in english and "Simulated clock" in english


def test_no_private_persons_name_is_anywhere_public(life: Life) -> None:
    names = [f"{title}的人{n}" for _, title, persons in MEMBERS.values() for n in range(1, persons + 1)]
    names += ["李四", MEMBERS["person"][1]]
    trace = f"/api/v1/public/serials/{life.serials[0]}"
    paths = ["/", "/?lang=en", "/map.svg", "/api/v1/public/summary", "/api/v1/public/parcels.geojson", trace]
    paths += ["/api/v1/public/entries?limit=200"]
    for path in paths:
        text = get(life, path).text
        assert not [name for name in names if name in text], path
    size = get(life, "/api/v1/public/summary").json()["log_size"]
    for index in range(0, size, 7):
        text = get(life, f"/api/v1/log/entries/{index}").text
        assert not [name for name in names if name in text]


def test_the_map_has_every_parcel_but_not_to_the_metre(life: Life) -> None:
    answer = get(life, "/api/v1/public/parcels.geojson")
    features = answer.json()["features"]
    assert len(features) == 3
    assert {feature["properties"]["status"] for feature in features} == {"enrolled"}
    positions = [xy for feature in features for ring in feature["geometry"]["coordinates"] for xy in ring]
    assert all(round(value, 4) == value for xy in positions for value in xy)
    again = get(life, "/api/v1/public/parcels.geojson", **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get(life, "/map.svg").text.count("<title>") == 3


def test_lists_come_in_pages_that_leave_nothing_out(life: Life) -> None:
    registry = life["registry"]
    whole = [one["id"] for one in registry.get("/organisations", limit=200).json()["items"]]
    found: list[str] = []
    address: str | None = "/api/v1/organisations?limit=4"
    while address is not None:
        page = registry.http.get(life.served.base + address)
        found += [one["id"] for one in page.json()["items"]]
        link = page.headers.get("link")
        address = None if link is None else re.fullmatch(r'<(.+)>; rel="next"', link)[1]  # type: ignore[index]
    assert found == whole and len(set(found)) == len(found) > 8


def test_entries_of_the_log_are_paged_back_to_the_first(life: Life) -> None:
    indexes: list[int] = []
    before: int | None = None
    while True:
        page = life["nobody"].get(
            "/public/entries", limit=50, **({} if before is None else {"before": before})
        )
        indexes += [entry["index"] for entry in page.json()["items"]]
        before = page.json()["next"]
        if before is None:
            break
    assert indexes == list(range(max(indexes), -1, -1))


def test_health_is_told(life: Life) -> None:
    assert get(life, "/healthz").json() == {"status": "ok"}


def test_the_documentation_needs_nobody_else(life: Life) -> None:
    page = get(life, "/docs").text
    assert "http://" not in page and "https://" not in page
    for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert get(life, asset).status_code == 200, asset


def test_openapi_is_valid_and_tells_of_problems(life: Life) -> None:
    text = get(life, "/api/v1/openapi.json").text
    document = json.loads(text)
    OpenAPI.model_validate(document)
    for reference in set(re.findall(r'"\$ref": ?"([^"]+)"', text)):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    assert "HTTPValidationError" not in text
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation.get("summary") and operation.get("tags"), (method, path)
            if path.startswith("/api/v1"):
                refusals = {k: v for k, v in operation["responses"].items() if k.startswith("4")}
                assert refusals, (method, path)
                for refusal in refusals.values():
                    assert "application/problem+json" in refusal["content"], (method, path)
