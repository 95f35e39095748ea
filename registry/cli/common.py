"""What all commands share: the application, its options, and how they speak."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ledger.client import Files, FolderFiles, files_at
from ledger.note import NoteVerifier, parse_vkeys
from ledger.policy import Policy
from registry.errors import HomeMissing
from registry.settings import Home, Settings

app = typer.Typer(
    help="碳汇 tanhui: a registry for forestry carbon sinks, and a ledger that a stranger can check.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # "rich" would read "[default: …]" as a tag and leave it out
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="the installation's folder [default: TANHUI_HOME or ./tanhui-data]"),
]
LogOption = Annotated[
    str | None,
    typer.Option("--log", help="a published log instead of the home: its folder or http(s) address"),
]
VkeyOption = Annotated[
    str | None,
    typer.Option(
        "--vkey", help="the log's verifier key or a file with it; --log needs one [default: the home's]"
    ),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="a policy (c2sp.org/tlog-policy) whose quorum of witnesses must have signed"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs")]


def home_at(path: Path | None) -> Home:
    """The installation meant: a folder that has its own `tanhui.db` keeps its tables there, whatever the
    environment says.
    """
    settings = Settings()
    folder = path or settings.home
    url = None if (folder / "tanhui.db").exists() else settings.database_url
    return Home.at(folder, url, settings.anchors)


def existing(path: Path | None) -> Home:
    """The installation meant, else `HomeMissing`; nothing is made on the way."""
    home = home_at(path)
    if not home.vkey.exists():
        raise HomeMissing(path=str(home.path))
    return home


def utc(instant: datetime) -> datetime:
    """The instant meant: in its own time zone where it names one, else in UTC."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for long work; silent where nobody is looking at a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def advance(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)

        yield advance


def policy_in(file: Path | None) -> Policy | None:
    """The policy in the file that was named, which must be there."""
    return None if file is None else Policy.parse(file.read_bytes())


def log_and_key(home: Path | None, log: str | None, vkey: str | None) -> tuple[Files, str]:
    """The log that was named, with its key; else the home's own."""
    if log is None:
        own = existing(home)
        return FolderFiles(own.log), vkey or str(own.vkey)
    if vkey is None:
        raise typer.BadParameter("--log needs --vkey: a log does not vouch for its own key")
    return files_at(log), vkey


def write_file(file: Path, data: bytes) -> None:
    """The whole file or none."""
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(data)
    part.replace(file)


def key_text(vkey: str) -> str:
    """The keys of one log, one a line: spelled out, or in the file of this name."""
    file = Path(vkey)
    if vkey.count("+") < 2 or file.is_file():
        return file.read_text(encoding="utf-8", errors="replace").strip()
    return vkey


def verifiers_spelled(vkey: str) -> tuple[NoteVerifier, ...]:
    """The keys of one log that are spelled out, or that the file of this name holds, oldest first."""
    return parse_vkeys(key_text(vkey))
