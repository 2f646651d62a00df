"""Read a request's body into rows: JSON, or a form with uploaded files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import Request

from serving.http.problems import FieldProblem, Refusal, invalid
from serving.requests.reading import media_type, read_body, read_form
from serving.requests.strict_json import parse_json

MOST_ROWS: Final = 1000
# A part of a form costs some 50 microseconds, in which nobody else is answered.
MOST_FIELDS: Final = 5000
MOST_QUERY_BYTES: Final = 256 * 1024
CURL_TYPE: Final = "application/x-www-form-urlencoded"
FORM_TYPE: Final = "multipart/form-data"
EXAMPLE: Final = '{"rows": [{"COLUMN": VALUE}]}'


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they were sent; `textual` where a form could only say text."""

    rows: list[Mapping[str, object]]
    textual: bool = False


async def read_rows(request: Request) -> Rows:
    """Read the body by its content type.

    Raises:
        Refusal: 400, 408, 413, 415 or 422.
    """
    kind = media_type(request)
    if kind == FORM_TYPE:
        return await _read_form(request)
    if kind == CURL_TYPE:
        # curl -d says that it sends a form, whatever it sends.
        body = await read_body(request)
        if body.lstrip().startswith(b"{"):
            return Rows(rows_of_json(body))
        return Rows(_rows_of_parts(_parts_of_query(body)), textual=True)
    if kind == "application/json" or kind.endswith("+json"):
        return Rows(rows_of_json(await read_body(request)))
    detail = f"content type {kind[:100]} is not taken; send application/json or {FORM_TYPE}"
    raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)


def rows_of_json(body: bytes) -> list[Mapping[str, object]]:
    """Take the rows out of a JSON body; raise Refusal if it is not ``{"rows": [{...}]}``."""
    document = parse_json(body)
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        raise invalid([FieldProblem(field="rows", message=f"is missing; send {EXAMPLE}")])
    if others := [name for name in document if name != "rows"]:
        raise invalid(
            [FieldProblem(field=others[0][:100], message=f"is not known here; send {EXAMPLE}")]
        )
    return objects(document["rows"])


def objects(rows: list[object]) -> list[Mapping[str, object]]:
    """Return rows that are objects, one to `MOST_ROWS` of them; raise Refusal otherwise."""
    check_count(len(rows))
    problems = [
        FieldProblem(row=number, message="must be an object of column to value")
        for number, row in enumerate(rows, start=1)
        if not isinstance(row, dict)
    ]
    if problems:
        raise invalid(problems)
    return [row for row in rows if isinstance(row, dict)]


def check_count(count: int) -> None:
    """Refuse no rows and too many."""
    if count == 0:
        message = f"has no row; send at least one: {EXAMPLE}"
        raise invalid([FieldProblem(field="rows", message=message)])
    if count > MOST_ROWS:
        detail = f"{count} rows are too many; send at most {MOST_ROWS} at a time"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


async def _read_form(request: Request) -> Rows:
    form = await read_form(request, MOST_ROWS, MOST_FIELDS)
    try:
        parts = [(name, await _value(part)) for name, part in form.multi_items()]
    finally:
        await form.close()
    return Rows(_rows_of_parts(parts), textual=True)


def _parts_of_query(body: bytes) -> list[tuple[str, str]]:
    """Take ``a=1&b=2`` apart; Starlette's own parser takes seconds for a hostile one."""
    if len(body) > MOST_QUERY_BYTES:
        detail = f"a form in the manner of a query may have {MOST_QUERY_BYTES} bytes; send {FORM_TYPE} or JSON"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        detail = f"the form cannot be read: {error}"
        raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error


def _rows_of_parts(given: Sequence[tuple[str, str | bytes]]) -> list[Mapping[str, object]]:
    """Make rows: each field is given as often as there are rows."""
    parts: dict[str, list[str | bytes]] = {}
    for name, part in given:
        parts.setdefault(name, []).append(part)
    if not parts:
        check_count(0)
    first, count = next((name, len(found)) for name, found in parts.items())
    check_count(count)
    for name, found in parts.items():
        if len(found) != count:
            message = f"is given {len(found)} times and {first[:100]} {count} times; give each field once a row"
            raise invalid([FieldProblem(field=name[:100], message=message)])
    return [{name: parts[name][number] for name in parts} for number in range(count)]


async def _value(part: UploadFile | str) -> str | bytes:
    return part if isinstance(part, str) else await part.read()
