"""What a compiled model does with each feature, as it is kept in `compiled.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

type Row = Mapping[str, object]
type Output = dict[str, dict[str, JsonValue]]

# Format 1 knows no embedding, and is read as before.
FORMAT = 2
FORMATS = (1, FORMAT)
FILE = "compiled.json"
GRAPH = "graph.pt"
TOLERANCE = 1e-5


class NotCompiledError(Exception):
    """There is no compiled predictor; the text says why, to follow "because"."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Ludwig's name of the feature.")


class _Input(_Part):
    column: str = Field(description="The key in a row.")


class Scaling(BaseModel):
    """A number's normalisation: (x - shift) / scale, or log(1 + x)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["affine", "log1p", "none"] = Field(description="The formula.")
    shift: float = Field(default=0.0, description="Mean, least value or median of training.")
    scale: float = Field(default=1.0, description="Standard deviation or range of training.")


class NumberInput(_Input):
    """A number, normalised."""

    kind: Literal["number"] = "number"
    fill: float | None = Field(description="What stands for a missing value; null: none may miss.")
    scaling: Scaling = Field(description="How it is normalised.")


class CategoryInput(_Input):
    """A word of a vocabulary, as its place in it."""

    kind: Literal["category"] = "category"
    fill: str | None = Field(description="What stands for a missing value; null: none may miss.")
    places: dict[str, int] = Field(description="Word to place.")
    unknown: int = Field(description="The place of a word that training had not.")


class BinaryInput(_Input):
    """True or false."""

    kind: Literal["binary"] = "binary"
    fill: str | bool | float | None = Field(description="What stands for a missing value.")
    words: dict[str, bool] = Field(description="What training's own words mean, if it had any.")


class TextInput(_Input):
    """Words or characters, as places in a vocabulary."""

    kind: Literal["text"] = "text"
    fill: str | None = Field(description="What stands for a missing value; null: none may miss.")
    tokenizer: str = Field(description="Ludwig's name of how text is cut.")
    lowercase: bool = Field(description="Whether it is put in lower case first.")
    places: dict[str, int] = Field(description="Token to place.")
    unknown: int = Field(description="The place of a token that training had not.")
    start: int = Field(description="The place of the mark before the first token.")
    stop: int = Field(description="The place of the mark after the last token.")
    padding: int = Field(description="The place of the mark that fills up.")
    length: int = Field(description="How many places a row has.")
    left: bool = Field(description="Whether padding stands before the tokens.")


class SeriesInput(_Input):
    """A series of numbers."""

    kind: Literal["timeseries"] = "timeseries"
    fill: str | None = Field(description="What stands for a missing value; null: none may miss.")
    tokenizer: str = Field(description="Ludwig's name of how text is cut.")
    padding: float = Field(description="The number that fills up.")
    length: int = Field(description="How many steps a row has.")
    left: bool = Field(description="Whether padding stands before the steps.")


class Crop(BaseModel):
    """What torchvision's own networks want: resized, its middle cut out, and normalised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: int = Field(description="The shorter side after resizing.")
    crop: int = Field(description="Both sides of the middle.")
    interpolation: Literal["bilinear", "bicubic"] = Field(description="How it is resized.")
    antialias: bool = Field(description="Whether it is smoothed when made smaller.")


class ImageInput(_Input):
    """An image, decoded, resized and scaled to 0..1."""

    kind: Literal["image"] = "image"
    channels: int = Field(description="Channels of the network's input.")
    height: int = Field(description="Its height in pixels.")
    width: int = Field(description="Its width in pixels.")
    method: Literal["interpolate", "crop_or_pad"] = Field(description="How a size is changed.")
    crop: Crop | None = Field(default=None, description="Instead of that, for torchvision's own.")
    mean: tuple[float, ...] | None = Field(default=None, description="Subtracted, a channel each.")
    std: tuple[float, ...] | None = Field(default=None, description="Divided by, a channel each.")


class NumberOutput(_Part):
    """A number, brought back to training's units."""

    kind: Literal["number"] = "number"
    scaling: Scaling = Field(description="How training normalised it.")


class LabelOutput(_Part):
    """A category or binary label with its probabilities."""

    kind: Literal["category", "binary"] = Field(description="Ludwig's type.")
    labels: tuple[str, ...] = Field(description="All that the network knows, in its order.")
    shown: tuple[str, ...] = Field(description="Those whose probabilities are answered.")


class MaskOutput(_Part):
    """An image of classes."""

    kind: Literal["image"] = "image"
    greys: tuple[int, ...] = Field(description="The grey value of each class.")


type InputPlan = Annotated[
    NumberInput | CategoryInput | BinaryInput | TextInput | SeriesInput | ImageInput,
    Field(discriminator="kind"),
]
type OutputPlan = Annotated[NumberOutput | LabelOutput | MaskOutput, Field(discriminator="kind")]


class Plan(BaseModel):
    """All features of a model, in Ludwig's order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[InputPlan, ...] = Field(description="How rows are prepared.")
    outputs: tuple[OutputPlan, ...] = Field(description="How answers are read.")
    embedding: int = Field(
        default=0,
        ge=0,
        description="Dimensions in which the graph places a row, as its last output; 0: it does not.",
    )

    @property
    def numbers(self) -> tuple[NumberInput, ...]:
        """The inputs that go into the graph together, as one array."""
        return tuple(one for one in self.inputs if isinstance(one, NumberInput))

    @property
    def others(self) -> Sequence[InputPlan]:
        """The inputs that go into the graph one by one, after the numbers."""
        return [one for one in self.inputs if not isinstance(one, NumberInput)]


class Compiled(BaseModel):
    """`compiled.json`: which engine serves the version, and the proof or the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=FORMAT, description="The layout of this folder.")
    engine: Literal["compiled", "ludwig"] = Field(description="What serves the version.")
    reason: str | None = Field(default=None, description="Why Ludwig does.")
    libraries: dict[str, str] = Field(default={}, description="Versions that it was proved with.")
    graph: str | None = Field(default=None, description="SHA-256 of the graph's file.")
    weights: str | None = Field(
        default=None, description="Hash of the weights that it was made of."
    )
    rows: int = Field(default=0, description="Test rows that both engines answered.")
    difference: float = Field(
        default=0.0, description="The largest between two numbers; relative where they exceed 1."
    )
    tolerance: float = Field(default=TOLERANCE, description="The most that it may be.")
    plan: Plan | None = Field(default=None, description="What is done with each feature.")
