"""The whole spec: everything but `name`, `data` and `model` has a good default."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from modelyard.spec.base import Section
from modelyard.spec.data import DataSpec, Scalar
from modelyard.spec.monitor import MonitorSpec
from modelyard.spec.serve import ServeSpec


class UniformSpace(Section):
    """Any number of a range, evenly or evenly in its logarithm."""

    space: Literal["uniform", "loguniform"] = Field(description="uniform or loguniform")
    lower: float = Field(description="The smallest value.")
    upper: float = Field(description="The largest value.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lower >= self.upper:
            message = f"lower {self.lower:g} must be below upper {self.upper:g}"
            raise ValueError(message)
        if self.space == "loguniform" and self.lower <= 0:
            message = "loguniform needs a lower above 0"
            raise ValueError(message)
        return self


class IntegerSpace(Section):
    """Any whole number of a range, both ends included."""

    space: Literal["int"] = Field(description="int")
    lower: int = Field(description="The smallest value.")
    upper: int = Field(description="The largest value.")
    step: int = Field(default=1, ge=1, description="Only every so many, counted from lower.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lower >= self.upper:
            message = f"lower {self.lower} must be below upper {self.upper}"
            raise ValueError(message)
        return self


class ChoiceSpace(Section):
    """One of a list of values."""

    space: Literal["choice"] = Field(description="choice")
    categories: tuple[JsonValue, ...] = Field(
        min_length=1, description="The values to choose from."
    )


SearchSpace = Annotated[UniformSpace | IntegerSpace | ChoiceSpace, Field(discriminator="space")]


class TuneSpec(Section):
    """The search for better hyperparameters before training."""

    search: Literal["tpe", "random", "grid"] = Field(
        default="tpe",
        description="How configurations are chosen: tpe learns from the trials so far (Optuna's tree-structured Parzen estimator), random draws, grid goes through all combinations.",
    )
    trials: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="How many configurations are tried; grid stops earlier if there are fewer.",
    )
    parameters: dict[str, SearchSpace] = Field(
        min_length=1,
        description="Dotted key of `model:` to its search space, such as trainer.learning_rate.",
    )
    metric: str | None = Field(
        default=None,
        description="What is compared on the validation split, such as label.accuracy; null is the loss.",
    )
    goal: Literal["maximize", "minimize"] | None = Field(
        default=None, description="Which direction is better; null follows the metric."
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        le=50,
        description="Score each trial by its mean over so many folds; null takes the validation split.",
    )
    scheduler: Literal["asha", "hyperband", "median"] | None = Field(
        default=None,
        description="Stop trials early that do worse than others at the same epoch: asha (asynchronous successive halving), hyperband or median; null lets each end.",
    )
    grace_epochs: int = Field(
        default=3, ge=1, description="Epochs that every trial may train before it can be stopped."
    )
    parallel: int | None = Field(
        default=None,
        ge=1,
        description="How many trials train at once; null is as many as the machine or cluster has room for by resources.",
    )


class CrossValidationSpec(Section):
    """How stable the model is over different training data."""

    folds: int = Field(
        default=5,
        ge=2,
        le=50,
        description="How many parts the training and validation rows are divided into.",
    )
    parallel: int | None = Field(
        default=None,
        ge=1,
        description="How many folds train at once; null is as many as the machine or cluster has room for by resources.",
    )


class TrainingSpec(Section):
    """How a training goes on and ends, beyond what Ludwig's trainer says."""

    min_delta: float = Field(
        default=0,
        ge=0,
        description="With trainer.early_stop: the smallest change of the validation metric that counts as better.",
    )
    checkpoints: bool = Field(
        default=True,
        description="Whether a training that was interrupted goes on from its last whole epoch.",
    )


class WeightsSpec(Section):
    """The weights that an image encoder starts from."""

    source: str = Field(
        min_length=1,
        description="A file, relative to the project (what torch or safetensors saved: named tensors), or an http(s) address.",
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="The file's SHA-256; another file is refused.",
    )


