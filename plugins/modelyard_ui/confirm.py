"""What acts: a plan to look at, then a POST that carries out just that plan, and says what happened."""

from __future__ import annotations

import logging
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from modelyard.errors import ModelyardError
from modelyard.settings import get_settings
from modelyard.store.database import open_store
from modelyard_ui import actions
from modelyard_ui.render import page
from modelyard_ui.safety import form, seal, unseal
from modelyard_ui.visitor import Visitor, VisitorDep

CONFLICT: Final = 409
PLAN_SECONDS: Final = 900
"""So long a plan may be carried out after it was shown."""
LONGEST_COMMENT: Final = 1000
FormDep = Annotated[dict[str, str], Depends(form)]
log = logging.getLogger(__name__)


def plan_page(request: Request, visitor: VisitorDep) -> HTMLResponse:
    """Show what an action would do, with the button that does it."""
    settings, fields = get_settings(), dict(request.query_params)
    try:
        wanted = actions.asked(fields)
        visitor.require(wanted.right)
        phase = actions.phase(settings, wanted.model)
        plan = actions.plan(settings, wanted)
    except ModelyardError as error:
        return _refused(request, visitor, fields.get("model"), str(error))
    token = seal(visitor, "act", {"phase": phase, "wanted": wanted.as_values()})
    return page(
        request,
        "plan",
        tab="models",
        visitor=visitor,
        plan=plan,
        token=token,
        reason=actions.LONGEST_REASON,
    )


def act(request: Request, fields: FormDep, visitor: VisitorDep) -> HTMLResponse:
    """Carry out a plan that this user was shown, unless the traffic has moved since."""
    settings = get_settings()
    sealed = unseal(fields.get("token", ""), visitor, "act", PLAN_SECONDS)
    wanted = actions.unsealed(dict(sealed["wanted"]))  # type: ignore[call-overload]
    visitor.require(wanted.right)
    try:
        if actions.phase(settings, wanted.model) != sealed["phase"]:
            told = "The traffic has moved since the plan was made. Look at what is served now."
            return _refused(request, visitor, wanted.model, told)
        move = actions.carry_out(settings, wanted, visitor.name, fields.get("why", ""))
    except ModelyardError as error:
        return _refused(request, visitor, wanted.model, str(error))
    log.info("%s: %s by %s", wanted.model, wanted.action, visitor.name)
    return page(
        request,
        "told",
        tab="models",
        visitor=visitor,
        title=wanted.in_words,
        message="Nothing to change: it is so already." if move is None else None,
        move=None if move is None else move.entry,
        model=wanted.model,
        log_in=None,
    )


def acknowledge(request: Request, fields: FormDep, visitor: VisitorDep) -> RedirectResponse:
    """Write that a person took note of an alert, and go back to the page."""
    sealed = unseal(fields.get("token", ""), visitor, "acknowledge")
    visitor.require("acknowledge")
    comment = fields.get("comment", "").strip()[:LONGEST_COMMENT] or None
    identity = str(sealed["alert"])
    try:
        with open_store(get_settings().database_url) as store:
            found = store.acknowledge(identity, visitor.name[:255], comment)
    except ModelyardError as error:
        raise HTTPException(CONFLICT, str(error)) from error
    if found is None:
        raise HTTPException(404, "There is no such alert any more.")
    where = f"{request.scope.get('root_path', '')}/drift?{urlencode({'model': found.model})}"
    return RedirectResponse(f"{where}#alert-{quote(identity)}", status_code=303)


def back(request: Request) -> RedirectResponse:
    """Lead whoever loads the page of an answer again to what is served; nothing acts by a GET."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/models", status_code=303)


def _refused(request: Request, visitor: Visitor, model: str | None, message: str) -> HTMLResponse:
    return page(
        request,
        "told",
        status=CONFLICT,
        tab="models",
        visitor=visitor,
        title="Refused",
        message=message,
        move=None,
        model=model,
        log_in=None,
    )
