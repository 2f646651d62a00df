"""Recurrent networks that end where a sequence ends, so that padding cannot change an answer.

`packed_rnn` encodes a text, a sequence or one series; the combiner `series_rnn` joins several
series of the same length, step by step, into one recurrent network: a vector of channels a step.
"""

from typing import Any

import torch
from ludwig.combiners.combiners import Combiner, register_combiner
from ludwig.constants import ENCODER_OUTPUT, SEQUENCE, TEXT, TIMESERIES
from ludwig.encoders.registry import register_encoder
from ludwig.encoders.sequence_encoders import SequenceEncoder
from ludwig.modules.embedding_modules import EmbedSequence
from ludwig.schema import common_fields
from ludwig.schema import utils as fields
from ludwig.schema.combiners.base import BaseCombinerConfig
from ludwig.schema.combiners.utils import register_combiner_config
from ludwig.schema.encoders.sequence_encoders import SequenceEncoderConfig
from ludwig.schema.encoders.utils import register_encoder_config
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

ENCODER, COMBINER = "packed_rnn", "series_rnn"
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
REDUCTIONS = ["last", "mean", "max"]


def _cell_type() -> Any:
    return fields.StringOptions([*CELLS], default="lstm", description="The kind of recurrent cell.")


def _state_size() -> Any:
    return fields.PositiveInteger(default=64, description="Numbers in the state, a direction.")


def _layers() -> Any:
    return fields.PositiveInteger(default=1, description="Recurrent layers.")


def _bidirectional() -> Any:
    return fields.Boolean(default=False, description="Whether a second network reads backwards.")


def _dropout(what: str) -> Any:
    return fields.FloatRange(default=0.0, min=0, max=1, description=f"Dropout of {what}.")


def _reduction() -> Any:
    return fields.StringOptions(
        REDUCTIONS,
        default="last",
        description="last: the state after the last step (and, read backwards, after the first); mean or max: over the steps, none of them padding.",
    )


def _norm() -> Any:
    return fields.StringOptions(
        ["batch"],
        default=None,
        allow_none=True,
        description="batch: each channel of the steps that go in is normalised by its mean and variance, padding left out.",
    )


def _padding() -> Any:
    return fields.Float(
        default=0.0,
        description="What series are padded with: preprocessing.padding_value of the features. Steps at the end that hold nothing else are padding.",
    )


@register_encoder_config(ENCODER, [SEQUENCE, TEXT, TIMESERIES])
class PackedRNNConfig(SequenceEncoderConfig):  # type: ignore[misc]  # Ludwig has no types
    """The encoder's keys."""

    type: str = fields.ProtectedString(ENCODER)
    cell_type: str = _cell_type()
    state_size: int = _state_size()
    num_layers: int = _layers()
    bidirectional: bool = _bidirectional()
    dropout: float = _dropout("the steps that go in, and of the result")
    recurrent_dropout: float = _dropout("the steps between layers")
    reduce_output: str = _reduction()
    norm: str | None = _norm()
    padding_value: float = _padding()
    embedding_size: int = common_fields.EmbeddingSizeField()
    should_embed: bool = fields.Boolean(
        default=True, description="Whether symbols become vectors; never for a timeseries."
    )
    vocab: list = common_fields.VocabField()  # type: ignore[type-arg]  # as Ludwig's own
    max_sequence_length: int = common_fields.MaxSequenceLengthField()

    @staticmethod
    def module_name() -> str:
        """Name it in Ludwig's metadata."""
        return "PackedRNN"


@register_combiner_config(COMBINER)
class SeriesRNNConfig(BaseCombinerConfig):  # type: ignore[misc]  # Ludwig has no types
    """The combiner's keys."""

    type: str = fields.ProtectedString(COMBINER)
    cell_type: str = _cell_type()
    state_size: int = _state_size()
    num_layers: int = _layers()
    bidirectional: bool = _bidirectional()
    dropout: float = _dropout("the steps that go in, and of the result")
    recurrent_dropout: float = _dropout("the steps between layers")
    reduce_output: str = _reduction()
    norm: str | None = _norm()
    padding_value: float = _padding()


