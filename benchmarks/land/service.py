"""The demo's 172 parcels through the whole service: import, submission with two signatures, review, and both
organisations' finding that they are eligible, all over HTTP against `tanhui serve` in its own process.

Keys are in the registry's custody, so the server signs every entry. Acts of one person go in batches, second
signatures one by one over eight connections, as a collective's two officers would give them from one office.
Checked at the end: every parcel is eligible, and the log has an entry for each step of each.
"""

import json
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.ledger.clients import Clients, request_bytes
from benchmarks.ledger.rounds import ResultWrong
from benchmarks.ledger.service import CHECKOUT, PATIENCE_S, _port_of, _wait_until_answered
from fixtures.quzhou import QuzhouInput, generate
from registry.demo.cast import Cast
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.members import issue_api_key
from registry.programmes.service import programme_file
from registry.settings import Home

CONNECTIONS: Final = 8
MOST_ACTS: Final = 256
DIGEST: Final = "0" * 64
STEPS: Final = ("import", "submit", "second signatures", "accept", "find eligible", "registry's signatures")


@dataclass(frozen=True, slots=True)
class Office:
    """Who takes part, by API key: operator, reviewer, registry, and two persons for each collective."""

    programme: str
    operator: str
    operator_id: str
    reviewer: str
    registry: str
    collectives: dict[str, tuple[str, str]]
    owners: dict[str, str]


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of the whole and of each step over so many rounds, each on a new installation."""
    made = generate(folder / "quzhou")
    runs = [_run(folder / f"service{number}", made) for number in range(rounds)]
    whole = [sum(run.values()) for run in runs]
    return {
        "parcels": PARCELS,
        "whole_s": _spread(whole),
        "steps_s": {step: _spread([run[step] for run in runs]) for step in STEPS},
    }


PARCELS: Final = 172


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values)}


def _run(home: Path, made: QuzhouInput) -> dict[str, float]:
    office = _founded(home, made)
    with _serving(home) as port:
        return _walk(Api(port), office, made.parcels_zip)


def _founded(home: Path, made: QuzhouInput) -> Office:
    installation = Installation.create(Home.at(home), "bench.example/log")
    try:
        cast = Cast(installation)
        registry = cast.join("registry", Role.REGISTRY_ADMIN, persons=2)
        operator = cast.join("operator", Role.OPERATOR)
        reviewer = cast.join("verifier", Role.VERIFIER)
        villages = {
            village.name: cast.join(village.name, Role.COLLECTIVE, village.county_code, persons=2)
            for village in made.villages
        }
        programme = programme_file()
        cast.two_persons(registry, "programme.publish", programme)

        def key(mandate: Mandate) -> str:
            return issue_api_key(installation, mandate)

        return Office(
            programme=f"{programme.code}.{programme.version}",
            operator=key(operator.first),
            operator_id=operator.organisation,
            reviewer=key(reviewer.first),
            registry=key(registry.first),
            collectives={one.organisation: (key(one.first), key(one.second)) for one in villages.values()},
            owners={name: one.organisation for name, one in villages.items()},
        )
    finally:
        installation.close()


@contextmanager
def _serving(home: Path) -> Iterator[int]:
    """The port of a `tanhui serve` that is ready to answer."""
    command = [sys.executable, "-m", "registry.cli", "serve", "--home", str(home), "--port", "0"]
    with (home / "errors").open("w") as errors:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            port = _port_of(process)
            _wait_until_answered(port)
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


# ---- the walk ----------------------------------------------------------------------------------------------


def _walk(api: "Api", office: Office, parcels: Path) -> dict[str, float]:
    """Seconds of each step."""
    took = _Times()
    drafts = api.import_file(office, parcels)
    took.ended("import")
    if sum(len(ids) for ids in drafts.values()) != PARCELS:
        raise ResultWrong(f"{ {owner: len(ids) for owner, ids in drafts.items()} } drafts, not {PARCELS}")
    waiting: list[tuple[str, str]] = []
    for owner, ids in drafts.items():
        first, second = office.collectives[owner]
        evidence = {"evidence_sha256": DIGEST, "resolution_sha256": DIGEST, "operator": office.operator_id}
        asked = api.acts(first, "parcel.submit", [{"draft": one, **evidence} for one in ids], "awaiting")
        waiting += [(second, request) for request in asked]
    took.ended("submit")
    api.confirm(waiting)
    took.ended("second signatures")
    ids = [one for some in drafts.values() for one in some]
    api.acts(office.reviewer, "parcel.accept", [{"parcel": one} for one in ids], "done")
    took.ended("accept")
    named = [{"parcel": one, "programme": office.programme} for one in ids]
    asked = api.acts(office.reviewer, "parcel.find_eligible", named, "awaiting")
    took.ended("find eligible")
    api.confirm([(office.registry, request) for request in asked])
    took.ended("registry's signatures")
    _check(api, office, ids)
    return took.steps_s


class _Times:
    def __init__(self) -> None:
        self.steps_s: dict[str, float] = {}
        self._at = time.perf_counter()

    def ended(self, step: str) -> None:
        now = time.perf_counter()
        self.steps_s[step] = now - self._at
        self._at = now


def _check(api: "Api", office: Office, parcels: Sequence[str]) -> None:
    for parcel in parcels:
        found = api.get(office.reviewer, f"/api/v1/parcels/{parcel}")
        if found["status"] != "eligible":
            raise ResultWrong(f"parcel {parcel} is {found['status']}")


@dataclass(frozen=True, slots=True)
class Api:
    """Requests to one server."""

    port: int

    def import_file(self, office: Office, path: Path) -> dict[str, list[str]]:
        """Drafts by owner."""
        fields = {"programme": office.programme, "owners": json.dumps(office.owners, ensure_ascii=False)}
        mark = uuid.uuid4().hex
        body = b"".join(
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        )
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        body += head.encode() + path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        kind = f"multipart/form-data; boundary={mark}"
        report = self._ask("/api/v1/parcel-imports", office.operator, body, kind)
        drafts: dict[str, list[str]] = {}
        for owner, (first, _) in office.collectives.items():
            drafts[owner] = self._drafts(first, str(report["import_id"]))
        return drafts

    def _drafts(self, key: str, import_id: str) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = self.get(key, f"/api/v1/parcel-drafts?import_id={import_id}&limit=200{cursor}")
            found += [item["id"] for item in page["items"]]
            if page.get("next") is None:
                return found
            cursor = f"&cursor={page['next']}"

    def acts(self, key: str, act: str, commands: Sequence[dict[str, Any]], status: str) -> list[str]:
        """Ids of the requests, all of which must come to this status."""
        requests = []
        for start in range(0, len(commands), MOST_ACTS):
            some: list[dict[str, Any]] = [
                {"id": str(uuid.uuid4()), "act": act, "command": command}
                for command in commands[start : start + MOST_ACTS]
            ]
            answered = self._ask("/api/v1/acts", key, json.dumps({"acts": some}).encode(), "application/json")
            wrong = [one for one in answered["results"] if one["status"] != status]
            if wrong:
                raise ResultWrong(f"{act}: {len(wrong)} are not {status}; the first: {wrong[0]}")
            requests += [one["id"] for one in some]
        return requests

    def confirm(self, waiting: Sequence[tuple[str, str]]) -> None:
        requests = [
            request_bytes(f"/api/v1/requests/{request}/confirmation", b"", {"Authorization": f"Bearer {key}"})
            for key, request in waiting
        ]
        clients = Clients(self.port, CONNECTIONS, requests)
        clients.run()
        wrong = [answer for answer in clients.answers if answer[0] != 201]
        if wrong or len(clients.answers) != len(waiting):
            raise ResultWrong(f"{len(wrong)} confirmations were not taken; the first: {wrong[:1]}")

    def get(self, key: str, path: str) -> dict[str, Any]:
        return self._ask(path, key, None, "")

    def _ask(self, path: str, key: str, body: bytes | None, kind: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}"} | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found
