"""Rotating the log's own key and closing the log: root acts from the installation's command line."""

import uuid
from typing import ClassVar

from ledger.log import log_keys, size
from ledger.log_keys import in_force
from registry.accounts.keys import AddLogKey, CloseLog, EndLogKey
from registry.errors import RegistryRefusal
from registry.installation import Installation, write_vkeys
from registry.office import Command


class NothingToFinish(RegistryRefusal):
    code: ClassVar[str] = "nothing_to_finish"
    template: ClassVar[str] = "The log has one key in force; there is no rotation to finish."


def begin_rotation(installation: Installation) -> str:
    """Make a new key and announce it; from then on checkpoints bear two signatures. Answers its vkey."""
    with installation.database.read() as session:
        newest = log_keys(session)[-1].verifier
    new = installation.office.keyring.create_log_key(newest.name).verifier.vkey
    _act(installation, "log.add_key", AddLogKey(vkey=new))
    write_vkeys(installation.home, installation.database)
    return new


def finish_rotation(installation: Installation) -> list[str]:
    """End every key but the newest; answers those that ended. Raises `NothingToFinish`."""
    with installation.database.read() as session:
        old = in_force(log_keys(session), size(session))[:-1]
    if not old:
        raise NothingToFinish()
    for verifier in old:
        _act(installation, "log.end_key", EndLogKey(vkey=verifier.vkey))
    write_vkeys(installation.home, installation.database)
    return [verifier.vkey for verifier in old]


def close_log(installation: Installation, origin: str, vkey: str) -> None:
    """Write the log's last entry, which names its successor."""
    _act(installation, "log.close", CloseLog(origin=origin, vkey=vkey))


def _act(installation: Installation, act: str, command: Command) -> None:
    installation.office.execute(installation.root, act, command, str(uuid.uuid4()))