class PackedRecurrent(nn.Module):  # type: ignore[misc]  # torch is not followed here
    """A recurrent network over the first `lengths` steps of each row."""

    def __init__(self, size: int, config: Any) -> None:
        super().__init__()
        self.reduce = config.reduce_output
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.BatchNorm1d(size) if config.norm == "batch" else None
        self.network = CELLS[config.cell_type](
            size,
            config.state_size,
            num_layers=config.num_layers,
            bidirectional=config.bidirectional,
            dropout=config.recurrent_dropout if config.num_layers > 1 else 0.0,
            batch_first=True,
        )
        self.size = config.state_size * (2 if config.bidirectional else 1)

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Read steps [batch, steps, size] up to lengths [batch], and reduce to [batch, size]."""
        counted = lengths.clamp(min=1).cpu()
        packed = pack_padded_sequence(steps, counted, batch_first=True, enforce_sorted=False)
        # The packed data are the real steps of all rows, one below the other.
        inside = packed.data if self.norm is None else self.norm(packed.data)
        outputs, state = self.network(packed._replace(data=self.dropout(inside)))
        if self.reduce == "last":
            final = state[0] if isinstance(state, tuple) else state
            directions = self.size // final.shape[-1]
            return self.dropout(torch.cat([*final[-directions:]], dim=1))
        hidden, _ = pad_packed_sequence(outputs, batch_first=True)
        if self.reduce == "max":
            places = torch.arange(hidden.shape[1]).unsqueeze(0) >= counted.unsqueeze(1)
            beyond = places.unsqueeze(-1).to(hidden.device)
            return self.dropout(hidden.masked_fill(beyond, -torch.inf).amax(dim=1))
        # Beyond a row's end, the unpacked outputs are zeros.
        return self.dropout(hidden.sum(dim=1) / counted.unsqueeze(1).to(hidden.device))


def lengths_of(steps: torch.Tensor, padding: float) -> torch.Tensor:
    """Count each row's steps without those at its end that hold the padding's value only.

    Args:
        steps: [batch, steps, channels].
        padding: The value that all channels of a padded step have.
    """
    inside = (steps != padding).any(dim=-1)
    places = torch.arange(1, steps.shape[1] + 1, device=steps.device)
    return (inside * places).amax(dim=1)


@register_encoder(ENCODER, [SEQUENCE, TEXT, TIMESERIES])
class PackedRNNEncoder(SequenceEncoder):  # type: ignore[misc]  # Ludwig has no types
    """Embeds symbols, or takes the numbers of a series, and reads them to their end."""

    def __init__(self, encoder_config: Any = None, **_others: Any) -> None:
        super().__init__()
        self.config = encoder_config
        self.padding = encoder_config.padding_value
        self.max_sequence_length = encoder_config.max_sequence_length
        self.embed = None
        if encoder_config.should_embed:
            self.embed = EmbedSequence(
                encoder_config.vocab,
                encoder_config.embedding_size,
                max_sequence_length=self.max_sequence_length,
            )
        size = self.embed.output_shape[-1] if self.embed else 1
        self.recurrent = PackedRecurrent(size, encoder_config)

    def forward(self, inputs: torch.Tensor, mask: torch.Tensor | None = None) -> dict[str, Any]:
        """Encode symbols or numbers [batch, steps]; `mask` is true where a symbol is none of padding."""
        if self.embed is None:
            steps = inputs.unsqueeze(-1)
            return {ENCODER_OUTPUT: self.recurrent(steps, lengths_of(steps, self.padding))}
        # Symbol 0 is the padding's.
        inside = (inputs != 0) if mask is None else mask
        places = torch.arange(1, inputs.shape[1] + 1, device=inputs.device)
        return {ENCODER_OUTPUT: self.recurrent(self.embed(inputs), (inside * places).amax(dim=1))}

    @staticmethod
    def get_schema_cls() -> type[PackedRNNConfig]:
        """Name the keys."""
        return PackedRNNConfig

    @property
    def input_shape(self) -> torch.Size:
        """Steps."""
        return torch.Size([self.max_sequence_length])

    @property
    def output_shape(self) -> torch.Size:
        """The reduced state."""
        return torch.Size([self.recurrent.size])


@register_combiner(SeriesRNNConfig)
class SeriesRNNCombiner(Combiner):  # type: ignore[misc]  # Ludwig has no types
    """Joins series, one feature a channel, each with `encoder: {type: passthrough}`."""

    def __init__(self, input_features: Any = None, config: Any = None, **_others: Any) -> None:
        super().__init__(input_features)
        self.name = "SeriesRNNCombiner"
        self.padding = config.padding_value
        others = [name for name in input_features if not _is_series(input_features.get(name))]
        if others:
            message = (
                f"the combiner {COMBINER} joins timeseries with the encoder passthrough; "
                f"{', '.join(others)} is none"
            )
            raise ValueError(message)
        self.recurrent = PackedRecurrent(len(list(input_features)), config)

    def forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Join encoder outputs [batch, steps] or [batch, steps, 1] and read them to their end."""
        channels = [one[ENCODER_OUTPUT].flatten(start_dim=1) for one in inputs.values()]
        longest = max(channel.shape[1] for channel in channels)
        steps = torch.stack(
            [
                nn.functional.pad(channel, (0, longest - channel.shape[1]), value=self.padding)
                for channel in channels
            ],
            dim=-1,
        )
        return {"combiner_output": self.recurrent(steps, lengths_of(steps, self.padding))}


def _is_series(feature: Any) -> bool:
    return bool(feature.type() == TIMESERIES and feature.encoder_obj.config.type == "passthrough")
