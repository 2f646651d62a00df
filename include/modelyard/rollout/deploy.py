"""Carry decisions out: database first, then Ray Serve, then MLflow's aliases.

The database says what should be served. Every function may be called again after a crash: it
finds the move done, and makes Serve and the aliases agree with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock

from modelyard.artifacts import Deployment, RegisteredVersion, VariantShare
from modelyard.rollout import moves
from modelyard.rollout.moves import Author, Move
from modelyard.rollout.ray_serve import AppStatus, Endpoint, NotStarted, ServeClient, serve_config
from modelyard.rollout.routes import INGRESS_APP, app_name, route_table
from modelyard.settings import Settings
from modelyard.spec.models import Spec, content_hash
from modelyard.store.database import Store
from modelyard.store.records import Variant

type SetAlias = Callable[[str, str, int | None], None]
"""Point a model's alias at a version, or take the alias away."""
type CountReplicas = Callable[[str, int], int]
type Decide = Callable[[Sequence[Variant]], Move | None]

ALIASES = ("champion", "challenger")
log = logging.getLogger(__name__)


def no_alias(_model: str, _alias: str, _version: int | None) -> None:
    """Point no alias: for callers without a model registry."""


def one_replica(_model: str, _version: int) -> int:
    """Count one process a variant."""
    return 1


@dataclass(frozen=True)
class Rollout:
    """The models that are served, and the means to change that."""

    settings: Settings
    store: Store
    set_alias: SetAlias = no_alias
    count_replicas: CountReplicas = one_replica

    def deploy(self, spec: Spec, registered: RegisteredVersion, author: Author) -> Deployment:
        """Start a version beside the others, then give it the first traffic that the spec says.

        Raises:
            ServingError: Ray Serve cannot be reached, or the version does not start; what is
                served is as before.
        """
        model, version = registered.model, registered.version
        if self._role(model, version) not in {"champion", "challenger"}:
            self._place(model, version, author)
        canary = spec.serve.rollout.canary
        self._change(model, lambda now: moves.advance(now, model, version, canary, author))
        return self._deployment(model)

    def promote(self, model: str, version: int | None, author: Author) -> Move | None:
        """Make a version the champion, starting it first if it is not deployed."""
        if version is not None and self._role(model, version) is None:
            self._place(model, version, author)
        return self._change(model, lambda now: moves.promote(now, model, version, author))

    def rollback(self, model: str, author: Author) -> Move | None:
        """Take the challenger away, or go back to the former champion."""
        return self._change(model, lambda now: moves.rollback(now, model, author))

    def split(self, model: str, weights: Mapping[int, float], author: Author) -> Move | None:
        """Divide the traffic, starting versions that are not deployed first."""
        for version in weights:
            if self._role(model, version) is None:
                self._place(model, version, author)
        return self._change(model, lambda now: moves.split(now, model, weights, author))

    def place(self, model: str, version: int, author: Author) -> None:
        """Start a version as challenger without traffic; the champion stays what it is."""
        if self._role(model, version) != "challenger":
            self._place(model, version, author)
        self.set_alias(model, "challenger", version)

    def withdraw(self, model: str, version: int, author: Author) -> Move | None:
        """Take a version that is not champion out of service; its traffic goes to the champion."""
        with self._lock():
            move = self._write(model, lambda now: moves.withdraw(now, model, version, author))
            self._put(self.store.variants())
        self._wait_endpoint()
        return move

    def sync(self) -> None:
        """Make Ray Serve as the database says, and wait until the endpoint answers so.

        Raises:
            ServingError: it cannot be reached, or a version does not start.
        """
        with self._lock():
            variants = self.store.variants()
            self._put(variants)
        apps = [app_name(variant.model, variant.version) for variant in variants]
        self._wait([*apps, INGRESS_APP])
        self._wait_endpoint()

    def _role(self, model: str, version: int) -> str | None:
        found = self.store.variants(model)
        return next((item.role for item in found if item.version == version), None)

    def _place(self, model: str, version: int, author: Author) -> None:
        """Start a version without traffic; take it away again if it does not start."""
        with self._lock():
            self._write(model, lambda now: moves.deploy(now, model, version, author))
            self._put(self.store.variants())
        if self._role(model, version) is None:
            log.info("%s: version %d was taken away since, and stays so", model, version)
            return
        try:
            self._wait([app_name(model, version), INGRESS_APP])
        except NotStarted as error:
            failed = Author(author.by, author.run, str(error))
            with self._lock():
                self._write(model, lambda now: moves.withdraw(now, model, version, failed))
                self._put(self.store.variants())
            raise

    def _change(self, model: str, decide: Decide) -> Move | None:
        with self._lock():
            move = self._write(model, decide)
            self._put(self.store.variants())
        self._wait_endpoint()
        self._point_aliases(model)
        return move

    def _write(self, model: str, decide: Decide) -> Move | None:
        move = decide(self.store.variants(model))
        if move is not None:
            self.store.move(model, move.variants, move.entry)
            log.info("%s: %s: %s", model, move.entry.action, move.entry.reason)
        return move

    def _put(self, variants: Sequence[Variant]) -> None:
        if self.settings.serve_api is None:
            log.warning("Ray Serve is not running; what is decided is served after: make up")
            return
        with ServeClient(self.settings.serve_api) as client:
            counts = self._count(variants, client.statuses())
            client.put(serve_config(variants, self.settings, counts))

    def _count(
        self, variants: Sequence[Variant], running: Mapping[str, AppStatus]
    ) -> dict[tuple[str, int], int]:
        """Keep the replicas that Serve has, for a version's spec does not change; ask for others.

        Traffic can so be moved at once, and while the model registry is away.
        """
        counts: dict[tuple[str, int], int] = {}
        for variant in variants:
            model, version = variant.model, variant.version
            status = running.get(app_name(model, version))
            known = None if status is None else status.replicas
            counts[model, version] = known or self.count_replicas(model, version)
        return counts

    def _wait(self, apps: Sequence[str]) -> None:
        if self.settings.serve_api is not None:
            with ServeClient(self.settings.serve_api) as client:
                client.wait_running(apps)

    def _wait_endpoint(self) -> None:
        if self.settings.serve_api is not None:
            Endpoint(self.settings.endpoint).wait_revision(
                lambda: route_table(self.store.variants()).revision
            )

    def _point_aliases(self, model: str) -> None:
        roles: dict[str, int] = {item.role: item.version for item in self.store.variants(model)}
        for alias in ALIASES:
            self.set_alias(model, alias, roles.get(alias))

    def _deployment(self, model: str) -> Deployment:
        shares = tuple(
            VariantShare(version=item.version, weight=item.weight)
            for item in self.store.variants(model)
        )
        return Deployment(
            key=content_hash([model, [share.model_dump() for share in shares]]),
            model=model,
            variants=shares,
            endpoint=f"{self.settings.endpoint}/models/{model}/predict",
        )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One change at a time: a PUT carries all models, and an older one must not come later."""
        folder = self.settings.home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "serve.lock"):
            yield
