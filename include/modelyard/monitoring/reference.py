"""The reference: what the inputs looked like when the model learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.errors import MonitoringError
from modelyard.monitoring.texts import Vocabularies, learn
from modelyard.spec.models import Spec

if TYPE_CHECKING:
    import pandas as pd

PROFILE: Final = "profile.bin"
SAMPLE: Final = "sample.parquet"
OUTPUTS: Final = "outputs.parquet"
INPUT: Final = "input."
SIGNATURE: Final = "signature.json"
# More rows make the tests hardly sharper: the window is the smaller side.
SAMPLE_ROWS: Final = 5_000
FILES: Final = frozenset({"image", "audio"})


def make_reference(spec: Spec) -> Callable[[pd.DataFrame, Path, Path], None]:
    """Return `make(train_rows, files_folder, destination)` for the stage `split`.

    It writes `profile.bin`, a profile of all rows, and `sample.parquet`, the observations of at
    most 5,000 rows drawn with the split's seed; where there are texts also `vocabulary.json`, the
    words that live texts are held against. Where inputs are files, the profile is the sample's
    too, so that not every file has to be read.
    """
    features = [(feature.column, feature.type) for feature in spec.inputs]
    seed = spec.data.split.seed
    in_files = any(kind in FILES for _, kind in features)

    def make(rows: pd.DataFrame, folder: Path, destination: Path) -> None:
        from modelyard.monitoring.observe import observe_frame
        from modelyard.monitoring.profile import profile_frame, write_profile

        rows = _drawn(rows, seed) if in_files else rows
        rows = rows.reset_index(drop=True)
        for_live, for_these = _vocabularies(features, rows)
        observed = observe_frame(features, rows, folder, for_these)
        destination.mkdir(parents=True, exist_ok=True)
        for_live.write(destination)
        _drawn(observed, seed).to_parquet(destination / SAMPLE, index=False)
        write_profile(profile_frame(observed), destination / PROFILE)

    return make


def _vocabularies(
    features: Sequence[tuple[str, str]], rows: pd.DataFrame
) -> tuple[Vocabularies, Vocabularies]:
    """Learn the words of each column of text: for live rows, and for these rows themselves."""
    learned = {
        name: learn(rows[name]) for name, kind in features if kind == "text" and name in rows
    }
    return (
        Vocabularies({name: both[0] for name, both in learned.items()}),
        Vocabularies({name: both[1] for name, both in learned.items()}),
    )


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


def read_outputs(folder: Path) -> pd.DataFrame | None:
    """Read what the version answered to its test rows, and what was true.

    Columns are `predicted.OUTPUT`, `probability.OUTPUT`, `truth.OUTPUT`, `embedding.0` onwards, and
    `input.COLUMN` of the segments' column, observed as live inputs are, as far as there are any;
    None for versions of a Modelyard that did not keep them.

    Raises:
        MonitoringError: the file cannot be read.
    """
    import pandas as pd

    file = folder / OUTPUTS
    if not file.is_file():
        return None
    try:
        return _observed(pd.read_parquet(file), folder)
    except (OSError, ValueError) as error:
        message = f"the reference of the outputs cannot be read: {file}: {error}"
        raise MonitoringError(message, hint="train this model again") from error


def _observed(outputs: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Observe the segments' column as live inputs are, by its type in the version's signature."""
    columns = [str(name) for name in outputs if str(name).startswith(INPUT)]
    if not columns:
        return outputs
    from modelyard.features import ModelSignature
    from modelyard.monitoring.observe import measure_of

    file = folder.parent / SIGNATURE
    known = ModelSignature.model_validate_json(file.read_bytes()).inputs if file.is_file() else ()
    kinds = {f"{INPUT}{one.column}": one.type for one in known}
    outputs = outputs.copy()
    for name in columns:
        measure = measure_of(kinds.get(name, "category"))
        outputs[name] = [measure(value).get("") for value in outputs[name]]
    return outputs
