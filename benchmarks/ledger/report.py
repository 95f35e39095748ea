"""The table of a run: each measure with what it must be, what it aims at, and what it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.ledger.rounds import Run, Spread

HEADINGS: Final = "| measure | must | aim | median | range | met | per second, or what else was seen |"
RULE: Final = "| --- | ---: | ---: | ---: | ---: | --- | --- |"


@dataclass(frozen=True, slots=True)
class Goal:
    """Two bounds, the aim being the better one. `least`: a cost, which must not exceed them."""

    must: float
    aim: float
    least: bool = False

    def met(self, spread: Spread) -> str:
        """By the median."""
        if self._within(spread.median, self.aim):
            return "aim"
        return "must" if self._within(spread.median, self.must) else "**missed**"

    def _within(self, value: float, bound: float) -> bool:
        return value <= bound if self.least else value >= bound


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; `figures` takes them from the run, `beside` says what else was seen."""

    measure: str
    needs: tuple[str, ...]
    """Samples without which there is nothing to say."""
    figures: Callable[[Run], Spread]
    unit: str = ""
    goal: Goal | None = None
    beside: Callable[[Run], str] = lambda _run: ""

    def text(self, run: Run) -> str:
        if not all(name in run.samples for name in self.needs):
            return f"| {self.measure} | {self._goals()} | | | not measured | |"
        spread = self.figures(run)
        met = "" if self.goal is None else self.goal.met(spread)
        low, middle, high = (figure(value) for value in (spread.min, spread.median, spread.max))
        said = f"{middle} {self.unit}".strip()
        return f"| {self.measure} | {self._goals()} | {said} | {low} to {high} | {met} | {self.beside(run)} |"

    def _goals(self) -> str:
        if self.goal is None:
            return " | "
        return f"{self.goal.must:g} {self.unit}".strip() + " | " + f"{self.goal.aim:g} {self.unit}".strip()


def table(run: Run, described: str) -> str:
    """The run in Markdown. A run in which V moved too far says first that it counts for nothing."""
    lines = [described, ""]
    if run.discarded:
        lines += [f"**To be discarded: V moved by {run.moved:.0%} from the first round to the last.**", ""]
    lines += [HEADINGS, RULE, *(line.text(run) for line in lines_of(run))]
    lines += [f"\nNot measured here: {what}: {why}" for what, why in run.absent.items()]
    return "\n".join(lines)


