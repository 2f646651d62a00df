"""What is kept in Modelyard's database, as the rest of the code sees it: frozen, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

type Role = Literal["champion", "challenger", "warm"]
type Measure = Literal["errors", "slow", "disagreements", "wrong"]
type RolloutStatus = Literal["shadow", "canary", "waiting", "promoted", "rolled_back", "stopped"]

UNDER_WAY: frozenset[RolloutStatus] = frozenset({"shadow", "canary", "waiting"})


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
    experiment: Name | None = Field(default=None, description="The A/B experiment it was part of.")
    phase: Name | None = Field(
        default=None, description="The ledger row whose shares it was under."
    )
    fallback_from: int | None = Field(
        default=None, description="The version that was chosen and failed, if another answered."
    )
    client: Name | None = Field(default=None, description="The name of the API key that asked.")
    raw: dict[str, JsonValue] | None = Field(
        default=None, description="The inputs whole, where the spec asks for them to be kept."
    )
    embedding: tuple[float, ...] | None = Field(
        default=None, description="Where the model places the row, in a few dimensions."
    )


class Variant(Record):
    """A deployed model version and its share of the traffic."""

    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version.")
    weight: float = Field(ge=0, allow_inf_nan=False, description="Its share, before normalisation.")
    role: Role = Field(description="champion, challenger, or warm: deployed without traffic.")
    shadow: float = Field(
        default=0, ge=0, le=1, description="The share of requests that are copied to it, unseen."
    )
    experiment: Name | None = Field(default=None, description="The A/B experiment it is part of.")


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
    evidence: dict[str, JsonValue] = Field(
        default_factory=dict, description="The counts and bounds that it was decided by."
    )


class Tally(Record):
    """How often something happened to one version in one phase: a count of Bernoulli outcomes."""

    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version.")
    phase: Name = Field(description="The ledger row since which it is counted.")
    measure: Measure = Field(
        description="errors: calls that failed; slow: answers that took too long; disagreements: other answers than the champion's; wrong: other answers than the label."
    )
    trials: int = Field(description="How often it could have happened.")
    hits: int = Field(description="How often it did.")


class ShadowRecord(Record):
    """What a version answered unseen to a copy of a request's row."""

    prediction: Name = Field(description="The id of the prediction that was answered.")
    version: int = Field(description="The version that got the copy.")
    at: Moment = Field(description="When it answered or failed.")
    model: Name = Field(description="The model's name.")
    phase: Name = Field(description="The ledger row whose shares it was under.")
    outputs: dict[str, JsonValue] = Field(description="Output feature to what was predicted.")
    probability: dict[str, float] = Field(description="Output feature to its probability.")
    latency_ms: float = Field(description="Milliseconds until it answered or failed.")
    agrees: bool | None = Field(
        description="Whether the answer was the same; null if there is none."
    )
    error: str | None = Field(default=None, description="Why there is no answer.")


class Label(Record):
    """What turned out to be true of a prediction."""

    prediction: Name = Field(description="The prediction's id.")
    output: Name = Field(description="The output feature.")
    value: JsonValue = Field(description="The truth.")
    at: Moment = Field(default_factory=now, description="When it was said.")
    by: Name | None = Field(default=None, description="Who said it: the API key's name.")
    wrong: bool | None = Field(
        default=None, description="Whether the prediction was another; null for numbers and masks."
    )


class LabelsSaved(Record):
    """What became of labels."""

    saved: int = Field(description="Labels that are new.")
    replaced: int = Field(description="Labels that took the place of earlier ones.")
    unknown: tuple[str, ...] = Field(description="Ids of predictions that are not there.")


class RolloutRecord(Record):
    """A challenger's way from its first request to all of them, or back."""

    id: Name = Field(default_factory=new_id, description="The rollout's id.")
    model: Name = Field(description="The model's name.")
    version: int = Field(description="The challenger.")
    status: RolloutStatus = Field(description="Where it is; a model has at most one under way.")
    step: int = Field(default=0, description="Which canary share it has, from 0.")
    phase: Name = Field(description="The ledger row since which its evidence is counted.")
    slow_ms: float | None = Field(
        default=None, description="Answers that take longer are slow; fixed when the phase begins."
    )
    policy: dict[str, JsonValue] = Field(description="The rules, as the spec said them.")
    started: Moment = Field(default_factory=now, description="When it began.")
    changed: Moment = Field(default_factory=now, description="When it last moved.")
    reason: str = Field(default="", description="Why it is where it is.")
    by: Name = Field(description="Who or what began it.")
    run: Name | None = Field(default=None, description="The run that began it.")


class ApiKey(Record):
    """A key to the endpoint; of the secret only a digest is kept."""

    id: Name = Field(description="The part of the key that is not secret.")
    name: Name = Field(description="What people call it.")
    digest: Name = Field(repr=False, description="A hash of the secret, in hex.")
    scopes: tuple[str, ...] = Field(description="What it may do.")
    models: tuple[str, ...] = Field(default=(), description="For which models; empty is all.")
    rate_per_minute: int | None = Field(default=None, ge=1, description="Requests a minute.")
    created: Moment = Field(default_factory=now, description="When it was made.")
    revoked: Moment | None = Field(default=None, description="When it was taken back.")
