"""The one table from refusals to HTTP, and how a refusal looks there (RFC 9457).

    HTTP/1.1 409
    Content-Type: application/problem+json

    {"type": "urn:tanhui:problem:already_issued", "title": "冲突", "status": 409, "code": "already_issued",
     "detail": "监测期 … 已经签发。", "facts": {"period": "…"}, "errors": [...]}

`code` is stable, `detail` is one sentence in the reader's language, `facts` are the sentence's values, and
`errors` lists what is wrong one by one where there is more than one thing. The status of a refusal is that
of its class, else of the nearest class above it; the roots of ledger and registry have none, so that every
room says what its refusals mean. Anything that is not a refusal is a fault of ours: 500, a reference, no
detail.
"""

import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geo import errors as geo
from geo.errors import GeoRefusal
from ledger import cosign, effects, entry, log_keys, policy, replay
from ledger import errors as ledger
from ledger.errors import LedgerRefusal
from ledger.log import LogCorrupt, LogMissing
from registry import (
    acts,
    anchor,
    apportion,
    archive,
    backup,
    catchup,
    clock,
    dump,
    files,
    installation,
    keyring,
    log_rotation,
    machine,
    office,
    projections,
    receipts,
    restore,
    turns,
    vacuum,
    witness,
    writer,
)
from registry.accounts import keys
from registry.accounts import service as accounts
from registry.database import SchemaNewer
from registry.documents import errors as documents
from registry.errors import HomeMissing, RegistryRefusal
from registry.estimates import estimate_jobs
from registry.estimates import rules as estimates
from registry.estimates.methods import errors as methods
from registry.estimates.rasters import rules as raster_rules
from registry.estimates.reports import loading as reports
from registry.evidence import rules as evidence
from registry.issuance import rules as issuance
from registry.language import Language, chosen, sentence, translate
from registry.market import rules as market
from registry.parcels import counties, import_jobs, mapping, mappings, report
from registry.parcels import rules as parcels
from registry.programmes import rules as programmes
from registry.projects import rules as projects
from registry.records import rules as records
from registry.retirement import rules as retirement
from registry.transparency import features
from registry.verification import rules as verification
from registry.web import refusals as http
from registry.web.api import request_invalid

MEDIA_TYPE: Final = "application/problem+json"

BAD, UNAUTHORISED, FORBIDDEN = HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN
MISSING, CONFLICT = HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT
TOO_LARGE, UNPROCESSABLE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY
BROKEN, UNAVAILABLE = HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE

