"""What OpenAPI says of requests and answers."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from modelyard.features import ModelSignature

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
                        "description": "Of a mask: a PNG in base64, as large as the image that was sent; its grey values are the classes."
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


class Answer(BaseModel):
    """The answer to a request, its predictions in the order of the rows."""

    model: str = Field(description="The model's name.")
    predictions: list[Prediction] = Field(description="One a row.")


class LogFigures(BaseModel):
    """How the prediction log does."""

    queued: int = Field(description="Predictions that are not yet written.")
    written: int = Field(description="Predictions that are in the database.")
    dropped: int = Field(description="Predictions that could not be kept.")
    failing: str | None = Field(description="Why the database does not take them now.")


class Health(BaseModel):
    """The state of the endpoint."""

    status: str = Field(description="ok, or empty if no model is deployed.")
    models: list[str] = Field(description="Names of the models.")
    revision: str = Field(description="The hash of the routes in use.")
    prediction_log: LogFigures = Field(description="How the prediction log does.")


class VariantInfo(BaseModel):
    """A model version that is deployed."""

    version: int = Field(description="The model version.")
    role: str = Field(description="champion, challenger or warm.")
    share: float = Field(description="Its share of the requests.")
    state: str = Field(description="running or starting.")
    run: str | None = Field(default=None, description="The run that made it.")
    mlflow_run: str | None = Field(default=None, description="Its MLflow run.")
    metrics: dict[str, float] = Field(default={}, description="Metrics on the test split.")
    signature: ModelSignature | None = Field(default=None, description="Inputs and outputs.")


class OneModel(BaseModel):
    """A model and its variants."""

    name: str = Field(description="The model's name.")
    variants: list[VariantInfo] = Field(description="Its deployed versions.")


class ModelInfo(BaseModel):
    """All models that are served."""

    models: list[OneModel] = Field(description="By name.")
