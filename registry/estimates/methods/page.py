"""`docs/methods.md` from the code: how a method is known, every method, every equation, every table.

python -m registry.estimates.methods.page > docs/methods.md
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from registry.estimates.methods.catalogue import equations_of, method_list
from registry.estimates.methods.equations import EQUATIONS
from registry.estimates.methods.equations.declare import Equation, Input, Output
from registry.estimates.methods.library import table_digests, table_document, table_names
from registry.estimates.methods.version import METHODS

_OF_RUNS: Final = {
    "stand_types": "林分类型 Density, expansion, roots, carbon and growth by stand type",
    "linear_biomass": "生物量—蓄积线性系数 Linear biomass over volume by stand type",
    "deduction_rules": "不确定性扣减规则 Deductions by uncertainty",
    "estimation_rules": "估算设置 Settings of an estimate",
    "bamboo": "毛竹 Moso bamboo",
}

OPENING: Final = """# Methods

Made from the code by `python -m registry.estimates.methods.page > docs/methods.md`; a test keeps it true.

A **method version** is what decides a result besides the measurements: an id
(`zj-ph-forest-management/1`), one biomass equation (E-F1, E-F2, E-F3 or E-F6), one way from plots to a
mean change, a deduction rule, the version of the code, and the parameter tables. Its digest is in every
run record, and a project keeps its method for its whole crediting period. `tanhui method list` names
them, `tanhui method show ID` prints everything about one.

## How a digest is computed

`tanhui method show ID --json` (or `GET /api/v1/methods/ID`) prints `record`, `digest` and `tables`. With
nothing but that page and any SHA-256:

1. The digest of a table is the SHA-256 of the canonical JSON of its `document`: keys sorted, no spaces,
   UTF-8 (RFC 8785; there are no floats in it, decimals are texts as they were printed).
2. `record.parameter_tables` holds these digests.
3. The digest of the method is the SHA-256 of the canonical JSON of `record`.

In Python:

    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    hashlib.sha256(text.encode()).hexdigest()

## What may change, and what then

* A row of a table, its source or its mark: another digest, so another method version. Tables of the
  versions that runs were recorded with are never edited; a new version brings new tables.
* A version found wanting is superseded: it begins no new programme or project (`method_superseded`), and
  everything that began under it is computed by it to the end.
* Code: the version of the code is raised whenever a result changes.
  `tests/registry/estimates/method_results.json` keeps a digest of what every method and every equation
  computes, by version; a change that nobody declared fails there.

## Marks

Every row says where it comes from and how sure it is: **S** sure, read in its source; **P** probable,
recollected from a published table; **A** an assumption. A run may use any of them. Before issuance a
verifier attests every row that is not sure (`attest_parameters`), and overrides the assumptions expressly
as well (`override_assumptions`); the statement carries the digest of these rows with their marks.

## Three tiers

A *screening* number comes from rasters alone, an *ex ante* number from a growth curve (E-F4, always with
the band of the site), a *proven* one from plots. Only the last can be signed by a verifier, and only what
is signed is issued: `Proven` and `Verified` are types of `registry/verification/rules.py`, and nothing
else makes them. Farm, orchard, industrial and personal accounts (E-S, E-I, E-P) grade and reward; there
is no way from them to a unit.

## Calculating

    tanhui method calc sheet.json        # one object or a list; `-` reads standard input
    echo '{"name": "fir at ten years", "inputs": {"equation": "E-F4", "stand_type": "chinese_fir",
           "area_ha": 20, "ages": [10]}}' | tanhui method calc -

prints `{"name": …, "outputs": {…}}` for each. Names and units are those below; numbers are JSON numbers;
money comes as text with two decimals. What is missing, unknown, in another unit or out of range is
refused by name (exit status 2), and then nothing is printed. At most 10 MiB and 10,000 calculations. Over
HTTP: `POST /api/v1/methods/calculate` with the same body, at most 1 MiB and 256 calculations; ids hold
slashes, so `GET /api/v1/methods/…` takes the rest of the path as the id
(`/api/v1/methods/zj-ph-forest-management/1`).

How to add one: write the pure function beside its family (`registry/estimates/methods/`), declare it in
`registry/estimates/methods/equations/` (arguments annotated with unit and range, a dataclass as the
result), give its parameters a table in `data/`, and give it a vector in
`tests/registry/estimates/own_vectors.json`.

Clause numbers are those of the field's design pages (see [README](README.md)).
"""


def pages() -> Iterator[str]:
    yield OPENING
    yield "## Method versions\n\n" + _head("id", "what", "equations", "tables", "digest")
    for entry in method_list():
        if str(entry["id"]) in METHODS:
            yield _method(entry)
    yield "\n## Equations\n\n`1` is the unit of shares, ratios and counts."
    for equation in EQUATIONS.values():
        yield from _equation(equation)
    yield "\n## Tables\n\n" + _head("table", "what", "rows", "S / P / A", "used by", "digest")
    for name in table_names():
        yield _table(name)


def _head(*columns: str) -> str:
    return f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}"


def _method(entry: Mapping[str, Any]) -> str:
    method = METHODS[entry["id"]]
    tables = ", ".join(f"`{name}`" for name in sorted(method.parameters.digests()))
    what = f"{entry['title_zh']}; {entry['title']}"
    if method.superseded_by is not None:
        what += f"; superseded by `{method.superseded_by}`: begins no new programme or project"
    digest = f"`{method.digest()[:16]}…`"
    return f"| `{method.id}` | {what} | {', '.join(equations_of(method))} | {tables} | {digest} |"


def _equation(equation: Equation) -> Iterator[str]:
    yield f"\n### {equation.id}: {equation.title_zh} {equation.title}\n"
    yield f"    {equation.formula}\n"
    tables = f" Tables: {', '.join(f'`{name}`' for name in equation.tables)}." if equation.tables else ""
    yield f"{equation.source[0].upper()}{equation.source[1:]}.{tables}"
    for number, (inputs, outputs) in enumerate(zip(equation.inputs, equation.outputs, strict=True), 1):
        form = f" (form {number})" if len(equation.forms) > 1 else ""
        yield f"\nTakes{form} {_inputs(inputs)}.\n"
        yield f"Gives {'; '.join(_output(one) for one in outputs)}."


def _inputs(inputs: Iterable[Input]) -> str:
    return "; ".join(_input(one) for one in inputs)


def _input(one: Input) -> str:
    facts = [one.kind if one.unit in (None, "1") else f"{one.kind} in {one.unit}"]
    facts += [one.rule.replace("|", "or")] if one.rule else []
    facts += [] if one.required else ["optional"]
    fields = f" of {_inputs(one.fields)}" if one.fields else ""
    return f"`{one.name}` ({', '.join(facts)}{fields})"


def _output(one: Output) -> str:
    return f"`{one.name}`" if one.unit in (None, "1") else f"`{one.name}` in {one.unit}"


def _table(name: str) -> str:
    document: Mapping[str, Any] = table_document(name)
    rows = document["rows"]
    marks = " / ".join(str(sum(row["mark"] == mark for row in rows)) for mark in ("S", "P", "A"))
    users = [equation.id for equation in EQUATIONS.values() if name in equation.tables]
    users += ["runs"] if any(name in method.parameters.digests() for method in METHODS.values()) else []
    title = f"{document['title_zh']} {document['title']}" if "title" in document else _OF_RUNS[name]
    digest = f"`{table_digests()[name][:16]}…`"
    return f"| `{name}` | {title} | {len(rows)} | {marks} | {', '.join(users)} | {digest} |"


def page() -> str:
    return "\n".join(pages()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
