"""Hand-made entries over a hand-made history: what the judges are tested on without any database."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from auditor.books import Books
from auditor.effects import read_effects
from auditor.entries import read_entry
from auditor.findings import Report
from auditor.history import (
    HeldMandate,
    History,
    ToldClaim,
    ToldParcel,
    ToldPeriod,
    ToldProject,
    ToldStatement,
)
from auditor.rooms import Rooms
from ledger.effects import Effect, Limit, OpenAccount, OpenBlock, Posting, Transfer, Transition
from ledger.entry import Payload
from ledger.envelope import Envelope, encode_leaf
from ledger.keys import SigningKey
from registry.accounts.rules import BANK_ACCOUNT, MONEY, cash_account
from registry.issuance.plan import IssuancePlan, plan_issuance
from registry.programmes.rules import (
    buffer_account,
    clearing_account,
    issuance_account,
    residue_account,
    residue_asset,
    residue_source,
    unit_asset,
    units_account,
)
from registry.programmes.service import programme_file

PROGRAMME = "ZJ-PH.1"
UNITS, RESIDUE = unit_asset(PROGRAMME), residue_asset(PROGRAMME)
OWN = units_account("operator", PROGRAMME)
BUFFER = buffer_account("project")
SIGNING = SigningKey.from_seed(b"t" * 32)
AT_MS = round(datetime(2025, 3, 3, tzinfo=UTC).timestamp() * 1000)
VILLAGES = ("upper", "lower", "upper")


@dataclass(slots=True)
class Telling:
    """A history with one project of three parcels, and the books that go with it."""

    history: History = field(default_factory=History)
    books: Books = field(default_factory=Books)
    rooms: Rooms = field(init=False)

    def __post_init__(self) -> None:
        self.rooms = Rooms(history=self.history)
        told = self.history
        told.programmes[PROGRAMME] = programme_file().terms
        told.mandates = {
            f"m-{organisation}": HeldMandate(f"p-{organisation}", organisation)
            for organisation in ("operator", "issuer", "verifier", "firm", "upper", "lower")
        }
        parcels = {number: (f"parcel {number}", 1) for number in (1, 2, 3)}
        told.projects["project"] = ToldProject(PROGRAMME, "operator", "330802", parcels, "reviewer", 1)
        for number, village in enumerate(VILLAGES, start=1):
            told.owners[f"parcel {number}"] = village
            told.operators[f"parcel {number}", 1] = "operator"
            told.areas_cm2[f"parcel {number}", 1] = 10**9 + number
            told.land[f"parcel {number}"] = ToldParcel("enrolled", 1)
            told.claims[f"claim {number}"] = ToldClaim(
                f"parcel {number}", 1, "project", PROGRAMME, "forest-biomass", "2020-01-01", "2043-01-01",
                10**9, 1, AT_MS,
            )  # fmt: skip
            told.claims_of[f"parcel {number}"] = [f"claim {number}"]
        self.books.apply(again(_accounts()), AT_MS)

    def verified(
        self, kg: Mapping[int, int], from_on: date = date(2023, 1, 1), to_on: date = date(2024, 1, 1)
    ) -> None:
        """A period that the verifier signed."""
        told = self.history
        told.periods["period"] = ToldPeriod(
            "project", "forest-biomass", from_on.isoformat(), to_on.isoformat(), "verified", "run"
        )
        told.runs["run"] = ("period", sum(kg.values()))
        told.statements["statement"] = ToldStatement(7, "period", "verifier", sum(kg.values()), dict(kg))
        told.proposals["issuance"] = "operator"

    def plan(self) -> IssuancePlan:
        told = self.history
        period, statement = told.periods["period"], told.statements["statement"]
        terms = told.programmes[PROGRAMME]
        return plan_issuance(
            statement.parcels,
            date.fromisoformat(period.from_on),
            date.fromisoformat(period.to_on),
            total_kg=statement.verified_kg,
            unit_kg=terms.unit_kg,
            buffer_ppm=terms.buffer_ppm,
            residue_kg=told.residue_kg.get("project", 0),
            last_number=told.last_number.get("project", 0),
            last_batch=told.last_batch.get("project", 0),
        )

    def see(
        self,
        machine: str,
        action: str,
        subject: str,
        facts: Mapping[str, Any],
        effects: Sequence[Effect] = (),
        by: str = "operator",
    ) -> Report:
        """The findings of an entry, whose effects the books accept."""
        payload = Payload(
            type="act",
            id=str(uuid.uuid4()),
            by=f"p-{by}",
            role="operator",
            mandate=f"m-{by}",
            machine=machine,
            subject=subject,
            action=action,
            before="before",
            after="after",
            facts=dict(facts),
            effects=tuple(effects),
        )
        report = Report()
        entry = read_entry(9, encode_leaf(AT_MS, Envelope(payload.to_bytes()).sign(SIGNING)))
        entry.persons = (entry.by,)
        self.books.apply(entry.effects, AT_MS)
        self.rooms.see(entry, self.books, report)
        return report


def again(effects: Iterable[Effect]) -> tuple[Any, ...]:
    """Effects as the auditor reads them."""
    return read_effects([effect.to_json() for effect in effects])[0]


def failed(report: Report) -> set[str]:
    """The ids of the checks that found something."""
    return {finding.check for finding in report.findings}


def approval(plan: IssuancePlan, **changed: Any) -> dict[str, Any]:
    """The facts of an approved issuance."""
    return plan.facts() | {
        "project": "project",
        "period": "period",
        "pools": "forest-biomass",
        "statement": "statement",
        "proposed_by": "operator",
        "deliveries": [],
    } | changed  # fmt: skip


def making(plan: IssuancePlan, residue_change_kg: int | None = None) -> list[Effect]:
    """The effects of an approved issuance, as the service makes them."""
    change = (
        plan.residue_after_kg - plan.residue_before_kg if residue_change_kg is None else residue_change_kg
    )
    effects: list[Effect] = [Transition("period", "period", "issue", "verified", "issued")]
    if change:
        source = Posting(residue_source(PROGRAMME), RESIDUE, -change)
        effects.append(Transfer("residue", (source, Posting(residue_account("project"), RESIDUE, change))))
    for batch in plan.batches:
        name = f"issuance.{batch.vintage}"
        parts = ((batch.project_range, OWN, "own"), (batch.buffer_range, BUFFER, "kept"))
        for units, account, kind in parts:
            if units is not None:
                source_account = issuance_account(PROGRAMME)
                effects.append(
                    OpenBlock(f"{name}.{kind}", "project", name, units, UNITS, account, source_account)
                )
    return effects


def _accounts() -> list[OpenAccount]:
    cash = [
        OpenAccount(cash_account(name), MONEY, Limit.FLOOR, False, name)
        for name in ("operator", "firm", "upper", "lower")
    ]
    reserves = [
        OpenAccount(f"reserve:{purpose}:operator", MONEY, Limit.FLOOR, False, "operator")
        for purpose in ("tax", "insurance")
    ]
    return [
        OpenAccount(BANK_ACCOUNT, MONEY, Limit.NONE, False, "registry"),
        *cash,
        *reserves,
        OpenAccount(issuance_account(PROGRAMME), UNITS, Limit.NONE, True, "registry"),
        OpenAccount(clearing_account(PROGRAMME), UNITS, Limit.FLOOR, True, "registry"),
        OpenAccount(OWN, UNITS, Limit.FLOOR, True, "operator"),
        OpenAccount(units_account("firm", PROGRAMME), UNITS, Limit.FLOOR, True, "firm"),
        OpenAccount(BUFFER, UNITS, Limit.FLOOR, True, "registry"),
        OpenAccount(residue_source(PROGRAMME), RESIDUE, Limit.NONE, False, "registry"),
        OpenAccount(residue_account("project"), RESIDUE, Limit.FLOOR, False, "registry"),
    ]
