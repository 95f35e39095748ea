"""A photograph beside a parcel: kept as it came, its digest in the log, seen only by who may."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from registry.accounts.service import NotFound
from registry.app import create_app
from registry.evidence import service
from registry.evidence.rules import (
    EvidenceKindUnknown,
    EvidenceTooLarge,
    EvidenceTwice,
    UploadUnknown,
)
from registry.evidence.service import FileEvidence, evidence_of, metres_away, take_upload
from registry.files import FileStore
from registry.installation import Installation
from registry.machine import Mandate, NotAuthorised, Role
from registry.members import issue_api_key
from registry.projections import opens_commitment
from registry.records.service import EraseRecord
from registry.transparency.audit import audit
from registry.vacuum import vacuum
from tests.registry.evidence.pictures import exif, photograph
from tests.registry.land import ORIGIN, Land, ground
from tests.registry.people import request_id


def brought(installation: Installation, by: Mandate, content: bytes, name: str = "现场.jpg") -> str:
    folder = installation.home.path / "incoming"
    folder.mkdir(exist_ok=True)
    path = folder / "file"
    path.write_bytes(content)
    store = FileStore(installation.home.files)
    return take_upload(installation.database, store, by, path, name, installation.clock.now()).sha256


def test_a_photograph_is_filed_and_the_audit_agrees(land: Land, installation: Installation) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    content = photograph(marked=exif(ORIGIN.lon_deg, ORIGIN.lat_deg))
    sha256 = brought(installation, land.village.first, content)
    filed = land.people.do(
        land.village.first,
        "evidence.file",
        FileEvidence(parcel=parcel, sha256=sha256, kind="photograph", note="东侧边界"),
    )
    with installation.database.read() as session:
        (row,) = evidence_of(session, parcel)
        assert row.id == filed.answer["evidence"]
        assert (row.sha256, row.size_bytes, row.media_type) == (sha256, len(content), "image/jpeg")
        assert opens_commitment(row)
        assert metres_away(session, row) == 0
    assert FileStore(installation.home.files).path(sha256).read_bytes() == content
    assert audit(installation.home).passed


def test_a_photograph_from_elsewhere_is_flagged_by_what_the_device_said(
    land: Land, installation: Installation
) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    east, _ = ORIGIN.metres_per_degree()
    sha256 = brought(
        installation, land.village.first, photograph(marked=exif(ORIGIN.lon_deg, ORIGIN.lat_deg))
    )
    away = FileEvidence(
        parcel=parcel, sha256=sha256, kind="photograph",
        lon=f"{ORIGIN.lon_deg + 2100 / east:.7f}", lat=f"{ORIGIN.lat_deg:.7f}", accuracy_m=8,
        at="2025-03-03T09:00:00+08:00",
    )  # fmt: skip
    land.people.do(land.village.first, "evidence.file", away)
    with installation.database.read() as session:
        (row,) = evidence_of(session, parcel)
        assert metres_away(session, row) == pytest.approx(2000, abs=2)


@pytest.mark.parametrize("place", [{"lon": "180.5"}, {"lon": "999"}, {"lat": "90.1"}, {"lat": "-91"}])
def test_what_is_no_place_on_earth_is_not_filed(place: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        FileEvidence(parcel="x", sha256="0" * 64, kind="photograph", **place)  # type: ignore[arg-type]
    FileEvidence(parcel="x", sha256="0" * 64, kind="photograph", lon="-180.0", lat="90")


def test_evidence_with_the_parcel_of_somebody_else_is_found_by_the_audit(
    land: Land, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    stranger = land.people.member(Role.COLLECTIVE, "丙村")
    sha256 = brought(installation, stranger, photograph())
    monkeypatch.setattr(service, "may_add", lambda *_: True)
    land.people.do(stranger, "evidence.file", FileEvidence(parcel=parcel, sha256=sha256, kind="photograph"))
    failed = [str(one) for one in audit(installation.home).findings]
    assert any("not its signer's" in one and one.startswith("I9") for one in failed), failed


def test_only_who_uploaded_a_file_can_file_it_and_only_with_a_parcel_of_theirs(
    land: Land, installation: Installation
) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    other = land.pair(Role.COLLECTIVE, "乙村")
    sha256 = brought(installation, land.village.first, photograph())
    command = FileEvidence(parcel=parcel, sha256=sha256, kind="photograph")
    with pytest.raises(NotFound):
        land.people.do(other.first, "evidence.file", command)
    brought(installation, other.first, photograph())
    with pytest.raises(NotFound):
        land.people.do(other.first, "evidence.file", command)
    with pytest.raises(UploadUnknown):
        land.people.do(land.village.first, "evidence.file", command.model_copy(update={"sha256": "0" * 64}))
    land.people.do(land.village.first, "evidence.file", command)
    with pytest.raises(EvidenceTwice):
        land.people.do(land.village.second, "evidence.file", command)


def test_an_enterprise_brings_no_evidence(land: Land, installation: Installation) -> None:
    firm = land.people.member(Role.ENTERPRISE, "企业甲")
    with pytest.raises(NotAuthorised):
        brought(installation, firm, photograph())


def test_what_is_no_picture_or_too_large_is_refused_and_not_kept(
    land: Land, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EvidenceKindUnknown):
        brought(installation, land.village.first, b"<svg onload=alert(1)>")
    monkeypatch.setitem(take_upload.__globals__["LIMITS"], "image/jpeg", 100)
    with pytest.raises(EvidenceTooLarge):
        brought(installation, land.village.first, photograph())
    assert not list(Path(installation.home.files).rglob("*"))


def key_of(installation: Installation, mandate: Mandate) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_api_key(installation, mandate)}"}


def test_over_http_a_file_is_served_to_who_may_and_does_not_exist_for_others(
    land: Land, installation: Installation
) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    stranger = land.pair(Role.COLLECTIVE, "乙村")
    own, other, reviewer = (
        key_of(installation, who) for who in (land.village.first, stranger.first, land.verifier)
    )
    content = photograph(colour=200)
    with TestClient(create_app(installation)) as client:
        api: Any = client

        def post(path: str, key: dict[str, str], **sent: Any) -> Any:
            return api.post(f"/api/v1{path}", headers={**key, "Idempotency-Key": request_id()}, **sent)

        brought_ = post("/evidence-files", own, files={"file": ("../../照片.jpg", content)})
        assert brought_.status_code == 201, brought_.text
        sha256 = brought_.json()["sha256"]
        assert sha256 == hashlib.sha256(content).hexdigest()
        assert "/" not in brought_.json()["name"]
        filed = post(f"/parcels/{parcel}/evidence", own, json={"sha256": sha256, "kind": "photograph"})
        assert filed.status_code == 201, filed.text
        evidence = filed.json()["answer"]["evidence"]
        for key in (own, reviewer):
            answer = client.get(f"/api/v1/evidence/{evidence}/content", headers=key)
            assert (answer.status_code, answer.content) == (200, content)
            assert answer.headers["content-security-policy"].startswith("sandbox")
            assert answer.headers["content-disposition"].startswith("attachment")
        listed = client.get(f"/api/v1/parcels/{parcel}/evidence", headers=reviewer).json()["items"]
        assert [one["id"] for one in listed] == [evidence]
        for path in (
            f"/evidence/{evidence}/content",
            f"/parcels/{parcel}/evidence",
            "/evidence/none/content",
        ):
            refused = client.get(f"/api/v1{path}", headers=other)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
            assert client.get(f"/api/v1{path}").status_code == 401
        assert client.delete(f"/api/v1/evidence-files/{sha256}", headers=own).status_code == 404


def test_an_upload_that_was_not_filed_can_be_forgotten(land: Land, installation: Installation) -> None:
    own = key_of(installation, land.village.first)
    sha256 = brought(installation, land.village.first, photograph(colour=7))
    with TestClient(create_app(installation)) as client:
        assert client.delete(f"/api/v1/evidence-files/{sha256}", headers=own).status_code == 204
    assert not FileStore(installation.home.files).holds(sha256)


def test_an_erased_photograph_is_served_no_more_and_vacuum_takes_it_off_the_disk(
    land: Land, installation: Installation
) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    sha256 = brought(installation, land.village.first, photograph(colour=31))
    command = FileEvidence(parcel=parcel, sha256=sha256, kind="photograph")
    evidence = land.people.do(land.village.first, "evidence.file", command).answer["evidence"]
    with installation.database.read() as session:
        commitment = evidence_of(session, parcel)[0].commitment
    land.people.together(
        land.registry.first, land.registry.second, "record.erase", EraseRecord(commitment=commitment)
    )
    own = key_of(installation, land.village.first)
    with TestClient(create_app(installation)) as client:
        assert client.get(f"/api/v1/evidence/{evidence}/content", headers=own).status_code == 404
        assert client.get(f"/api/v1/parcels/{parcel}/evidence", headers=own).json()["items"][0]["erased"]
    assert vacuum(installation.home) == [f"files/{sha256}"]
    assert not FileStore(installation.home.files).holds(sha256)
    assert audit(installation.home).passed
