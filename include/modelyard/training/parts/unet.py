"""A U-Net (Ronneberger, Fischer and Brox 2015) whose depth and width can be chosen.

Encoder and decoder must have the same `num_stages` and `base_channels`, and between them
`combiner: {type: concat, num_fc_layers: 0}`.
"""

import math
from typing import Any

import torch
from ludwig.constants import (
    ENCODER_OUTPUT,
    ENCODER_OUTPUT_STATE,
    HIDDEN,
    IMAGE,
    LOGITS,
    PREDICTIONS,
)
from ludwig.decoders.base import Decoder
from ludwig.decoders.registry import register_decoder
from ludwig.encoders.image.base import ImageEncoder
from ludwig.encoders.registry import register_encoder
from ludwig.schema import utils as fields
from ludwig.schema.decoders.image_decoders import UNetDecoderConfig
from ludwig.schema.decoders.utils import register_decoder_config
from ludwig.schema.encoders.image.base import UNetEncoderConfig
from ludwig.schema.encoders.utils import register_encoder_config
from torch import nn

NAME = "small_unet"
STAGES, CHANNELS = 3, 16
LEAST_CLASSES = 2
MOST_GROUPS = 4


def _norm() -> Any:
    return fields.StringOptions(
        ["batch", "group"],
        default="group",
        allow_none=True,
        description="How convolutions are normalised: group, each image by itself, whatever is in its batch (Wu and He 2018); batch, which batches of a few images make noisy; or null.",
    )


@register_encoder_config(NAME, IMAGE)
class SmallUNetEncoderConfig(UNetEncoderConfig):  # type: ignore[misc]  # Ludwig has no types
    """The encoder's keys: Ludwig's own of `unet`, and two more."""

    type: str = fields.ProtectedString(NAME)
    num_stages: int = fields.PositiveInteger(
        default=STAGES,
        description="How often the image is halved; its sides must be divisible by 2 to this power.",
    )
    base_channels: int = fields.PositiveInteger(
        default=CHANNELS,
        description="Channels of the first stage; each further one has twice as many.",
    )
    conv_norm: str | None = _norm()

    @staticmethod
    def module_name() -> str:
        """Name it in Ludwig's metadata."""
        return "SmallUNetEncoder"


@register_decoder_config(NAME, IMAGE)
class SmallUNetDecoderConfig(UNetDecoderConfig):  # type: ignore[misc]  # Ludwig has no types
    """The decoder's keys: Ludwig's own of `unet`, and one more."""

    type: str = fields.ProtectedString(NAME)
    num_stages: int = fields.PositiveInteger(
        default=STAGES, description="How often the image is doubled; the same as the encoder's."
    )
    base_channels: int = fields.PositiveInteger(
        default=CHANNELS, description="Channels of the last stage; the same as the encoder's."
    )
    conv_norm: str | None = _norm()

    @staticmethod
    def module_name() -> str:
        """Name it in Ludwig's metadata."""
        return "SmallUNetDecoder"


@register_encoder(NAME, IMAGE)
class SmallUNetEncoder(ImageEncoder):  # type: ignore[misc]  # Ludwig has no types
    """The way down: convolutions and halving; gives the bottleneck, and each stage as a skip."""

    def __init__(  # noqa: PLR0913 - Ludwig passes the configuration as arguments
        self,
        *,
        height: int,
        width: int,
        num_channels: int = 3,
        conv_norm: str | None = None,
        num_stages: int = STAGES,
        base_channels: int = CHANNELS,
        encoder_config: Any = None,
        **_others: Any,
    ) -> None:
        super().__init__()
        self.config = encoder_config
        refuse_uneven(height, width, num_stages)
        sizes = [(height >> stage, width >> stage) for stage in range(num_stages + 1)]
        widths = [num_channels, *(base_channels << stage for stage in range(num_stages + 1))]
        self.stages = nn.ModuleList(
            convolutions(widths[stage], widths[stage + 1], conv_norm)
            for stage in range(num_stages + 1)
        )
        self._input_shape = torch.Size([num_channels, height, width])
        self._output_shape = torch.Size([widths[-1], *sizes[-1]])

    def forward(self, inputs: torch.Tensor) -> dict[str, Any]:
        """Encode images [batch, channels, height, width]."""
        skips, hidden = [], inputs
        for stage in self.stages[:-1]:
            hidden = stage(hidden)
            skips.append(hidden)
            hidden = nn.functional.max_pool2d(hidden, 2)
        return {ENCODER_OUTPUT: self.stages[-1](hidden), ENCODER_OUTPUT_STATE: skips}

    @staticmethod
    def get_schema_cls() -> type[SmallUNetEncoderConfig]:
        """Name the keys."""
        return SmallUNetEncoderConfig

    @property
    def input_shape(self) -> torch.Size:
        """Channels, height, width."""
        return self._input_shape

    @property
    def output_shape(self) -> torch.Size:
        """Channels, height, width of the bottleneck."""
        return self._output_shape


