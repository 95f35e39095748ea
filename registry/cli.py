"""The command `tanhui`.

Every command takes `--home DIR` (else `TANHUI_HOME`, else `./tanhui-data`) and explains itself with
`--help`. A refusal is one line with its code and exit status 2; what the machine refuses (a port in use, a
database that does not answer) and what is wrong with a published log one line and exit status 1; `--json`
prints for programs.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import ArgumentError, OperationalError

from geo.errors import GeoRefusal
from ledger.client import Files, FolderFiles, LogClient, LogWrong, files_at
from ledger.errors import LedgerRefusal
from ledger.note import NoteVerifier, parse_vkeys
from ledger.policy import Policy
from registry.errors import HomeMissing, RegistryRefusal, TablesMissing
from registry.machine import Role
from registry.settings import Home, Settings
from registry.witness_command import commands as witness_commands

app = typer.Typer(
    help="碳汇 tanhui: a registry for forestry carbon sinks, and a ledger that a stranger can check.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
database_commands = typer.Typer(help="The installation and its database.", no_args_is_help=True)
certificate_commands = typer.Typer(help="Retirement certificates.", no_args_is_help=True)
clock_commands = typer.Typer(help="The clock of a simulated installation.", no_args_is_help=True)
log_commands = typer.Typer(help="A published log, ours or somebody else's.", no_args_is_help=True)
app.add_typer(database_commands, name="db")
app.add_typer(certificate_commands, name="certificate")
app.add_typer(clock_commands, name="clock")
app.add_typer(log_commands, name="log")
log_commands.add_typer(witness_commands, name="witness")

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

REFUSED, FAILED = 2, 1


def main() -> None:
    """Run the command line; a refusal ends with exit status 2, its code, and every bad row it names."""
    try:
        app()
    except LogWrong as wrong:
        errors.print(f"[red]wrong[/red] {wrong.code}: {wrong}", soft_wrap=True)
        sys.exit(FAILED)
    except (RegistryRefusal, LedgerRefusal, GeoRefusal) as refusal:
        errors.print(f"[red]refused[/red] {refusal.code}: {refusal}", soft_wrap=True)
        for row in _rows(refusal.facts):
            what = row.get("code") or row.get("message")
            where = f"row {row['row']} {row.get('field')}" if "row" in row else row.get("field")
            errors.print(f"  {where}: {what}", soft_wrap=True)
            for language in ("zh", "en"):
                if language in row:
                    errors.print(f"    {row[language]}", soft_wrap=True)
        sys.exit(REFUSED)
    except (OSError, OperationalError, ArgumentError) as fault:
        reason = str(fault.orig if isinstance(fault, OperationalError) else fault).partition("\n")[0]
        errors.print(f"[red]failed[/red] {type(fault).__name__}: {reason}", soft_wrap=True)
        sys.exit(FAILED)


def _rows(facts: Mapping[str, object]) -> list[dict[str, object]]:
    """The rows that a refused file names, or the fields of a refused request."""
    listed = facts.get("rows") or facts.get("faults") or facts.get("errors") or []
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


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


# ---- db, clock, members
# ------------------------------------------------------------------------------------------


@database_commands.command("create")
def db_create(
    home: HomeOption = None,
    origin: Annotated[str | None, typer.Option(help="the log's name; it can never change")] = None,
    clock: Annotated[
        datetime | None, typer.Option(help="make it a simulated installation at this UTC instant")
    ] = None,
) -> None:
    """Make a new installation: schema, keys, and a log with its first entry."""
    from registry.installation import Installation

    settings = Settings()
    simulated_at = None if clock is None else utc(clock)
    installation = Installation.create(
        home_at(home),
        settings.origin if origin is None else origin,
        simulated_at=simulated_at,
        passphrase=settings.key_passphrase,
    )
    installation.close()
    console.print(f"created {installation.home.path}\nlog key {installation.vkey}", soft_wrap=True)


@database_commands.command("upgrade")
def db_upgrade(home: HomeOption = None) -> None:
    """Bring the database to the newest schema."""
    from registry.database import migrate

    migrate(existing(home).database_url)
    console.print("the schema is the newest")


@database_commands.command("vacuum")
def db_vacuum(home: HomeOption = None) -> None:
    """Take away what erased records left in files: certificates of theirs, and bytes in the database."""
    from registry.vacuum import vacuum

    for name in vacuum(existing(home)):
        console.print(f"removed certificates/{name}", soft_wrap=True)
    console.print("the database is written anew")


@database_commands.command("anchor")
def db_anchor(home: HomeOption = None) -> None:
    """Begin the anchors that TANHUI_ANCHOR names: copies of the last published checkpoint elsewhere."""
    from ledger.tiles import TileDirectory
    from registry.anchor import Anchors

    target = existing(home)
    note = TileDirectory(target.log).checkpoint_bytes()
    if not target.anchors or note is None:
        raise typer.BadParameter("TANHUI_ANCHOR names no file, or nothing is published yet")
    begun = Anchors(target.anchors).begin(note)
    for path in target.anchors:
        console.print(f"{'begun' if path in begun else 'there already'} {path}", soft_wrap=True)


@clock_commands.command("advance")
def clock_advance(
    to: Annotated[datetime, typer.Argument(help="a UTC instant, for example 2025-07-01T08:00:00")],
    home: HomeOption = None,
) -> None:
    """Move a simulated clock forward. It never moves back, and never over HTTP."""
    from registry.clock import SimulatedClock
    from registry.database import Database

    instant = utc(to)
    database = Database(existing(home).database_url)
    SimulatedClock(database).advance(instant)
    database.dispose()
    console.print(f"the clock stands at {instant:%Y-%m-%dT%H:%M:%SZ}")


@app.command()
def member(
    name: Annotated[str, typer.Argument(help="the organisation's name, or the id of a registered one")],
    kind: Annotated[Role, typer.Option(help="the organisation's kind and the person's role")],
    person: Annotated[str, typer.Option(help="the person who acts for it")],
    county: Annotated[str, typer.Option(help="GB/T 2260 county code")] = "330800",
    public_key: Annotated[
        str | None, typer.Option(help="the person's own Ed25519 key (hex); else the server keeps one")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register an organisation, a person with a key and a mandate, and print an API key for it."""
    from pydantic import ValidationError

    from registry.installation import opened
    from registry.members import enrol
    from registry.web.api import request_invalid

    with opened(home_at(home), passphrase=Settings().key_passphrase) as installation:
        try:
            enrolled = enrol(installation, name, kind, person, county, public_key)
        except ValidationError as invalid:
            raise request_invalid(list(invalid.errors())) from invalid
    if as_json:
        console.print_json(json.dumps(enrolled))
    else:
        for key, value in enrolled.items():
            console.print(f"{key:13} {value}", soft_wrap=True)


