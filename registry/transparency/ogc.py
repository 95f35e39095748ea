"""OGC API Features at `/ogc`, so that QGIS, GDAL and ArcGIS connect: Part 1 (Core), GeoJSON, HTML, OpenAPI.

Only CRS84 is offered. A client that is told of EPSG:4490 asks for boxes in latitude and longitude and gets
nothing, without an error; every client understands CRS84.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from geo.outline import Bounds
from registry.accounts.service import NotFound
from registry.language import Language, translate
from registry.transparency.features import (
    MOST,
    PROJECT_PROPERTIES,
    PROPERTIES,
    Feature,
    Page,
    ParameterMalformed,
    Question,
    parcel_bounds,
    parcel_count,
    parcel_feature,
    parcel_page,
    parse_question,
    project_count,
    project_feature,
    project_page,
    single,
)
from registry.transparency.openapi_features import describe
from registry.transparency.tiles import recently
from registry.web.api import Now, Reader, Reading, tagged
from registry.web.pages import environment

router = APIRouter(prefix="/ogc", include_in_schema=False)

CRS84: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CONFORMANCE: Final = tuple(
    f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}"
    for name in ("core", "geojson", "html", "oas30")
)
GEOJSON: Final = "application/geo+json"
JSON: Final = "application/json"
HTML: Final = "text/html"
OPENAPI: Final = "application/vnd.oai.openapi+json;version=3.0"
ANYBODY: Final = {"Access-Control-Allow-Origin": "*", "Vary": "Accept, Accept-Language"}
SPEAKING: Final = ("f", "lang")
"""Parameters of every resource: how the answer is spelled."""
MAX_AGE_S: Final = 30


@dataclass(frozen=True, slots=True)
class Collection:
    """A kind of features, and what reads it."""

    name: str
    title: str
    about: str
    properties: tuple[str, ...]
    page: Callable[[Session, Question], Page]
    feature: Callable[[Session, str], Feature | None]
    count: Callable[[Session], int]


COLLECTIONS: Final[Mapping[str, Collection]] = {
    one.name: one
    for one in (
        Collection(
            "parcels",
            "Parcels",
            "Land of the register as everybody may see it: outlines simplified to about 20 m; a square of "
            "about 2 km where the holder asked not to be shown.",
            PROPERTIES,
            parcel_page,
            parcel_feature,
            parcel_count,
        ),
        Collection(
            "projects",
            "Projects",
            "Projects, each as the box around what is public of its parcels.",
            PROJECT_PROPERTIES,
            project_page,
            project_feature,
            project_count,
        ),
    )
}


# ---- resources ---------------------------------------------------------------------------------------------


@router.get("")
@router.get("/")
def landing(request: Request, now: Now, session: Reading, language: Reader) -> Response:
    links = [
        *_own_links(request, JSON),
        _link(request, "/api", "service-desc", OPENAPI, "the API described (OpenAPI 3.0)"),
        _link(request, "/api?f=html", "service-doc", HTML, "the API described, to read"),
        _link(request, "/conformance", "conformance", JSON, "what of the standard is kept"),
        _link(request, "/collections", "data", JSON, "collections of features"),
    ]
    content = {
        "title": translate("Public land of the register", language),
        "description": translate(
            "Parcels and projects of a forestry carbon registry, for GIS programs (OGC API Features).",
            language,
        ),
        "links": links,
    }
    return _answer(request, language, content, "ogc_landing.html", now=now, collections=COLLECTIONS.values())


@router.get("/conformance")
def conformance(request: Request, now: Now, language: Reader) -> Response:
    return _answer(request, language, {"conformsTo": list(CONFORMANCE)}, "ogc_conformance.html", now=now)


@router.get("/api")
def service_description(request: Request, now: Now, language: Reader) -> Response:
    document = describe(str(request.base_url).rstrip("/") + router.prefix, COLLECTIONS.values())
    return _answer(request, language, document, "ogc_api.html", media_type=OPENAPI, now=now)


@router.get("/collections")
def collections(request: Request, now: Now, session: Reading, language: Reader) -> Response:
    extent = recently(request).get("bounds", lambda: parcel_bounds(session))
    content = {
        "links": _own_links(request, JSON),
        "collections": [_collection(request, one, extent, language) for one in COLLECTIONS.values()],
    }
    return _answer(request, language, content, "ogc_collections.html", now=now)


@router.get("/collections/{name}")
def collection(name: str, request: Request, now: Now, session: Reading, language: Reader) -> Response:
    found = _known(name)
    extent = recently(request).get("bounds", lambda: parcel_bounds(session))
    content = _collection(request, found, extent, language)
    return _answer(
        request, language, content, "ogc_collection.html", now=now, kind=found, count=found.count(session)
    )


@router.get("/collections/{name}/items")
def items(name: str, request: Request, now: Now, session: Reading, language: Reader) -> Response:
    found = _known(name)
    asked = request.query_params.multi_items()
    page = found.page(session, parse_question(asked, found.properties, SPEAKING))
    links = _own_links(request, GEOJSON)
    links.append(_link(request, f"/collections/{name}", "collection", JSON, found.title))
    if page.following is not None:
        links.append(_next_link(request, page.following))
    content = {
        "type": "FeatureCollection",
        "timeStamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "numberReturned": len(page.features),
        **({} if page.matched is None else {"numberMatched": page.matched}),
        "links": links,
        "features": [feature.to_json() for feature in page.features],
    }
    answer = _answer(
        request, language, content, "ogc_items.html", media_type=GEOJSON, parsed=True, now=now, kind=found,
        page=page, following=None if page.following is None else links[-1]["href"],
    )  # fmt: skip
    answer.headers["Link"] = ", ".join(
        f'<{link["href"]}>; rel="{link["rel"]}"; type="{link["type"]}"'
        for link in links
        if link["rel"] in ("self", "alternate", "next")
    )
    answer.headers["Content-Crs"] = f"<{CRS84}>"
    return answer


@router.get("/collections/{name}/items/{feature}")
def item(name: str, feature: str, request: Request, now: Now, session: Reading, language: Reader) -> Response:
    found = _known(name)
    one = found.feature(session, feature) if feature.isprintable() and len(feature) <= 200 else None
    if one is None:
        raise NotFound(kind="feature", id=feature[:100])
    links = [
        *_own_links(request, GEOJSON),
        _link(request, f"/collections/{name}", "collection", JSON, found.title),
    ]
    content = {**one.to_json(), "links": links}
    return _answer(
        request, language, content, "ogc_item.html", media_type=GEOJSON, now=now, kind=found, feature=one
    )


def _known(name: str) -> Collection:
    found = COLLECTIONS.get(name)
    if found is None:
        raise NotFound(kind="collection", id=name[:100])
    return found


def _collection(
    request: Request, one: Collection, extent: Bounds | None, language: Language
) -> dict[str, Any]:
    path = f"/collections/{one.name}"
    spatial = {} if extent is None else {"extent": {"spatial": {"bbox": [list(extent)], "crs": CRS84}}}
    return {
        "id": one.name,
        "title": translate(one.title, language),
        "description": translate(one.about, language),
        **spatial,
        "itemType": "feature",
        "crs": [CRS84],
        "links": [
            _link(request, path, "self", JSON, one.title),
            _link(request, f"{path}?f=html", "alternate", HTML, one.title),
            _link(request, f"{path}/items", "items", GEOJSON, one.title),
            _link(request, f"{path}/items?f=html", "items", HTML, one.title),
        ],
    }


# ---- links and forms ---------------------------------------------------------------------------------------


def _link(request: Request, path: str, rel: str, media_type: str, title: str) -> dict[str, str]:
    base = str(request.base_url).rstrip("/") + router.prefix
    return {"href": base + path, "rel": rel, "type": media_type, "title": title}


def _own_links(request: Request, media_type: str) -> list[dict[str, str]]:
    """The resource as it was asked for, in both of its forms."""
    html = wants_html(request)
    forms = (("self", html), ("alternate", not html))
    path = request.url.path.removeprefix(router.prefix)
    return [
        _link(
            request,
            f"{path}?{_query(request, f='html' if as_html else 'json')}",
            rel,
            HTML if as_html else media_type,
            "to read" if as_html else "for programs",
        )
        for rel, as_html in forms
    ]


def _next_link(request: Request, cursor: str) -> dict[str, str]:
    form = {"f": request.query_params["f"]} if "f" in request.query_params else {}
    path = request.url.path.removeprefix(router.prefix)
    media_type = HTML if wants_html(request) else GEOJSON
    return _link(request, f"{path}?{_query(request, cursor=cursor, **form)}", "next", media_type, "next page")


def _query(request: Request, **changed: str) -> str:
    return urlencode({**dict(request.query_params), **changed})


def wants_html(request: Request) -> bool:
    """`f` says it; else whether the reader takes HTML and names neither form of JSON first."""
    form = request.query_params.get("f")
    if form is not None:
        if form not in ("json", "html"):
            raise ParameterMalformed(name="f", value=form[:80], expected="json or html is expected")
        return form == "html"
    accept = request.headers.get("Accept", "").lower()
    found = accept.find(HTML)
    return found >= 0 and all(not 0 <= accept.find(kind) < found for kind in (GEOJSON, JSON))


def _answer(
    request: Request,
    language: Language,
    content: dict[str, Any],
    template: str,
    *,
    media_type: str = JSON,
    parsed: bool = False,
    **shown: Any,
) -> Response:
    """The resource in the form that is asked for; its parameters are checked unless they were `parsed`."""
    if not parsed:
        single(request.query_params.multi_items(), SPEAKING)
    if wants_html(request):
        page = environment(language).get_template(template)
        text = page.render(
            language=language.value,
            other=("en", "English") if language is Language.CHINESE else ("zh", "中文"),
            simulated=request.app.state.services.clock.simulated,
            content=content,
            most=MOST,
            json_address=next(
                (one["href"] for one in content.get("links", ()) if one["rel"] == "alternate"), None
            ),
            **shown,
        )
        answer = tagged(request, text.encode(), HTML, MAX_AGE_S)
        answer.headers["Content-Language"] = language.value
    else:
        answer = tagged(request, orjson.dumps(content), media_type, MAX_AGE_S)
    for name, value in ANYBODY.items():
        answer.headers[name] = value
    return answer
