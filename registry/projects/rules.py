"""The life of a project, of a land claim and of a monitoring period (RULES 1.2, 1.3), and what their dates
must be.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import ClassVar, Final, Literal

from registry.errors import RegistryRefusal
from registry.machine import Machine, Needs, Role, step
from registry.programmes.rules import Terms

OWNERS: Final = (Role.OPERATOR, Role.COLLECTIVE)

PROJECT: Final = Machine(
    "project",
    "draft",
    {
        ("draft", "submit"): step("submitted", *OWNERS),
        ("submitted", "publish"): step("published", Role.REGISTRY_ADMIN),
        ("published", "validate"): step("validated", Role.VERIFIER),
        ("published", "reject"): step("rejected", Role.REGISTRY_ADMIN),
        ("submitted", "withdraw"): step("withdrawn", *OWNERS),
        ("published", "withdraw"): step("withdrawn", *OWNERS),
        ("validated", "withdraw"): step("withdrawn", *OWNERS),
        ("validated", "register"): step("registered", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("registered", "activate"): step("active", Role.SYSTEM),
        ("active", "add_parcel"): step(
            "active", *OWNERS, needs=Needs.TWO_ORGANISATIONS, confirmers=(Role.REGISTRY_ADMIN,)
        ),
    },
)

CLAIM: Final = Machine(
    "claim",
    "none",
    {
        ("none", "activate"): step("active", Role.SYSTEM),
        # caused by the closing of the parcel, in its entry and by its signer, or by its supersession
        ("active", "end"): step("ended", Role.REGISTRY_ADMIN, Role.SYSTEM),
    },
)

SUCCESSION: Final = Machine(
    "succession",
    "none",
    {
        ("none", "propose"): step("proposed", Role.COLLECTIVE, needs=Needs.TWO_PERSONS),
        ("proposed", "approve"): step("approved", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("proposed", "refuse"): step("refused", Role.REGISTRY_ADMIN),
        ("proposed", "withdraw"): step("withdrawn", Role.COLLECTIVE),
    },
)

PERIOD: Final = Machine(
    "period",
    "none",
    {
        ("none", "open"): step("open", *OWNERS),
        ("open", "estimate"): step("estimated", *OWNERS),
        ("estimated", "estimate"): step("estimated", *OWNERS),
        ("returned", "estimate"): step("estimated", *OWNERS),
        ("estimated", "submit"): step("submitted", *OWNERS),
        ("submitted", "accept"): step("verifying", Role.VERIFIER),
        ("verifying", "return"): step("returned", Role.VERIFIER),
        ("verifying", "reject"): step("rejected", Role.VERIFIER),
        ("verifying", "verify"): step("verified", Role.VERIFIER),
        # caused by an approved issuance, in its entry
        ("verified", "issue"): step("issued", Role.ISSUER),
    },
)

OUTSIDE_CLAIM: Final = Machine(
    "outside_claim",
    "none",
    {
        ("none", "declare"): step("declared", *OWNERS, Role.REGISTRY_ADMIN),
        ("declared", "withdraw"): step("withdrawn", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
    },
)
"""A claim in another registry. One person may say it, with a document; two must sign that it is no more."""

DISPUTE: Final = Machine(
    "dispute",
    "none",
    {
        ("none", decision): step(state, Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS)
        for decision, state in (
            ("decide_first", "decided_first"),
            ("decide_second", "decided_second"),
            ("dismiss", "dismissed"),
        )
    },
)
"""A case of two that want the same ground. Before its decision nothing of it is in the log."""

OutsideRegistry = Literal["ccer", "vcs", "gold_standard", "provincial", "judicial", "other"]
"""Where else ground is credited (R-07): the national scheme, Verra, Gold Standard, another province's
carbon-inclusion scheme, a sink bought by order of a court, another.
"""

DEAD_PERIODS: Final = ("rejected", "voided")
"""A period in one of these states no longer holds its dates."""

SuccessionKind = Literal["split", "merge", "boundary"]
SuccessionReason = Literal[
    "ground_differs", "evidence_doubt", "tenure_unproven", "resolution_missing", "data_incomplete"
]
MAX_SUCCESSION: Final = 40
"""Predecessors, and successors, of one succession: its entries name every pair of them and have 32 KiB."""

MAX_PARCELS: Final = 500
"""Of one project: its entry names every one of them and has 32 KiB."""

CHINA: Final = timezone(timedelta(hours=8))


class ProjectRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "project_refused"
    template: ClassVar[str] = "The project was refused."


class MethodNotInProgramme(ProjectRefused):
    code: ClassVar[str] = "method_not_in_programme"
    template: ClassVar[str] = (
        "The programme {programme} does not accept the method {method}; it accepts {accepted}."
    )


class ParcelsUnfit(ProjectRefused):
    """Parcels that cannot be in the project; `parcels` lists each with its state."""

    code: ClassVar[str] = "parcels_not_eligible"
    template: ClassVar[str] = "{count} of the parcels are not eligible."


class ParcelNamedTwice(ProjectRefused):
    code: ClassVar[str] = "parcel_named_twice"
    template: ClassVar[str] = "The parcel {parcel} is named twice."


class ParcelVersionMoved(ProjectRefused):
    code: ClassVar[str] = "parcel_version_moved"
    template: ClassVar[str] = (
        "Parcel {parcel} is in version {version} now; the project was submitted with version {submitted}."
    )


class TenureTooShort(ProjectRefused):
    """R-03: the right must last as long as the crediting."""

    code: ClassVar[str] = "tenure_too_short"
    template: ClassVar[str] = (
        "The right to {count} parcels ends before the crediting period does ({crediting_to})."
    )


class DateInvalid(ProjectRefused):
    code: ClassVar[str] = "date_invalid"
    template: ClassVar[str] = "{value} is not a date."


class CreditingPeriodRefused(ProjectRefused):
    """R-06 and R-10."""

    code: ClassVar[str] = "crediting_period_refused"
    template: ClassVar[str] = (
        "A crediting period from {from_on} to {to_on} is not possible: it begins no earlier than {earliest} "
        "and has {years_min} to {years_max} years."
    )


class PublicationRunning(ProjectRefused):
    code: ClassVar[str] = "publication_running"
    template: ClassVar[str] = (
        "The project was published on {published_on}; its {days} working days end on {ends_on}, "
        "validation is possible after that."
    )


class ObjectionsOpen(ProjectRefused):
    code: ClassVar[str] = "objections_open"
    template: ClassVar[str] = "{count} objections to the project have no answer yet."


class NotPublished(ProjectRefused):
    code: ClassVar[str] = "project_not_published"
    template: ClassVar[str] = "The project {project} is {status}; objections are taken while it is published."


class ProjectInactive(ProjectRefused):
    code: ClassVar[str] = "project_inactive"
    template: ClassVar[str] = (
        "The project {project} is {status}; monitoring periods belong to active projects."
    )


class PeriodRefused(ProjectRefused):
    """The root of what is wrong with a monitoring period's dates."""

    code: ClassVar[str] = "period_refused"
    template: ClassVar[str] = "The monitoring period was refused."


