"""Land as other people's programs see it: OGC API Features with GDAL's own client, tiles, exports; and that
nobody's exact ground is among it.
"""

import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import mapbox_vector_tile
import numpy as np
import pyarrow.parquet
import pyogrio
import shapely

from geo.outline import hidden, tile_position
from geo.tiling import Tile
from tests.registry.api.life import Life
from tests.registry.forest import OUTLINES

ITEMS: Final = "/ogc/collections/parcels/items"
MASKED: Final = OUTLINES[2]
CERTIFICATE: Final = (".statement.json", ".entry", ".tlog-proof", ".pdf")
GDAL: Final = """
import json, sys
import pyogrio
address, found = sys.argv[1], []
found.append(pyogrio.list_layers(address)[:, 0].tolist())
for options in json.loads(sys.argv[2]):
    if "bbox" in options:
        options["bbox"] = tuple(options["bbox"])
    frame = pyogrio.read_dataframe(address, layer="parcels", **options)
    found.append(json.loads(frame.to_json(default=str))["features"])
print(json.dumps(found))
"""
"""A process of its own: the driver keeps connections and settings for as long as it lives."""


def get(life: Life, path: str, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
    return httpx.get(life.served.base + path, params=query or None, headers=headers, timeout=60)


def features(life: Life, **query: Any) -> list[dict[str, Any]]:
    answer = get(life, ITEMS, **query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert page["numberReturned"] == len(page["features"])
    return list(page["features"])


def through_gdal(life: Life, *questions: dict[str, Any]) -> Any:
    """The layers, then the features that answer each question."""
    line = [sys.executable, "-c", GDAL, f"OAPIF:{life.served.base}/ogc", json.dumps(questions)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def masked(life: Life) -> Iterator[str]:
    """The third parcel, hidden by its village for a while."""
    found = features(life, bbox=",".join(map(str, MASKED.buffer(-1e-4).bounds)))
    (parcel,) = [one["id"] for one in found]
    owner = next(v for v in ("甲村", "乙村") if life[v].get(f"/parcels/{parcel}/visibility").is_success)
    path = f"/parcels/{parcel}/visibility"
    assert life[owner].http.put(path, json={"masked": True}).json() == {"parcel": parcel, "masked": True}
    try:
        yield parcel
    finally:
        assert life[owner].http.put(path, json={"masked": False}).status_code == 200


# ---- OGC API Features --------------------------------------------------------------------------------------


def test_every_resource_links_to_itself_and_to_the_others(life: Life) -> None:
    landing = get(life, "/ogc").json()
    by_rel = {link["rel"]: link for link in landing["links"]}
    assert {"self", "alternate", "service-desc", "service-doc", "conformance", "data"} <= set(by_rel)
    for link in landing["links"]:
        answer = httpx.get(link["href"])
        assert answer.status_code == 200, link
        assert answer.headers["content-type"].startswith(link["type"].partition(";")[0]), link
    classes = httpx.get(by_rel["conformance"]["href"]).json()["conformsTo"]
    core = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/"
    assert set(classes) == {core + name for name in ("core", "geojson", "html", "oas30")}
    listed = httpx.get(by_rel["data"]["href"]).json()["collections"]
    assert [one["id"] for one in listed] == ["parcels", "projects"]
    for one in listed:
        assert one["crs"] == ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"]
        assert "storageCrs" not in one
        alone = get(life, f"/ogc/collections/{one['id']}").json()
        assert alone == one
        for link in one["links"]:
            assert httpx.get(link["href"]).status_code == 200, link


def test_the_service_is_described_in_openapi_3_0(life: Life) -> None:
    answer = get(life, "/ogc/api")
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"
    document = answer.json()
    assert document["openapi"].startswith("3.0.")
    parameters = document["components"]["parameters"]
    assert parameters["limit"]["schema"]["maximum"] == 1000
    assert (parameters["bbox"]["style"], parameters["bbox"]["explode"]) == ("form", False)
    ids = {"parcels": features(life, limit=1)[0]["id"], "projects": life.project}
    for path in document["paths"]:
        named = path.replace("{featureId}", ids["projects" if "projects" in path else "parcels"])
        assert get(life, "/ogc" + named.rstrip("/")).status_code == 200, path


def test_a_page_of_features_is_geojson_that_anybody_may_read(life: Life) -> None:
    answer = get(life, ITEMS)
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    page = answer.json()
    assert (page["type"], page["numberMatched"], page["numberReturned"]) == ("FeatureCollection", 3, 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", page["timeStamp"])
    for feature in page["features"]:
        outline: Any = shapely.geometry.shape(feature["geometry"])
        assert outline.is_valid and outline.exterior.is_ccw
        assert feature["properties"]["status"] == "enrolled"
        alone = get(life, f"{ITEMS}/{feature['id']}")
        assert alone.headers["content-type"] == "application/geo+json"
        assert {name: alone.json()[name] for name in feature} == feature
    later = get(life, ITEMS, {"If-None-Match": answer.headers["etag"]})
    assert later.status_code in (200, 304)  # the instant of the answer may have moved on


def test_a_limit_is_clamped_and_never_refused_for_being_large(life: Life) -> None:
    assert len(features(life, limit=1)) == 1
    assert len(features(life, limit=10**9)) == 3
    for wrong in ("0", "-1", "x", "1.5", ""):
        answer = get(life, ITEMS, limit=wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter_malformed"), wrong


def test_pages_follow_one_another_and_leave_nothing_out(life: Life) -> None:
    found: list[str] = []
    address: str | None = f"{life.served.base}{ITEMS}?limit=1"
    while address is not None:
        answer = httpx.get(address)
        page = answer.json()
        found += [one["id"] for one in page["features"]]
        following = [link for link in page["links"] if link["rel"] == "next"]
        assert ('rel="next"' in answer.headers["link"]) == bool(following)
        address = following[0]["href"] if following else None
    assert found == [one["id"] for one in features(life)] == sorted(found)


def test_a_box_has_what_meets_it(life: Life) -> None:
    west, south, east, north = OUTLINES[0].buffer(-1e-4).bounds
    box = f"{west},{south},{east},{north}"
    first = features(life, bbox=box)
    assert len(first) == 1
    assert features(life, bbox=f"{west},{south},-50,{east},{north},3000") == first
    assert features(life, bbox=f"{west + 5},{south},{east + 5},{north}") == []
    assert len(features(life, bbox="117,28,120,30")) == 3
    assert len(features(life, bbox="170,-80,150,80")) == 3  # all but a strip, across the 180th meridian
    assert features(life, bbox="150,-80,-170,80") == []
    for wrong in ("1,2,3", "a,b,c,d", "118,30,119,28", "118,28,119,nan", "-200,0,1,1", "1,2,3,4,5"):
        assert get(life, ITEMS, bbox=wrong).status_code == 400, wrong


def test_parcels_are_on_the_register_from_their_submission_on(life: Life) -> None:
    since = sorted(one["properties"]["since"] for one in features(life))
    assert len(features(life, datetime="2035-01-01T00:00:00Z")) == 3
    assert features(life, datetime="2024-01-01T00:00:00Z") == []
    assert features(life, datetime="../2024-01-01T00:00:00Z") == []
    assert len(features(life, datetime=f"{since[0]}/..")) == 3
    assert len(features(life, datetime="2024-01-01/2035-01-01")) == 3
    assert len(features(life, datetime="9999-12-31")) == 3  # the last day has an end, too
    projects = "/ogc/collections/projects/items"
    assert get(life, projects, datetime="0001-01-01/9999-12-31").status_code == 200
    for wrong in ("0001-01-01T00:00:00+14:00/..", "9999-12-31T23:59:59-14:00"):  # no instant of UTC
        assert get(life, projects, datetime=wrong).status_code == 400, wrong
    for wrong in ("yesterday", "..", "2025-13-01", "2035-01-01/2024-01-01", "2025-01-01T00:00:00", "a/b/c"):
        assert get(life, ITEMS, datetime=wrong).status_code == 400, wrong


def test_properties_are_asked_for_and_what_is_unknown_is_refused(life: Life) -> None:
    names = {one["properties"]["village"] for one in features(life)}
    assert names == {"甲村", "乙村"}
    assert {one["properties"]["village"] for one in features(life, village="乙村")} == {"乙村"}
    assert len(features(life, status="enrolled", county="330802", masked="false")) == 3
    assert features(life, stand_type="' or 1=1 --") == []
    for unknown in ("owner=x", "crs=EPSG:4490", "bbox-crs=EPSG:4490", "resultType=hits"):
        answer = get(life, f"{ITEMS}?{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter_unknown"), unknown
    for twice in ("limit=1&limit=2", "cursor=%21", "masked=perhaps", "f=xml"):
        assert get(life, f"{ITEMS}?{twice}").status_code == 400, twice
    assert get(life, "/ogc/collections/parcels?x=1").status_code == 400
    assert get(life, "/ogc/collections/rivers").status_code == 404
    assert get(life, f"{ITEMS}/none").status_code == 404


def test_a_person_gets_pages_to_read_in_either_language(life: Life) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "zh-CN"}
    for path in (
        "/ogc",
        "/ogc/conformance",
        "/ogc/api",
        "/ogc/collections",
        "/ogc/collections/parcels",
        ITEMS,
    ):
        answer = get(life, path, browser)
        assert answer.headers["content-type"].startswith("text/html"), path
        assert '<html lang="zh-CN">' in answer.text and answer.headers["content-language"] == "zh-CN"
        assert '<html lang="en">' in get(life, path, f="html", lang="en").text
        assert "<script" not in answer.text
    one = features(life, limit=1)[0]
    page = get(life, f"{ITEMS}/{one['id']}", browser).text
    assert one["properties"]["code"] in page
    assert one["properties"]["stand_type"] not in page and "（北京时间）" in page
    assert 'rel="next"' in get(life, ITEMS, f="html", limit="1").text
    projects = "/ogc/collections/projects/items"
    assert "两村碳汇项目" in get(life, projects, f="html").text
    assert get(life, ITEMS, browser | {"Accept": "application/geo+json, text/html"}).json()


def test_a_project_is_the_box_of_its_parcels(life: Life) -> None:
    (project,) = get(life, "/ogc/collections/projects/items").json()["features"]
    assert project["properties"]["parcels"] == 3
    box = shapely.geometry.shape(project["geometry"])
    assert all(box.buffer(0.0003).covers(outline) for outline in OUTLINES)
    items = "/ogc/collections/projects/items"
    assert get(life, f"{items}/{project['id']}").json()["geometry"] == project["geometry"]
    assert get(life, items, bbox="10,10,11,11").json()["numberMatched"] == 0
    assert get(life, items, status="active", county="330802").json()["numberMatched"] == 1


def test_gdals_own_client_connects_pages_and_asks_by_box_and_property(life: Life) -> None:
    box = [*OUTLINES[0].buffer(-1e-4).bounds]
    layers, every, near, some = through_gdal(
        life, {"PAGE_SIZE": 2}, {"bbox": box}, {"where": "village = '甲村'"}
    )
    assert layers == ["parcels", "projects"]
    shown = {one["properties"]["code"]: one for one in features(life)}
    assert {one["properties"]["code"] for one in every} == set(shown)
    for one in every:
        ours = shapely.geometry.shape(shown[one["properties"]["code"]]["geometry"])
        assert shapely.geometry.shape(one["geometry"]).equals(ours)
        assert one["properties"]["village"] in ("甲村", "乙村")
    assert len(near) == 1
    assert {one["properties"]["village"] for one in some} == {"甲村"}


# ---- tiles -------------------------------------------------------------------------------------------------


def tile_at(zoom: int, lon: float, lat: float) -> str:
    x, y = tile_position(lon, lat)
    return f"/tiles/parcels/{zoom}/{int(x * 2**zoom)}/{int(y * 2**zoom)}.mvt"


def drawn(life: Life, path: str) -> list[tuple[Any, dict[str, Any]]]:
    """Outlines (degrees) and properties of a tile."""
    answer = get(life, path)
    if answer.status_code == 204:
        return []
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    asked = Tile(*(int(part) for part in path.removesuffix(".mvt").split("/")[3:]))
    layers = mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})
    return [
        (shapely.transform(shapely.geometry.shape(one["geometry"]), asked.to_degrees), one["properties"])
        for one in layers["parcels"]["features"]
    ]


def test_tiles_show_the_public_outlines_at_every_zoom(life: Life) -> None:
    shown = {one["id"]: shapely.geometry.shape(one["geometry"]) for one in features(life)}
    middle = shapely.union_all(list(shown.values())).centroid
    for zoom in (0, 6, 10, 12, 14, 16):
        found = drawn(life, tile_at(zoom, middle.x, middle.y))
        unit = Tile(zoom, 0, 0).unit_degrees
        for outline, said in found:
            assert shapely.hausdorff_distance(outline, shown[said["id"]]) < 12 * unit + 0.01 * (zoom > 12)
            assert said["status"] == "enrolled" and not said["masked"]
        assert zoom > 12 or {said["id"] for _, said in found} == set(shown)


def test_tiles_lie_in_a_pyramid_and_are_kept_for_seconds(life: Life) -> None:
    said = get(life, "/tiles/parcels.json").json()
    assert (said["tilejson"], said["parcels"], said["statuses"]) == ("3.0.0", 3, {"enrolled": 3})
    west, south, east, north = said["bounds"]
    address = said["tiles"][0].removeprefix(life.served.base)
    path = tile_at(12, (west + east) / 2, (south + north) / 2)
    assert re.fullmatch(address.replace("{z}", "12").replace("{x}", r"\d+").replace("{y}", r"\d+"), path)
    answer = get(life, path)
    assert "max-age" in answer.headers["cache-control"]
    assert get(life, path, {"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert get(life, tile_at(12, 10.0, 10.0)).status_code == 204
    for wrong in ("17/0/0", "3/8/0", "3/0/8", "3/-1/0", "-1/0/0", "99999999999999999999/0/0"):
        assert get(life, f"/tiles/parcels/{wrong}.mvt").status_code == 404, wrong
    assert get(life, "/tiles/parcels/a/b/c.mvt").status_code in (404, 422)


# ---- who sees what -----------------------------------------------------------------------------------------


def exported(life: Life, who: str, **query: Any) -> dict[str, tuple[Any, str]]:
    """Outlines and how exact they are, by code, from an export."""
    answer = life[who].get("/parcels/export", format="geojson", **query)
    assert answer.status_code == 200, answer.text
    return {
        one["properties"]["code"]: (shapely.geometry.shape(one["geometry"]), one["properties"]["outline"])
        for one in answer.json()["features"]
    }


def test_an_export_has_outlines_as_exactly_as_the_caller_may_see_them(life: Life) -> None:
    for who, exact in (("nobody", 0), ("registry", 3), ("operator", 3), ("buyer", 0)):
        found = exported(life, who)
        assert sum(said == "exact" for _, said in found.values()) == exact, who
        kept = sum(any(outline.equals(one) for one in OUTLINES) for outline, _ in found.values())
        assert (len(found), kept) == (3, exact), who
    mine = exported(life, "甲村", mine="true")
    assert 0 < len(mine) < 3 and {said for _, said in mine.values()} == {"exact"}


def test_an_export_comes_as_a_file_of_the_format_asked_for(life: Life, tmp_path: Path) -> None:
    exact = {one.wkb for one in OUTLINES}
    for kind, name in (("gpkg", "parcels.gpkg"), ("geoparquet", "parcels.parquet")):
        answer = life["registry"].get("/parcels/export", format=kind)
        assert name in answer.headers["content-disposition"]
        (tmp_path / name).write_bytes(answer.content)
    layer = pyogrio.read_dataframe(tmp_path / "parcels.gpkg")
    assert (len(layer), layer.crs.to_epsg()) == (3, 4490)
    table = pyarrow.parquet.read_table(tmp_path / "parcels.parquet")
    assert set(table.column("geometry").to_pylist()) == exact
    assert set(table.column("village").to_pylist()) == {"甲村", "乙村"}
    for wrong in ({}, {"format": "shp"}, {"format": "gpkg", "limit": 3}, {"format": "gpkg", "mine": "x"}):
        assert life["registry"].get("/parcels/export", **wrong).status_code == 400, wrong


def test_a_masked_parcel_is_a_square_wherever_it_is_public(life: Life) -> None:
    square = hidden(MASKED)
    with masked(life) as parcel:
        (one,) = [feature for feature in features(life) if feature["id"] == parcel]
        assert shapely.geometry.shape(one["geometry"]).equals(square)
        assert one["properties"]["village"] is None and one["properties"]["area_mu"] == 200.0
        assert features(life, bbox="118.801,28.991,118.802,28.992", masked="true") == [one]
        said = get(life, "/api/v1/public/parcels.geojson").json()["features"]
        (listed,) = [feature for feature in said if feature["properties"]["masked"]]
        assert shapely.geometry.shape(listed["geometry"]).equals(square)
        public = exported(life, "nobody")
        assert [outline.equals(square) for outline, told in public.values() if told == "hidden"] == [True]
        assert sum(told == "exact" for _, told in exported(life, "operator").values()) == 3
        assert "不公开" in get(life, "/?lang=zh").text
        assert life["buyer"].http.get(f"/parcels/{parcel}/visibility").status_code == 404
        assert life["registry"].get(f"/parcels/{parcel}/visibility").json()["reason"] == "asked"


def test_only_the_owners_acting_key_hides_a_parcel(life: Life) -> None:
    parcel = features(life, limit=1)[0]["id"]
    path = f"/parcels/{parcel}/visibility"
    for who, status in (("nobody", 401), ("buyer", 404), ("registry", 404), ("operator", 404)):
        assert life[who].http.put(path, json={"masked": True}).status_code == status, who
    for body in ({}, {"masked": "yes"}, {"masked": True, "why": "x"}):
        assert life["甲村"].http.put(path, json=body).status_code == 422, body
    assert {feature["properties"]["masked"] for feature in features(life)} == {False}


def test_no_exact_vertex_of_any_outline_is_in_any_public_answer(life: Life) -> None:
    """Every answer that a stranger gets is searched for every exact coordinate, as text, as whole numbers
    of 1e-7 degree and as bytes.
    """
    exact = np.unique(np.concatenate([shapely.get_coordinates(one).ravel() for one in OUTLINES]))
    exact = exact[np.abs(exact - np.round(exact, 4)) > 2e-6]  # what rounding does not give away
    assert len(exact) == 5
    needles = {f"{value:.7f}"[:-1].encode() for value in exact}
    needles |= {str(round(value * 1e7))[:-1].encode() for value in exact}
    needles |= {form for value in exact for form in _binary(value)}
    asked = 0
    with masked(life):
        for path, content in _public_answers(life):
            asked += 1
            assert not [needle for needle in needles if needle in content], path
    assert asked > 60


def _binary(value: float) -> tuple[bytes, ...]:
    little, big = struct.pack("<d", value), struct.pack(">d", value)
    return little, little.hex().encode(), big, big.hex().encode()


def _public_answers(life: Life) -> Iterator[tuple[str, bytes]]:
    """What a stranger gets: from every page and link onwards, and from every path of the API that answers."""
    waiting = [
        "/", "/?lang=en", "/map.svg", "/ogc", "/ogc?f=html", "/tiles/parcels.json", "/log/checkpoint",
        *(f"/api/v1/public/serials/{serial}" for serial in life.serials),
        *(f"/api/v1/public/certificates/{life.certificate}{end}" for end in CERTIFICATE),
        *(f"/api/v1/parcels/export?format={kind}" for kind in ("gpkg", "geoparquet", "geojson")),
        *_tiles(), *_api_paths(life),
    ]  # fmt: skip
    seen: set[str] = set()
    with httpx.Client(base_url=life.served.base, timeout=60) as stranger:
        while waiting and len(seen) < 600:
            path = waiting.pop(0)
            if path in seen or path.startswith("/static"):
                continue
            seen.add(path)
            answer = stranger.get(path)
            if answer.status_code != 200:
                continue
            yield path, answer.content
            if "text/html" in answer.headers["content-type"] or path.startswith("/ogc"):
                found = re.findall(r'(?:href|src)"?[=:]\s*"([^"]+)"', answer.text)
                links = [link.replace("&amp;", "&").removeprefix(life.served.base) for link in found]
                waiting += [link for link in links if link.startswith("/")]


def _tiles() -> Iterator[str]:
    for zoom in range(0, 17, 2):
        for outline in OUTLINES:
            yield tile_at(zoom, outline.centroid.x, outline.centroid.y)


def _api_paths(life: Life) -> Iterator[str]:
    """Every GET of the API, with what is known put in its place."""
    known = {
        "parcel": life.parcels[0], "project": life.project, "period": life.period, "index": "40",
        "serial": life.serials[0], "organisation": life.organisations["甲村"], "programme": life.programme,
        "retirement": life.retirement, "issuance": life.issuance_id,
    }  # fmt: skip
    paths = get(life, "/api/v1/openapi.json").json()["paths"]
    for path, operations in paths.items():
        if "get" in operations:
            yield re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], "none"), path)
