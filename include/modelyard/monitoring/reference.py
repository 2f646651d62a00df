"""The reference: what the inputs looked like when the model learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.errors import MonitoringError
from modelyard.spec.models import Spec

if TYPE_CHECKING:
    import pandas as pd

PROFILE: Final = "profile.bin"
SAMPLE: Final = "sample.parquet"
# More rows make the tests hardly sharper: the window is the smaller side.
SAMPLE_ROWS: Final = 5_000
FILES: Final = frozenset({"image", "audio"})


def make_reference(spec: Spec) -> Callable[[pd.DataFrame, Path, Path], None]:
    """Return `make(train_rows, files_folder, destination)` for the stage `split`.

    It writes `profile.bin`, a profile of all rows, and `sample.parquet`, the observations of at
    most 5,000 rows drawn with the split's seed. Where inputs are files, the profile is the
    sample's too, so that not every file has to be read.
    """
    features = [(feature.column, feature.type) for feature in spec.inputs]
    seed = spec.data.split.seed
    in_files = any(kind in FILES for _, kind in features)

    def make(rows: pd.DataFrame, folder: Path, destination: Path) -> None:
        from modelyard.monitoring.observe import observe_frame
        from modelyard.monitoring.profile import profile_frame, write_profile

        rows = _drawn(rows, seed) if in_files else rows
        observed = observe_frame(features, rows.reset_index(drop=True), folder)
        destination.mkdir(parents=True, exist_ok=True)
        _drawn(observed, seed).to_parquet(destination / SAMPLE, index=False)
        write_profile(profile_frame(observed), destination / PROFILE)

    return make


def _drawn(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    if len(rows) <= SAMPLE_ROWS:
        return rows
    return rows.sample(SAMPLE_ROWS, random_state=seed).sort_index()


def read_sample(folder: Path) -> pd.DataFrame:
    """Read the reference's observations; raise MonitoringError where there are none."""
    import pandas as pd

    file = folder / SAMPLE
    try:
        return pd.read_parquet(file)
    except FileNotFoundError as error:
        message = f"there is no reference: {file} is missing"
        raise MonitoringError(message, hint="train this model again") from error
    except (OSError, ValueError) as error:
        message = f"the reference cannot be read: {file}: {error}"
        raise MonitoringError(message) from error


def read_profile(folder: Path) -> bytes | None:
    """Read the reference's profile; None where there is none."""
    try:
        return (folder / PROFILE).read_bytes()
    except FileNotFoundError:
        return None
