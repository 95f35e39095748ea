"""Services of keys over time: a person rotates or revokes a key, the root changes the log's own keys."""

from typing import ClassVar

from pydantic import Field

from ledger.actor_keys import REVOCATIONS, SUITE, ActorKey, succession
from ledger.keys import check_public_key, keyid
from ledger.log_keys import endorse, in_force, origin_of
from ledger.note import NoteVerifier
from registry.accounts.rules import KEY, LOG, revocation
from registry.accounts.service import NotFound
from registry.acts import ROOT, SYSTEM, Desk, Mode
from registry.errors import RegistryRefusal
from registry.machine import NotAuthorised, Role
from registry.office import Act, Answer, Command

KEY_ID = r"^[0-9a-f]{64}$"
VKEY = r"^[^\s+]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{1,200}$"


class RotationRefused(RegistryRefusal):
    """A new key that nobody could sign with."""

    code: ClassVar[str] = "rotation_refused"
    template: ClassVar[str] = "The key cannot be rotated so: {reason}."


class RevocationRefused(RegistryRefusal):
    code: ClassVar[str] = "revocation_refused"
    template: ClassVar[str] = "The key cannot be revoked so: {reason}."


class LogKeysOverlap(RegistryRefusal):
    """One rotation after the other: whoever follows the log has to see each of them."""

    code: ClassVar[str] = "log_keys_overlap"
    template: ClassVar[str] = "The log's keys are being rotated: {reason}."


class RotateKey(Command):
    key: str = Field(pattern=KEY_ID, description="id of the key that ends: SHA-256 of it, hexadecimal")
    custody: str = Field(pattern="^(client|webcrypto|server)$", description="who holds the new key")
    public_key: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="the new key; none when the registry makes and holds it"
    )


class RevokeKey(Command):
    key: str = Field(pattern=KEY_ID, description="id of the key: SHA-256 of it, hexadecimal")
    reason: str = Field(pattern=f"^({'|'.join(REVOCATIONS)})$")
    suspect_from: int | None = Field(
        None,
        ge=0,
        le=2**53 - 1,
        description="of a compromise: the entry from which on it is suspect",
    )


class AddLogKey(Command):
    vkey: str = Field(pattern=VKEY, description="verifier key, whose name is the log's origin")


class EndLogKey(Command):
    vkey: str = Field(pattern=VKEY)


class CloseLog(Command):
    origin: str = Field(min_length=1, max_length=200, description="of the log that comes after")
    vkey: str = Field(pattern=VKEY, description="of the log that comes after")


# ---- a person's keys ---------------------------------------------------------------------------------------


def rotate_key(desk: Desk, command: RotateKey) -> Answer:
    """From this entry on the new key signs for the person, and the old one no longer does."""
    old = _known_key(desk, command.key)
    if old.person != desk.actor.person:
        raise NotFound(kind="key", id=command.key)
    old.require_running()
    new = _successor(desk, old, command)
    key = {"public": new.public_key.hex(), "person": new.person, "custody": new.custody, "suite": SUITE}
    desk.act(
        KEY,
        "rotate",
        old.keyid,
        facts={"keys": [dict(key)]},
        effects=[succession(new.keyid)],
        type_="key.rotate",
        successor=new,
    )
    return {"key": new.keyid}


def _successor(desk: Desk, old: ActorKey, command: RotateKey) -> ActorKey:
    if command.custody == "server":
        if old.custody != "server" or command.public_key is not None:
            raise RotationRefused(reason="the registry makes what it holds, and only after a key it held")
        if desk.mode is not Mode.SERVER:
            raise RotationRefused(reason="what the registry holds on both sides is not signed elsewhere")
        public_key = desk.keyring.create().public_bytes
    else:
        if command.public_key is None:
            raise RotationRefused(reason="a key that its person holds comes with its public half")
        if old.person in (ROOT.person, SYSTEM.person):
            raise RotationRefused(reason="the installation's own keys stay in its custody")
        public_key = bytes.fromhex(command.public_key)
        check_public_key(public_key)
    return ActorKey(keyid(public_key), public_key, old.person, command.custody, desk.ledger.size)


