"""What Modelyard adds to Ludwig, under names of its own, for what Ludwig's own parts cannot do.

Ludwig 0.17's `unet` encoder always has four stages of 64 to 1,024 channels (31 million numbers);
its recurrent encoders run on over the padding; and no combiner of it lets one recurrent network
see several series as one vector a step. `ADDED` names the parts; they are configured in `model:`
as Ludwig's own are, and `spec check` knows their keys.
"""

from __future__ import annotations

from typing import Final

ADDED: Final = {
    "image encoder": "small_unet",
    "image decoder": "small_unet",
    "text, sequence and timeseries encoder": "packed_rnn",
    "combiner": "series_rnn",
}


def register() -> None:
    """Make the parts known to Ludwig; whoever opens Ludwig calls this, and again costs nothing."""
    import modelyard.training.parts.recurrent
    import modelyard.training.parts.unet  # noqa: F401 - importing registers