class PeriodOutside(PeriodRefused):
    code: ClassVar[str] = "period_outside_crediting"
    template: ClassVar[str] = (
        "{from_on} to {to_on} is not inside the crediting period from {crediting_from} to {crediting_to}."
    )


class PeriodEmptyOrTooLong(PeriodRefused):
    code: ClassVar[str] = "period_length"
    template: ClassVar[str] = (
        "A monitoring period has at least one day and at most {years_max} years; "
        "{from_on} to {to_on} does not."
    )


class PeriodOverlaps(PeriodRefused):
    code: ClassVar[str] = "period_overlaps"
    template: ClassVar[str] = (
        "{from_on} to {to_on} overlaps the monitoring period {period} from {other_from} to {other_to}."
    )


class PeriodLeavesGap(PeriodRefused):
    code: ClassVar[str] = "period_leaves_gap"
    template: ClassVar[str] = (
        "{from_on} leaves a gap; the next monitoring period begins on {expected}, "
        "or the gap has a stated reason."
    )


class RunMissing(PeriodRefused):
    code: ClassVar[str] = "run_missing"
    template: ClassVar[str] = "The monitoring period {period} has no estimate to submit."


class ClaimEndRefused(ProjectRefused):
    code: ClassVar[str] = "claim_end_refused"
    template: ClassVar[str] = (
        "The claim on parcel {parcel} cannot end on {ended_on}; it may end from {earliest} to {latest}."
    )


class JoiningRefused(ProjectRefused):
    """A parcel joins an active project from a day on that is not over, and from which a period can begin."""

    code: ClassVar[str] = "joining_refused"
    template: ClassVar[str] = (
        "Parcel {parcel} cannot join project {project} on {from_on}; it may from {earliest} on, before "
        "{latest}."
    )


class ProjectFull(ProjectRefused):
    code: ClassVar[str] = "project_full"
    template: ClassVar[str] = "Project {project} would have {count} parcels; the most is {most}."


