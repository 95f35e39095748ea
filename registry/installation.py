"""One installation, opened: database, log, keys, writer and office put together.

`Installation.create` makes a new one: keys, schema, the genesis entry and the published log.
`Installation.open` starts an existing one: it checks that the database has not fallen behind what was
published (a restored backup would otherwise sign a second history) and publishes what a crash left
unpublished.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from ledger import log as ledger_log
from ledger.effects import Limit, OpenAccount
from ledger.entry import Payload, parse_payload
from ledger.envelope import Envelope, decode_leaf, encode_leaf
from ledger.keys import SigningKey
from ledger.log import LedgerTransaction, LogMissing
from ledger.log_keys import in_force, spell_vkeys
from ledger.note import NoteSigner, NoteVerifier, Signer
from ledger.policy import Policy, read_policy
from ledger.tiles import TileDirectory
from registry import clock as clocks
from registry.accounts.rules import BANK_ACCOUNT, LOG, MONEY
from registry.accounts.service import AccountsDirectory
from registry.acts import ROOT
from registry.aftermath import Aftermath
from registry.anchor import Anchors, GuardedSigner, require_unmarked
from registry.catalogue import ACTS, KEEPERS, MACHINES, PROJECTIONS
from registry.clock import Clock, ClockRefused, SystemClock, clock_of, milliseconds
from registry.database import Database, migrate
from registry.errors import HomeMissing, RegistryRefusal
from registry.keyring import FIRST_LOG_KEY, KeyRing, KeyService
from registry.machine import Mandate
from registry.office import Office, RequestsOfGroup
from registry.projections import project
from registry.publication import Publisher, WitnessedSigner
from registry.recovery import check_head, drop_unheard, publish_lost, remove_stale
from registry.settings import Home
from registry.upkeep import STATE_EVERY, Upkeep
from registry.writer import Writer

ROOT_KEY, SYSTEM_KEY = "root", "system"


class HomeTaken(RegistryRefusal):
    code: ClassVar[str] = "home_taken"
    template: ClassVar[str] = "{path} holds an installation already."


@dataclass(slots=True)
class Installation:
    """An open installation. Close it to let queued acts finish."""

    home: Home
    database: Database
    clock: Clock
    tiles: TileDirectory
    publisher: Publisher
    office: Office
    writer: Writer

    @property
    def root(self) -> Mandate:
        return ROOT

    @property
    def vkey(self) -> str:
        """The verifier keys of the log, oldest first, one on each line."""
        return self.home.vkey.read_text().strip()

    @property
    def signer(self) -> Signer:
        """What signs with the newest key of the log."""
        with self.database.read() as session:
            newest = ledger_log.log_keys(session)[-1]
        return self.office.keyring.log_signer(newest.verifier)

    @classmethod
    def create(
        cls,
        home: Home,
        origin: str,
        *,
        simulated_at: datetime | None = None,
        passphrase: str | None = None,
        state_every: int = STATE_EVERY,
    ) -> "Installation":
        """A new installation in an empty folder, or one whose making was interrupted there. `simulated_at`
        makes it a simulated one, for good.
        """
        if home.vkey.exists():
            raise HomeTaken(path=str(home.path))
        NoteSigner(origin, SigningKey.generate())  # a name no log can have is refused before anything is made
        anchors, began = Anchors(home.anchors), _begun(home, origin, simulated_at, passphrase)
        if began is None:
            anchors.require_new()
            _without_log(home)
        for folder in (home.path, home.log, home.certificates, home.rasters):
            folder.mkdir(parents=True, exist_ok=True)
        keyring = KeyRing(home.keys, passphrase)
        signer = NoteSigner(origin, keyring.get_or_create(FIRST_LOG_KEY))
        keyring.get_or_create(ROOT_KEY)
        keyring.get_or_create(SYSTEM_KEY)
        database = Database(home.database_url)
        anchors.begin(began or _write_genesis(database, keyring, signer, origin, simulated_at))
        database.dispose()
        _write_durably(home.vkey, signer.vkey + "\n")
        return cls.open(home, passphrase=passphrase, state_every=state_every)

    @classmethod
    def open(
        cls,
        home: Home,
        *,
        passphrase: str | None = None,
        services: Sequence[KeyService] = (),
        state_every: int = STATE_EVERY,
    ) -> "Installation":
        """Start an existing installation (LEDGER 4.4, "On start"). `services` hold keys of the log elsewhere;
        a `state` entry is due after `state_every` others.

        Raises `HomeMissing`, `HomeRestored`, `SchemaNewer`, and before anything is signed what shows that the
        database is not the newest: `DatabaseBehind`, `HistoryForked`, `LogCorrupt`, `AnchorMissing`.
        """
        if not home.vkey.exists():
            raise HomeMissing(path=str(home.path))
        require_unmarked(home)
        keyring = KeyRing(home.keys, passphrase, services)
        migrate(home.database_url)
        database = Database(home.database_url)
        verifiers = write_vkeys(home, database)
        tiles, anchors = TileDirectory(home.log), Anchors(home.anchors)
        publish_lost(database, tiles)
        drop_unheard(database, tiles)
        publisher = Publisher(database, tiles, anchors, _policy_of(home, verifiers))
        publisher.start()
        check_head(database)
        remove_stale(home.rasters, "*.partial")
        tiles.prune_partials()  # what a crash between publishing and pruning left
        clock = _clock_of_log(database)
        writer = Writer(
            database,
            lambda wanted: [
                WitnessedSigner(GuardedSigner(keyring.log_signer(verifier), tiles), publisher)
                for verifier in wanted
            ],
            publisher.publish,
            RequestsOfGroup(),
            upkeep=Upkeep(keyring, PROJECTIONS, state_every),
            aftermath=Aftermath(database, clock, KEEPERS),
        )
        office = Office(writer, keyring, clock, PROJECTIONS, AccountsDirectory(), ACTS, MACHINES)
        return cls(home, database, clock, tiles, publisher, office, writer)

    def close(self) -> None:
        self.writer.close()
        self.publisher.close()
        self.database.dispose()


@contextmanager
def opened(home: Home, *, passphrase: str | None = None) -> Iterator[Installation]:
    installation = Installation.open(home, passphrase=passphrase)
    try:
        yield installation
    finally:
        installation.close()


def publish(database: Database, tiles: TileDirectory, anchors: Anchors | None = None) -> None:
    """Bring the published log up to the newest committed checkpoint, asking no witness. Raises as
    `Publisher.publish`.
    """
    Publisher(database, tiles, anchors).publish()


def write_vkeys(home: Home, database: Database) -> list[NoteVerifier]:
    """Bring `log.vkey` up to the keys that the log announced; answers those in force."""
    with database.read() as session:
        keys = ledger_log.log_keys(session)
        size = ledger_log.size(session)
    if keys and home.vkey.read_text() != spell_vkeys(keys):
        _write_durably(home.vkey, spell_vkeys(keys))
    return in_force(keys, size)


def _policy_of(home: Home, verifiers: Sequence[NoteVerifier]) -> Policy | None:
    """The home's witness policy, if it has one; it may list any key of the log that is in force.

    Raises `MalformedPolicy`, `LogNotInPolicy`.
    """
    policy = read_policy(home.policy)
    if policy is not None:
        policy.require_log(*verifiers)
    return policy


def _begun(home: Home, origin: str, simulated_at: datetime | None, passphrase: str | None) -> bytes | None:
    """The first checkpoint of an installation whose making stopped before `log.vkey` was written.

    It is one when its database holds the very first entry and nothing else, under the key that lies here.
    """
    if not (home.keys / f"{FIRST_LOG_KEY}.pem").exists():
        return None
    migrate(home.database_url)
    database = Database(home.database_url)
    try:
        with suppress(LogMissing), database.read() as session:
            own = NoteSigner(origin, KeyRing(home.keys, passphrase).get(FIRST_LOG_KEY)).verifier
            genesis, note = list(ledger_log.leaves(session, 0, 2)), ledger_log.last_checkpoint(session)
            if ledger_log.origin(session) != origin or len(genesis) != 1 or note is None:
                return None
            facts = parse_payload(decode_leaf(genesis[0])[1].payload).facts
            clock = "simulated" if simulated_at else "real"
            return note if facts["vkey"] == own.vkey and facts["clock"] == clock else None
    finally:
        database.dispose()
    return None


def _without_log(home: Home) -> None:
    """Bring the database to the newest schema; `HomeTaken` when it holds a log already."""
    home.path.mkdir(parents=True, exist_ok=True)
    migrate(home.database_url)
    database = Database(home.database_url)
    try:
        with suppress(LogMissing), database.read() as session:
            ledger_log.origin(session)
            raise HomeTaken(path=f"the database of {home.path}")
    finally:
        database.dispose()


def _clock_of_log(database: Database) -> Clock:
    """The database's clock, which is the one the log began with, else `ClockRefused`."""
    clock = clock_of(database)
    with database.read() as session:
        (genesis,) = ledger_log.leaves(session, 0, 1)
    began = parse_payload(decode_leaf(genesis)[1].payload).facts["clock"]
    if (began == "simulated") != clock.simulated:
        raise ClockRefused(reason=f"the log began on {began} time and keeps to it")
    return clock


