"""Trained models that the heavy tests share."""

from __future__ import annotations

import pytest

from tests.training.samples import (
    Chain,
    digits_spec,
    iris_rows,
    iris_spec,
    make_chain,
    workspace_in,
    write_digits,
)


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Iris, trained, evaluated and registered."""
    return make_chain(tmp_path_factory.mktemp("iris"), iris_spec(), iris_rows())


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A network that has seen a few digits."""
    folder = tmp_path_factory.mktemp("digits")
    return make_chain(folder, digits_spec(epochs=2), write_digits(workspace_in(folder), 120))
