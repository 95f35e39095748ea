"""The registry itself as the forger: entries with its real keys, past every service, rows and tiles to match.

What the audit is for: signatures, tree and tables are all in order, only the rule is broken.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.findings import Finding
from ledger import tables
from ledger.effects import Effect
from ledger.entry import Payload, parse_payload
from ledger.envelope import Envelope, decode_leaf, encode_leaf
from ledger.log import LedgerTransaction
from registry.acts import SYSTEM
from registry.catalogue import MACHINES, PROJECTIONS
from registry.machine import Mandate
from registry.office import Command
from registry.projections import project
from registry.transparency.audit import audit
from tests.registry.people import request_id
from tests.registry.story import Story


def prepared(story: Story, actor: Mandate, act: str, command: Command) -> Payload:
    """What an honest act would log."""
    payload = story.installation.office.prepare(actor, act, command, request_id()).payload
    assert payload is not None
    return parse_payload(payload)


def written(
    story: Story,
    by: Mandate,
    machine: str,
    action: str,
    subject: str,
    facts: dict[str, Any],
    effects: tuple[Effect, ...] = (),
) -> Payload:
    """A payload as no service would make it; states and mandate as they must be."""
    before = _state(story, machine, subject)
    return Payload(
        type="act",
        id=str(uuid.uuid4()),
        by=by.person,
        role=by.role.value,
        mandate=by.id,
        machine=machine,
        subject=subject,
        action=action,
        before=before,
        after=MACHINES[machine].step(before, action, subject).after,
        facts=facts,
        effects=effects,
    )


def _state(story: Story, machine: str, subject: str) -> str:
    state = tables.subject_state.c
    wanted = sa.select(state.state).where(state.machine == machine, state.subject == subject)
    with story.installation.database.read() as session:
        return session.execute(wanted).scalar_one_or_none() or MACHINES[machine].initial


def forge(
    story: Story,
    payload: Payload,
    *signers: Mandate,
    also: Callable[[Session], None] | None = None,
) -> None:
    """Sign, append, project, seal and publish."""
    installation = story.installation
    office = installation.office

    def work(session: Session, ledger: LedgerTransaction) -> None:
        envelope = Envelope(payload.to_bytes())
        for signer in signers:
            key = "system" if signer is SYSTEM else office.directory.server_key(session, signer.person)
            assert key is not None
            envelope = envelope.sign(office.keyring.get(key))
        ordered = tuple(sorted(envelope.signatures, key=lambda signature: signature.keyid))
        entry = ledger.append(encode_leaf(ledger.last_at_ms, replace(envelope, signatures=ordered)))
        project(session, entry, PROJECTIONS)
        if also is not None:
            also(session)

    installation.writer.run(work)


def logged(story: Story, machine: str, action: str) -> list[Payload]:
    """Payloads of the log, oldest first."""
    with story.installation.database.read() as session:
        leaves = session.scalars(sa.select(tables.log.c.leaf).order_by(tables.log.c.idx)).all()
    payloads = [parse_payload(decode_leaf(leaf)[1].payload) for leaf in leaves]
    return [p for p in payloads if (p.machine, p.action) == (machine, action)]


def found(story: Story) -> dict[str, list[Finding]]:
    """The audit's findings by check."""
    by_check: dict[str, list[Finding]] = {}
    for finding in audit(story.installation.home).findings:
        by_check.setdefault(finding.check, []).append(finding)
    return by_check