def figure(value: float) -> str:
    """Three digits that count, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2 if value >= 1 else 3}f}"


def lines_of(run: Run) -> list[Line]:
    return [*_references(), *_appends(), *_http(), *_proofs(run), *_audits(run), *_peers()]


def _spread(spread: Spread) -> str:
    return f"{figure(spread.median)} ({figure(spread.min)} to {figure(spread.max)})"


def _rate(name: str) -> Callable[[Run], str]:
    return lambda run: _spread(run.rates(name))


def _times(name: str, unit: str) -> Callable[[Run], str]:
    def said(run: Run) -> str:
        p50, p99 = run.seen(name, f"p50_{unit}").median, run.seen(name, f"p99_{unit}").median
        return f"{_spread(run.rates(name))}; p50 {figure(p50)}, p99 {figure(p99)} {unit}"

    return said


def _references() -> Sequence[Line]:
    return (
        Line("V: Ed25519 verifications of one core, `cryptography`", (), lambda run: run.v, "/s"),
        Line("F: one page and `fdatasync`", ("sync",), lambda run: run.rates("sync"), "/s"),
    )


def _append(database: str, group: int, goal: Goal | None = None) -> Line:
    name = f"append {database} {group}"
    title = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(database, database)
    return Line(
        f"signed appends, {title}, group {group}",
        (name,),
        lambda run: run.ratios(name),
        "V",
        goal,
        lambda run: f"{_times(name, 'ms')(run)}; CPU {figure(run.seen(name, 'cpu_us').median)} us an entry",
    )


def _appends() -> Sequence[Line]:
    rooms = "append sqlite with rooms 64"
    return (
        _append("sqlite", 1),
        _append("sqlite", 16),
        _append("sqlite", 64, Goal(0.60, 0.90)),
        Line(
            "the same, held to the bounds for libsodium, which verifies for us",
            ("append sqlite 64",),
            lambda run: run.ratios("append sqlite 64"),
            "V",
            Goal(0.75, 1.4),
        ),
        _append("sqlite", 256),
        _append("postgresql", 1),
        _append("postgresql", 16),
        _append("postgresql", 64),
        _append("postgresql", 256, Goal(0.45, 0.75)),
        Line(
            "the same with the rows of the registry's rooms, SQLite, group 64",
            (rooms,),
            lambda run: run.ratios(rooms),
            "V",
            None,
            _times(rooms, "ms"),
        ),
        Line(
            "single append, p99, idle, SQLite",
            ("append sqlite 1",),
            lambda run: run.seen("append sqlite 1", "p99_ms"),
            "ms",
            Goal(15, 3, least=True),
            lambda run: f"p50 {_spread(run.seen('append sqlite 1', 'p50_ms'))} ms",
        ),
        Line(
            "single append, p99, at half the rate of group 64, SQLite",
            ("half load sqlite",),
            lambda run: run.seen("half load sqlite", "p99_ms"),
            "ms",
            Goal(60, 25, least=True),
            lambda run: f"p50 {_spread(run.seen('half load sqlite', 'p50_ms'))} ms, random arrivals",
        ),
    )


def _request(measure: str, name: str, goal: Goal | None = None) -> Line:
    return Line(measure, (name,), lambda run: run.ratios(name), "V", goal, _times(name, "ms"))


def _http() -> Sequence[Line]:
    return (
        _request("over HTTP, 1 client, one entry a request", "http 1"),
        _request("over HTTP, 8 clients, one entry a request", "http 8"),
        _request("over HTTP, 32 clients, one entry a request", "http 32", Goal(0.08, 0.15)),
        _request("over HTTP, 32 clients, 64 entries a request", "http batch", Goal(0.25, 0.5)),
        _request("over HTTP, 32 clients, one entry a request, signed by the registry", "http kept key"),
    )


def _proofs(run: Run) -> Sequence[Line]:
    sizes = sorted(int(name.split()[1]) for name in run.samples if name.startswith("proof "))
    growth = Line(
        "proof p50, 1,000,000 entries over 1,000",
        ("proof 1000", "proof 1000000"),
        lambda run: _quotients(run, "proof 1000000", "proof 1000", "p50_us"),
        "",
        Goal(4, 2.5, least=True),
    )
    return [*map(_proof, sizes), growth]


def _proof(size: int) -> Line:
    name = f"proof {size}"
    return Line(
        f"proof from tiles, p99, {size:,} entries",
        (name,),
        lambda run: run.seen(name, "p99_us"),
        "us",
        Goal(200, 70, least=True) if size == 1_000_000 else None,
        lambda run: f"p50 {_spread(run.seen(name, 'p50_us'))} us",
    )


def _quotients(run: Run, name: str, other: str, what: str) -> Spread:
    pairs = zip(run.samples[name], run.samples[other], strict=True)
    return Spread.of([one.seen[what] / two.seen[what] for one, two in pairs])


def _audits(run: Run) -> Sequence[Line]:
    return (
        Line(
            "audit of the hashes, over the Go program's, which proves every entry",
            ("audit hashes", "audit go"),
            lambda run: run.against("audit hashes", "audit go"),
            "times",
            Goal(3, 6),
            lambda run: f"{_spread(run.rates('audit hashes'))}; Go {_spread(run.rates('audit go'))}",
        ),
        Line(
            "audit with signatures and replay, one core",
            ("audit everything",),
            lambda run: run.ratios("audit everything"),
            "V",
            Goal(0.75, 0.95),
            _rate("audit everything"),
        ),
        *_memories(run),
    )


def _memories(run: Run) -> Sequence[Line]:
    sizes = sorted(int(name.split()[2]) for name in run.samples if name.startswith("memory everything"))
    service = Line(
        "memory of the service after the run",
        ("service memory",),
        lambda run: run.rates("service memory"),
        "MiB",
        Goal(250, 120, least=True),
        lambda run: f"with {run.seen('service memory', 'entries').median:,.0f} deposits in its log",
    )
    if len(sizes) < 2:
        return (service,)
    ends = sizes[0], sizes[-1]
    return (_memory("hashes", "the hashes", *ends), _memory("everything", "everything", *ends), service)


def _memory(what: str, said: str, small: int, large: int) -> Line:
    one, two = (f"memory {what} {size}" for size in (small, large))
    return Line(
        f"memory of the audit of {said}, {large:,} entries over {small:,}",
        (one, two),
        lambda run: _quotients(run, two, one, "peak_mib"),
        "times",
        Goal(1.2, 1.05, least=True),
        lambda run: " and ".join(figure(run.seen(name, "peak_mib").median) for name in (one, two)) + " MiB",
    )


def _peers() -> Sequence[Line]:
    return (
        Line(
            "appends, PostgreSQL, group 64, over a plain table that commits each entry",
            ("append postgresql 64", "plain 1"),
            lambda run: run.against("append postgresql 64", "plain 1"),
            "times",
            Goal(1.5, 3),
            lambda run: f"the table {_spread(run.rates('plain 1'))}; it signs and hashes nothing",
        ),
        Line(
            "the same, the table also in groups of 64",
            ("append postgresql 64", "plain 64"),
            lambda run: run.against("append postgresql 64", "plain 64"),
            "times",
            None,
            lambda run: f"the table {_spread(run.rates('plain 64'))}",
        ),
        Line(
            "appends, SQLite, group 1, over pymerkle's, which keeps no books",
            ("append sqlite 1", "pymerkle 1"),
            lambda run: run.against("append sqlite 1", "pymerkle 1"),
            "times",
            None,
            lambda run: f"pymerkle {_spread(run.rates('pymerkle 1'))}",
        ),
        Line(
            "the same, group 64",
            ("append sqlite 64", "pymerkle 64"),
            lambda run: run.against("append sqlite 64", "pymerkle 64"),
            "times",
            None,
            lambda run: f"pymerkle {_spread(run.rates('pymerkle 64'))}",
        ),
        Line(
            "pymerkle's proof, p50, at its size at the end",
            ("pymerkle proof",),
            lambda run: run.seen("pymerkle proof", "p50_us"),
            "us",
            None,
            lambda run: f"{run.seen('pymerkle proof', 'size').max:,.0f} entries",
        ),
    )
