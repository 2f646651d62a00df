"""One trained model that the heavy tests share."""

from __future__ import annotations

import pytest

from tests.training.samples import Chain, iris_rows, iris_spec, make_chain


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Iris, trained, evaluated and registered."""
    return make_chain(tmp_path_factory.mktemp("iris"), iris_spec(), iris_rows())
