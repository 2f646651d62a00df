"""The parts that Modelyard adds to Ludwig: what goes in, what comes out, and what cannot matter."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.spec import ludwig_schema
from modelyard.spec.models import ResourceSpec
from modelyard.training.engine import engine
from modelyard.training.extensions import ADDED

pytestmark = pytest.mark.heavy

COMBINER = {"type": "series_rnn", "state_size": 5, "bidirectional": True, "norm": "batch"}


@pytest.fixture(scope="module")
def torch() -> Any:
    """Torch, with Ludwig opened once, as training and serving open it."""
    with engine(ResourceSpec(), "test the parts"):
        import torch

    return torch


def recurrent(torch: Any, size: int = 3, **options: Any) -> Any:
    from modelyard.training.parts.recurrent import PackedRecurrent

    given = {
        "cell_type": "lstm",
        "state_size": 5,
        "num_layers": 1,
        "bidirectional": True,
        "dropout": 0.3,
        "recurrent_dropout": 0.0,
        "reduce_output": "last",
        "norm": None,
    }
    torch.manual_seed(0)
    return PackedRecurrent(size, SimpleNamespace(**given | options)).eval()


@pytest.mark.parametrize("reduction", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("norm", [None, "batch"])
def test_padding_cannot_change_what_is_read(
    torch: Any, reduction: str, cell: str, norm: str | None
) -> None:
    network = recurrent(torch, cell_type=cell, reduce_output=reduction, norm=norm, num_layers=2)
    series = torch.randn(2, 6, 3)
    lengths = torch.tensor([6, 4])
    longer = torch.nn.functional.pad(series, (0, 0, 0, 9), value=123.0)
    longer[1, 4:] = -7.0
    with torch.no_grad():
        short, long = network(series, lengths), network(longer, lengths)
        alone = network(series[1:, :4], lengths[1:])
    assert short.shape == (2, 10)
    assert torch.allclose(short, long, atol=1e-6)
    assert torch.allclose(short[1:], alone, atol=1e-6)


def test_a_batch_is_normalised_without_its_padding(torch: Any) -> None:
    network = recurrent(torch, norm="batch").train()
    series = torch.randn(1, 4, 3)
    longer = torch.nn.functional.pad(series, (0, 0, 0, 50), value=1e6)
    network(longer, torch.tensor([4]))
    wanted = 0.1 * series[0].mean(dim=0)  # the running mean starts at 0 and moves by a tenth
    assert torch.allclose(network.norm.running_mean, wanted, atol=1e-5)


def test_the_last_state_of_both_directions_is_read(torch: Any) -> None:
    network = recurrent(torch)
    series = torch.randn(1, 6, 3)
    changed = series.clone()
    changed[0, 0] += 1
    with torch.no_grad():
        before, after = network(series, torch.tensor([6])), network(changed, torch.tensor([6]))
    backwards = slice(5, 10)
    assert (before - after)[0, backwards].abs().max() > 1e-3


def test_lengths_end_at_the_last_step_that_is_not_all_padding(torch: Any) -> None:
    from modelyard.training.parts.recurrent import lengths_of

    steps = torch.zeros(3, 4, 2)
    steps[0, 0, 1] = 1  # one channel suffices
    steps[1, 2, 0] = 5  # a gap of zeros before it is no end
    assert lengths_of(steps, 0.0).tolist() == [1, 3, 0]
    assert lengths_of(steps, 5.0).tolist() == [4, 4, 4]


def combiner(torch: Any, encoders: dict[str, str], lengths: dict[str, int]) -> Any:
    from modelyard.training.parts.recurrent import SeriesRNNCombiner, SeriesRNNConfig

    features = {
        name: SimpleNamespace(
            type=lambda: "timeseries",
            encoder_obj=SimpleNamespace(config=SimpleNamespace(type=kind)),
            output_shape=torch.Size([lengths[name]]),
        )
        for name, kind in encoders.items()
    }
    torch.manual_seed(0)
    return SeriesRNNCombiner(features, SeriesRNNConfig.from_dict(COMBINER)).eval()


def test_series_are_joined_step_by_step_whatever_their_padding(torch: Any) -> None:
    from ludwig.constants import ENCODER_OUTPUT

    joined = combiner(torch, {"a": "passthrough", "b": "passthrough"}, {"a": 4, "b": 4})
    one, two = torch.randn(2, 4), torch.randn(2, 4)
    padded = torch.nn.functional.pad(one, (0, 3))
    with torch.no_grad():
        plain = joined({"a": {ENCODER_OUTPUT: one}, "b": {ENCODER_OUTPUT: two}})
        longer = joined({"a": {ENCODER_OUTPUT: padded}, "b": {ENCODER_OUTPUT: two.unsqueeze(-1)}})
        other = joined({"a": {ENCODER_OUTPUT: two}, "b": {ENCODER_OUTPUT: one}})
    assert torch.allclose(plain["combiner_output"], longer["combiner_output"], atol=1e-6)
    assert not torch.allclose(plain["combiner_output"], other["combiner_output"], atol=1e-3)


def test_an_input_that_is_no_plain_series_is_named(torch: Any) -> None:
    with pytest.raises(ValueError, match="passthrough; b is none"):
        combiner(torch, {"a": "passthrough", "b": "rnn"}, {"a": 4, "b": 4})


def unet(torch: Any, part: str, **options: Any) -> Any:
    from modelyard.training.parts import unet as module

    torch.manual_seed(0)
    made: Any = getattr(module, f"SmallUNet{part}")
    return made(height=16, width=24, conv_norm="batch", **options).eval()


@pytest.mark.parametrize(("stages", "channels"), [(1, 2), (3, 4)])
def test_a_u_net_gives_each_pixel_a_class(torch: Any, stages: int, channels: int) -> None:
    from ludwig.constants import ENCODER_OUTPUT, ENCODER_OUTPUT_STATE, HIDDEN, LOGITS, PREDICTIONS

    size = {"num_stages": stages, "base_channels": channels}
    encoder = unet(torch, "Encoder", num_channels=1, **size)
    decoder = unet(torch, "Decoder", input_size=1, num_classes=3, **size)
    with torch.no_grad():
        encoded = encoder(torch.randn(2, 1, 16, 24))
        hidden = encoded[ENCODER_OUTPUT]
        assert hidden.shape[1:] == encoder.output_shape == decoder.input_shape
        answer = decoder(
            {HIDDEN: hidden.flatten(1), ENCODER_OUTPUT_STATE: encoded[ENCODER_OUTPUT_STATE]}
        )
    assert answer[LOGITS].shape == (2, 3, 16, 24)
    assert answer[PREDICTIONS].shape == (2, 16, 24)
    assert len(encoded[ENCODER_OUTPUT_STATE]) == stages


def test_a_size_that_cannot_be_halved_so_often_gets_the_next_one_that_can(torch: Any) -> None:
    with pytest.raises(ValueError, match="16x24 cannot be halved 4 times; 16x32 would do"):
        unet(torch, "Encoder", num_stages=4)


def test_a_mask_of_one_class_is_refused(torch: Any) -> None:
    with pytest.raises(ValueError, match="1 class of mask"):
        unet(torch, "Decoder", input_size=1, num_classes=1)


def test_the_specs_check_knows_the_parts() -> None:
    model = {
        "input_features": [{"name": "a", "type": "image", "encoder": {"type": "small_unet"}}],
        "output_features": [
            {"name": "b", "type": "image", "decoder": {"type": "small_unet", "num_stage": 3}}
        ],
        "combiner": {"type": "series_rnn", "cell_type": "lstn"},
    }
    found = {".".join(map(str, one.path)): str(one.hint) for one in ludwig_schema.check(model)}
    assert "num_stages" in found["output_features.0.decoder.num_stage"]
    assert "lstm" in found["combiner.cell_type"]
    assert len(found) == 2
    assert set(ADDED.values()) == {"small_unet", "packed_rnn", "series_rnn"}


def test_opening_ludwig_again_registers_nothing_twice(torch: Any) -> None:
    from ludwig.encoders.registry import get_encoder_cls

    before = get_encoder_cls("image", "small_unet")
    logging.getLogger(__name__).debug("%s", torch.__version__)
    with engine(ResourceSpec(), "open it again"):
        assert get_encoder_cls("image", "small_unet") is before
