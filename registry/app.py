"""The web server of one installation: rooms, log, pages and documentation put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

from registry import problem
from registry.accounts import routes as accounts
from registry.catalogue import ACTS
from registry.estimates import method_routes as methods
from registry.estimates import routes as estimates
from registry.estimates.estimate_jobs import EstimateJobs
from registry.estimates.plots import routes as plots
from registry.estimates.rasters import routes as rasters
from registry.estimates.reports import routes as reports
from registry.evidence import routes as evidence
from registry.files import FileStore
from registry.installation import Installation
from registry.issuance import routes as issuance
from registry.market import routes as market
from registry.parcels import import_routes as parcel_imports
from registry.parcels import routes as parcels
from registry.parcels.import_jobs import ImportJobs
from registry.programmes import routes as programmes
from registry.projects import contested_routes as contested
from registry.projects import routes as projects
from registry.publication import Publisher
from registry.records import routes as records
from registry.retirement import routes as retirement
from registry.transparency import exports, ogc, public_land, tiles
from registry.transparency import routes as transparency
from registry.transparency.outcome import IssuedOutcomes
from registry.verification import routes as verification
from registry.web import acts, land_page, log, pages, requests
from registry.web.api import Running, Services, inlined
from registry.web.bodies import InputLimits, KeyBeforeUpload, SafeHeaders

STATIC: Final = Path(__file__).parent / "web" / "static"
PREFIX: Final = "/api/v1"
ROOMS: Final[tuple[APIRouter, ...]] = (
    acts.router,  # first, because it is asked most often
    accounts.router,
    records.router,
    programmes.router,
    parcel_imports.router,
    exports.router,  # before the parcels, one of which could be called `export`
    parcels.router,
    evidence.router,
    projects.router,
    contested.router,
    rasters.router,
    methods.router,
    estimates.router,
    plots.router,
    reports.report_router(IssuedOutcomes()),
    verification.router,
    issuance.router,
    market.router,
    retirement.router,
    requests.router,
    transparency.router,
    public_land.router,
)

ABOUT: Final = """
A registry for forestry carbon sinks with a signed, append-only log.

* Programs sign in with `Authorization: Bearer prefix.secret`; a key acts under one mandate.
* Every act is a POST with an `Idempotency-Key`, a new UUID: it is the request's id. The same id with the same
  content gets the same answer; with other content it is refused.
* `?prepare=true` answers the exact bytes to sign with a key that only you hold; bring the DSSE envelope to
  `/api/v1/requests/{id}/envelope`. With a key in the registry's custody one call is enough.
* Acts of two persons answer 202; the second person confirms at `/api/v1/requests/{id}/confirmation`.
* Refusals are `application/problem+json` with a stable `code`; the sentence is Chinese or English
  (`?lang=`, `Accept-Language`).
* Lists come in pages: follow `Link: rel="next"` or pass `next` as `cursor`.
"""


def create_app(installation: Installation) -> FastAPI:
    """The application of an open installation, which the caller closes afterwards."""
    app = FastAPI(
        title="碳汇 tanhui",
        summary="From a polygon to a certificate that a stranger can check",
        description=ABOUT,
        version=version("tanhui"),
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    app.state.services = Services(
        office=installation.office,
        database=installation.database,
        clock=installation.clock,
        home=installation.home,
        tiles=installation.tiles,
    )
    app.state.recent_keys = acts.RecentKeys()
    app.state.import_jobs = ImportJobs(
        installation.database, FileStore(installation.home.files), installation.clock
    )
    app.state.estimate_jobs = EstimateJobs(installation.database, installation.home, installation.clock)
    for room in ROOMS:
        app.include_router(room, prefix=PREFIX)
    app.include_router(log.router)
    app.include_router(pages.router)
    app.include_router(land_page.router)
    app.include_router(ogc.router)
    app.include_router(tiles.router)
    app.include_router(service_router(installation.publisher))
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    app.add_middleware(InputLimits)
    app.add_middleware(KeyBeforeUpload)
    problem.install(app)
    app.add_middleware(SafeHeaders)
    _document(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """While the server runs; when it stops, imports that wait are dropped and said to be interrupted."""
    yield
    await run_in_threadpool(app.state.import_jobs.close)
    await run_in_threadpool(app.state.estimate_jobs.close)


def service_router(publisher: Publisher) -> APIRouter:
    """What operators and machines ask of the server itself."""
    router = APIRouter(tags=["service"])

    @router.get(
        "/healthz", summary="Whether acts are taken", responses={503: {"description": "they are not"}}
    )
    def healthz(running: Running) -> JSONResponse:
        """`publication_held`: acts are taken, and wait for witnesses to become public."""
        if running.office.writer.failure is not None or publisher.failure is not None:
            return JSONResponse({"status": "stopped"}, 503)
        held = publisher.held
        if held is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse(
            {
                "status": "publication_held",
                "since": held.since.isoformat(timespec="seconds"),
                "published": held.published,
                "missing": dict(held.missing),
            }
        )

    @router.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(pages.docs_page(f"{PREFIX}/openapi.json"))

    @router.get("/favicon.ico", include_in_schema=False)
    def favicon() -> Response:
        return Response(pages.FAVICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    return router


def unrouted(app: FastAPI) -> set[str]:
    """Acts that nobody can ask for over HTTP. There are none: a test says so."""
    routed = {
        operation["operationId"]
        for path in app.openapi()["paths"].values()
        for operation in path.values()
        if "operationId" in operation
    }
    return set(ACTS) - routed


DSSE: Final[dict[str, Any]] = {
    "title": "DsseEnvelope",
    "type": "object",
    "required": ["payload", "payloadType", "signatures"],
    "additionalProperties": False,
    "properties": {
        "payload": {"type": "string", "contentEncoding": "base64"},
        "payloadType": {"type": "string"},
        "signatures": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["keyid", "sig"],
                "additionalProperties": False,
                "properties": {
                    "keyid": {"type": "string", "description": "SHA-256 of the public key, hexadecimal"},
                    "sig": {"type": "string", "contentEncoding": "base64"},
                },
            },
        },
    },
}


def _document(app: FastAPI) -> None:
    """OpenAPI with the problem's shape, and problems wherever FastAPI writes its own 422."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = inlined(problem.ProblemBody.model_json_schema())
            schemas["DsseEnvelope"] = DSSE
            for path in schema["paths"].values():
                for operation in path.values():
                    _only_problems(operation)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _only_problems(operation: dict[str, Any]) -> None:
    refused = operation.get("responses", {}).get("422")
    if refused is not None:
        schema = {"$ref": "#/components/schemas/Problem"}
        refused["content"] = {problem.MEDIA_TYPE: {"schema": schema}}
        refused["description"] = "refused"
