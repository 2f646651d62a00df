"""Ask one variant: what it is, whether it takes the rows, and what it predicts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from serving.http.problems import Refusal
from serving.model.backend import Backend, Description, FaultKind, Predicted, VariantFault
from serving.requests.bodies import Rows
from serving.requests.rows import Row, checked_rows

FAILED: Final[FaultKind] = "failed"
TIMEOUT: Final[FaultKind] = "timeout"
DOWN: Final[FaultKind] = "down"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What is asked once of a variant and then kept, for a version never changes."""

    app: str
    described: Description
    features: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows as the variants of one signature take them."""

    known: Known
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a variant predicted for which rows."""

    known: Known
    rows: list[Row]
    predicted: Predicted


class Variants:
    """Asks variants through a backend, and remembers what they are."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[str, Known] = {}
        self._alike: dict[tuple[str, str], bool] = {}

    def keep(self, apps: Collection[str]) -> None:
        """Forget all but these."""
        self._known = {app: known for app, known in self._known.items() if app in apps}
        self._alike = {}

    async def known(self, app: str, timeout_s: float, *, fresh: bool = False) -> Known:
        """Say what a variant is; `fresh` asks it again, to see that it answers.

        Raises:
            VariantFault: it does not say.
        """
        found = self._known.get(app)
        if found is None or fresh:
            described = await self._describe(app, timeout_s)
            # Others remember by identity what they made of a signature.
            if found is None or described != found.described:
                found = self._known[app] = _known(app, described)
        return found

    async def ask(
        self, app: str, body: Rows, timeout_s: float, checked: Checked | None = None
    ) -> Answer:
        """Let a variant predict rows; those that were checked for its like are not checked again.

        Raises:
            VariantFault: it did not answer, whatever the reason.
            Refusal: 422, the rows do not fit it.
        """
        try:
            return await self._ask(app, body, timeout_s, checked)
        except (VariantFault, Refusal):
            raise
        except Exception as error:
            # Whatever calling a variant does to this code, its caller gets an answer.
            log.exception("%s failed in an unforeseen way", app)
            raise VariantFault(FAILED, f"{app} failed; the log says why") from error

    async def _ask(self, app: str, body: Rows, timeout_s: float, checked: Checked | None) -> Answer:
        known = await self.known(app, timeout_s)
        if checked is not None and self._are_alike(known, checked.known):
            rows = checked.rows
        else:
            signature = known.described.signature
            rows = await checked_rows(signature, body.rows, textual=body.textual)
        return Answer(known, rows, await self._backend.predict(app, rows, timeout_s))

    async def _describe(self, app: str, timeout_s: float) -> Description:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._backend.describe(app)
        except TimeoutError as error:
            detail = f"{app} did not answer in {timeout_s:g} s; it may be starting"
            raise VariantFault(TIMEOUT, detail) from error
        except Refusal as error:
            if error.document.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            raise VariantFault(DOWN, error.document.detail) from error

    def _are_alike(self, one: Known, other: Known) -> bool:
        """Whether both take the same inputs; remembered, for signatures are long."""
        pair = (one.app, other.app)
        if pair not in self._alike:
            first, second = one.described.signature, other.described.signature
            self._alike[pair] = first.inputs == second.inputs
        return self._alike[pair]


def _known(app: str, described: Description) -> Known:
    inputs = described.signature.inputs
    return Known(
        app=app,
        described=described,
        features=[(feature.column, feature.type) for feature in inputs],
    )
