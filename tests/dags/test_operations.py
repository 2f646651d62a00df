"""The DAGs for operators, against the real database."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    # Airflow's own reading of .airflowignore, and its in-process API
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def trigger(bag: Callable[[], object]) -> Callable[..., object]:
    def run(dag_id: str, **conf: object) -> object:
        return bag().dags[dag_id].test(run_conf=conf)

    return run


@pytest.mark.heavy
def test_moving_an_unknown_model_is_refused(
    trigger: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="modelyard_dags"):
        done = trigger("rollout", model="nope", action="rollback")
    assert str(done.state) == "failed"
    assert "there is no model nope" in caplog.text


@pytest.mark.parametrize("weights", [{}, {"three": 0.5}])
def test_weights_that_are_none_are_refused_with_an_example(weights: dict[str, float]) -> None:
    from modelyard_dags.operations import _by_version

    from modelyard.errors import UsageError

    with pytest.raises(UsageError, match=r'\{"3": 0.9, "4": 0.1\}'):
        _by_version(weights)


def test_weights_are_by_version_number() -> None:
    from modelyard_dags.operations import _by_version

    assert _by_version({"3": 0.9, "4": 0.1}) == {3: 0.9, 4: 0.1}


def test_the_form_refuses_another_action(
    bag: Callable[[], object], write_spec: Callable[..., Path]
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    write_spec("toy")
    params = bag().dags["rollout"].params
    assert params["model"] == "toy"
    with pytest.raises(ParamValidationError):
        params["action"] = "delete"
