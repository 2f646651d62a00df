"""Real rows of a test split, as requests to the endpoint."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.artifacts import SplitData
from modelyard.errors import ServingError
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.tls import client_context
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    import httpx

TEST = 2
LABELS = frozenset({"category", "binary"})
LONGEST_LABEL = 200
SEED = 7
BATCH = 8
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One row: what is sent, and what is right; a number or a mask is never simply right."""

    name: str
    row: Mapping[str, JsonValue]
    truth: Mapping[str, str]
    has_labels: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said of one sample."""

    sample: Sample
    id: str
    version: int
    predictions: Mapping[str, str]
    probabilities: Mapping[str, float | None]

    @property
    def right(self) -> bool | None:
        """Whether every output is the true one; None where outputs are no labels."""
        return self.predictions == self.sample.truth if self.sample.has_labels else None


def read_samples(
    spec: Spec, split: SplitData, workspace: Workspace, count: int
) -> tuple[Sample, ...]:
    """Draw rows of the test split, which no model has learned from; the same ones each time.

    Neighbouring rows are often alike, one writer's digits for example, so they would look like
    drift to a test that is right.
    """
    import pandas as pd

    table = pd.read_parquet(workspace.path(split.table))
    test = table[table["split"] == TEST]
    chosen = test.sample(min(count, len(test)), random_state=SEED)
    rows = [dict(zip(chosen.columns, row, strict=True)) for row in chosen.itertuples(index=False)]
    folder = workspace.path(split.folder)
    return tuple(_sample(spec, folder, number, row) for number, row in enumerate(rows, start=1))


def _sample(spec: Spec, folder: Path, number: int, row: Mapping[str, object]) -> Sample:
    sent: dict[str, JsonValue] = {}
    name = f"row {number}"
    for feature in spec.inputs:
        value = row[feature.column]
        if feature.type == "image":
            name = name if isinstance(value, bytes) else str(value)
            data = value if isinstance(value, bytes) else (folder / name).read_bytes()
            sent[feature.column] = base64.b64encode(data).decode()
        else:
            sent[feature.column] = _plain(value)
    truth = {feature.name: _shown(row[feature.column]) for feature in spec.outputs}
    return Sample(name, sent, truth, all(feature.type in LABELS for feature in spec.outputs))


def _plain(value: object) -> JsonValue:
    """Spell a cell of a table for JSON; a series becomes a list."""
    tolist = getattr(value, "tolist", None)
    plain = tolist() if callable(tolist) else value
    if isinstance(plain, list):
        return [_plain(part) for part in plain]
    return plain if plain is None or isinstance(plain, bool | int | float | str) else str(plain)


def _shown(value: object) -> str:
    """Spell a truth as a person would read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def altered(spec: Spec, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Change samples so that drift is there to be found: negatives of images, larger numbers, shouted text."""
    images = {feature.column for feature in spec.inputs if feature.type == "image"}
    return tuple(
        replace(
            sample,
            row={
                column: _negative(str(value)) if column in images else _larger(value)
                for column, value in sample.row.items()
            },
        )
        for sample in samples
    )


def _negative(encoded: str) -> str:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        negative = ImageOps.invert(image.convert("L"))
    stream = io.BytesIO()
    negative.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def _larger(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_larger(part) for part in value]
    if isinstance(value, str):
        return f"{value.upper()} {value.upper()}"
    return value * 1.5 if isinstance(value, float) else value


def send(settings: Settings, model: str, samples: Sequence[Sample]) -> Iterator[Answer]:
    """Send samples to the endpoint in small batches and tell each answer as it comes.

    Where the endpoint asks for an API key, it is shown that of MODELYARD_API_KEY.

    Raises:
        ServingError: the endpoint does not answer, or refuses.
    """
    import httpx

    url = f"{settings.endpoint}/models/{model}/predict"
    key = settings.api_key
    headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
    trusted = client_context(settings)
    with httpx.Client(
        timeout=ANSWER_SECONDS, headers=headers, verify=trusted, trust_env=False
    ) as client:
        for start in range(0, len(samples), BATCH):
            batch = samples[start : start + BATCH]
            document = _post(client, url, [dict(sample.row) for sample in batch])
            for sample, prediction in zip(batch, document, strict=True):
                yield _answer(sample, prediction)


def _post(client: httpx.Client, url: str, rows: JsonValue) -> list[dict[str, JsonValue]]:
    import httpx

    try:
        answer = client.post(url, json={"rows": rows})
        answer.raise_for_status()
        return list(answer.json()["predictions"])
    except httpx.HTTPStatusError as error:
        message = f"{url} answered {error.response.status_code}: {error.response.text[:500]}"
        raise ServingError(message, hint="see make logs serving") from error
    except (httpx.HTTPError, ValueError, KeyError) as error:
        message = f"{url} does not answer as it should: {error}"
        raise ServingError(message, hint="see make status") from error


def _answer(sample: Sample, prediction: Mapping[str, JsonValue]) -> Answer:
    outputs = {name: prediction[name] for name in sample.truth}
    said = {name: value if isinstance(value, dict) else {} for name, value in outputs.items()}
    return Answer(
        sample=sample,
        id=str(prediction["id"]),
        version=int(str(prediction["version"])),
        predictions={name: _said(value.get("prediction")) for name, value in said.items()},
        probabilities={name: _number(value.get("probability")) for name, value in said.items()},
    )


def _said(prediction: JsonValue) -> str:
    """Spell a prediction; a mask is text that nobody reads."""
    if isinstance(prediction, str) and len(prediction) > LONGEST_LABEL:
        return f"{len(prediction):,} characters"
    return _shown(prediction)


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) else None