# ---- serve and demo
# ----------------------------------------------------------------------------------------------


@app.command()
def serve(
    home: HomeOption = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on", min=0, max=65535)] = 8000,
    clock: Annotated[
        datetime | None, typer.Option(help="advance the simulated clock to this UTC instant first")
    ] = None,
) -> None:
    """Serve the pages, the API and the log."""
    import socket

    import uvicorn

    from registry.app import create_app
    from registry.installation import opened

    if clock is not None:
        clock_advance(clock, home)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, port), family=family) as listening,
        opened(home_at(home), passphrase=Settings().key_passphrase) as installation,
    ):
        if not installation.home.anchors:
            errors.print(
                "[yellow]no anchor[/yellow]: nothing tells a roll-back of the whole home; set TANHUI_ANCHOR",
                soft_wrap=True,
            )
        address = f"[{host}]" if family is socket.AF_INET6 else host
        console.print(
            f"serving {installation.home.path} at http://{address}:{listening.getsockname()[1]}",
            soft_wrap=True,
        )
        server = uvicorn.Server(uvicorn.Config(create_app(installation), log_level="warning"))
        server.run(sockets=[listening])


@app.command()
def demo(
    once: Annotated[
        Path, typer.Option("--once", help="run the whole life of a credit in this new folder, then exit")
    ],
    parcels: Annotated[
        Path | None, typer.Option(help="your own parcels file instead of the generated one")
    ] = None,
    agb: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="your own biomass rasters (t/ha) at the start and the end"),
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="your own sample plots (CSV)")] = None,
) -> None:
    """From a polygon to a certificate, with every step shown."""
    from registry.demo import run

    run(once, parcels=parcels, agb=agb, plots=plots, say=lambda line: console.print(line, soft_wrap=True))


# ---- checking
# ----------------------------------------------------------------------------------------------------


