"""What is served, decided by stages and commands: rollout with the model registry and the database."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from modelyard.artifacts import Deployment, RegisteredVersion
from modelyard.errors import TrackingError, UsageError
from modelyard.ray_access import ray_headers
from modelyard.rollout.deploy import Rollout, SetAlias
from modelyard.rollout.moves import Author, Move
from modelyard.rollout.ray_serve import ServeClient
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.spec.serve import ServeSpec
from modelyard.store.database import open_store
from modelyard.tracking import aliases, registry
from modelyard.workspace import Workspace

log = logging.getLogger(__name__)


def deploy(
    spec: Spec, registered: RegisteredVersion, workspace: Workspace, run: str | None = None
) -> Deployment:
    """Start a registered version and give it its first traffic; a retry of a run does it once.

    Raises:
        ServingError: Ray Serve cannot be reached, or the version does not start.
    """
    author = Author("deploy stage", run)
    with rollout(workspace.settings) as control:
        return control.deploy(spec, registered, author)


def promote(
    settings: Settings, model: str, version: int | None = None, author: Author | None = None
) -> Move | None:
    """Make a version the champion, by hand; None if it was already."""
    with rollout(settings) as control:
        _check_exists(settings, control, model, [] if version is None else [version])
        return control.promote(model, version, author or by_hand())


def rollback(settings: Settings, model: str, author: Author | None = None) -> Move | None:
    """Take the challenger away, or go back to the former champion, by hand."""
    with rollout(settings) as control:
        _check_exists(settings, control, model, [])
        return control.rollback(model, author or by_hand())


def split(
    settings: Settings,
    model: str,
    weights: Mapping[int, float],
    author: Author | None = None,
    experiment: str | None = None,
) -> Move | None:
    """Divide the traffic by weights, by hand; None if it was so already."""
    with rollout(settings) as control:
        _check_exists(settings, control, model, [*weights])
        return control.split(model, weights, author or by_hand(), experiment)


def place(settings: Settings, model: str, version: int, author: Author | None = None) -> None:
    """Make a version the challenger, without traffic, by hand."""
    with rollout(settings) as control:
        _check_exists(settings, control, model, [version])
        control.place(model, version, author or by_hand())


def withdraw(
    settings: Settings, model: str, version: int, author: Author | None = None
) -> Move | None:
    """Take a version that is not champion out of service, by hand; None if it was not deployed."""
    with rollout(settings) as control:
        _check_exists(settings, control, model, [version])
        return control.withdraw(model, version, author or by_hand())


def sync(settings: Settings) -> None:
    """Make Ray Serve as the database says, such as after a start of the stack.

    Raises:
        ServingError: it cannot be reached, or a version does not start.
    """
    with rollout(settings) as control:
        control.sync()


def shut_down(settings: Settings) -> None:
    """Stop serving gracefully, so that no answer and no logged prediction is lost.

    Raises:
        ServingError: Ray's dashboard does not answer.
    """
    if settings.serve_api is not None:
        with ServeClient(settings.serve_api, headers=ray_headers(settings)) as client:
            client.shut_down()


def approve(
    settings: Settings, model: str, share: float = 1.0, author: Author | None = None
) -> Move | None:
    """Let a challenger that waits for approval go on, by hand."""
    with rollout(settings) as control:
        return control.approve(model, author or by_hand(), share)


def reject(settings: Settings, model: str, author: Author | None = None) -> Move | None:
    """Take a challenger that waits for approval away, by hand."""
    with rollout(settings) as control:
        return control.reject(model, author or by_hand())


@contextmanager
def rollout(settings: Settings, set_alias: SetAlias | None = None) -> Iterator[Rollout]:
    """Open the database and bring rollout and registry together."""
    with open_store(settings.database_url) as store:
        yield Rollout(
            settings,
            store,
            set_alias=set_alias or partial(aliases.point, settings),
            count_replicas=partial(_replicas, settings),
            read_serve=partial(_serve, settings),
        )


def by_hand() -> Author:
    """The person at the command line."""
    name = "somebody"
    with suppress(OSError, KeyError):
        name = getpass.getuser()
    return Author(name)


def _replicas(settings: Settings, model: str, version: int) -> int:
    """How many processes the version's own spec asks for."""
    return _serve(settings, model, version).replicas


def _serve(settings: Settings, model: str, version: int) -> ServeSpec:
    """How a version's own spec says that it is served."""
    try:
        folder = registry.download(settings, model, version)
        text = (folder / "spec.json").read_text(encoding="utf-8")
        return Spec.model_validate_json(text).serve
    except (OSError, ValueError, TrackingError, UsageError) as error:
        # What cannot be read shall still be served, or Serve will say why it cannot.
        log.warning(
            "%s version %d: served by the defaults, for its spec cannot be read: %s",
            model,
            version,
            error,
        )
        return ServeSpec()


def _check_exists(settings: Settings, control: Rollout, model: str, versions: list[int]) -> None:
    """Refuse a model or version that does not exist before anything is started."""
    deployed = {(variant.model, variant.version) for variant in control.store.variants()}
    known = {name for name, _ in deployed}
    if model not in known and not registry.versions(settings, model):
        names = sorted({found.name for found in registry.versions(settings)} | known)
        message = f"there is no model {model}; there is {', '.join(names) or 'none yet'}"
        raise UsageError(message, hint="see: modelyard models list")
    for version in versions:
        if (model, version) not in deployed:
            registry.version(settings, model, version)
