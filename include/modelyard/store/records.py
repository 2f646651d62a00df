"""What is kept in Modelyard's database, as the rest of the code sees it: frozen, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

type Role = Literal["champion", "challenger", "warm"]
type Kind = Literal["number", "category", "missing"]


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a new random id, 32 hex digits."""
    return uuid4().hex


type Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
# PostgreSQL refuses NUL in text, and one such record would refuse its whole batch.
type Name = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]


class Record(BaseModel):
    """A frozen row."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PredictionRecord(Record):
    """One answered row of a request."""

    id: Name = Field(description="The prediction's id, as the answer gave it.")
    at: Moment = Field(description="When it was answered.")
    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version that answered.")
    request: Name = Field(description="The id of the request that it came with.")
    inputs: dict[str, JsonValue] = Field(
        description="Observations of the inputs: scalars; an image is its measures and its hash."
    )
    outputs: dict[str, JsonValue] = Field(description="Output feature to what was predicted.")
    probability: dict[str, float] = Field(
        description="Output feature to the probability of what was predicted."
    )
    latency_ms: float = Field(description="Milliseconds in the model, the batch's for each row.")
    run: Name | None = Field(default=None, description="The run that made the version.")


class Variant(Record):
    """A deployed model version and its share of the traffic."""

    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version.")
    weight: float = Field(ge=0, allow_inf_nan=False, description="Its share, before normalisation.")
    role: Role = Field(description="champion, challenger, or warm: deployed without traffic.")


class LedgerEntry(Record):
    """One change of what is served: from, to, why and by whom."""

    id: Name = Field(default_factory=new_id, description="A second entry of one id is ignored.")
    at: Moment = Field(default_factory=now, description="When it was decided.")
    model: Name = Field(description="The model's name.")
    action: Name = Field(description="What was done: deploy, promote, rollback, split.")
    before: dict[str, float] = Field(description="Version to weight before.")
    after: dict[str, float] = Field(description="Version to weight after.")
    reason: str = Field(description="Why, in words.")
    by: Name = Field(description="Who or what decided.")
    run: Name | None = Field(default=None, description="The run that it belongs to.")


class Verdict(Record):
    """What a test said of one column of a window."""

    column: str = Field(description="The observed column.")
    kind: Kind = Field(description="number, category, or missing: how often there is no value.")
    test: Name = Field(description="What was tested, in words; `none` where nothing could be.")
    statistic: float | None = Field(description="The test's statistic; null where untested.")
    p_value: float | None = Field(description="As the test gave it; null where untested.")
    p_adjusted: float | None = Field(description="Corrected over the window's columns.")
    effect: float = Field(description="How much differs, 0 to 1.")
    effect_name: Name = Field(description="KS distance or total variation.")
    drifted: bool = Field(description="Significant after correction, and large enough.")
    psi: float | None = Field(description="Population stability index, for information.")
    js: float | None = Field(description="Jensen-Shannon divergence in bits, for information.")
    reference_rows: int = Field(description="Rows with a value in the reference.")
    live_rows: int = Field(description="Rows with a value in the window.")
    reference_missing: float = Field(description="Share of reference rows without a value.")
    live_missing: float = Field(description="Share of the window's rows without a value.")
    note: str | None = Field(default=None, description="What a reader should know besides.")


class DriftCheck(Record):
    """One comparison of a window with the reference."""

    id: Name = Field(default_factory=new_id, description="A second check of one id is ignored.")
    at: Moment = Field(default_factory=now, description="When it was made.")
    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version whose inputs were compared.")
    window: Name = Field(description="What was asked for: the last N, or all.")
    rows: int = Field(description="Predictions in the window.")
    first_at: Moment = Field(description="The window's oldest prediction.")
    last_at: Moment = Field(description="The window's newest prediction.")
    reference_rows: int = Field(description="Rows in the reference.")
    alpha: float = Field(description="The share of windows that may raise a false alarm.")
    correction: Name = Field(description="How the many columns were accounted for.")
    min_effect: float = Field(description="Smaller differences are not drift.")
    drifted: bool = Field(description="Whether any column drifted.")
    run: Name | None = Field(default=None, description="The run that asked for it.")
    verdicts: tuple[Verdict, ...] = Field(description="One a column, most drifted first.")
