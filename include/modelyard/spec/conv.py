"""Find convolutions that shrink an image to nothing, before Ludwig does so in mid-training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from modelyard.spec.lines import FieldPath, Finding

_LARGEST = 513
_DEFAULTS: Mapping[str, JsonValue] = {
    "kernel_size": 3,
    "stride": 1,
    "padding": "valid",
    "dilation": 1,
    "pool_kernel_size": 2,
    "pool_stride": None,
    "pool_padding": 0,
    "pool_dilation": 1,
}


def too_small(feature: Mapping[str, JsonValue]) -> Iterator[Finding]:
    """Follow height and width through a stacked_cnn, where the spec says how large images are."""
    encoder = feature.get("encoder")
    preprocessing = feature.get("preprocessing")
    encoder = encoder if isinstance(encoder, dict) else {}
    layers = _layers(encoder)
    if encoder.get("type", "stacked_cnn") != "stacked_cnn" or layers is None:
        return
    for side in ("height", "width"):
        size = preprocessing.get(side) if isinstance(preprocessing, dict) else None
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            found = _follow(size, side, layers, encoder)
            if found is not None:
                yield found
                return


def _layers(encoder: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]] | None:
    given = encoder.get("conv_layers")
    if isinstance(given, list):
        layers: list[Mapping[str, JsonValue]] = [
            layer for layer in given if isinstance(layer, dict)
        ]
        return layers if len(layers) == len(given) else None
    count = encoder.get("num_conv_layers")
    if isinstance(count, int) and not isinstance(count, bool):
        return [{}] * min(count, 50)
    return [{}, {}]


def _follow(
    size: int,
    side: str,
    layers: list[Mapping[str, JsonValue]],
    encoder: Mapping[str, JsonValue],
) -> Finding | None:
    now = size
    for number, layer in enumerate(layers):
        options = {**_DEFAULTS, **encoder, **layer}
        after = _convolved(now, options)
        if after is None:
            return None
        if after < 1:
            explicit = isinstance(encoder.get("conv_layers"), list)
            path: FieldPath = ("encoder", "conv_layers", number) if explicit else ("encoder",)
            message = (
                f"a {side} of {size} pixels is down to {now} before convolution {number + 1}, "
                "and nothing is left after it"
            )
            return Finding(path, message, _what_works(size, side, layers, encoder))
        now = after
    return None


def _what_works(
    size: int, side: str, layers: list[Mapping[str, JsonValue]], encoder: Mapping[str, JsonValue]
) -> str:
    """Say which changes would leave something; each has been followed through all layers."""
    same: list[Mapping[str, JsonValue]] = [{**layer, "padding": "same"} for layer in layers]
    works = []
    if _left(size, same, encoder):
        works.append("padding: same in each layer")
    fewer = next((n for n in range(len(layers) - 1, 0, -1) if _left(size, layers[:n], encoder)), 0)
    if fewer:
        works.append(f"{fewer} instead of {len(layers)} convolutions")
    larger = next((n for n in range(size + 1, _LARGEST) if _left(n, layers, encoder)), 0)
    if larger:
        works.append(f"{side}: {larger} or more")
    return f"would work: {', '.join(works)}" if works else "fewer or smaller convolutions"


def _left(
    size: int, layers: list[Mapping[str, JsonValue]], encoder: Mapping[str, JsonValue]
) -> bool:
    now = size
    for layer in layers:
        after = _convolved(now, {**_DEFAULTS, **encoder, **layer})
        if after is None or after < 1:
            return False
        now = after
    return True


def _convolved(size: int, options: Mapping[str, JsonValue]) -> int | None:
    """Return the size after one layer; None where an option is not a plain number."""
    padding = options["padding"]
    if padding != "same":
        pad = 0 if padding == "valid" else padding
        size_or_none = _shrunk(
            size, options["kernel_size"], options["stride"], pad, options["dilation"]
        )
        if size_or_none is None or size_or_none < 1:
            return size_or_none
        size = size_or_none
    kernel = options["pool_kernel_size"]
    if kernel is None:
        return size
    stride = options["pool_stride"] or kernel
    return _shrunk(size, kernel, stride, options["pool_padding"], options["pool_dilation"])


def _shrunk(
    size: int, kernel: JsonValue, stride: JsonValue, padding: JsonValue, dilation: JsonValue
) -> int | None:
    if (
        isinstance(kernel, int)
        and isinstance(stride, int)
        and isinstance(padding, int)
        and isinstance(dilation, int)
        and stride > 0
    ):
        return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return None