class GateRule(Section):
    """One condition that a model must meet before it may become challenger."""

    metric: str = Field(
        pattern=r"^[^.\s]+\.[^\s]+$",
        description="OUTPUT.METRIC on the test split, such as label.accuracy.",
    )
    at_least: float | None = Field(default=None, description="The metric must be this or more.")
    at_most: float | None = Field(default=None, description="The metric must be this or less.")
    within: float | None = Field(
        default=None, ge=0, description="The metric may be worse than that of `of` by this at most."
    )
    of: Literal["champion"] | None = Field(default=None, description="Whom `within` compares with.")

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        given = [
            name for name in ("at_least", "at_most", "within") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            message = "give exactly one of at_least, at_most, within"
            raise ValueError(message)
        if (self.within is None) != (self.of is None):
            message = "within and of: champion belong together"
            raise ValueError(message)
        return self


class ResourceSpec(Section):
    """What one training may use."""

    backend: Literal["local", "ray"] = Field(
        default="local",
        description="local trains in one process, here or in a worker of the cluster; ray, which would spread one training over several, is refused with the packages of this version.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        description="With backend ray: processes that share one training; 1 with local.",
    )
    cpus: float = Field(default=1, gt=0, description="CPU cores.")
    gpus: float = Field(default=0, ge=0, description="GPUs; fractions share one.")


class Spec(Section):
    """One model: what it is made of and what it must be."""

    version: Literal[1] = Field(default=1, description="The version of the spec format.")
    name: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="The model's name: lower-case letters, digits and hyphens; the file has the same name.",
    )
    description: str = Field(default="", description="One sentence for people.")
    data: DataSpec = Field(
        description="Which data, at which version, and what becomes of it before training."
    )
    model: dict[str, JsonValue] = Field(
        description="Ludwig's own configuration, word for word; its documentation applies."
    )
    weights: dict[str, WeightsSpec] = Field(
        default_factory=dict,
        description="Image feature to the weights that its torchvision encoder starts from, instead of torchvision's own.",
    )
    seed: int = Field(default=42, ge=0, le=2**31 - 1, description="The seed of the training.")
    tune: TuneSpec | None = Field(
        default=None,
        description="The search for better hyperparameters before training; null does none.",
    )
    cross_validation: CrossValidationSpec | None = Field(
        default=None, description="Training on folds before the real one; null does none."
    )
    training: TrainingSpec = Field(
        default_factory=TrainingSpec,
        description="How a training goes on and ends, beyond what model.trainer says.",
    )
    gate: tuple[GateRule, ...] = Field(
        default=(), description="All must hold before a version may become challenger."
    )
    serve: ServeSpec = Field(
        default_factory=ServeSpec, description="How versions of this model are served."
    )
    monitor: MonitorSpec = Field(
        default_factory=MonitorSpec, description="How live inputs are watched."
    )
    resources: ResourceSpec = Field(
        default_factory=ResourceSpec, description="What one training may use."
    )

    @property
    def hash(self) -> str:
        """SHA-256 of the spec's content, whatever its file's format, order or comments."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def inputs(self) -> tuple[FeatureSpec, ...]:
        """The model's input features."""
        return _features(self.model, "input_features")

    @property
    def outputs(self) -> tuple[FeatureSpec, ...]:
        """The model's output features."""
        return _features(self.model, "output_features")


class FeatureSpec(Section):
    """What Modelyard itself needs to know of a Ludwig feature."""

    name: str = Field(description="The feature's name.")
    type: str = Field(description="Ludwig's feature type.")
    column: str = Field(description="The table's column; Ludwig's default is the name.")


def _features(model: dict[str, JsonValue], key: str) -> tuple[FeatureSpec, ...]:
    entries = model.get(key)
    if not isinstance(entries, list):
        return ()
    return tuple(
        FeatureSpec(
            name=str(entry["name"]),
            type=str(entry["type"]),
            column=str(entry.get("column", entry["name"])),
        )
        for entry in entries
        if isinstance(entry, dict) and "name" in entry and "type" in entry
    )


def content_hash(value: JsonValue) -> str:
    """SHA-256 of a JSON value in its canonical form, as 64 hex digits."""
    canonical = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


__all__ = ["MonitorSpec", "Scalar", "Spec", "content_hash"]
