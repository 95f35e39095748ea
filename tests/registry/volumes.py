"""Databases and archives for the tests of backup, restore and upgrade."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from registry.accounts.service import RegisterPerson
from registry.archive import MANIFEST
from registry.database import create_engine
from registry.dump import dump, tables_of
from registry.installation import Installation
from tests.registry.people import request_id

Members = dict[str, bytes]


def register(installation: Installation, count: int = 1) -> None:
    for _ in range(count):
        command = RegisterPerson(name="A")
        installation.office.execute(installation.root, "person.register", command, request_id())


def emptied(url: str) -> str:
    """The address again, of a database without any table."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(str(parsed.database)).unlink()
        return url
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("drop schema public cascade"))
        connection.execute(sa.text("create schema public"))
    engine.dispose()
    return url


def dumped(url: str) -> dict[str, list[bytes]]:
    """Every table of a database, in lines that are the same on both."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return {table.name: list(dump(connection, table)) for table in tables_of(connection)}
    finally:
        engine.dispose()


def members_of(archive: Path) -> Members:
    with tarfile.open(archive) as tar:
        return {member.name: _content(tar, member) for member in tar}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content is not None
    return content.read()


def write_archive(path: Path, infos: Iterator[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for info, data in infos:
            tar.addfile(info, io.BytesIO(data))
    return path


def plain(members: Members) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for name, data in members.items():
        info = tarfile.TarInfo(name)
        info.size = len(data)
        yield info, data


def rewritten(archive: Path, change: Callable[[Members], None], *, manifest_too: bool = False) -> Path:
    """The archive with its members changed by somebody who, `manifest_too`, knows how a manifest is made."""
    members = members_of(archive)
    change(members)
    if manifest_too:
        manifest = json.loads(members.pop(MANIFEST))
        manifest["members"] = {name: sha256(data).hexdigest() for name, data in members.items()}
        members[MANIFEST] = json.dumps(manifest).encode()
    return write_archive(archive.with_name("rewritten.tar.gz"), plain(members))
