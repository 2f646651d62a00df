"""What each stage returns: paths, hashes and figures, never data.

Paths are POSIX and relative to the home folder (`Workspace.path` makes them absolute), so that
an artifact means the same in XCom, in `dvc.lock` and on another machine.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Artifact(BaseModel):
    """A small frozen record of what a stage made."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: ClassVar[str]

    key: str = Field(description="Hash of all that the stage depended on.")


class PulledData(Artifact):
    """Data of one version, in its own folder."""

    stage: ClassVar[str] = "pull"
    revision: str = Field(
        description="The git commit that the revision resolved to, or `work tree`."
    )
    content_hash: str = Field(description="DVC's hash of the data.")
    folder: str = Field(description="The folder that holds the data.")
    table: str | None = Field(
        description="The table's path inside the folder; null where a transform makes it."
    )
    files: int = Field(description="How many files.")
    size: int = Field(description="Bytes.")


class CheckFailure(BaseModel):
    """One rule that some rows broke."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    check: str = Field(description="The rule, in words.")
    column: str | None = Field(description="The column, if the rule has one.")
    message: str = Field(description="What is wrong.")
    rows: tuple[int, ...] = Field(
        description="The first rows that broke it; row 1 is the first below the header."
    )
    count: int = Field(description="How many rows broke it in all.")


class ValidationReport(Artifact):
    """What the checks said of the data."""

    stage: ClassVar[str] = "validate"
    passed: bool = Field(description="Whether every check held.")
    rows: int = Field(description="Rows looked at.")
    checks: int = Field(description="Checks made.")
    failures: tuple[CheckFailure, ...] = Field(description="Every check that did not hold.")
    report: str = Field(description="The HTML report.")


class TransformedData(Artifact):
    """The table after the spec's transforms, as Parquet; image columns hold absolute paths or paths relative to `folder`."""

    stage: ClassVar[str] = "transform"
    table: str = Field(description="The Parquet file.")
    folder: str = Field(description="What relative file paths in the table are relative to.")
    rows: int = Field(description="Rows in the table.")
    columns: tuple[str, ...] = Field(description="Its columns.")
    content_hash: str = Field(description="SHA-256 of the table's content.")


class SplitData(Artifact):
    """The table with a column `split`: 0 training, 1 validation, 2 test."""

    stage: ClassVar[str] = "split"
    table: str = Field(description="The Parquet file with the split column.")
    folder: str = Field(description="What relative file paths in the table are relative to.")
    rows: tuple[int, int, int] = Field(description="Rows in training, validation and test.")
    content_hash: str = Field(description="SHA-256 of the table's content.")
    reference: str = Field(
        description="The folder with the reference for drift: profile.bin and sample.parquet."
    )


class BuiltModel(Artifact):
    """The full Ludwig configuration, every default written out."""

    stage: ClassVar[str] = "build"
    config: str = Field(description="The JSON file with the configuration.")
    config_hash: str = Field(description="SHA-256 of the configuration.")


class Trial(BaseModel):
    """One configuration that the search tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int = Field(description="Counts from 0.")
    parameters: dict[str, JsonValue] = Field(
        description="Dotted key of `model:` to the value tried."
    )
    score: float | None = Field(
        description="The metric on the validation split, the last one where it was stopped early; null if the trial failed."
    )
    state: Literal["finished", "stopped early", "failed"] = Field(
        default="finished", description="How it ended."
    )
    epochs: int = Field(default=0, description="Epochs trained; over all folds if there are any.")
    mlflow_run: str = Field(default="", description="The MLflow run that tracks it.")
    error: str | None = Field(default=None, description="Why it failed.")


class TunedModel(Artifact):
    """The best configuration that the search found."""

    stage: ClassVar[str] = "tune"
    config: str = Field(description="The JSON file with the best configuration.")
    config_hash: str = Field(description="SHA-256 of the configuration.")
    metric: str = Field(description="What was compared.")
    best: Trial = Field(description="The best trial.")
    trials: tuple[Trial, ...] = Field(description="All trials.")
    mlflow_run: str = Field(default="", description="The MLflow run that tracks the search.")


class CrossValidation(Artifact):
    """Each fold's metrics, their mean and standard deviation."""

    stage: ClassVar[str] = "cross_validate"
    folds: tuple[dict[str, float], ...] = Field(description="Metrics of each fold's held-out part.")
    mean: dict[str, float] = Field(description="Mean over the folds.")
    std: dict[str, float] = Field(description="Standard deviation over the folds (n - 1).")
    mlflow_run: str = Field(default="", description="The MLflow run that tracks it.")


class TrainedModel(Artifact):
    """Weights and how they came about."""

    stage: ClassVar[str] = "train"
    model: str = Field(description="The folder of the Ludwig model.")
    mlflow_run: str = Field(description="The MLflow run that tracks it.")
    weights_hash: str = Field(description="SHA-256 of the weights.")
    epochs: int = Field(description="Epochs trained.")
    best_epoch: int = Field(description="The epoch whose weights were kept, from 1.")
    parameters: int = Field(description="How many numbers the model learned.")
    seconds: float = Field(description="Wall-clock time of the training.")


class GateResult(BaseModel):
    """What became of one rule of the gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rule: str = Field(description="The rule, in words.")
    value: float | None = Field(
        description="The metric's value; null if the model has no such metric."
    )
    threshold: float | None = Field(
        description="What it was compared with; null if there is no champion to compare with."
    )
    passed: bool = Field(description="Whether the rule held.")


class Evaluation(Artifact):
    """The model on the test split, and the gate's answer."""

    stage: ClassVar[str] = "evaluate"
    metrics: dict[str, float] = Field(description="OUTPUT.METRIC to its value on the test split.")
    predictions: str = Field(
        description="Parquet of the test split's truths, predictions and probabilities."
    )
    passed: bool = Field(description="Whether every rule of the gate held.")
    gate: tuple[GateResult, ...] = Field(description="Each rule's result.")
    compiled: str | None = Field(
        default=None,
        description="The folder of the compiled predictor, or of the reason why there is none.",
    )
    outputs: str | None = Field(
        default=None,
        description="Parquet of the test split's answers as live ones are laid out, for watching.",
    )


class RegisteredVersion(Artifact):
    """A model version in MLflow's registry."""

    stage: ClassVar[str] = "register"
    model: str = Field(description="The registered model's name.")
    version: int = Field(description="Its version.")
    alias: str | None = Field(description="champion, challenger, or null if the gate refused it.")
    mlflow_run: str = Field(description="The MLflow run that made it.")


class VariantShare(BaseModel):
    """A deployed version and its share of the traffic."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: int = Field(description="The model version.")
    weight: float = Field(ge=0, description="Its share of the traffic, before normalisation.")


class Deployment(Artifact):
    """What is served after the stage."""

    stage: ClassVar[str] = "deploy"
    model: str = Field(description="The model's name.")
    variants: tuple[VariantShare, ...] = Field(description="Versions and their shares.")
    endpoint: str = Field(description="Where to send requests.")