@register_decoder(NAME, IMAGE)
class SmallUNetDecoder(Decoder):  # type: ignore[misc]  # Ludwig has no types
    """The way up: doubling, the skip of the same size beside it, convolutions; a class a pixel."""

    def __init__(  # noqa: PLR0913 - Ludwig passes the configuration as arguments
        self,
        *,
        height: int,
        width: int,
        num_classes: int = LEAST_CLASSES,
        conv_norm: str | None = None,
        num_stages: int = STAGES,
        base_channels: int = CHANNELS,
        decoder_config: Any = None,
        **_others: Any,
    ) -> None:
        super().__init__()
        self.config, self.num_classes = decoder_config, num_classes
        refuse_uneven(height, width, num_stages)
        if num_classes < LEAST_CLASSES:
            message = f"{num_classes} class of mask; the masks that Ludwig looked at hold one value"
            raise ValueError(message)
        self.ups, self.stages = nn.ModuleList(), nn.ModuleList()
        for stage in reversed(range(num_stages)):
            channels = base_channels << stage
            self.ups.append(nn.ConvTranspose2d(2 * channels, channels, kernel_size=2, stride=2))
            self.stages.append(convolutions(2 * channels, channels, conv_norm))
        self.classes = nn.Conv2d(base_channels, num_classes, kernel_size=1)
        self._input_shape = torch.Size(
            [base_channels << num_stages, height >> num_stages, width >> num_stages]
        )
        self._output_shape = torch.Size([height, width])

    def forward(self, combiner_outputs: dict[str, Any], target: Any = None) -> dict[str, Any]:  # noqa: ARG002 - Ludwig's interface
        """Decode a flattened bottleneck and its skips into logits and classes a pixel."""
        hidden = combiner_outputs[HIDDEN].reshape(-1, *self._input_shape)
        skips = combiner_outputs[ENCODER_OUTPUT_STATE]
        for up, stage, skip in zip(self.ups, self.stages, reversed(skips), strict=True):
            hidden = stage(torch.cat([up(hidden), skip], dim=1))
        logits = self.classes(hidden)
        return {LOGITS: logits, PREDICTIONS: logits.argmax(dim=1).byte()}

    def get_prediction_set(self) -> set[str]:
        """Name what `forward` gives."""
        return {LOGITS, PREDICTIONS}

    @staticmethod
    def get_schema_cls() -> type[SmallUNetDecoderConfig]:
        """Name the keys."""
        return SmallUNetDecoderConfig

    @property
    def input_shape(self) -> torch.Size:
        """Channels, height, width of the bottleneck."""
        return self._input_shape

    @property
    def output_shape(self) -> torch.Size:
        """Height, width."""
        return self._output_shape


def convolutions(channels: int, filters: int, norm: str | None) -> nn.Sequential:
    """Make two convolutions of 3 x 3, each normalised and rectified."""
    layers: list[nn.Module] = []
    for size in (channels, filters):
        layers.append(nn.Conv2d(size, filters, kernel_size=3, padding=1))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(filters))
        elif norm == "group":
            layers.append(nn.GroupNorm(math.gcd(filters, MOST_GROUPS), filters))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def refuse_uneven(height: int, width: int, stages: int) -> None:
    """Raise ValueError where an image cannot be halved so often."""
    step = 2**stages
    if height % step or width % step:
        near = f"{-(-height // step) * step}x{-(-width // step) * step}"
        message = (
            f"images of {height}x{width} cannot be halved {stages} times; {near} would do, "
            "or fewer num_stages"
        )
        raise ValueError(message)
