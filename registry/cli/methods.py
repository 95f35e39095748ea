"""`tanhui method`: methods and equations, their parameters, and calculations with them."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from registry.cli.common import JsonOption, app, console, progress_bar

method_commands = typer.Typer(
    help="Methods and equations: what there is, everything about one, and calculations.", no_args_is_help=True
)
app.add_typer(method_commands, name="method")


@method_commands.command("list")
def list_methods(as_json: JsonOption = False) -> None:
    """Every method version of runs and every equation, with its digest and the marks of its parameters."""
    from registry.estimates.methods.catalogue import method_list

    entries: list[Any] = method_list()
    if as_json:
        _print_json(entries)
        return
    width = max(len(one["id"]) for one in entries)
    for one in entries:
        marks = " ".join(f"{mark} {count}" for mark, count in one["marks"].items())
        facts = f"{one['kind']:<10}  version {one['version']}  {one['digest'][:12]}  {marks:<14}"
        title = f"{one['title_zh']}  {one['title']}{_superseded(one)}"
        console.print(f"{one['id']:<{width}}  {facts}  {title}", markup=False, soft_wrap=True)


@method_commands.command("show")
def show_method(
    method: Annotated[str, typer.Argument(metavar="ID", help="as `method list` names it, `E-F1`")],
    as_json: JsonOption = False,
) -> None:
    """Everything about one: equations with units and ranges, parameters with source and mark, the digest."""
    from registry.estimates.methods.catalogue import method_page

    page: Any = method_page(method)
    if as_json:
        _print_json(page)
        return
    console.print(f"{page['id']}  {page['title_zh']}  {page['title']}", markup=False)
    console.print(f"{page['kind']}, version {page['version']}{_superseded(page)}", markup=False)
    for equation in page["equations"]:
        _print_equation(equation)
    for table in page["tables"]:
        _print_table(table)
    console.print(f"\ndigest {page['digest']}\n{page['recompute']} `--json` prints both.", soft_wrap=True)


@method_commands.command("calc")
def calculate(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="JSON: one calculation or a list of them; `-`: standard input"),
    ],
) -> None:
    """Calculate {"name": …, "inputs": {"equation": …, …}}, one or a list; print {"name": …, "outputs": {…}}.

    Nothing is printed when one of them is refused; the refusal says which one.
    """
    from registry.estimates.methods.equations.documents import LIMIT_BYTES, calculate_sheet

    if file == "-":
        raw = sys.stdin.buffer.read(LIMIT_BYTES + 1)
    else:
        with Path(file).open("rb") as source:
            raw = source.read(LIMIT_BYTES + 1)
    with progress_bar() as progress:
        results = calculate_sheet(raw, progress=progress)
    _print_json(results)


def _superseded(entry: Any) -> str:
    successor = entry.get("superseded_by")
    return "" if successor is None else f"  superseded by {successor}: no new programme or project"


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def _print_equation(equation: Any) -> None:
    console.print(f"\n{equation['id']}  {equation['title']['zh']}  {equation['title']['en']}", markup=False)
    console.print(f"  {equation['formula']}\n  {equation['source']}", markup=False, soft_wrap=True)
    for number, form in enumerate(equation["forms"], 1):
        if len(equation["forms"]) > 1:
            console.print(f"  form {number}")
        _print_inputs(form["inputs"], "    ")
        for output in form["outputs"]:
            console.print(f"    -> {output['name']} {_unit(output)}({output['kind']})", markup=False)


def _print_inputs(inputs: Any, indent: str) -> None:
    for one in inputs:
        rule = f", {one['range']}" if "range" in one else ""
        needed = "" if one["required"] else ", optional"
        console.print(f"{indent}{one['name']} {_unit(one)}({one['kind']}{rule}{needed})", markup=False)
        _print_inputs(one.get("fields", []), indent + "  ")


def _unit(one: Any) -> str:
    return "" if one.get("unit") in (None, "1") else f"{one['unit']} "


_SAID_APART: Final = ("code", "source", "mark")


def _print_table(table: Any) -> None:
    document = table["document"]
    heading = f"\ntable {table['name']} version {document['version']}  {table['digest']}"
    console.print(heading, markup=False, soft_wrap=True)
    for row in document["rows"]:
        told = {key: value for key, value in row.items() if key not in _SAID_APART and value is not None}
        values = ", ".join(f"{key} {_told(value)}" for key, value in told.items())
        line = f"  [{row['mark']}] {row['code']}: {values}; {row['source']}"
        console.print(line, markup=False, soft_wrap=True)


def _told(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