STATUS: Final[Mapping[type[Exception], HTTPStatus]] = {
    # the request itself
    http.HttpRefused: BAD,
    http.NotAuthenticated: UNAUTHORISED,
    http.KeyReadsOnly: FORBIDDEN,
    http.RequestInvalid: UNPROCESSABLE,
    http.BodyTooLarge: TOO_LARGE,
    http.MediaTypeUnsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    http.ResourceUnknown: MISSING,
    http.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    http.InternalFault: BROKEN,
    # who may, and what was asked before
    accounts.NotFound: MISSING,
    accounts.RoleRefused: UNPROCESSABLE,
    accounts.DepositRecorded: CONFLICT,
    keys.RotationRefused: UNPROCESSABLE,
    keys.RevocationRefused: UNPROCESSABLE,
    keys.LogKeysOverlap: CONFLICT,
    log_rotation.NothingToFinish: CONFLICT,
    office.RequestIdMalformed: BAD,
    office.RequestIdReused: UNPROCESSABLE,
    office.RequestUnknown: MISSING,
    office.TextRefused: UNPROCESSABLE,
    machine.NotAuthorised: FORBIDDEN,
    machine.TransitionRefused: CONFLICT,
    machine.ConfirmationMissing: CONFLICT,
    acts.PayloadMoved: CONFLICT,
    acts.NotSimulated: CONFLICT,
    keyring.KeyNotHeld: CONFLICT,
    keyring.PassphraseMissing: UNAVAILABLE,
    clock.ClockRefused: CONFLICT,
    clock.ClockJumped: UNAVAILABLE,
    apportion.NothingToShareBy: UNPROCESSABLE,
    # the installation
    writer.WriterStopped: UNAVAILABLE,
    installation.HomeTaken: CONFLICT,
    HomeMissing: UNAVAILABLE,
    SchemaNewer: UNAVAILABLE,
    anchor.DatabaseBehind: UNAVAILABLE,
    anchor.HistoryForked: UNAVAILABLE,
    anchor.AnchorMissing: UNAVAILABLE,
    anchor.AnchorUnreadable: UNAVAILABLE,
    anchor.HomeRestored: UNAVAILABLE,
    files.FileNotKept: MISSING,
    turns.ServiceBusy: UNAVAILABLE,
    archive.BackupDamaged: UNPROCESSABLE,
    dump.DumpRefused: UNPROCESSABLE,
    backup.BackupInside: CONFLICT,
    restore.DatabaseTaken: CONFLICT,
    restore.RestoreRefused: UNPROCESSABLE,
    restore.OtherLog: CONFLICT,
    catchup.CatchUpRefused: CONFLICT,
    catchup.CatchUpCircular: CONFLICT,
    projections.UnknownMachine: UNAVAILABLE,
    LogMissing: UNAVAILABLE,
    LogCorrupt: UNAVAILABLE,
    # the rooms
    programmes.ProgrammeRefused: UNPROCESSABLE,
    programmes.ProgrammeNotPublished: CONFLICT,
    evidence.EvidenceRefused: UNPROCESSABLE,
    evidence.EvidenceKindUnknown: UNPROCESSABLE,
    evidence.EvidenceTooLarge: TOO_LARGE,
    evidence.PhotographUnreadable: UNPROCESSABLE,
    evidence.TooManyUnfiled: CONFLICT,
    evidence.UploadUnknown: MISSING,
    evidence.EvidenceTwice: CONFLICT,
    parcels.ParcelRefused: CONFLICT,
    parcels.NotReviewer: FORBIDDEN,
    parcels.NotIndependent: FORBIDDEN,
    parcels.NotAnOperator: UNPROCESSABLE,
    parcels.AreaDiffers: UNPROCESSABLE,
    parcels.MomentInvalid: UNPROCESSABLE,
    parcels.TenureNotLonger: UNPROCESSABLE,
    parcels.ImportRefused: UNPROCESSABLE,
    counties.CountiesRefused: UNPROCESSABLE,
    parcels.OwnerUnstated: UNPROCESSABLE,
    parcels.MappingUnreadable: UNPROCESSABLE,
    report.RowRefused: UNPROCESSABLE,
    mappings.MappingRefused: UNPROCESSABLE,
    mappings.MappingNameRefused: UNPROCESSABLE,
    mappings.RevisionMissing: HTTPStatus.PRECONDITION_REQUIRED,
    mappings.RevisionDiffers: HTTPStatus.PRECONDITION_FAILED,
    import_jobs.ImportsBusy: UNAVAILABLE,
    mapping.FieldRefused: UNPROCESSABLE,
    projects.ProjectRefused: CONFLICT,
    projects.ParcelNamedTwice: UNPROCESSABLE,
    projects.DateInvalid: UNPROCESSABLE,
    projects.OutlineNotOwn: FORBIDDEN,
    projects.OutsideGroundUnstated: UNPROCESSABLE,
    projects.OutlineUnreadable: UNPROCESSABLE,
    projects.OutsideDatesRefused: UNPROCESSABLE,
    projects.CreditingPeriodRefused: UNPROCESSABLE,
    projects.ClaimEndRefused: UNPROCESSABLE,
    projects.JoiningRefused: UNPROCESSABLE,
    projects.SuccessionShape: UNPROCESSABLE,
    projects.SharesDoNotAdd: UNPROCESSABLE,
    projects.PeriodOutside: UNPROCESSABLE,
    projects.PeriodEmptyOrTooLong: UNPROCESSABLE,
    methods.MethodRefusal: UNPROCESSABLE,
    methods.SheetTooLarge: TOO_LARGE,
    methods.SheetNotJson: BAD,
    methods.SheetKeyTwice: BAD,
    estimates.EstimateRefused: UNPROCESSABLE,
    estimates.RunNotPrepared: CONFLICT,
    reports.NothingToReport: MISSING,
    estimates.RegisteredOtherwise: CONFLICT,
    estimates.StoredFileChanged: CONFLICT,
    estimates.RecordErased: CONFLICT,
    raster_rules.RasterStatementMoved: CONFLICT,
    estimates.BundleOutlineErased: CONFLICT,
    estimate_jobs.EstimatesBusy: UNAVAILABLE,
    estimates.EarlierPeriodUnsettled: CONFLICT,
    estimates.RasterNotRedistributable: CONFLICT,
    verification.VerificationRefused: UNPROCESSABLE,
    verification.UnverifiedQuantity: CONFLICT,
    verification.NotTheVerifier: FORBIDDEN,
    verification.NotTheSecondVerifier: FORBIDDEN,
    issuance.IssuanceRefused: CONFLICT,
    issuance.PeriodEmpty: UNPROCESSABLE,
    issuance.SelectionInvalid: UNPROCESSABLE,
    vacuum.DatabaseBusy: CONFLICT,
    records.EntryToName: UNPROCESSABLE,
    records.EntryUnknown: MISSING,
    records.RecordUnknown: MISSING,
    features.FeaturesRefused: BAD,
    market.MarketRefused: CONFLICT,
    market.InterestedParty: FORBIDDEN,
    market.PastDate: UNPROCESSABLE,
    retirement.RetirementRefused: CONFLICT,
    receipts.NotPublished: CONFLICT,
    retirement.ClaimPeriodInvalid: UNPROCESSABLE,
    documents.DocumentRefused: UNPROCESSABLE,
    documents.FontsMissing: UNAVAILABLE,
    documents.BundleIncomplete: MISSING,
    # the ledger
    ledger.NotCanonical: BAD,
    ledger.UnitsRefused: UNPROCESSABLE,
    ledger.MalformedKey: UNPROCESSABLE,
    ledger.SignatureRefused: UNPROCESSABLE,
    ledger.SignerUnknown: UNPROCESSABLE,
    ledger.MalformedTree: BAD,
    ledger.ProofRefused: UNPROCESSABLE,
    ledger.MalformedProof: BAD,
    ledger.MalformedNote: BAD,
    ledger.MalformedCheckpoint: BAD,
    ledger.MalformedEnvelope: BAD,
    ledger.MalformedTile: BAD,
    ledger.TileMissing: MISSING,
    ledger.PublishRefused: UNAVAILABLE,
    ledger.CommitmentRefused: UNPROCESSABLE,
    witness.WitnessTaken: CONFLICT,
    witness.WitnessMissing: UNAVAILABLE,
    witness.NotALogKey: UNPROCESSABLE,
    policy.MalformedPolicy: UNPROCESSABLE,
    policy.LogNotInPolicy: CONFLICT,
    policy.QuorumMissing: CONFLICT,
    cosign.WitnessLate: UNAVAILABLE,
    cosign.WitnessContradicts: UNAVAILABLE,
    effects.BooksRefusal: CONFLICT,
    effects.MalformedEffect: UNPROCESSABLE,
    entry.MalformedPayload: UNPROCESSABLE,
    replay.ReplayRefusal: CONFLICT,
    log_keys.LogKeyNotHeld: UNAVAILABLE,
    log_keys.LogKeyNotHeld: UNAVAILABLE,
    # files of land and rasters
    GeoRefusal: UNPROCESSABLE,
    geo.FileTooLarge: TOO_LARGE,
    geo.FormatUnsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    geo.ClusterRefusal: UNAVAILABLE,
}

