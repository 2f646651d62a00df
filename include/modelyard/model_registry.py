"""The model registry for programs, in the words of MLflow's old stages: Staging, Production, Archived."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from modelyard import serve_control
from modelyard.errors import UsageError
from modelyard.rollout.moves import Author
from modelyard.rollout.reigns import Reign, reigns
from modelyard.settings import Settings, get_settings
from modelyard.store.database import open_store
from modelyard.tracking import registry
from modelyard.tracking.best import best_run, registered
from modelyard.tracking.compare import Comparison, compare_runs
from modelyard.tracking.registry import CHALLENGER, CHAMPION, ModelVersion
from modelyard.training.metrics import lower_is_better
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from modelyard.rollout.moves import Move

PRODUCTION, STAGING, ARCHIVED = "Production", "Staging", "Archived"
STAGES = (STAGING, PRODUCTION, ARCHIVED)
PAIR = 2
WHOLE_LEDGER = 100_000


class ModelRegistry:
    """Registered versions, which of them serves, and who served before.

    Production is the alias champion with its traffic, Staging the challenger without traffic,
    and Archived no alias and no traffic. A version is a `ModelVersion`, or text such as
    ``digits-cnn:3`` or ``digits-cnn:champion``.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = get_settings() if settings is None else settings

    def register_best_model(self, experiment_name: str, metric: str) -> ModelVersion:
        """Register the training that did best on the test split of those whose gate passed.

        The experiment has the spec's name, and the metric is OUTPUT.METRIC; whether more or less
        of it is better follows from its name. What is registered already is returned as it is.

        Raises:
            TrackingError: no training was measured so, or its files are gone.
        """
        workspace = Workspace(self.settings)
        run = best_run(self.settings, experiment_name, metric, lower=lower_is_better(metric))
        return registered(workspace, run)

    def transition_model_stage(
        self, version: ModelVersion | str, stage: str, reason: str = ""
    ) -> ModelVersion:
        """Move a version to Staging, Production or Archived, by the way of all promotions.

        Traffic, alias and ledger agree afterwards, as after `modelyard models promote`.

        Raises:
            UsageError: there is no such stage, or the champion would be left without a successor.
            ServingError: Ray Serve runs and cannot start the version.
        """
        wanted = stage_named(stage)
        found = self._find(version)
        hand = serve_control.by_hand()
        author = Author(hand.by, hand.run, reason)
        if wanted == PRODUCTION:
            serve_control.promote(self.settings, found.name, found.version, author)
        else:
            self._refuse_to_dethrone(found, wanted)
            if wanted == STAGING:
                serve_control.place(self.settings, found.name, found.version, author)
            else:
                self._archive(found, author)
        return registry.version(self.settings, found.name, found.version)

    def compare(self, versions: Sequence[ModelVersion | str]) -> Comparison:
        """Compare two versions: metrics, parameters, data, code, and a paired test.

        Raises:
            UsageError: it is not two versions, or one does not exist.
        """
        if len(versions) != PAIR:
            message = f"two versions can be compared, and not {len(versions)}"
            raise UsageError(message, hint="such as: compare(['digits-cnn:3', 'digits-cnn:4'])")
        first, second = (self._find(version) for version in versions)
        return compare_runs(
            self.settings,
            (first.title, first.mlflow_run),
            (second.title, second.mlflow_run),
        )

    def history(self, name: str) -> list[Reign]:
        """Who was champion, when, why and by whom, the present one first.

        The first version is champion from its registration on, before the ledger hears of traffic.
        """
        with open_store(self.settings.database_url) as store:
            found = reigns(store.ledger(name, WHOLE_LEDGER))
        first = min(registry.versions(self.settings, name), key=lambda v: v.version, default=None)
        if first is None or (found and found[-1].version == first.version):
            return found
        until = found[-1].since if found else None
        return [*found, _by_registration(first, until)]

    def _find(self, version: ModelVersion | str) -> ModelVersion:
        text = version if isinstance(version, str) else f"{version.name}:{version.version}"
        return registry.find(self.settings, text)

    def _archive(self, found: ModelVersion, author: Author) -> Move | None:
        move = serve_control.withdraw(self.settings, found.name, found.version, author)
        if CHALLENGER in found.aliases:
            registry.set_alias(self.settings, found.name, CHALLENGER, None)
        return move

    def _refuse_to_dethrone(self, found: ModelVersion, wanted: str) -> None:
        with open_store(self.settings.database_url) as store:
            roles = {item.version: item.role for item in store.variants(found.name)}
        if CHAMPION in {roles.get(found.version), *found.aliases}:
            message = f"{found.title} is in {PRODUCTION} and cannot go to {wanted}"
            raise UsageError(
                message,
                hint=f"make another the champion first: modelyard models promote {found.name} VERSION",
            )


def _by_registration(first: ModelVersion, until: datetime | None) -> Reign:
    return Reign(
        version=first.version,
        since=first.created,
        until=until,
        reason="the first version; registered, and not served yet",
        by="register",
        run=first.run or None,
    )


def stage_named(text: str) -> str:
    """Return the stage that a word means, in any case of letters.

    Raises:
        UsageError: there is no such stage.
    """
    found = next((stage for stage in STAGES if stage.lower() == text.lower()), None)
    if found is None:
        message = f"there is no stage {text!r}; there are {', '.join(STAGES)}"
        raise UsageError(message, hint=f"{PRODUCTION} is the champion, {STAGING} the challenger")
    return found


def stage_of(version: ModelVersion) -> str:
    """The stage that a version's aliases mean."""
    if CHAMPION in version.aliases:
        return PRODUCTION
    return STAGING if CHALLENGER in version.aliases else ARCHIVED
