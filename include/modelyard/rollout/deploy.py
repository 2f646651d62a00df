"""Carry decisions out: database first, then Ray Serve, then MLflow's aliases.

The database says what should be served. Every function may be called again after a crash: it
finds the move done, and makes Serve and the aliases agree with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock

from modelyard.artifacts import Deployment, RegisteredVersion, VariantShare
from modelyard.errors import UsageError
from modelyard.ray_access import ray_headers
from modelyard.rollout import moves, under_way
from modelyard.rollout.moves import Author, Decide, Move
from modelyard.rollout.ray_serve import AppStatus, Endpoint, NotStarted, ServeClient, serve_config
from modelyard.rollout.routes import INGRESS_APP, RouteTable, app_name, route_table
from modelyard.rollout.steps import Decision
from modelyard.settings import Settings
from modelyard.spec.models import Spec, content_hash
from modelyard.spec.serve import ServeSpec
from modelyard.store.database import Store
from modelyard.store.records import RolloutRecord, Variant
from modelyard.tls import client_context

type SetAlias = Callable[[str, str, int | None], None]
"""Point a model's alias at a version, or take the alias away."""
type CountReplicas = Callable[[str, int], int]
type ReadServe = Callable[[str, int], ServeSpec]
type Outcome = Callable[[RolloutRecord, Move], RolloutRecord]
"""What a move makes of the rollout that is under way."""

ALIASES = ("champion", "challenger")
log = logging.getLogger(__name__)


def no_alias(_model: str, _alias: str, _version: int | None) -> None:
    """Point no alias: for callers without a model registry."""


def one_replica(_model: str, _version: int) -> int:
    """Count one process a variant."""
    return 1


def default_serve(_model: str, _version: int) -> ServeSpec:
    """Serve by the defaults."""
    return ServeSpec()


