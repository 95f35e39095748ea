"""The whole life of a credit, over HTTP: every step a call with an API key."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from geo.vector import write_geojson
from ledger.keys import SigningKey
from registry.accounts.service import create_api_key
from registry.clock import clock_of
from registry.database import Database
from registry.estimates.input_files import UNITS
from registry.installation import Installation
from registry.machine import Role
from registry.members import issue_api_key, register_organisation, register_person
from registry.programmes.service import programme_file
from registry.settings import Home
from tests.registry.api.served import Client, Served, new_id
from tests.registry.forest import (
    END_ON,
    FOREST,
    GRID,
    METHOD,
    OUTLINES,
    PERIOD,
    START_ON,
    WATER,
    plots_text,
    write,
    write_classes,
)
from tests.registry.land import CREDITING, row

DIGEST: Final = hashlib.sha256(b"evidence").hexdigest()
COUNTY: Final = "330802"
VILLAGES: Final = ("甲村", "乙村")
MEMBERS: Final = {
    "registry": (Role.REGISTRY_ADMIN, "登记处", 2),
    "issuer": (Role.ISSUER, "备案机关", 1),
    "operator": (Role.OPERATOR, "两山公司", 2),
    "validator": (Role.VERIFIER, "审定机构", 1),
    "firm": (Role.ENTERPRISE, "企业甲", 2),
    "buyer": (Role.ENTERPRISE, "企业乙", 1),
    "person": (Role.INDIVIDUAL, "张三的账户", 1),
    "bank": (Role.BANK, "银行", 1),
    "甲村": (Role.COLLECTIVE, "甲村集体", 2),
    "乙村": (Role.COLLECTIVE, "乙村集体", 2),
}


@dataclass
class Life:
    """A served registry, everybody's keys, and what has happened so far."""

    served: Served
    home: Home
    folder: Path
    keys: dict[str, str]
    organisations: dict[str, str]
    clients: dict[str, Client] = field(default_factory=dict)
    verifier_key: SigningKey = field(default_factory=SigningKey.generate)
    programme: str = ""
    parcels: list[str] = field(default_factory=list)
    project: str = ""
    period: str = ""
    option: str = ""
    issuance: dict[str, Any] = field(default_factory=dict)
    issuance_id: str = ""
    retirement: str = ""
    certificate: str = ""
    serials: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Client:
        """A member's key; `"firm 2"` is its second person's, `"nobody"` has none."""
        if name not in self.clients:
            self.clients[name] = self.served.client(self.keys.get(name))
        return self.clients[name]

    def two(self, name: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self[name].confirmed_by(self[f"{name} 2"], path, body)

    def held(self, name: str) -> int:
        """Units on the member's account."""
        accounts = self[name].get("/holdings").json()["accounts"]
        return sum(int(one["balance"]) for one in accounts if one["account"].startswith("units:"))

    def pay_in(self, name: str, fen: int) -> None:
        self["bank"].done("/deposits", self.deposit(fen, name))

    def deposit(self, fen: int = 7, name: str = "bank") -> dict[str, Any]:
        """What the bank reports: one line of its statement, with a reference of its own."""
        return {"organisation": self.organisations[name], "amount_fen": fen, "reference": new_id()}

    # -- the steps

    def enrol_verifier(self) -> None:
        """Two persons of the registry enrol a verifier over HTTP, whose key nobody else holds."""
        body = {"name": "核查机构", "kind": "verifier", "county": COUNTY}
        organisation = self.two("registry", "/organisations", body)["organisation"]
        person = self.two("registry", "/persons", {"name": "李四"})["person"]
        key = {"public_key": self.verifier_key.public_bytes.hex(), "custody": "client"}
        self.two("registry", f"/persons/{person}/keys", key)
        grant = {"person": person, "organisation": organisation, "role": "verifier"}
        mandate = self.two("registry", "/mandates", grant)["mandate"]
        self.organisations["verifier"] = organisation
        self.keys["verifier"] = self.api_key(str(mandate))

    def api_key(self, mandate: str, scope: str = "act") -> str:
        database = Database(self.home.database_url)
        with database.write() as session:
            key = create_api_key(session, mandate, clock_of(database).now(), scope)
        database.dispose()
        return key

    def publish_programme(self) -> None:
        command = programme_file().model_dump(mode="json")
        self.programme = str(self.two("registry", "/programmes", command)["programme"])

    def bring_land(self) -> None:
        rows = [row(n + 1, outline, 村=VILLAGES[n % 2]) for n, outline in enumerate(OUTLINES)]
        path = self.folder / "parcels.geojson"
        path.write_text(write_geojson(rows), encoding="utf-8")
        owners = json.dumps({village: self.organisations[village] for village in VILLAGES})
        form = {"programme": self.programme, "owners": owners}
        rehearsal = self["operator"].upload("/parcel-imports", path, dry_run="true", **form)
        assert rehearsal.status_code == 200 and not rehearsal.json()["taken"], rehearsal.text
        taken = self["operator"].upload("/parcel-imports", path, **form)
        assert taken.status_code == 201 and len(taken.json()["drafts"]) == 3, taken.text
        for village in VILLAGES:
            drafts = self[village].get("/parcel-drafts").json()["items"]
            for draft in sorted(drafts, key=lambda one: int(one["row"])):
                self._submit_parcel(village, draft["id"])
        self.parcels = [
            one["id"] for one in self["operator"].get("/parcels", status="eligible").json()["items"]
        ]
        assert len(self.parcels) == 3

    def _submit_parcel(self, village: str, draft: str) -> None:
        submit = {
            "evidence_sha256": DIGEST,
            "resolution_sha256": DIGEST,
            "operator": self.organisations["operator"],
        }
        parcel = self.two(village, f"/parcel-drafts/{draft}/submission", submit)["parcel"]
        self["validator"].done(f"/parcels/{parcel}/review")
        fit = {"programme": self.programme}
        self["validator"].confirmed_by(self["registry"], f"/parcels/{parcel}/eligibility", fit)

    def register_project(self) -> None:
        submit = {
            "programme": self.programme,
            "county": COUNTY,
            "name": "两村碳汇项目",
            "parcels": self.parcels,
            "crediting_from": CREDITING[0],
            "crediting_to": CREDITING[1],
            "method": METHOD,
        }
        self.project = str(self["operator"].done("/projects", submit)["project"])
        self["registry"].done(f"/projects/{self.project}/publication")
        self._object()
        self.served.command("clock", "advance", "2025-04-20T01:00:00")
        self["validator"].done(f"/projects/{self.project}/validation")
        self.two("registry", f"/projects/{self.project}/registration")

    def _object(self) -> None:
        """A stranger objects to the published project, and the registry answers."""
        objection = {"text": "边界有争议", "contact": "某村民"}
        lodged = self["nobody"].act(f"/projects/{self.project}/objections", objection)
        assert lodged.status_code == 201, lodged.text
        path = f"/objections/{lodged.json()['objection']}/answer"
        answered = self["registry"].act(path, {"answer": "已核实"})
        assert answered.status_code == 200, answered.text

    def estimate(self) -> None:
        dates = {"from_on": PERIOD[0], "to_on": PERIOD[1]}
        self.period = str(self["operator"].done(f"/projects/{self.project}/periods", dates)["period"])
        rasters = {
            name: self._raster(path, kind, on.isoformat())
            for name, path, kind, on in (
                ("agb_start", write(self.folder / "s.tif", 50.0), "agb", START_ON),
                ("agb_start_sd", write(self.folder / "ssd.tif", 6.0), "agb_sd", START_ON),
                ("agb_end", write(self.folder / "e.tif", 66.0), "agb", END_ON),
                ("agb_end_sd", write(self.folder / "esd.tif", 7.0), "agb_sd", END_ON),
                ("land_cover_start", write_classes(self.folder / "ls.tif", FOREST), "land_cover", START_ON),
                (
                    "land_cover_end",
                    write_classes(self.folder / "le.tif", _forest_later()),
                    "land_cover",
                    END_ON,
                ),
            )
        }
        plots = self.folder / "plots.csv"
        plots.write_text(plots_text(), encoding="utf-8")
        registered = self["operator"].upload("/plot-files", plots)
        assert registered.status_code == 201, registered.text
        body = {"rasters": rasters, "plots": registered.json()["sha256"]}
        self["operator"].done(f"/periods/{self.period}/runs", body)
        self["operator"].done(f"/periods/{self.period}/submission")

    def _raster(self, path: Path, kind: str, taken_on: str) -> str:
        product = "CLCD" if kind == "land_cover" else "invented"
        form = {"kind": kind, "product": product, "taken_on": taken_on, "licence": "CC0-1.0"}
        response = self["operator"].upload("/rasters", path, unit=UNITS[kind], **form)
        assert response.status_code == 201, response.text
        return str(response.json()["sha256"])

    def pre_purchase(self) -> None:
        self.pay_in("firm", 1_000_000)
        offer = {
            "project": self.project,
            "vintage": 2024,
            "buyer": self.organisations["firm"],
            "units": 5,
            "premium_fen": 800,
            "strike_fen": 5500,
            "window_to": "2026-03-01",
        }
        self.option = str(self["operator"].done("/options", offer)["option"])
        self["firm"].done(f"/options/{self.option}/acceptance", {"election": "standing"})
        self["firm"].done(f"/options/{self.option}/activation")

    def verify(self) -> None:
        """Signed with a key that the registry does not hold: prepared, signed here, brought."""
        verifier = self["verifier"]
        verifier.signed(self.verifier_key, f"/periods/{self.period}/verification")
        verifier.signed(
            self.verifier_key,
            f"/periods/{self.period}/statement",
            {"findings": "样地与记录一致", "attest_parameters": True, "override_assumptions": True},
        )

    def issue(self) -> None:
        proposed = self["operator"].done("/issuances", {"period": self.period})
        self.issuance_id = str(proposed["issuance"])
        path = f"/issuances/{self.issuance_id}/approval"
        self.issuance = self["operator"].confirmed_by(self["issuer"], path)

    def trade(self) -> None:
        operator = self["operator"]
        offer = operator.done(
            "/offers",
            {"project": self.project, "units": 6, "price_fen": 6800, "closes_on": "2025-05-01"},
        )["offer"]
        self.pay_in("person", 4 * 6800)
        self["person"].done(f"/offers/{offer}/subscriptions", {"units": 4})
        for step in ("closing", "allocation", "settlement"):
            operator.done(f"/offers/{offer}/{step}")
        listing = operator.done("/listings", {"project": self.project, "units": 7, "price_fen": 7341})[
            "listing"
        ]
        self.pay_in("buyer", 7 * 7341)
        self["buyer"].done(f"/listings/{listing}/trades", {"units": 7})

    def retire(self) -> None:
        asked = {
            "project": self.project,
            "units": 3,
            "beneficiary": "企业甲（示例）",
            "claim_from": "2024-01-01",
            "claim_to": "2025-01-01",
        }
        self.retirement = str(self["firm"].done("/retirements", asked)["retirement"])
        answer = self.two("firm", f"/retirements/{self.retirement}/confirmation")
        self.certificate, self.serials = str(answer["certificate"]), list(answer["serials"])


def _forest_later() -> Any:
    """Forest but for one pixel of water far from the parcels: another file than the one of the start."""
    classes = np.full((GRID.height, GRID.width), FOREST, np.uint8)
    classes[0, 0] = WATER
    return classes


STEPS: Final = (
    "enrol_verifier", "publish_programme", "bring_land", "register_project", "estimate", "pre_purchase",
    "verify", "issue", "trade", "retire",
)  # fmt: skip


def begin(folder: Path, home: Home, database_url: str | None, installation: Installation) -> Life:
    """Enrol everybody from the command line's side, then serve."""
    keys: dict[str, str] = {}
    organisations: dict[str, str] = {}
    for name, (role, title, persons) in MEMBERS.items():
        organisations[name] = register_organisation(installation, title, role, COUNTY)
        for n in range(1, persons + 1):
            mandate = register_person(installation, organisations[name], role, f"{title}的人{n}")
            keys[name if n == 1 else f"{name} {n}"] = issue_api_key(installation, mandate)
    installation.close()
    return Life(Served.start(home.path, database_url), home, folder, keys, organisations)


def lived(life: Life) -> Life:
    """The whole life; what it left is kept, because tests that share it add to it in any order."""
    for step in STEPS:
        getattr(life, step)()
    life.summary = life["nobody"].get("/public/summary").json()
    life.units = {name: life.held(name) for name in ("firm", "buyer", "person")}
    return life