def _write_genesis(
    database: Database, keyring: KeyRing, signer: NoteSigner, origin: str, simulated_at: datetime | None
) -> bytes:
    """The first entry: the log's name and key, the root and system keys, and whether time is simulated.

    Answers the first checkpoint.
    """
    now = simulated_at or SystemClock().now()
    payload = Payload(
        type="genesis",
        id=str(uuid.uuid4()),
        by=ROOT.person,
        role=ROOT.role.value,
        mandate=ROOT.id,
        machine=LOG.name,
        subject=origin,
        action="open",
        before=LOG.initial,
        after=LOG.step(LOG.initial, "open", origin).after,
        facts={
            "clock": "simulated" if simulated_at else "real",
            "hash": "sha256",
            "suite": "ed25519",
            "vkey": signer.vkey,
            "keys": [
                {
                    "public": keyring.get(name).public_bytes.hex(),
                    "person": name,
                    "custody": "server",
                    "suite": "ed25519",
                }
                for name in (ROOT_KEY, SYSTEM_KEY)
            ],
        },
        effects=(OpenAccount(BANK_ACCOUNT, MONEY, Limit.NONE, False, "registry"),),
    )
    envelope = Envelope(payload.to_bytes()).sign(keyring.get(ROOT_KEY))
    with database.write() as session:
        if simulated_at is not None:
            clocks.start_simulation(session, simulated_at)
        ledger_log.create(session, origin)
        ledger = LedgerTransaction(session)
        entry = ledger.append(encode_leaf(milliseconds(now), envelope))
        project(session, entry, PROJECTIONS)
        note = ledger.seal(signer)
    assert note is not None
    return note


def _write_durably(path: Path, text: str) -> None:
    """A small file that exists whole or not at all."""
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
