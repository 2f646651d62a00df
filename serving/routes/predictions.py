"""Predictions and what is said of them later: the labels."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from serving.http.answers import json_response
from serving.http.direct import add_direct
from serving.http.problems import Refusal
from serving.http.schema import FEEDBACK_BODY, PREDICT_BODY, Answer, FeedbackAnswer
from serving.requests.bodies import read_rows
from serving.requests.labels import by_origin, read_labels
from serving.requests.options import PARAMETERS, client_of, options_of, sticky_key
from serving.service import Service

TAG: Final = "predictions"
PREDICTED: Final = "One prediction a row, in the order of the rows."
SAVED: Final = "How many labels were kept."


def add_predictions(app: FastAPI, service: Service) -> None:
    """Add the paths that predict, for the only model and by name."""

    async def predict(request: Request) -> Response:
        """Predict rows; each gets an id, by which it is found in the prediction log.

        Where several models are served, name one: /models/NAME/predict.
        """
        name, _ = service.model(request.path_params.get("name"))
        options = options_of(request)
        body = await read_rows(request)
        return json_response(await service.answer(name, body, sticky_key(request), options))

    for path, summary in (
        ("/predict", "Predict with the only model"),
        ("/models/{name}/predict", "Predict with a model"),
    ):
        add_direct(
            app,
            "POST",
            path,
            predict,
            summary=summary,
            tag=TAG,
            answer=Answer,
            meaning=PREDICTED,
            body=PREDICT_BODY,
            parameters=PARAMETERS,
        )


def add_feedback(app: FastAPI, service: Service) -> None:
    """Add the paths that take labels."""

    async def feedback(request: Request) -> Response:
        """Say what was true: labels, by the ids of predictions.

        A later label for the same prediction replaces the earlier one.
        """
        name, _ = service.model(request.path_params.get("name"))
        labels, origin = await read_labels(request)
        try:
            saved = await service.feedback(name, labels, client_of(request))
        except Refusal as refusal:
            raise by_origin(refusal, origin) from refusal
        return json_response(saved)

    for path, summary in (
        ("/feedback", "Label predictions of the only model"),
        ("/models/{name}/feedback", "Label a model's predictions"),
    ):
        add_direct(
            app,
            "POST",
            path,
            feedback,
            summary=summary,
            tag=TAG,
            answer=FeedbackAnswer,
            meaning=SAVED,
            body=FEEDBACK_BODY,
        )
