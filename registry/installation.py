"""One installation, opened: database, log, keys, writer and office put together.

`Installation.create` makes a new one: keys, schema, the genesis entry and the published log.
`Installation.open` starts an existing one: it checks that the database has not fallen behind what was
published (a restored backup would otherwise sign a second history) and publishes what a crash left
unpublished.
"""

import os
import uuid
from collections.abc import Iterator
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
from ledger.note import NoteSigner
from ledger.policy import Policy, read_policy
from ledger.tiles import TileDirectory
from registry import clock as clocks
from registry.accounts.rules import BANK_ACCOUNT, LOG, MONEY
from registry.accounts.service import AccountsDirectory
from registry.acts import ROOT
from registry.anchor import Anchors, GuardedSigner, require_unmarked
from registry.catalogue import ACTS, PROJECTIONS
from registry.clock import Clock, ClockRefused, SystemClock, clock_of, milliseconds
from registry.database import Database, migrate
from registry.errors import HomeMissing, RegistryRefusal
from registry.keyring import KeyRing
from registry.machine import Mandate
from registry.office import Office, RequestsOfGroup
from registry.projections import project
from registry.publication import Publisher, WitnessedSigner
from registry.recovery import check_head, publish_lost, remove_stale
from registry.settings import Home
from registry.writer import Writer

LOG_KEY, ROOT_KEY, SYSTEM_KEY = "log", "root", "system"


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
    signer: NoteSigner
    publisher: Publisher
    office: Office
    writer: Writer

    @property
    def root(self) -> Mandate:
        return ROOT

    @property
    def vkey(self) -> str:
        return self.signer.vkey

    @classmethod
    def create(
        cls, home: Home, origin: str, *, simulated_at: datetime | None = None, passphrase: str | None = None
    ) -> "Installation":
        """A new installation in an empty folder. `simulated_at` makes it a simulated one, for good."""
        if home.vkey.exists():
            raise HomeTaken(path=str(home.path))
        NoteSigner(origin, SigningKey.generate())  # a name no log can have is refused before anything is made
        anchors = Anchors(home.anchors)
        anchors.require_new()
        _without_log(home)
        for folder in (home.path, home.log, home.certificates, home.rasters):
            folder.mkdir(parents=True, exist_ok=True)
        keyring = KeyRing(home.keys, passphrase)
        signer = NoteSigner(origin, keyring.create(LOG_KEY))
        keyring.create(ROOT_KEY)
        keyring.create(SYSTEM_KEY)
        database = Database(home.database_url)
        anchors.begin(_write_genesis(database, keyring, signer, origin, simulated_at))
        database.dispose()
        _write_durably(home.vkey, signer.vkey + "\n")
        return cls.open(home, passphrase=passphrase)

    @classmethod
    def open(cls, home: Home, *, passphrase: str | None = None) -> "Installation":
        """Start an existing installation (LEDGER 4.4, "On start").

        Raises `HomeMissing`, `HomeRestored`, `SchemaNewer`, and before anything is signed what shows that the
        database is not the newest: `DatabaseBehind`, `HistoryForked`, `LogCorrupt`, `AnchorMissing`.
        """
        if not home.vkey.exists():
            raise HomeMissing(path=str(home.path))
        require_unmarked(home)
        keyring = KeyRing(home.keys, passphrase)
        migrate(home.database_url)
        database = Database(home.database_url)
        with database.read() as session:
            origin = ledger_log.origin(session)
        signer = NoteSigner(origin, keyring.get(LOG_KEY))
        tiles, anchors = TileDirectory(home.log), Anchors(home.anchors)
        publish_lost(database, tiles)
        publisher = Publisher(database, tiles, signer, anchors, _policy_of(home, signer))
        publisher.start()
        check_head(database)
        remove_stale(home.rasters, "*.partial")
        tiles.prune_partials()  # what a crash between publishing and pruning left
        clock = _clock_of_log(database)
        writer = Writer(
            database,
            WitnessedSigner(GuardedSigner(signer, tiles), publisher),
            publisher.publish,
            RequestsOfGroup(),
        )
        office = Office(writer, keyring, clock, PROJECTIONS, AccountsDirectory(), ACTS)
        return cls(home, database, clock, tiles, signer, publisher, office, writer)

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


def publish(
    database: Database, tiles: TileDirectory, signer: NoteSigner, anchors: Anchors | None = None
) -> None:
    """Bring the published log up to the newest committed checkpoint, asking no witness. Raises as
    `Publisher.publish`.
    """
    Publisher(database, tiles, signer, anchors).publish()


def _policy_of(home: Home, signer: NoteSigner) -> Policy | None:
    """The home's witness policy, if it has one. Raises `MalformedPolicy`, `LogNotInPolicy`."""
    policy = read_policy(home.policy)
    if policy is not None:
        policy.require_log(signer.verifier)
    return policy


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
