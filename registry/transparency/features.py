"""Parcels and projects as features that anybody may ask for: by box, time and property, page by page.

What is asked arrives as the parameters of OGC API Features (Part 1, Core) and is parsed here, strictly: a
parameter that is not known is refused, because an answer that silently ignored it would be wrong. Features
come in the order of their ids, so that `next` needs nothing but the last one.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import orjson
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.crs import Polygonal
from geo.outline import Bounds, key_ranges
from geo.polygon import from_wkb
from registry.clock import from_milliseconds
from registry.errors import RegistryRefusal
from registry.parcels.models import Parcel, ParcelStep
from registry.parcels.public import ENDED, ParcelPublic
from registry.projects.models import Project, ProjectParcel
from registry.web.api import decode_cursor, encode_cursor

DEFAULT_LIMIT: Final = 100
MOST: Final = 1_000
"""Features on a page; who asks for more gets so many."""
_COUNTED: Final = 10_000
"""Above so many candidates nobody is told how many match: counting would cost more than the page."""
_JUDGED: Final = 2_000
_NEAR: Final = 5_000
"""So many parcels near a box are few."""

PROPERTIES: Final = ("code", "county", "village", "stand_type", "status", "masked")
"""Properties of a parcel that can be asked for; each is equal or it is not."""
PROJECT_PROPERTIES: Final = ("number", "county", "programme", "status")


class FeaturesRefused(RegistryRefusal):
    """The root of what is wrong with a question about features."""

    code: ClassVar[str] = "features_refused"
    template: ClassVar[str] = "The question about features was refused."


class ParameterUnknown(FeaturesRefused):
    code: ClassVar[str] = "parameter_unknown"
    template: ClassVar[str] = "There is no parameter {name} here; there are {known}."


class ParameterMalformed(FeaturesRefused):
    code: ClassVar[str] = "parameter_malformed"
    template: ClassVar[str] = "The parameter {name} is {value}; {expected}."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for. `boxes` (any of them) are degrees; the interval is POSIX milliseconds, both ends
    included, None where it is open; `after` is the id that the page before ended with.
    """

    boxes: tuple[Bounds, ...] = ()
    from_ms: int | None = None
    to_ms: int | None = None
    equal: Mapping[str, str] = field(default_factory=dict)
    limit: int = DEFAULT_LIMIT
    after: str | None = None
    near: bool = True
    """Whether what is near the boxes is few, and worth finding before it is put in order."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: its id, its public outline (CRS84) and its properties."""

    id: str
    outline: Polygonal | None
    properties: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """For orjson: the geometry is spelled already."""
        return {
            "type": "Feature",
            "id": self.id,
            "geometry": None if self.outline is None else geometry_json(self.outline),
            "properties": dict(self.properties),
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Features, the cursor of the next page, and how many match in all where that is cheap to say."""

    features: tuple[Feature, ...]
    following: str | None
    matched: int | None


# ---- what is asked -----------------------------------------------------------------------------------------


def parse_question(
    parameters: Sequence[tuple[str, str]],
    properties: Collection[str],
    other: Collection[str] = (),
    *,
    paged: bool = True,
) -> Question:
    """The question that a query string asks (`ParameterUnknown`, `ParameterMalformed`, `CursorMalformed`).

    `other` names parameters that are read elsewhere; only what is `paged` has a limit and a cursor. A limit
    above `MOST` is `MOST`, as the standard has it.
    """
    paging = ("limit", "cursor") if paged else ()
    given = single(parameters, {"bbox", "datetime", *paging, *properties, *other})
    question = Question(equal={name: given[name] for name in properties if name in given})
    if "masked" in question.equal and question.equal["masked"] not in ("true", "false"):
        raise ParameterMalformed(
            name="masked", value=question.equal["masked"][:80], expected="true or false is expected"
        )
    if "bbox" in given:
        question = replace(question, boxes=parse_bbox(given["bbox"]))
    if "datetime" in given:
        from_ms, to_ms = parse_datetime(given["datetime"])
        question = replace(question, from_ms=from_ms, to_ms=to_ms)
    if "limit" in given:
        question = replace(question, limit=parse_limit(given["limit"]))
    if "cursor" in given:
        question = replace(question, after=decode_cursor(given["cursor"]))
    return question


def single(parameters: Sequence[tuple[str, str]], known: Collection[str]) -> dict[str, str]:
    """Parameters by name, each known and given once."""
    found: dict[str, str] = {}
    for name, value in parameters:
        if name not in known:
            raise ParameterUnknown(name=name[:80], known=", ".join(sorted(known)))
        if name in found:
            raise ParameterMalformed(name=name, value=value[:80], expected="it may be given once")
        found[name] = value
    return found


def parse_limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise ParameterMalformed(
            name="limit", value=text[:80], expected="a whole number from 1 on is expected"
        )
    return min(int(text), MOST)


def parse_bbox(text: str) -> tuple[Bounds, ...]:
    """One box, or two when it reaches across the 180th meridian. Of six numbers the heights are left out:
    land has none here.
    """
    parts = text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 6:
        numbers = [numbers[n] for n in (0, 1, 3, 4)]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or not _on_earth(*numbers):
        raise ParameterMalformed(
            name="bbox",
            value=text[:80],
            expected="west,south,east,north in degrees (CRS84) are expected, or six numbers with heights",
        )
    west, south, east, north = numbers
    if west <= east:
        return ((west, south, east, north),)
    return (west, south, 180.0, north), (-180.0, south, east, north)


def _on_earth(west: float, south: float, east: float, north: float) -> bool:
    return -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90


_DAY_MS: Final = 86_400_000
_INSTANT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:(?P<time>[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)(?:[Zz]|[+-]\d{2}:\d{2}))?"
)


def parse_datetime(text: str) -> tuple[int | None, int | None]:
    """An instant, a day (in UTC), or two of them with `/` between; `..` or nothing is an open end."""
    parts = text.split("/")
    try:
        if len(parts) > 2:
            raise ValueError(text)
        ends = [_instant(part) if part not in ("", "..") else (None, None) for part in parts]
        if len(parts) == 1 and ends[0][0] is None:
            raise ValueError(text)
        from_ms, to_ms = ends[0][0], ends[-1][1]
        if from_ms is not None and to_ms is not None and from_ms > to_ms:
            raise ValueError(text)
    except (ValueError, OverflowError) as fault:  # the ends of time have no neighbours in every zone
        raise ParameterMalformed(
            name="datetime",
            value=text[:80],
            expected="an instant (RFC 3339) is expected, or an interval such as 2024-01-01T00:00:00Z/..",
        ) from fault
    return from_ms, to_ms


def _instant(text: str) -> tuple[int, int]:
    """The first and the last millisecond of an instant or of a day."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    if match["time"] is None:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return _milliseconds(day), _milliseconds(day) + _DAY_MS - 1
    # fromisoformat knows no more than microseconds
    shortened = re.sub(r"(\.\d{6})\d+", r"\1", text.upper().replace(" ", "T"))
    moment = _milliseconds(datetime.fromisoformat(shortened).astimezone(UTC))
    return moment, moment


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


# ---- parcels -----------------------------------------------------------------------------------------------

_NEAREST: Final = (
    ParcelPublic.west, ParcelPublic.south, ParcelPublic.east, ParcelPublic.north,
)  # fmt: skip


def parcel_page(session: Session, question: Question) -> Page:
    """One page of parcels. Exact: a parcel is in a box when its public outline meets it. How many match is
    said on the first page.
    """
    found: list[Any] = []
    question = planned(session, question)
    after = question.after
    while len(found) <= question.limit:
        rows = _rows(session, question, after, question.limit + 1 - len(found))
        found += [row for row in rows if _meets(row, question.boxes)]
        if len(rows) == 0:
            break
        after = rows[-1].parcel_id
    kept = found[: question.limit]
    following = encode_cursor(kept[-1].parcel_id) if len(found) > question.limit else None
    matched = _matched(session, question) if question.after is None else None
    return Page(tuple(_features(session, kept)), following, matched)


def parcel_feature(session: Session, parcel: str) -> Feature | None:
    row = session.execute(_columns().where(ParcelPublic.parcel_id == parcel)).one_or_none()
    return None if row is None else next(_features(session, [row]))


def parcel_count(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(ParcelPublic)) or 0


def parcel_bounds(session: Session) -> Bounds | None:
    """The box around everything that is public."""
    west, south, east, north = _NEAREST
    row = session.execute(
        sa.select(sa.func.min(west), sa.func.min(south), sa.func.max(east), sa.func.max(north))
    ).one()
    bounds: list[Any] = list(row)
    return None if bounds[0] is None else (bounds[0], bounds[1], bounds[2], bounds[3])


def every_parcel(session: Session, question: Question) -> Iterator[Feature]:
    """All parcels that match, whatever the question's limit."""
    while True:
        page = parcel_page_only(session, replace(question, limit=MOST))
        yield from page.features
        if page.following is None:
            return
        question = replace(question, after=decode_cursor(page.following))


def parcel_page_only(session: Session, question: Question) -> Page:
    """A page without the count."""
    question = planned(session, question)
    rows = _rows(session, question, question.after, question.limit + 1)
    kept = rows[: question.limit]
    following = encode_cursor(kept[-1].parcel_id) if len(rows) > question.limit else None
    exact = [row for row in kept if _meets(row, question.boxes)]
    return Page(tuple(_features(session, exact)), following, None)


_SHOWN: Final[tuple[Any, ...]] = (
    ParcelPublic.parcel_id, ParcelPublic.version, ParcelPublic.masked, ParcelPublic.code,
    ParcelPublic.county, ParcelPublic.village, ParcelPublic.stand_type, ParcelPublic.area_mu,
    ParcelPublic.since_ms, *_NEAREST, ParcelPublic.wkb, Parcel.status,
)  # fmt: skip


def _columns() -> sa.Select[Any]:
    return sa.select(*_SHOWN).join(Parcel, Parcel.id == ParcelPublic.parcel_id)


def _rows(session: Session, question: Question, after: str | None, limit: int) -> Sequence[Any]:
    statement = parcels_asked_for(_columns(), question)
    if after is not None:
        statement = statement.where(ParcelPublic.parcel_id > after)
    return session.execute(statement.order_by(ParcelPublic.parcel_id).limit(limit)).all()


def parcels_asked_for(statement: sa.Select[Any], question: Question) -> sa.Select[Any]:
    """A statement over `parcel_public` and `parcel`, kept to what is asked, but for the outlines' exact
    place.
    """
    statement = statement.where(*_conditions(question))
    if not question.boxes:
        return statement
    meets = sa.or_(*(in_box(box) for box in question.boxes))
    ranges = _ranges(question.boxes)
    if ranges is None or not question.near:
        return statement.where(meets)
    # A name for the few: so neither database walks all ids in order and looks at each one's box.
    near = (
        sa.select(ParcelPublic.parcel_id)
        .where(in_ranges(ranges), meets)
        .cte("near")
        .prefix_with("MATERIALIZED")
    )
    return statement.where(ParcelPublic.parcel_id.in_(sa.select(near.c.parcel_id)))


def _ranges(boxes: Sequence[Bounds]) -> list[tuple[int, int]] | None:
    found = [key_ranges(box) for box in boxes]
    return None if None in found else [pair for one in found if one is not None for pair in one]


def planned(session: Session, question: Question) -> Question:
    """The question, with whether few parcels are near its boxes: where they are many, the first in order are
    found soon by looking at each.
    """
    ranges = _ranges(question.boxes) if question.boxes else None
    if ranges is None:
        return question
    meets = sa.or_(*(in_box(box) for box in question.boxes))
    some = sa.select(ParcelPublic.parcel_id).where(in_ranges(ranges), meets).limit(_NEAR + 1)
    count = session.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0
    return replace(question, near=count <= _NEAR)


def in_ranges(ranges: Sequence[tuple[int, int]]) -> sa.ColumnElement[bool]:
    return sa.or_(*(ParcelPublic.box.between(low, high) for low, high in ranges))


def in_box(box: Bounds) -> sa.ColumnElement[bool]:
    west, south, east, north = _NEAREST
    return sa.and_(west <= box[2], east >= box[0], south <= box[3], north >= box[1])


def _conditions(question: Question) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    for name, value in question.equal.items():
        if name == "status":
            conditions.append(Parcel.status == value)
        elif name == "masked":
            conditions.append(ParcelPublic.masked.is_(value == "true"))
        else:
            conditions.append(getattr(ParcelPublic, name) == value)
    if question.to_ms is not None:
        conditions.append(ParcelPublic.since_ms <= question.to_ms)
    if question.from_ms is not None:
        later = sa.exists().where(
            ParcelStep.parcel_id == ParcelPublic.parcel_id,
            ParcelStep.machine == "parcel",
            ParcelStep.at_ms >= question.from_ms,
        )
        conditions.append(sa.or_(Parcel.status.not_in(ENDED), later))
    return conditions


def _meets(row: Any, boxes: Sequence[Bounds]) -> bool:
    """Whether a public outline meets one of the boxes; most are told by their own box."""
    if not boxes or any(
        box[0] <= row.west and row.east <= box[2] and box[1] <= row.south and row.north <= box[3]
        for box in boxes
    ):
        return True
    outline = from_wkb(row.wkb)
    return any(bool(shapely.intersects(outline, shapely.box(*box))) for box in boxes)


def _matched(session: Session, question: Question) -> int | None:
    """How many parcels match in all; None where counting them would cost."""
    asked = parcels_asked_for(
        sa.select(ParcelPublic.parcel_id).join(Parcel, Parcel.id == ParcelPublic.parcel_id), question
    )
    total = session.scalar(sa.select(sa.func.count()).select_from(asked.limit(_COUNTED + 1).subquery())) or 0
    if total > _COUNTED or not question.boxes:
        return None if total > _COUNTED else total
    within = sa.or_(*(_within(box) for box in question.boxes))
    across = parcels_asked_for(_columns(), question).where(~within).limit(_JUDGED + 1)
    rows = session.execute(across).all()
    if len(rows) > _JUDGED:
        return None
    return total - sum(not _meets(row, question.boxes) for row in rows)


def _within(box: Bounds) -> sa.ColumnElement[bool]:
    west, south, east, north = _NEAREST
    return sa.and_(west >= box[0], east <= box[2], south >= box[1], north <= box[3])


def _features(session: Session, rows: Sequence[Any]) -> Iterator[Feature]:
    ended = [row.parcel_id for row in rows if row.status in ENDED]
    until = dict(
        session.execute(
            sa.select(ParcelStep.parcel_id, sa.func.max(ParcelStep.at_ms))
            .where(ParcelStep.parcel_id.in_(ended), ParcelStep.machine == "parcel")
            .group_by(ParcelStep.parcel_id)
        ).all()
    )
    for row in rows:
        yield Feature(
            row.parcel_id,
            from_wkb(row.wkb),
            {
                "code": row.code,
                "county": row.county,
                "village": row.village,
                "stand_type": row.stand_type,
                "area_mu": float(row.area_mu),
                "status": row.status,
                "version": row.version,
                "masked": row.masked,
                "since": instant_text(row.since_ms),
                "until": instant_text(until.get(row.parcel_id)),
            },
        )


def instant_text(at_ms: int | None) -> str | None:
    return None if at_ms is None else from_milliseconds(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- projects ----------------------------------------------------------------------------------------------


def project_page(session: Session, question: Question) -> Page:
    """One page of projects: each a box around what is public of its parcels. They are few."""
    west, south, east, north = _NEAREST
    statement = (
        sa.select(
            Project, sa.func.count(ProjectParcel.parcel_id), sa.func.min(west), sa.func.min(south),
            sa.func.max(east), sa.func.max(north),
        )
        .outerjoin(ProjectParcel, ProjectParcel.project_id == Project.id)
        .outerjoin(ParcelPublic, ParcelPublic.parcel_id == ProjectParcel.parcel_id)
        .where(*_of_project(question))
        .group_by(Project.id)
        .order_by(Project.id)
    )  # fmt: skip
    every = [_project(row) for row in session.execute(statement)]
    every = [one for one in every if not question.boxes or _box_meets(one.outline, question.boxes)]
    rest = [one for one in every if question.after is None or one.id > question.after]
    kept = rest[: question.limit]
    following = encode_cursor(kept[-1].id) if len(rest) > question.limit else None
    return Page(tuple(kept), following, len(every))


def project_feature(session: Session, project: str) -> Feature | None:
    question = Question(equal={"id": project})
    return next(iter(project_page(session, question).features), None)


def project_count(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(Project)) or 0


def _of_project(question: Question) -> list[sa.ColumnElement[bool]]:
    columns: Mapping[str, Any] = {
        "id": Project.id,
        "number": sa.cast(Project.number, sa.String),
        "county": Project.county,
        "programme": Project.programme_id,
        "status": Project.status,
    }
    conditions = [columns[name] == value for name, value in question.equal.items()]
    if question.from_ms is not None:
        conditions.append(Project.crediting_to > from_milliseconds(question.from_ms).date().isoformat())
    if question.to_ms is not None:
        conditions.append(Project.crediting_from <= from_milliseconds(question.to_ms).date().isoformat())
    return conditions


def _project(row: Any) -> Feature:
    project, parcels, *bounds = row
    return Feature(
        project.id,
        None if bounds[0] is None else shapely.box(*bounds),
        {
            "number": project.number,
            "name": project.name,
            "county": project.county,
            "programme": project.programme_id,
            "status": project.status,
            "crediting_from": project.crediting_from,
            "crediting_to": project.crediting_to,
            "parcels": parcels,
        },
    )


def _box_meets(outline: Polygonal | None, boxes: Sequence[Bounds]) -> bool:
    return outline is not None and any(shapely.intersects(outline, shapely.box(*box)) for box in boxes)


def geometry_json(outline: Polygonal) -> orjson.Fragment:
    """GeoJSON (RFC 7946): shells anticlockwise."""
    return orjson.Fragment(shapely.to_geojson(shapely.orient_polygons(outline, exterior_cw=False)))
