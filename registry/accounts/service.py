"""Services of the accounts room: register organisations and persons, add keys, grant mandates, record
deposits.
"""

import hashlib
import secrets
from datetime import datetime
from typing import ClassVar, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from ledger import tables
from ledger.canonical import JsonValue
from ledger.effects import Limit, OpenAccount, Posting, Transfer
from ledger.keys import check_public_key, keyid
from registry.accounts.models import ApiKey, Deposit, MandateRow, Organisation, Person
from registry.accounts.rules import (
    BANK_ACCOUNT,
    DEPOSIT,
    KEY,
    MANDATE,
    MONEY,
    ORGANISATION,
    OWN_ROLES,
    PERSON,
    cash_account,
    may_give,
)
from registry.acts import Desk
from registry.errors import RegistryRefusal
from registry.machine import Mandate, Role
from registry.office import ONE_LINE, Act, Answer, Command


class NotFound(RegistryRefusal):
    """What does not exist and what is not the reader's get the same answer."""

    code: ClassVar[str] = "not_found"
    template: ClassVar[str] = "There is no {kind} {id} for you."


class RoleRefused(RegistryRefusal):
    """The installation's own roles are nobody's."""

    code: ClassVar[str] = "role_refused"
    template: ClassVar[str] = "The role {role} cannot be given here."


class DepositRecorded(RegistryRefusal):
    code: ClassVar[str] = "deposit_recorded"
    template: ClassVar[str] = "The bank recorded its reference {reference} already."


class RegisterOrganisation(Command):
    name: str = Field(min_length=1, max_length=200, pattern=ONE_LINE)
    kind: Role
    county: str = Field(pattern=r"^\d{6}$", description="GB/T 2260 county code")
    uscc: str | None = Field(None, pattern=r"^[0-9A-HJ-NPQRTUWXY]{18}$", description="统一社会信用代码")


class RegisterPerson(Command):
    name: str = Field(min_length=1, max_length=200, pattern=ONE_LINE)


class AddKey(Command):
    person: str
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$", description="Ed25519 public key, hexadecimal")
    custody: str = Field(pattern="^(client|webcrypto|server)$")


class GrantMandate(Command):
    person: str
    organisation: str
    role: Role


class EndMandate(Command):
    mandate: str


class RecordDeposit(Command):
    organisation: str
    amount_fen: int = Field(gt=0, le=2**53 - 1)
    reference: str = Field(pattern=r"^[A-Za-z0-9._-]{1,80}$", description="of the bank's statement line")


class ReverseDeposit(Command):
    deposit: str
    reason: Literal["clerical", "wrong_account", "wrong_amount", "recalled"]


def register_organisation(desk: Desk, command: RegisterOrganisation) -> Answer:
    if command.kind in OWN_ROLES:
        raise RoleRefused(role=command.kind.value)
    profile = desk.commitment("profile", Organisation, name=command.name, uscc=command.uscc)
    desk.act(
        ORGANISATION,
        "register",
        desk.request_id,
        facts={"kind": command.kind.value, "county": command.county},
        commitments={"profile": profile},
        effects=[OpenAccount(cash_account(desk.request_id), MONEY, Limit.FLOOR, False, desk.request_id)],
    )
    profile.reveal(load_organisation(desk.session, desk.request_id))
    return {"organisation": desk.request_id}


def register_person(desk: Desk, command: RegisterPerson) -> Answer:
    profile = desk.commitment("profile", Person, name=command.name)
    desk.act(PERSON, "register", desk.request_id, commitments={"profile": profile})
    profile.reveal(load_person(desk.session, desk.request_id))
    return {"person": desk.request_id}


def add_key(desk: Desk, command: AddKey) -> Answer:
    load_person(desk.session, command.person)
    public_key = bytes.fromhex(command.public_key)
    check_public_key(public_key)
    if command.custody == "server":
        desk.keyring.get(keyid(public_key))  # `KeyNotHeld`: else the person could not act any more
    key = {
        "public": command.public_key,
        "person": command.person,
        "custody": command.custody,
        "suite": "ed25519",
    }
    desk.act(KEY, "add", keyid(public_key), facts={"keys": [dict(key)]}, type_="key.add")
    return {"key": keyid(public_key)}


def grant_mandate(desk: Desk, command: GrantMandate) -> Answer:
    load_person(desk.session, command.person)
    organisation = load_organisation(desk.session, command.organisation)
    if not may_give(command.role, organisation.kind):
        raise RoleRefused(role=command.role.value)
    desk.act(
        MANDATE,
        "grant",
        desk.request_id,
        facts={
            "person": command.person,
            "organisation": command.organisation,
            "role": command.role.value,
        },
    )
    return {"mandate": desk.request_id}


def end_mandate(desk: Desk, command: EndMandate) -> Answer:
    """From this entry on the person no longer acts for the organisation; what they did stays."""
    if desk.session.get(MandateRow, command.mandate) is None:
        raise NotFound(kind="mandate", id=command.mandate)
    desk.act(MANDATE, "end", command.mandate)
    return {"mandate": command.mandate}