@app.command()
def audit(
    folder: Annotated[
        Path | None, typer.Argument(help="the folder with log/, log.vkey and tanhui.db [default: the home]")
    ] = None,
    home: HomeOption = None,
    log_only: Annotated[
        bool, typer.Option("--log-only", help="use nothing but log/ and log.vkey, as a stranger has them")
    ] = False,
    log: LogOption = None,
    vkey: VkeyOption = None,
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="audit the first N entries and say what stood then")
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option(
            "--date", formats=["%Y-%m-%d"], help="and say what stood at the end of this day in China"
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="threads that verify signatures")] = 1,
    since: Annotated[
        Path | None, typer.Option("--since", help="a checkpoint saved before, which the log must continue")
    ] = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a published log entry by entry, and hold an installation's tables and certificates to it."""
    from registry import audit_command as desk

    asked = (log, size, date, since, policy)
    at_desk = log_only or any(option is not None for option in asked)
    with progress_bar() as advance:
        if at_desk:
            files, key = _log_and_key(folder or home, log, vkey)
            day = None if date is None else date.date()
            audited, until = desk.audit_published(
                files, key, size, day, threads, advance, _policy(policy), since
            )
            report, said = audited.report, desk.answer_json(audited)
        else:
            report = _audit_home(existing(folder or home), advance)
            said = report.to_json()
    if as_json:
        console.print_json(json.dumps(said))
    else:
        desk.print_report(console, report)
        if at_desk:
            desk.print_standing(console, audited, until)
    if not report.passed:
        raise typer.Exit(1)


def _audit_home(target: Home, advance: Callable[[str, int, int], None]) -> Any:
    from registry.transparency.audit import audit as run_audit

    own_tables = target.database_url == Home.at(target.path).database_url
    if own_tables and not target.own_tables.exists():
        raise TablesMissing(path=str(target.path))
    return run_audit(target, advance)


def _log_and_key(home: Path | None, log: str | None, vkey: str | None) -> tuple[Files, str]:
    """The log that was named, with its key; else the home's own."""
    if log is None:
        own = existing(home)
        return FolderFiles(own.log), vkey or str(own.vkey)
    if vkey is None:
        raise typer.BadParameter("--log needs --vkey: a log does not vouch for its own key")
    return files_at(log), vkey


# ---- backup and restore
# ------------------------------------------------------------------------------------------


