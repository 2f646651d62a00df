"""Read a request's body into rows: JSON, or a form with uploaded files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from serving.problems import FieldProblem, Refusal, invalid

MOST_BYTES: Final = 10 * 1024 * 1024
MOST_ROWS: Final = 1000
CURL_TYPE: Final = "application/x-www-form-urlencoded"
EXAMPLE: Final = '{"rows": [{"COLUMN": VALUE}]}'


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they were sent; `textual` where a form could only say text."""

    rows: list[Mapping[str, object]]
    textual: bool = False


async def read_rows(request: Request) -> Rows:
    """Read the body by its content type.

    Raises:
        Refusal: 400, 413, 415 or 422.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    try:
        # curl -d says that it sends a form, whatever it sends.
        is_form = kind == CURL_TYPE and not (await request.body()).lstrip().startswith(b"{")
        if kind == "multipart/form-data" or is_form:
            return await _read_form(request)
        if kind in {"application/json", CURL_TYPE} or kind.endswith("+json"):
            return Rows(rows_of_json(await request.body()))
    except ClientDisconnect as error:
        detail = "the request ended before its body did"
        raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error
    detail = f"content type {kind[:100]} is not taken; send application/json or multipart/form-data"
    raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)


def rows_of_json(body: bytes) -> list[Mapping[str, object]]:
    """Take the rows out of a JSON body; raise Refusal if it is not ``{"rows": [{...}]}``."""
    document = _parse(body)
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        raise invalid([FieldProblem(field="rows", message=f"is missing; send {EXAMPLE}")])
    if others := [name for name in document if name != "rows"]:
        raise invalid(
            [FieldProblem(field=others[0][:100], message=f"is not known here; send {EXAMPLE}")]
        )
    rows: list[Mapping[str, object]] = document["rows"]
    _check_count(len(rows))
    problems = [
        FieldProblem(row=number, message="must be an object of column to value")
        for number, row in enumerate(rows, start=1)
        if not isinstance(row, dict)
    ]
    if problems:
        raise invalid(problems)
    return rows


def _parse(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # Python writes NaN, which JSON has not: read it, so that the refusal can name its row.
        if b"NaN" in body or b"Infinity" in body:
            try:
                return json.loads(body)
            except (ValueError, RecursionError):
                pass
        detail = f"the body is not JSON: {error}"
        raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error


async def _read_form(request: Request) -> Rows:
    try:
        form = await request.form(
            max_files=MOST_ROWS, max_fields=50 * MOST_ROWS, max_part_size=MOST_BYTES
        )
    except HTTPException as error:
        detail = f"the form cannot be read: {error.detail}"
        raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error
    try:
        return Rows(await _rows_of_form(form), textual=True)
    finally:
        await form.close()


async def _rows_of_form(form: FormData) -> list[Mapping[str, object]]:
    """Make rows: each field is given as often as there are rows."""
    names = list(dict.fromkeys(form.keys()))
    counts = {name: len(form.getlist(name)) for name in names}
    if not names:
        _check_count(0)
    count = counts[names[0]]
    _check_count(count)
    for name, found in counts.items():
        if found != count:
            message = (
                f"is given {found} times and {names[0]} {count} times; give each field once a row"
            )
            raise invalid([FieldProblem(field=name[:100], message=message)])
    columns = {name: [await _value(part) for part in form.getlist(name)] for name in names}
    return [{name: columns[name][number] for name in names} for number in range(count)]


async def _value(part: UploadFile | str) -> str | bytes:
    return part if isinstance(part, str) else await part.read()


def _check_count(count: int) -> None:
    if count == 0:
        message = f"has no row; send at least one: {EXAMPLE}"
        raise invalid([FieldProblem(field="rows", message=message)])
    if count > MOST_ROWS:
        detail = f"{count} rows are too many; send at most {MOST_ROWS} at a time"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