@dataclass(frozen=True)
class Rollout:
    """The models that are served, and the means to change that."""

    settings: Settings
    store: Store
    set_alias: SetAlias = no_alias
    count_replicas: CountReplicas = one_replica
    read_serve: ReadServe = default_serve
    """How a version that is deployed by hand wants to be served."""

    def deploy(self, spec: Spec, registered: RegisteredVersion, author: Author) -> Deployment:
        """Start a version beside the others, then give it the first traffic that the spec says.

        Raises:
            ServingError: Ray Serve cannot be reached, or the version does not start; what is
                served is as before.
        """
        model, version = registered.model, registered.version
        if self._role(model, version) not in {"champion", "challenger"}:
            self._place(model, version, author)
        self._begin(model, version, spec.serve, author)
        return self._deployment(model)

    def introduce(self, model: str, version: int, author: Author) -> Move | None:
        """Begin the rollout of a registered version by its own spec."""
        serve = self.read_serve(model, version)
        if self._role(model, version) not in {"champion", "challenger"}:
            self._place(model, version, author)
        return self._begin(model, version, serve, author)

    def promote(self, model: str, version: int | None, author: Author) -> Move | None:
        """Make a version the champion, starting it first if it is not deployed."""
        if version is not None:
            self._place_by_hand(model, version, author)
        return self._change(model, lambda now: moves.promote(now, model, version, author))

    def rollback(self, model: str, author: Author) -> Move | None:
        """Take the challenger away, or go back to the former champion."""
        return self._change(model, lambda now: moves.rollback(now, model, author))

    def split(
        self,
        model: str,
        weights: Mapping[int, float],
        author: Author,
        experiment: str | None = None,
    ) -> Move | None:
        """Divide the traffic, starting versions that are not deployed first."""
        for version in weights:
            self._place_by_hand(model, version, author, weights)
        return self._change(model, lambda now: moves.split(now, model, weights, author, experiment))

    def carry_out(self, decided: RolloutRecord, decision: Decision) -> Move | None:
        """Do what was decided for a rollout; None if it has moved since."""
        author = Author("steward", reason=decision.reason, evidence=decision.evidence)
        return self._go_on(decided, decision, author)

    def approve(self, model: str, author: Author, share: float = 1.0) -> Move | None:
        """Let a challenger that waits go on: to all traffic, or to one more canary step.

        Raises:
            UsageError: none waits, or the share is none.
        """
        record = self._waiting(model)
        if not 0 < share <= 1:
            message = f"a share is above 0 and at most 1, and not {share:g}"
            raise UsageError(message, hint="1 is all traffic, 0.5 one more canary step")
        told = f"approved by {author.by}" + (f": {author.reason}" if author.reason else "")
        signed = Author(author.by, author.run, told, author.evidence)
        if share == 1:
            return self._go_on(record, Decision("promote", record.step, 1.0, told, {}), signed)
        step = max(record.step + 1, len(under_way.rules_of(record).rollout.canary))
        return self._go_on(record, Decision("canary", step, share, told, {}), signed)

    def reject(self, model: str, author: Author) -> Move | None:
        """Take a challenger that waits away.

        Raises:
            UsageError: none waits.
        """
        record = self._waiting(model)
        told = f"rejected by {author.by}" + (f": {author.reason}" if author.reason else "")
        signed = Author(author.by, author.run, told, author.evidence)
        return self._go_on(record, Decision("rollback", record.step, 0.0, told, {}), signed)

    def place(self, model: str, version: int, author: Author) -> None:
        """Start a version as challenger without traffic; the champion stays what it is."""
        if self._role(model, version) != "challenger":
            self._keep_rules(model, version, author)
            self._place(model, version, author)
        self.set_alias(model, "challenger", version)

    def withdraw(self, model: str, version: int, author: Author) -> Move | None:
        """Take a version that is not champion out of service; its traffic goes to the champion."""
        with self._lock():
            move = self._write(
                model,
                lambda now: moves.withdraw(now, model, version, author),
                under_way.after_other,
            )
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

    def _place(
        self, model: str, version: int, author: Author, beside: Collection[int] = ()
    ) -> None:
        """Start a version without traffic; take it away again if it does not start."""
        with self._lock():
            self._write(
                model,
                lambda now: moves.deploy(now, model, version, author, beside),
                under_way.after_other,
            )
            self._put(self.store.variants())
        if self._role(model, version) is None:
            log.info("%s: version %d was taken away since, and stays so", model, version)
            return
        try:
            self._wait([app_name(model, version), INGRESS_APP])
        except NotStarted as error:
            failed = Author(author.by, author.run, str(error))
            with self._lock():
                self._write(
                    model,
                    lambda now: moves.withdraw(now, model, version, failed),
                    under_way.after_other,
                )
                self._put(self.store.variants())
            raise

    def _place_by_hand(
        self, model: str, version: int, author: Author, beside: Collection[int] = ()
    ) -> None:
        if self._role(model, version) is None:
            self._keep_rules(model, version, author)
            self._place(model, version, author, beside)

    def _keep_rules(self, model: str, version: int, author: Author) -> None:
        """Note how a version wants to be served, where no rollout of its own says so."""
        if any(one.version == version for one in self.store.rollouts(model)):
            return
        serve = self.read_serve(model, version)
        self.store.save_rollout(under_way.by_hand(model, version, serve, author))

    def _begin(self, model: str, version: int, serve: ServeSpec, author: Author) -> Move | None:
        """Give a version its first traffic, and let its rollout take the place of another's."""
        with self._lock():
            variants = self.store.variants(model)
            move = moves.begin(variants, model, version, serve.rollout, author)
            running = self.store.rollout(model)
            if running is not None and running.version == version:
                move = None
            if move is not None:
                if running is not None:
                    told = f"version {version} took its place"
                    self.store.save_rollout(under_way.stopped(running, told))
                self._keep(move, under_way.begun(self.store, move, version, serve, author))
            self._put(self.store.variants())
        self._wait_endpoint()
        self.point_aliases(model)
        return move

    def _go_on(self, decided: RolloutRecord, decision: Decision, author: Author) -> Move | None:
        """Move a rollout on, unless somebody else has moved it since."""
        model, version = decided.model, decided.version
        with self._lock():
            record = self.store.rollout(model)
            if record is None or (record.id, record.phase) != (decided.id, decided.phase):
                return None
            variants = self.store.variants(model)
            if self._role(model, version) != "challenger":
                told = f"version {version} is no challenger any more"
                self.store.save_rollout(under_way.stopped(record, told))
                return None
            move, changes = under_way.next_move(self.store, record, variants, decision, author)
            if move is not None:
                self._keep(move, under_way.moved(record, move, **changes))
            self._put(self.store.variants())
        log.debug("%s: version %d: %s", model, version, decision.act)
        self._wait_endpoint()
        self.point_aliases(model)
        return move

    def _waiting(self, model: str) -> RolloutRecord:
        record = self.store.rollout(model)
        if record is None or record.status != "waiting":
            message = f"no challenger of {model} waits for approval"
            raise UsageError(message, hint=f"see: modelyard models show {model}")
        return record

    def _change(self, model: str, decide: Decide) -> Move | None:
        with self._lock():
            move = self._write(model, decide, under_way.after_hand)
            self._put(self.store.variants())
        self._wait_endpoint()
        self.point_aliases(model)
        return move

    def _write(self, model: str, decide: Decide, outcome: Outcome) -> Move | None:
        move = decide(self.store.variants(model))
        if move is not None:
            running = self.store.rollout(model)
            self._keep(move, None if running is None else outcome(running, move))
        return move

    def _keep(self, move: Move, record: RolloutRecord | None) -> None:
        model = move.entry.model
        self.store.move(model, move.variants, move.entry, record)
        log.info("%s: %s: %s", model, move.entry.action, move.entry.reason)

    def _put(self, variants: Sequence[Variant]) -> None:
        if self.settings.serve_api is None:
            log.warning("Ray Serve is not running; what is decided is served after: make up")
            return
        with ServeClient(self.settings.serve_api, headers=ray_headers(self.settings)) as client:
            counts = self._count(variants, client.statuses())
            traffic = under_way.traffic(self.store, variants)
            client.put(serve_config(variants, self.settings, counts, traffic))

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
            with ServeClient(self.settings.serve_api, headers=ray_headers(self.settings)) as client:
                client.wait_running(apps)

    def _wait_endpoint(self) -> None:
        if self.settings.serve_api is not None:
            trusted = client_context(self.settings)
            Endpoint(self.settings.endpoint, verify=trusted).wait_revision(
                lambda: self.table().revision
            )

    def put(self) -> None:
        """Give Serve its configuration again, without waiting for it."""
        with self._lock():
            self._put(self.store.variants())

    def routed_by(self) -> str | None:
        """The revision of the table that the endpoint routes by; None if it does not answer."""
        if self.settings.serve_api is None:
            return None
        return Endpoint(self.settings.endpoint, verify=client_context(self.settings)).revision()

    def table(self) -> RouteTable:
        """The route table that the database asks for."""
        variants = self.store.variants()
        return route_table(variants, under_way.traffic(self.store, variants))

    def point_aliases(self, model: str) -> None:
        """Give MLflow's aliases to whom the database has in these roles."""
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