LISTS: Final = ("errors", "rows", "faults", "parcels", "overlaps")
"""Facts that are lists of what is wrong one by one; they become `errors`."""

faults = logging.getLogger("tanhui.faults")

Refused = RegistryRefusal | LedgerRefusal | GeoRefusal


class ProblemBody(BaseModel):
    """RFC 9457, with a stable `code` and the facts."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    facts: dict[str, Any] = {}
    errors: list[dict[str, Any]] = []


def status_of(refusal: type[Exception]) -> HTTPStatus | None:
    """The status of a class of refusals; None when neither it nor one above it has one."""
    return next((STATUS[kind] for kind in refusal.__mro__ if kind in STATUS), None)


def problem_body(refusal: Refused, language: Language) -> dict[str, Any]:
    """A refusal as the JSON object of its answer (`ProblemBody`)."""
    status = status_of(type(refusal)) or BROKEN
    facts = dict(refusal.facts)
    errors = [item for name in LISTS if name in facts for item in _listed(facts, name)]
    return {
        "type": f"urn:tanhui:problem:{refusal.code}",
        "title": translate(status.phrase, language),
        "status": status.value,
        "code": refusal.code,
        "detail": sentence(refusal, language),
        "facts": facts,
        **({"errors": errors} if errors else {}),
    }


def problem(refusal: Refused, language: Language, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that a refusal is."""
    status = status_of(type(refusal)) or BROKEN
    body = problem_body(refusal, language)
    own = {"WWW-Authenticate": 'Bearer realm="tanhui"'} if status is UNAUTHORISED else {}
    if "retry_after_s" in refusal.facts:
        own["Retry-After"] = str(refusal.facts["retry_after_s"])
    return Response(
        json.dumps(body, ensure_ascii=False, default=str).encode(),
        status.value,
        {"Content-Language": language.value, "Cache-Control": "no-store", **own, **(headers or {})},
        MEDIA_TYPE,
    )


