"""What OpenAPI says of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modelyard.features import ModelSignature
from modelyard.spec.monitor import Level

_ROWS: Final = {
    "type": "object",
    "required": ["rows"],
    "additionalProperties": False,
    "properties": {
        "rows": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "description": "One object a row: column to value. An image is base64 of its file.",
            "items": {"type": "object"},
        }
    },
}
FEEDBACK_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["labels"],
                "additionalProperties": False,
                "properties": {
                    "labels": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1000,
                        "items": {
                            "type": "object",
                            "required": ["id"],
                            "additionalProperties": False,
                            "properties": {
                                "id": {"type": "string", "description": "The prediction's id."},
                                "value": {"description": "What was true."},
                                "output": {
                                    "type": "string",
                                    "description": "Which output, where the model has several.",
                                },
                                "outputs": {
                                    "type": "object",
                                    "description": "In place of output and value: output to what was true.",
                                },
                            },
                        },
                    }
                },
            }
        }
    },
}
PREDICT_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {"schema": _ROWS},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "Each column once a row; an image is an uploaded file.",
                "additionalProperties": {"type": "string", "format": "binary"},
            }
        },
    },
}


class Prediction(BaseModel):
    """One row's answer; besides these two fields, one for each output of the model."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "prediction": {
                        "description": "Of a mask: a PNG in base64, as large as the image that was sent, its grey values the classes; or run lengths, where asked for."
                    },
                    "probability": {"type": "number"},
                    "probabilities": {"type": "object"},
                    "share": {
                        "type": "number",
                        "description": "Of a mask: the share of its pixels that are not background.",
                    },
                },
            }
        },
    )

    id: str = Field(description="The prediction's id.")
    version: int = Field(description="The model version that answered.")
    fallback_from: int = Field(
        default=0, description="The version that was chosen and failed; absent if none did."
    )
    experiment: str = Field(
        default="", description="The experiment that the answer belongs to; absent if none."
    )


class Answer(BaseModel):
    """The answer to a request, its predictions in the order of the rows."""

    model: str = Field(description="The model's name.")
    predictions: list[Prediction] = Field(description="One a row.")


class FeedbackAnswer(BaseModel):
    """What became of labels."""

    model: str = Field(description="The model's name.")
    saved: int = Field(description="Labels that were kept.")
    replaced: int = Field(description="Those of them that replaced an earlier label.")
    unknown: list[str] = Field(description="Ids of which no prediction of this model is known.")


class LogFigures(BaseModel):
    """How the prediction log does."""

    queued: int = Field(description="Predictions that are not yet written.")
    written: int = Field(description="Predictions that are in the database.")
    dropped: int = Field(description="Predictions that could not be kept.")
    failing: str | None = Field(description="Why the database does not take them now.")
    waiting_s: float = Field(description="Seconds that the oldest not yet written has waited.")


class Health(BaseModel):
    """The state of the endpoint."""

    status: str = Field(description="ok, or empty if no model is deployed.")
    models: list[str] = Field(description="Names of the models.")
    revision: str = Field(description="The hash of the routes in use.")
    prediction_log: LogFigures = Field(description="How the prediction log does.")
    shadows: dict[str, int] = Field(description="What became of copies of requests.")
    breakers: dict[str, str] = Field(
        description="MODEL-vVERSION to closed, half-open or open: an open one sends it nothing."
    )


class Ready(BaseModel):
    """Whether the endpoint can answer."""

    ready: bool = Field(description="Whether there is a model and every champion answers.")
    reasons: list[str] = Field(description="Why not; empty when ready.")
    revision: str = Field(description="The hash of the routes in use.")


class Figures(BaseModel):
    """How the endpoint does, in figures."""

    model_config = ConfigDict(extra="allow")

    uptime_s: float = Field(description="Seconds since it started.")
    window_s: float = Field(description="Rates and latencies are of that many last seconds.")
    in_flight: int = Field(description="Requests that are being answered.")
    models: list[dict[str, JsonValue]] = Field(description="By model and variant.")
    prediction_log: LogFigures = Field(description="How the prediction log does.")


class Alert(BaseModel):
    """One thing that needs a person; what is not of its kind is left out or null."""

    kind: Literal["drift", "performance", "estimate", "approval", "rollback", "breaker"] = Field(
        description="Drift, performance by labels or estimated without; a rollout that waits for a person or went back; an open circuit breaker."
    )
    id: str | None = Field(default=None, description="The alert's or the rollout's id.")
    at: datetime | None = Field(default=None, description="When it was first seen, or last moved.")
    model: str = Field(description="The model.")
    version: int = Field(description="The model version.")
    reason: str = Field(description="What is wrong, in words.")
    level: Level | None = Field(default=None, description="How bad it is.")
    worst: Level | None = Field(default=None, description="How bad it ever was.")
    subject: str | None = Field(default=None, description="The column, or OUTPUT.METRIC.")
    segment: str | None = Field(default=None, description="COLUMN=VALUE; empty is all rows.")
    value: float | None = Field(default=None, description="The effect size or degradation.")
    peak: float | None = Field(default=None, description="The largest that was seen.")
    windows: list[str] | None = Field(default=None, description="The windows that show it.")
    onset: datetime | None = Field(default=None, description="When it began.")
    opened: datetime | None = Field(default=None, description="When it was first seen.")
    seen: datetime | None = Field(default=None, description="When it was last seen.")
    ended: datetime | None = Field(default=None, description="When it was gone; null is open.")
    ending: str | None = Field(default=None, description="Why it ended.")
    check: str | None = Field(default=None, description="The comparison that last showed it.")
    report: str | None = Field(default=None, description="Its report, below the home folder.")
    run: str | None = Field(default=None, description="The run that first saw it.")
    acknowledged: datetime | None = Field(default=None, description="When a person took note.")
    acknowledged_by: str | None = Field(default=None, description="Who.")
    comment: str | None = Field(default=None, description="What that person said.")


class Alerts(BaseModel):
    """What needs a person."""

    alerts: list[Alert] = Field(description="The newest first; those that ended last.")


class VariantInfo(BaseModel):
    """A model version that is deployed."""

    version: int = Field(description="The model version.")
    role: str = Field(description="champion, challenger or warm.")
    share: float = Field(description="Its share of the requests.")
    shadow: float = Field(description="The share of requests that are copied to it.")
    experiment: str | None = Field(description="The experiment that its answers belong to.")
    breaker: str = Field(description="Its circuit breaker: closed, half-open or open.")
    state: str = Field(description="running or starting.")
    run: str | None = Field(default=None, description="The run that made it.")
    mlflow_run: str | None = Field(default=None, description="Its MLflow run.")
    metrics: dict[str, float] = Field(default={}, description="Metrics on the test split.")
    signature: ModelSignature | None = Field(default=None, description="Inputs and outputs.")
    engine: str | None = Field(default=None, description="What computes its answers.")
    engine_note: str | None = Field(
        default=None, description="Why it is not compiled, where it is not."
    )


class OneModel(BaseModel):
    """A model and its variants."""

    name: str = Field(description="The model's name.")
    phase: str = Field(description="The ledger row since which evidence is counted.")
    sticky_field: str | None = Field(
        description="The input whose value keeps a request with its variant."
    )
    variants: list[VariantInfo] = Field(description="Its deployed versions.")


class ModelInfo(BaseModel):
    """All models that are served."""

    models: list[OneModel] = Field(description="By name.")