@app.command()
def backup(
    target: Annotated[
        Path, typer.Argument(help="the archive to make, or a folder for one named by the time")
    ],
    home: HomeOption = None,
    keys: Annotated[bool, typer.Option("--keys/--without-keys", help="take the encrypted keys too")] = True,
    secret: Annotated[
        bool, typer.Option("--with-secret", help="take the file keys/secret too, which opens the keys")
    ] = False,
    check: Annotated[
        bool, typer.Option("--audit/--no-audit", help="restore a copy of it and audit that")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Make one archive of everything, also while the registry is serving, and audit a copy of it."""
    from registry.audit_command import print_report
    from registry.backup import backup as make_backup

    with progress_bar() as advance:
        made = make_backup(existing(home), target, advance, keys=keys, secret=secret, check=check)
    if as_json:
        said = {"path": str(made.path), "size": made.manifest.size, "root": made.manifest.root}
        console.print_json(json.dumps({**said, "audit": made.report and made.report.to_json()}))
    else:
        if made.report is not None:
            print_report(console, made.report)
        console.print(f"wrote {made.path}: {made.manifest.size:,} entries", soft_wrap=True)
        if keys and not secret:
            console.print("[yellow]keys/secret is not in it[/yellow]: keep it, or the passphrase, elsewhere")
    if made.report is not None and not made.report.passed:
        raise typer.Exit(1)


@app.command()
def restore(
    archive: Annotated[
        Path | None, typer.Argument(help="the archive; without one, go on with a restored home")
    ] = None,
    home: HomeOption = None,
    vkey: VkeyOption = None,
    published: Annotated[
        str | None,
        typer.Option("--catch-up", metavar="URL|DIR", help="bring what was published after the backup"),
    ] = None,
    nothing_newer: Annotated[
        bool, typer.Option("--nothing-newer", help="declare that nothing was published after the backup")
    ] = False,
) -> None:
    """Make a home of an archive, audit it, and catch up with the published log."""
    from registry.audit_command import print_report
    from registry.restore import restore as make_home

    if published is not None and nothing_newer:
        raise typer.BadParameter("either --catch-up or --nothing-newer")
    target = home_at(home)
    if archive is not None:
        with progress_bar() as advance:
            manifest, report = make_home(
                archive, target, advance, vkey=None if vkey is None else _verifier(vkey)[-1].vkey
            )
        print_report(console, report)
        console.print(
            f"restored {target.path}: {manifest.size:,} entries as of {manifest.created_at}", soft_wrap=True
        )
    _go_on(existing(home), published, nothing_newer)


def _go_on(target: Home, published: str | None, nothing_newer: bool) -> None:
    """Take the mark of a restored home away, on one ground or the other."""
    from registry.audit_command import print_report
    from registry.catchup import catch_up, declare_newest

    if published is not None:
        with progress_bar() as advance:
            caught = catch_up(target, files_at(published), advance)
        print_report(console, caught.report)
        console.print(f"caught up from {caught.before:,} to {caught.size:,} entries")
        for lost in caught.lost:
            console.print(f"[yellow]to be supplied[/yellow] {lost}", soft_wrap=True)
        if not caught.report.passed:
            raise typer.Exit(1)
    elif nothing_newer:
        declare_newest(target)
        console.print("declared: nothing was published after the backup")
    elif target.restored.exists():
        console.print("[yellow]it signs nothing yet[/yellow]: --catch-up or --nothing-newer", soft_wrap=True)


@app.command()
def recompute(
    serial: Annotated[str, typer.Argument(help="a serial number of an issued unit or range")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure again: from the serial to its run, and from the run's inputs to its kilograms."""
    from registry.database import Database
    from registry.transparency.trace import recompute_serial

    target = existing(home)
    database = Database(target.database_url)
    with database.read() as session:
        result = recompute_serial(session, target, serial)
    database.dispose()
    if as_json:
        console.print_json(json.dumps(result.to_json()))
    else:
        for line in result.lines():
            console.print(line, soft_wrap=True)
    if not result.same:
        raise typer.Exit(1)


@certificate_commands.command("verify")
def certificate_verify(
    file: Annotated[
        Path, typer.Argument(help="any file of the certificate: .pdf, .tlog-proof, .entry or .statement.json")
    ],
    vkey: Annotated[
        Path | None, typer.Option(help="the log's verifier key file [default: log.vkey beside or above]")
    ] = None,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Check a certificate offline: signature, inclusion, and each stated field.

    Cosignatures are checked with the witness.policy beside the key; --policy demands its quorum too.
    """
    from ledger.policy import read_policy
    from registry.documents.bundle import read_bundle, verify_bundle

    vkey = vkey or _vkey_near(file, home)
    key = vkey.read_text(encoding="ascii", errors="replace").strip()
    known = read_policy(vkey.with_name("witness.policy")) if policy is None else _policy(policy)
    bundle = read_bundle(file)
    verified = verify_bundle(
        bundle.proof,
        bundle.entry,
        bundle.statement,
        key,
        bundle.pdf,
        policy=known,
        quorum=policy is not None,
    )
    for step in verified.steps:
        console.print(step, soft_wrap=True)
    console.print(f"[green]verified[/green] {bundle.number}")


def _vkey_near(file: Path, home: Path | None) -> Path:
    """The key in the home that was named, else beside the file or above it, else in the default home."""
    folders = (home,) if home else (*file.absolute().parents[:2], home_at(None).path)
    for folder in folders:
        if (folder / "log.vkey").exists():
            return folder / "log.vkey"
    raise HomeMissing(path=str(folders[0]))


# ---- the published log
# -------------------------------------------------------------------------------------------


@log_commands.command("verify")
def log_verify(
    log: Annotated[str, typer.Argument(metavar="URL|DIR", help="the log's http(s) address or folder")],
    vkey: Annotated[str, typer.Option("--vkey", help="the log's verifier key, or a file with it")],
    since: Annotated[
        Path | None, typer.Option("--since", help="a checkpoint saved before, which the log must continue")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="keep the verified checkpoint here, for the next --since")
    ] = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a published log whole and check signature, entries, tiles, root, and that it continues."""
    from ledger.client import files_at, read_head

    verifier = _verifier(vkey)
    demanded = _policy(policy)
    client = LogClient(files_at(log), verifier, demanded)
    checked = client.verify(None if since is None else read_head(since.read_bytes(), verifier))
    if save is not None:
        _write(save, checked.head.note)
    found = checked.head.checkpoint
    witnesses = [] if demanded is None else demanded.cosigned_by(checked.head.note)
    said: dict[str, object] = {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "bundles": checked.bundles,
        "tiles": checked.tiles,
        "since": checked.since_size,
        "witnesses": witnesses,
    }
    if as_json:
        console.print_json(json.dumps(said))
        return
    console.print(f"checkpoint  signed by {checked.head.signers[-1].vkey}", soft_wrap=True)
    if witnesses:
        console.print(f"witnesses   {', '.join(witnesses)} cosigned it", soft_wrap=True)
    console.print(f"entries     {found.size:,} in {checked.bundles:,} bundles give the signed root")
    console.print(f"tiles       {checked.tiles:,} have the hashes that the entries give")
    if checked.since_size is not None:
        console.print(f"continues   the saved checkpoint of {checked.since_size:,} entries")
    console.print(f"[green]verified[/green] size {found.size} root {found.root.hex()}", soft_wrap=True)


@log_commands.command("rotate-key")
def log_rotate_key(
    home: HomeOption = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="end the old key, once those who verify have seen both")
    ] = False,
) -> None:
    """Announce a new key of the log, which signs beside the old one until --finish ends that."""
    from registry.installation import opened
    from registry.log_rotation import begin_rotation, finish_rotation

    with opened(existing(home), passphrase=Settings().key_passphrase) as installation:
        if finish:
            for vkey in finish_rotation(installation):
                console.print(f"ended  {vkey}", soft_wrap=True)
        else:
            console.print(f"added  {begin_rotation(installation)}", soft_wrap=True)
            console.print("checkpoints bear two signatures; back up keys/, then publish log.vkey")


@log_commands.command("close")
def log_close(
    next_origin: Annotated[str, typer.Option(help="the name of the log that comes after")],
    next_vkey: Annotated[str, typer.Option(help="its verifier key, or a file with it")],
    home: HomeOption = None,
) -> None:
    """Close the log for good: its last entry names its successor."""
    from registry.installation import opened
    from registry.log_rotation import close_log

    successor = _verifier(next_vkey)[-1]
    with opened(existing(home), passphrase=Settings().key_passphrase) as installation:
        close_log(installation, next_origin, successor.vkey)
    console.print(f"closed; the log goes on as {next_origin}", soft_wrap=True)


@log_commands.command("proof")
def log_proof(
    index: Annotated[int, typer.Argument(help="the entry's index, from 0", min=0)],
    home: HomeOption = None,
    log: LogOption = None,
    vkey: VkeyOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="write the proof here [default: print it]")
    ] = None,
) -> None:
    """Make the proof (c2sp.org/tlog-proof) that an entry is in the log, after checking it."""
    proof, _ = _log_client(home, log, vkey).proof(index)
    if output is None:
        typer.echo(proof.to_bytes().decode(), nl=False)
    else:
        _write(output, proof.to_bytes())
        console.print(f"wrote {output}", soft_wrap=True)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="the file to write")],
    hledger: Annotated[bool, typer.Option("--hledger", help="the journal of all postings")] = False,
    home: HomeOption = None,
    log: LogOption = None,
    vkey: VkeyOption = None,
) -> None:
    """Write the postings of a log, verified and replayed, as a journal for hledger or ledger."""
    from ledger.journal import heading, transactions
    from ledger.replay import LedgerState

    if not hledger:
        raise typer.BadParameter("say which format: --hledger")
    state, lines = LedgerState(), [""]

    def visit(index: int, leaf: bytes) -> None:
        lines.extend(transactions(state.apply(leaf)))

    client = _log_client(home, log, vkey)
    client.verify()  # first, so that a file that was touched is named as such, and nothing in it is replayed
    checked = client.verify(visit=visit)
    lines[0] = heading(checked.head.checkpoint)
    _write(file, "".join(lines).encode("ascii"))
    console.print(
        f"wrote {len(lines) - 1:,} transactions of {state.size:,} entries to {file}", soft_wrap=True
    )


def _log_client(home: Path | None, log: str | None, vkey: str | None) -> LogClient:
    """The log that was named, with its key; else the home's own."""
    files, key = _log_and_key(home, log, vkey)
    return LogClient(files, _verifier(key))


def _verifier(vkey: str) -> tuple[NoteVerifier, ...]:
    """The keys of one log that are spelled out, or that the file of this name holds, oldest first."""
    file = Path(vkey)
    if vkey.count("+") < 2 or file.is_file():
        vkey = file.read_text(encoding="utf-8", errors="replace").strip()
    return parse_vkeys(vkey)


def _policy(file: Path | None) -> Policy | None:
    """The policy in the file that was named, which must be there."""
    return None if file is None else Policy.parse(file.read_bytes())


def _write(file: Path, data: bytes) -> None:
    """The whole file or none."""
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(data)
    part.replace(file)


if __name__ == "__main__":
    main()
