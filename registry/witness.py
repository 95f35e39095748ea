"""A witness as a program: a folder with its name, keys and memory, and `add-checkpoint` over HTTP.

It needs no database, no installation and nothing of the registry whose log it watches. Whoever runs one
should not be who runs the log.

    DIR/name            the witness's name in its cosignatures
    DIR/witness.vkey    its verifier keys, one a line, for the policies of others
    DIR/keys/           its encrypted keys; `secret` unlocks them unless TANHUI_KEY_PASSPHRASE does
    DIR/seen.db         the newest checkpoint that it cosigned of each log: never restore it from a backup
"""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.keys import SigningKey
from ledger.mldsa import MlDsaKey
from ledger.note import LOG_KINDS, Cosigner, NoteVerifier
from ledger.witness import MAX_REQUEST_BYTES, Answer, Witness, WitnessStore, trusted_logs
from registry.errors import RegistryRefusal
from registry.keyring import KeyRing

BODY_S: Final = 10.0
"""How long a client may take to send its request."""
KEPT_S: Final = 60
"""How long an idle connection is kept for the next request."""
MOST_AT_ONCE: Final = 64
KEY, ML_DSA_KEY = "witness", "keys/witness-ml-dsa.pem"

sayings = logging.getLogger("tanhui.witness")


class WitnessTaken(RegistryRefusal):
    code: ClassVar[str] = "witness_taken"
    template: ClassVar[str] = "{path} holds a witness already."


class WitnessMissing(RegistryRefusal):
    code: ClassVar[str] = "witness_missing"
    template: ClassVar[str] = "{path} holds no witness; `tanhui log witness init` makes one."


class NotALogKey(RegistryRefusal):
    code: ClassVar[str] = "not_a_log_key"
    template: ClassVar[str] = "{vkey} is not the verifier key of a log."


def create_witness(
    folder: Path, name: str, *, ml_dsa: bool = False, passphrase: str | None = None
) -> Witness:
    """A new witness that knows no log yet. Raises `WitnessTaken`, `MalformedKey` for the name."""
    if (folder / "name").exists() or (folder / "keys").exists():
        raise WitnessTaken(path=str(folder))
    NoteVerifier.parse(
        Cosigner(name, SigningKey.generate(), 0).vkey
    )  # a name that no note can bear is refused first
    folder.mkdir(parents=True, exist_ok=True)
    keyring = KeyRing(folder / "keys", passphrase)
    keyring.create(KEY)
    if ml_dsa:
        _write_ml_dsa(folder / ML_DSA_KEY, passphrase)
    WitnessStore(folder / "seen.db")
    (folder / "name").write_text(name + "\n", encoding="utf-8")
    witness = open_witness(folder, (), passphrase=passphrase)
    (folder / "witness.vkey").write_text("".join(f"{vkey}\n" for vkey in witness.vkeys), encoding="utf-8")
    return witness


def open_witness(folder: Path, logs: Sequence[NoteVerifier], *, passphrase: str | None = None) -> Witness:
    """The witness in a folder, told which logs to know.

    Raises `WitnessMissing`, also when its memory is gone: a witness that forgot would sign a second history.
    """
    if not (folder / "name").exists() or not (folder / "seen.db").exists():
        raise WitnessMissing(path=str(folder))
    for verifier in logs:
        if verifier.kind not in LOG_KINDS:
            raise NotALogKey(vkey=verifier.vkey)
    keyring = KeyRing(folder / "keys", passphrase)
    return Witness(
        name=(folder / "name").read_text(encoding="utf-8").strip(),
        key=keyring.get(KEY),
        logs=trusted_logs(logs),
        store=WitnessStore(folder / "seen.db"),
        now_s=lambda: int(time.time()),
        ml_dsa_key=_read_ml_dsa(folder / ML_DSA_KEY, passphrase),
    )


def _write_ml_dsa(path: Path, passphrase: str | None) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(MlDsaKey.generate().to_pem(_passphrase(path, passphrase)))
        file.flush()
        os.fsync(file.fileno())


def _read_ml_dsa(path: Path, passphrase: str | None) -> MlDsaKey | None:
    return MlDsaKey.from_pem(path.read_bytes(), _passphrase(path, passphrase)) if path.exists() else None


def _passphrase(path: Path, passphrase: str | None) -> bytes:
    """That of the key ring in the same folder."""
    return (passphrase or path.with_name("secret").read_text().strip()).encode()


def witness_app(witness: Witness) -> Starlette:
    """`POST /add-checkpoint` (c2sp.org/tlog-witness), and `GET /healthz`."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except TimeoutError:
            return _response(Answer(HTTPStatus.REQUEST_TIMEOUT, b"the request took too long\n"))
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        if body is None:
            return _response(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"the request is too long\n"))
        answer = await run_in_threadpool(witness.add_checkpoint, body)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CONFLICT):
            said = answer.body.decode(errors="replace").strip()
            sayings.warning("%d %s", answer.status, said.encode("unicode_escape").decode())
        return _response(answer)

    def healthz(_request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/healthz", healthz, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """The whole body; None when it is longer than any request can be."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_REQUEST_BYTES:
            return None
    return bytes(body)


def _response(answer: Answer) -> Response:
    headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store"}
    return Response(answer.body, answer.status.value, headers)
