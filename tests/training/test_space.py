"""The search draws the same trials everywhere and puts them where the spec says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import TrainingError
from modelyard.spec.models import TuneSpec
from modelyard.training.space import count, grid, place, sample

SEARCH = TuneSpec.model_validate(
    {
        "parameters": {
            "trainer.learning_rate": {"space": "loguniform", "lower": 1e-5, "upper": 1e-1},
            "trainer.batch_size": {"space": "int", "lower": 8, "upper": 64},
            "combiner.dropout": {"space": "uniform", "lower": 0, "upper": 0.5},
            "trainer.optimizer": {
                "space": "choice",
                "categories": [{"type": "adam"}, {"type": "sgd"}],
            },
        }
    }
)


def model() -> dict[str, Any]:
    return {
        "input_features": [{"name": "image", "type": "image", "encoder": {"type": "stacked_cnn"}}],
        "output_features": [{"name": "label", "type": "category"}],
        "trainer": {"epochs": 3},
    }


@given(seed=st.integers(0, 2**31 - 1), trial=st.integers(0, 10_000))
def test_samples_stay_in_their_spaces(seed: int, trial: int) -> None:
    drawn: dict[str, Any] = sample(SEARCH, seed, trial)
    assert 1e-5 <= drawn["trainer.learning_rate"] <= 1e-1
    assert 8 <= drawn["trainer.batch_size"] <= 64
    assert 0 <= drawn["combiner.dropout"] <= 0.5
    assert drawn["trainer.optimizer"]["type"] in {"adam", "sgd"}


@given(seed=st.integers(0, 2**31 - 1), trial=st.integers(0, 10_000))
def test_the_same_trial_is_drawn_again(seed: int, trial: int) -> None:
    assert sample(SEARCH, seed, trial) == sample(SEARCH, seed, trial)


def test_trials_differ() -> None:
    assert len({str(sample(SEARCH, 1, trial)) for trial in range(20)}) == 20


def test_a_logarithmic_space_reaches_small_values() -> None:
    rates: list[Any] = [sample(SEARCH, 1, t)["trainer.learning_rate"] for t in range(200)]
    assert 60 < sum(rate < 1e-3 for rate in rates) < 140


def test_a_value_lands_at_its_dotted_key() -> None:
    assert place(model(), {"trainer.learning_rate": 0.1})["trainer"] == {
        "epochs": 3,
        "learning_rate": 0.1,
    }


@pytest.mark.parametrize(
    "key",
    [
        "input_features.image.encoder.dropout",
        "input_features.0.encoder.dropout",
        "image.encoder.dropout",
        "model.input_features.image.encoder.dropout",
    ],
)
def test_a_feature_goes_by_its_name(key: str) -> None:
    changed: Any = place(model(), {key: 0.3})
    assert changed["input_features"][0]["encoder"] == {"type": "stacked_cnn", "dropout": 0.3}


def test_missing_sections_are_made() -> None:
    assert place(model(), {"combiner.dropout": 0.1})["combiner"] == {"dropout": 0.1}


def test_the_spec_is_not_changed() -> None:
    before = model()
    place(before, {"trainer.epochs": 9})
    assert before == model()


@pytest.mark.parametrize("key", ["input_features.picture.encoder.dropout", "trainer.epochs.many"])
def test_a_key_that_leads_nowhere_is_refused(key: str) -> None:
    with pytest.raises(TrainingError, match=key):
        place(model(), {key: 1})


def stepping(**changes: Any) -> TuneSpec:
    parameters = {
        "combiner.output_size": {"space": "int", "lower": 4, "upper": 15, "step": 4},
        "trainer.optimizer.type": {"space": "choice", "categories": ["adam", "sgd"]},
    }
    return TuneSpec.model_validate({"search": "grid", "parameters": parameters} | changes)


@given(trial=st.integers(0, 10_000))
def test_whole_numbers_keep_their_step(trial: int) -> None:
    assert sample(stepping(), 0, trial)["combiner.output_size"] in {4, 8, 12}


def test_a_grid_is_every_combination_in_a_fixed_order() -> None:
    combinations = [tuple(values.values()) for values in grid(stepping())]
    assert combinations == [
        (4, "adam"),
        (4, "sgd"),
        (8, "adam"),
        (8, "sgd"),
        (12, "adam"),
        (12, "sgd"),
    ]


@given(trials=st.integers(1, 12))
def test_a_grid_has_as_many_trials_as_asked_for_or_as_there_are(trials: int) -> None:
    assert count(stepping(trials=trials)) == min(trials, 6)
    assert len(grid(stepping(trials=trials))) == min(trials, 6)


def test_a_changed_choice_does_not_change_the_space() -> None:
    augmentation: Any = [{"type": "random_rotate"}]
    changed: Any = place(model(), {"input_features.image.augmentation": augmentation})
    changed["input_features"][0]["augmentation"].append("more")
    assert augmentation == [{"type": "random_rotate"}]
