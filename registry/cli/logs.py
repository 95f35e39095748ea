"""`tanhui log`: a published log, ours or somebody else's."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ledger.client import LogClient
from registry.cli.common import (
    HomeOption,
    JsonOption,
    LogOption,
    PolicyOption,
    VkeyOption,
    app,
    console,
    existing,
    log_and_key,
    policy_in,
    verifiers_spelled,
    write_file,
)
from registry.cli.witnesses import commands as witness_commands
from registry.settings import Settings

log_commands = typer.Typer(help="A published log, ours or somebody else's.", no_args_is_help=True)
app.add_typer(log_commands, name="log")
log_commands.add_typer(witness_commands, name="witness")


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

    verifier = verifiers_spelled(vkey)
    demanded = policy_in(policy)
    client = LogClient(files_at(log), verifier, demanded)
    checked = client.verify(None if since is None else read_head(since.read_bytes(), verifier))
    if save is not None:
        write_file(save, checked.head.note)
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

    successor = verifiers_spelled(next_vkey)[-1]
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
    proof, _ = log_client(home, log, vkey).proof(index)
    if output is None:
        typer.echo(proof.to_bytes().decode(), nl=False)
    else:
        write_file(output, proof.to_bytes())
        console.print(f"wrote {output}", soft_wrap=True)


def log_client(home: Path | None, log: str | None, vkey: str | None) -> LogClient:
    """The log that was named, with its key; else the home's own."""
    files, key = log_and_key(home, log, vkey)
    return LogClient(files, verifiers_spelled(key))