def record_deposit(desk: Desk, command: RecordDeposit) -> Answer:
    """Money as the bank reports it; a line of a statement counts once."""
    if desk.ledger.source.account(cash_account(command.organisation)) is None:  # opened at registration
        raise NotFound(kind="organisation", id=command.organisation)
    if desk.must_look and _is_recorded(desk, command.reference):
        raise DepositRecorded(reference=command.reference)
    desk.act(
        DEPOSIT,
        "record",
        desk.request_id,
        facts={
            "bank": desk.actor.organisation,
            "organisation": command.organisation,
            "amount_fen": command.amount_fen,
            "reference": command.reference,
        },
        effects=[
            Transfer(
                desk.request_id,
                (
                    Posting(BANK_ACCOUNT, MONEY, -command.amount_fen),
                    Posting(cash_account(command.organisation), MONEY, command.amount_fen),
                ),
            )
        ],
    )
    return {"deposit": desk.request_id}


def _is_recorded(desk: Desk, reference: str) -> bool:
    known = sa.select(Deposit.id).where(
        Deposit.bank_id == desk.actor.organisation, Deposit.reference == reference
    )
    return desk.session.scalar(known) is not None


def reverse_deposit(desk: Desk, command: ReverseDeposit) -> Answer:
    """The bank takes back a line that it recorded wrongly, while the organisation still has the money.

    A correction: a new entry that names the old one, with its postings turned round.
    """
    row = desk.session.get(Deposit, command.deposit)
    if row is None or row.bank_id != desk.actor.organisation:
        raise NotFound(kind="deposit", id=command.deposit)
    desk.act(
        DEPOSIT,
        "reverse",
        row.id,
        facts={
            "bank": row.bank_id,
            "organisation": row.organisation_id,
            "amount_fen": row.amount_fen,
            "reference": row.reference,
            "corrects": _recording_entry(desk.session, row.id),
        },
        effects=[
            Transfer(
                desk.request_id,
                (
                    Posting(BANK_ACCOUNT, MONEY, row.amount_fen),
                    Posting(cash_account(row.organisation_id), MONEY, -row.amount_fen),
                ),
            )
        ],
        reason_code=command.reason,
        type_="correct",
    )
    return {"deposit": row.id}


def _recording_entry(session: Session, deposit: str) -> dict[str, JsonValue]:
    """Index and leaf hash of the entry that recorded a deposit: it has the deposit's id."""
    log = tables.log.c
    index, leaf = session.execute(sa.select(log.idx, log.leaf_hash).where(log.entry_id == deposit)).one()
    return {"index": index, "leaf": leaf.hex()}


ACTS = (
    Act("organisation.register", RegisterOrganisation, register_organisation),
    Act("person.register", RegisterPerson, register_person),
    Act("key.add", AddKey, add_key),
    Act("mandate.grant", GrantMandate, grant_mandate),
    Act("mandate.end", EndMandate, end_mandate),
    Act("deposit.record", RecordDeposit, record_deposit),
    Act("deposit.reverse", ReverseDeposit, reverse_deposit),
)


# ---- reading
# -----------------------------------------------------------------------------------------------------


def load_organisation(session: Session, organisation: str) -> Organisation:
    row = session.get(Organisation, organisation)
    if row is None:
        raise NotFound(kind="organisation", id=organisation)
    return row


def load_person(session: Session, person: str) -> Person:
    row = session.get(Person, person)
    if row is None:
        raise NotFound(kind="person", id=person)
    return row


def mandate_of(row: MandateRow) -> Mandate:
    return Mandate(row.id, row.person_id, row.organisation_id, Role(row.role))


class AccountsDirectory:
    """Who may act for whom, as the mandates in the database say."""

    def mandates(self, session: Session, person: str) -> tuple[Mandate, ...]:
        rows = session.scalars(
            sa.select(MandateRow).where(MandateRow.person_id == person, MandateRow.status == "active")
        )
        return tuple(mandate_of(row) for row in rows)

    def server_key(self, session: Session, person: str) -> str | None:
        """The person's newest key in server custody; one that was ended only when there is no other."""
        key = tables.actor_key.c
        newest = (
            sa.select(key.keyid)
            .where(key.person == person, key.custody == "server")
            .order_by(key.ended_idx.is_not(None), key.idx.desc())
            .limit(1)
        )
        return session.execute(newest).scalar_one_or_none()


# ---- keys of programs (working rows, not logged)
# -----------------------------------------------------------------


def create_api_key(
    session: Session, mandate: str, now: datetime, scope: str = "act", expires_at: datetime | None = None
) -> str:
    """A new key `prefix.secret` for one mandate; the secret is shown here and nowhere again."""
    if session.get(MandateRow, mandate) is None:
        raise NotFound(kind="mandate", id=mandate)
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    session.add(
        ApiKey(
            prefix=prefix,
            secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            mandate_id=mandate,
            scope=scope,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return f"{prefix}.{secret}"


def authenticate(session: Session, token: str, now: datetime) -> Mandate | None:
    """The mandate a key acts under; None for a key that is wrong, expired, revoked or whose mandate ended."""
    prefix, _, secret = token.partition(".")
    key = session.get(ApiKey, prefix)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if key is None or not secrets.compare_digest(key.secret_sha256, digest):
        return None
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        return None
    mandate = session.get(MandateRow, key.mandate_id)
    return mandate_of(mandate) if mandate is not None and mandate.status == "active" else None