# ---- successions


class SuccessionRefused(ProjectRefused):
    """The root of what is wrong with a split, a merge or a new boundary."""

    code: ClassVar[str] = "succession_refused"
    template: ClassVar[str] = "The succession was refused."


class SuccessionShape(SuccessionRefused):
    code: ClassVar[str] = "succession_shape"
    template: ClassVar[str] = (
        "A {kind} of {predecessors} parcels into {successors} is none: a split makes several of one, a merge "
        "one of several, a new boundary one of one."
    )


class PredecessorUnfit(SuccessionRefused):
    code: ClassVar[str] = "predecessor_unfit"
    template: ClassVar[str] = (
        "Parcel {parcel} is {status}; only eligible and enrolled parcels are succeeded by others."
    )


class PredecessorsDiffer(SuccessionRefused):
    """Parcels that are merged were in the same state, project and hands, with claims to the same day."""

    code: ClassVar[str] = "predecessors_differ"
    template: ClassVar[str] = "The parcels {one} and {other} cannot become one: they differ in {what}."


class ProgrammeDiffers(SuccessionRefused):
    code: ClassVar[str] = "succession_programme_differs"
    template: ClassVar[str] = (
        "The parcels are claimed under {claimed}; a succession under {programme} is not possible."
    )


class SuccessionInPeriod(SuccessionRefused):
    """A monitoring period is measured on the same parcels from its first day to its last."""

    code: ClassVar[str] = "succession_in_period"
    template: ClassVar[str] = (
        "Successors cannot begin on {on}: the monitoring period {period} from {from_on} to {to_on} holds the "
        "parcels as they were."
    )


class GroundNotKept(SuccessionRefused):
    """A split or a merge keeps the ground: none is lost, none is won."""

    code: ClassVar[str] = "ground_not_kept"
    template: ClassVar[str] = (
        "The successors are not the ground of their predecessors: {lost_m2} m2 are missing, {added_m2} m2 "
        "are more; rule {rule}."
    )


class AreasDoNotReconcile(SuccessionRefused):
    code: ClassVar[str] = "areas_do_not_reconcile"
    template: ClassVar[str] = (
        "The successors have {successors_cm2} cm2, their predecessors {predecessors_cm2} cm2; "
        "{tolerance_cm2} cm2 are tolerated."
    )


class SuccessorsOverlap(SuccessionRefused):
    code: ClassVar[str] = "successors_overlap"
    template: ClassVar[str] = "The successors {one} and {other} share {overlap_m2} m2; rule {rule}."


class NothingInherited(SuccessionRefused):
    code: ClassVar[str] = "nothing_inherited"
    template: ClassVar[str] = "Parcel {parcel} has no ground in common with the other side of the succession."


class AddedGroundTaken(SuccessionRefused):
    """What a new boundary adds lies on somebody else's ground; `overlaps` names every neighbour."""

    code: ClassVar[str] = "added_ground_taken"
    template: ClassVar[str] = (
        "The ground that the new boundary adds to parcel {predecessor} is not free: {overlap_m2} m2 of it "
        "are parcel {parcel}'s."
    )


class SharesDoNotAdd(SuccessionRefused):
    code: ClassVar[str] = "shares_do_not_add"
    template: ClassVar[str] = (
        "Shares are declared for a split, one for each successor, and add up to 1000000; "
        "{count} were given that add up to {total}."
    )


class ClaimRefused(ProjectRefused):
    """The ground is claimed already for these dates and this pool (I4). `overlaps` names every neighbour."""

    code: ClassVar[str] = "ground_claimed"
    template: ClassVar[str] = (
        "The ground of parcel {candidate} is claimed: it shares {overlap_m2} m2 ({overlap_mu} mu, a share of "
        "{candidate_share} of it and of {neighbour_share} of the other) with parcel {parcel}, "
        "claimed from {from_on} to {to_on} under {programme}; rule {rule}."
    )


class ClaimedOutside(ClaimRefused):
    """The ground is claimed in another registry (R-07); the largest of the overlaps is with such a claim."""

    code: ClassVar[str] = "ground_claimed_outside"
    template: ClassVar[str] = (
        "The ground of parcel {candidate} is claimed in another registry: it shares {overlap_m2} m2 "
        "({overlap_mu} mu, a share of {candidate_share} of it and of {neighbour_share} of the other) with "
        "what {programme} credits as {project} from {from_on} to {to_on}; rule {rule}."
    )