def revoke_key(desk: Desk, command: RevokeKey) -> Answer:
    """From this entry on the key signs nothing. What it signed stays; a compromise says what to look at."""
    key = _known_key(desk, command.key)
    own = key.person == desk.actor.person
    if not own and desk.actor.role not in (Role.ROOT, Role.REGISTRY_ADMIN):
        raise NotFound(kind="key", id=command.key)
    key.require_running()
    if key.person in (ROOT.person, SYSTEM.person):
        raise RevocationRefused(reason="the installation's own keys are rotated, not revoked")
    _check_suspicion(desk, command)
    desk.act(
        KEY,
        "revoke",
        key.keyid,
        facts={"suspect_from": command.suspect_from},
        reason_code=command.reason,
        type_="key.revoke",
        rule=revocation(own=own),
    )
    return {"key": key.keyid}


def _check_suspicion(desk: Desk, command: RevokeKey) -> None:
    if (command.reason == "compromised") != (command.suspect_from is not None):
        raise RevocationRefused(reason="a compromise, and nothing else, says from which entry on")
    if command.suspect_from is not None and command.suspect_from >= desk.ledger.size:
        raise RevocationRefused(reason=f"the log has no entry {command.suspect_from} yet")


def _known_key(desk: Desk, key: str) -> ActorKey:
    found = desk.ledger.source.actor_key(key)
    if found is None:
        raise NotFound(kind="key", id=key)
    return found


# ---- the log's own keys ------------------------------------------------------------------------------------


def add_log_key(desk: Desk, command: AddLogKey) -> Answer:
    """From this entry on the new key signs every checkpoint beside the one before it."""
    origin, running = _own_log(desk, "add_key")
    if len(running) > 1:
        raise LogKeysOverlap(reason="the old key has to end before another one begins")
    new = NoteVerifier.parse(command.vkey)
    desk.keyring.log_signer(new)  # `LogKeyNotHeld`: else nothing could be signed any more
    endorsement = endorse(new, desk.keyring.log_signer(running[-1]))
    desk.act(LOG, "add_key", origin, facts={"vkey": new.vkey, "endorsement": endorsement}, type_="log.key")
    return {"vkey": new.vkey}


def end_log_key(desk: Desk, command: EndLogKey) -> Answer:
    """From this entry on the key signs no checkpoint."""
    origin, running = _own_log(desk, "end_key")
    rest = [verifier for verifier in running if verifier.vkey != command.vkey]
    seen = {verifier.vkey for verifier in in_force(desk.ledger.source.log_keys(), desk.ledger.committed_size)}
    if rest and not any(verifier.vkey in seen for verifier in rest):
        raise LogKeysOverlap(reason="the new key has signed no checkpoint beside the old one yet")
    desk.act(LOG, "end_key", origin, facts={"vkey": command.vkey}, type_="log.key")
    return {"vkey": command.vkey}


def close_log(desk: Desk, command: CloseLog) -> Answer:
    """The last entry of this log: it names the one that comes after."""
    origin, _ = _own_log(desk, "close")
    desk.act(LOG, "close", origin, facts={"origin": command.origin, "vkey": command.vkey}, type_="log.next")
    return {"origin": command.origin}


def _own_log(desk: Desk, action: str) -> tuple[str, list[NoteVerifier]]:
    """The log's name and its keys in force, for the root alone: here the log's key itself is used."""
    if desk.actor.role is not Role.ROOT:
        raise NotAuthorised(machine=LOG.name, action=action, needed=Role.ROOT.value)
    keys = desk.ledger.source.log_keys()
    return origin_of(keys) or desk.ledger.origin, in_force(keys, desk.ledger.size)


ACTS = (
    Act("key.rotate", RotateKey, rotate_key),
    Act("key.revoke", RevokeKey, revoke_key),
    Act("log.add_key", AddLogKey, add_log_key),
    Act("log.end_key", EndLogKey, end_log_key),
    Act("log.close", CloseLog, close_log),
)