def _listed(facts: dict[str, object], name: str) -> list[dict[str, Any]]:
    """Take a list out of the facts; what is no list stays there."""
    items = facts[name]
    if not isinstance(items, list):
        return []
    del facts[name]
    return [item if isinstance(item, dict) else {"value": item} for item in items]


def language_of(request: Request) -> Language:
    return chosen(request.query_params.get("lang"), request.headers.get("Accept-Language"))


def install(app: FastAPI) -> None:
    """Let every refusal of the application leave as a problem."""
    for root in (RegistryRefusal, LedgerRefusal, GeoRefusal):
        app.add_exception_handler(root, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Faults)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, RegistryRefusal | LedgerRefusal | GeoRefusal)
    if status_of(type(refusal)) is None:
        return fault(request, refusal)
    return problem(refusal, language_of(request))


async def _invalid(request: Request, invalid: Exception) -> Response:
    assert isinstance(invalid, RequestValidationError)
    return problem(request_invalid(list(invalid.errors())), language_of(request))


async def _http(request: Request, raised: Exception) -> Response:
    """What the framework itself refuses: no such path, no such method, a malformed form; or what we refused
    while it read a form.
    """
    assert isinstance(raised, HTTPException)
    if isinstance(raised.__cause__, RegistryRefusal):
        return problem(raised.__cause__, language_of(request))
    path, method = request.url.path, request.method
    match raised.status_code:
        case 404:
            refusal: http.HttpRefused = http.ResourceUnknown(path=path)
        case 405:
            refusal = http.MethodNotAllowed(path=path, method=method)
        case 413:
            refusal = http.BodyTooLarge(limit_bytes="…")
        case status if 400 <= status < 500:
            refusal = http.BodyMalformed(reason=str(raised.detail))
        case _:
            return fault(request, raised)
    return problem(refusal, language_of(request), raised.headers)


def fault(request: Request, broken: BaseException) -> Response:
    """A fault of ours as an answer."""
    return problem(reported(request, broken), language_of(request))


def reported(request: Request, broken: BaseException) -> http.InternalFault:
    """A fault of ours: everything about it goes to the log under a reference, only that goes out."""
    reference = secrets.token_hex(8)
    faults.error("fault %s: %s %s", reference, request.method, request.url.path, exc_info=broken)
    return http.InternalFault(reference=reference)


class Faults:
    """Outermost: what no handler took (another middleware's refusal, a fault) becomes a problem too, unless
    an answer has begun.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as broken:
            if begun:
                raise
            refused = isinstance(broken, RegistryRefusal | LedgerRefusal | GeoRefusal)
            answer = await _refused(Request(scope), broken) if refused else fault(Request(scope), broken)
            await answer(scope, receive, send)