class OutlineNotOwn(ProjectRefused):
    code: ClassVar[str] = "outline_not_own"
    template: ClassVar[str] = (
        "A {role} declares outside claims of its own parcels; only the registry draws other ground."
    )


class OutsideGroundUnstated(ProjectRefused):
    code: ClassVar[str] = "outside_ground_unstated"
    template: ClassVar[str] = "An outside claim names either a parcel or an outline."


class OutlineUnreadable(ProjectRefused):
    code: ClassVar[str] = "outline_unreadable"
    template: ClassVar[str] = "The outline is no GeoJSON polygon or multipolygon: {reason}."


class OutsideDatesRefused(ProjectRefused):
    code: ClassVar[str] = "outside_dates_refused"
    template: ClassVar[str] = "An outside claim has at least one day; {from_on} to {to_on} has none."


# ---- dates -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class DateRange:
    """Half-open: `from_on` belongs to it, `to_on` does not. ISO dates, which sort as texts."""

    from_on: str
    to_on: str

    def meets(self, other: "DateRange") -> bool:
        """Whether the two have a day in common; an empty range has none."""
        return max(self.from_on, other.from_on) < min(self.to_on, other.to_on)

    def contains(self, other: "DateRange") -> bool:
        return self.from_on <= other.from_on and other.to_on <= self.to_on


def parse_day(text: str) -> date:
    """An ISO date in its one spelling (`DateInvalid`)."""
    try:
        day = date.fromisoformat(text)
    except ValueError as fault:
        raise DateInvalid(value=text) from fault
    if day.isoformat() != text:
        raise DateInvalid(value=text)
    return day


def add_years(day: date, years: int) -> date:
    """The same day some years later; 29 February becomes 1 March where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def civil_date(now: datetime) -> date:
    """The date of an instant in China (UTC+8, no daylight saving)."""
    return now.astimezone(CHINA).date()


def day_ends_at(day: date) -> datetime:
    """The instant at which a date is over in China."""
    return datetime.combine(day + timedelta(days=1), time(), CHINA)


def check_joining(parcel: str, project: str, from_on: str, earliest: str, latest: str) -> None:
    """RULES 1.2: a parcel joins never retroactively, and not within a period (`JoiningRefused`)."""
    parse_day(from_on)
    if not earliest <= from_on < latest:
        raise JoiningRefused(
            parcel=parcel, project=project, from_on=from_on, earliest=earliest, latest=latest
        )


def notice_ends_on(published_on: date, working_days: int) -> date:
    """The last day of a public notice: its nth working day (Monday to Friday) after its publication."""
    day = published_on
    left = working_days
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5
    return day


def check_crediting(period: DateRange, terms: Terms) -> None:
    """R-06 and R-10 (`DateInvalid`, `CreditingPeriodRefused`)."""
    from_on, to_on = parse_day(period.from_on), parse_day(period.to_on)
    shortest, longest = (
        add_years(from_on, years) for years in (terms.crediting_years_min, terms.crediting_years_max)
    )
    if period.from_on < terms.earliest_start or not shortest <= to_on <= longest:
        raise CreditingPeriodRefused(
            from_on=period.from_on,
            to_on=period.to_on,
            earliest=terms.earliest_start,
            years_min=terms.crediting_years_min,
            years_max=terms.crediting_years_max,
        )


def check_monitoring(
    period: DateRange,
    crediting: DateRange,
    held: Iterable[tuple[str, DateRange]],
    years_max: int,
    gap_stated: bool,
) -> None:
    """A new monitoring period: inside the crediting period, not too long, no overlap, no gap unless stated
    (RULES 1.3).

    `held` are the living periods of the same project and pools, by id. Raises a `PeriodRefused` or
    `DateInvalid`.
    """
    from_on, to_on = parse_day(period.from_on), parse_day(period.to_on)
    dates = {"from_on": period.from_on, "to_on": period.to_on}
    if not from_on < to_on <= add_years(from_on, years_max):
        raise PeriodEmptyOrTooLong(years_max=years_max, **dates)
    if not crediting.contains(period):
        raise PeriodOutside(crediting_from=crediting.from_on, crediting_to=crediting.to_on, **dates)
    others = sorted((other, name) for name, other in held)
    for other, name in others:
        if other.meets(period):
            raise PeriodOverlaps(period=name, other_from=other.from_on, other_to=other.to_on, **dates)
    before = [other.to_on for other, _ in others if other.to_on <= period.from_on]
    expected = max(before, default=crediting.from_on)
    if period.from_on != expected and not gap_stated:
        raise PeriodLeavesGap(expected=expected, **dates)
