"""Services of the programmes room: publish a version of a programme from its data file, and withdraw one."""

import json
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from pydantic import Field, TypeAdapter
from sqlalchemy.orm import Session

from ledger.effects import Effect, Limit, OpenAccount
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.office import Act, Answer, Command
from registry.programmes.methods import check_offered
from registry.programmes.models import Programme
from registry.programmes.rules import (
    PROGRAMME,
    ProgrammeNotPublished,
    Terms,
    cancelled_account,
    check_terms,
    clearing_account,
    issuance_account,
    residue_asset,
    residue_source,
    retired_account,
    unit_asset,
)

DATA: Final = Path(__file__).parent / "data"
TERMS: Final = TypeAdapter(Terms)


class PublishProgramme(Command):
    code: str = Field(pattern=r"^[A-Z][A-Z0-9-]{1,15}$")
    version: int = Field(ge=1, le=9999)
    name_zh: str = Field(min_length=1, max_length=200)
    name_en: str = Field(min_length=1, max_length=200)
    terms: Terms


class WithdrawProgramme(Command):
    programme: str


def publish_programme(desk: Desk, command: PublishProgramme) -> Answer:
    check_terms(command.terms)
    check_offered(command.terms.methods)
    programme = f"{command.code}.{command.version}"
    names = desk.commitment("names", Programme, name_zh=command.name_zh, name_en=command.name_en)
    desk.act(
        PROGRAMME,
        "publish",
        programme,
        facts={
            "code": command.code,
            "version": command.version,
            "terms": TERMS.dump_python(command.terms, mode="json"),
        },
        commitments={"names": names},
        effects=_accounts(programme),
    )
    names.reveal(load_programme(desk.session, programme))
    return {"programme": programme}


def withdraw_programme(desk: Desk, command: WithdrawProgramme) -> Answer:
    """No project begins under it any more; those that run go on."""
    load_programme(desk.session, command.programme)
    desk.act(PROGRAMME, "withdraw", command.programme)
    return {"programme": command.programme}


def _accounts(programme: str) -> list[Effect]:
    units, residue = unit_asset(programme), residue_asset(programme)
    return [
        OpenAccount(issuance_account(programme), units, Limit.NONE, True, "registry"),
        OpenAccount(retired_account(programme), units, Limit.SINK, True, "registry"),
        OpenAccount(cancelled_account(programme), units, Limit.SINK, True, "registry"),
        OpenAccount(clearing_account(programme), units, Limit.FLOOR, True, "registry"),
        OpenAccount(residue_source(programme), residue, Limit.NONE, False, "registry"),
    ]


ACTS = (
    Act("programme.publish", PublishProgramme, publish_programme),
    Act("programme.withdraw", WithdrawProgramme, withdraw_programme),
)


# ---- reading -----------------------------------------------------------------------------------------------


def programme_file(name: str = "zj-ph") -> PublishProgramme:
    """The command that publishes a programme of this package's data folder."""
    return read_programme(DATA / f"{name}.json")


def read_programme(path: Path) -> PublishProgramme:
    """The command that publishes the programme a data file describes; keys beginning with `_` are remarks."""
    document = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in document.items() if not key.startswith("_")}
    return PublishProgramme.model_validate_json(json.dumps(kept))


def load_programme(session: Session, programme: str) -> Programme:
    row = session.get(Programme, programme)
    if row is None:
        raise NotFound(kind="programme", id=programme)
    return row


def published_programme(session: Session, programme: str) -> Programme:
    """A programme under which something new may begin (`NotFound`, `ProgrammeNotPublished`)."""
    row = load_programme(session, programme)
    if row.status != "published":
        raise ProgrammeNotPublished(programme=programme, status=row.status)
    return row


def list_programmes(session: Session) -> list[Programme]:
    return list(session.scalars(sa.select(Programme).order_by(Programme.code, Programme.version)))


def terms_of(programme: Programme) -> Terms:
    """The published figures."""
    return TERMS.validate_json(json.dumps(programme.terms))
