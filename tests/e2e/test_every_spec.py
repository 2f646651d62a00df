"""Every shipped spec goes the whole way: the Airflow DAG, the registry, the endpoint.

`digits-cnn` does so in `test_demo.py` already; `make nightly` adds those that train for minutes.
"""

from __future__ import annotations

import pytest

from modelyard.artifacts import SplitData
from modelyard.runs import safe_run_id
from modelyard.spec.load import find_specs, load_spec
from modelyard.stack.airflow_api import RunState
from modelyard.stack.samples import read_samples, send
from modelyard.tracking import registry
from modelyard.workspace import Workspace
from tests.e2e.conftest import PROJECT, Yard

LONGEST_RUN = 2400
IN_EVERY_RUN = "breast-cancer-mlp"
AT_LEAST = {"breast-cancer-mlp": ("diagnosis.accuracy", 0.93)}
"""What is known to be reached on the test split."""
DONE_BY_THE_DEMO = "digits-cnn"
NAMES = sorted({path.stem for path in find_specs(PROJECT / "model_specs")} - {DONE_BY_THE_DEMO})

pytestmark = [pytest.mark.stack, pytest.mark.timeout(LONGEST_RUN + 300)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == IN_EVERY_RUN else pytest.mark.nightly)
        for name in NAMES
    ],
)
def test_a_spec_goes_through_airflow_to_an_answer_of_the_endpoint(yard: Yard, name: str) -> None:
    spec = load_spec(PROJECT / "model_specs" / f"{name}.yaml")
    dag = f"train_{name}"
    yard.api.wait_for_dag(dag, 120)
    yard.api.unpause(dag)
    run = yard.api.trigger(dag, {}, note="every spec")
    *_, last = yard.api.follow(dag, run, LONGEST_RUN)
    assert last.state is RunState.SUCCESS, last
    champion = registry.champion(yard.client, name)
    assert champion is not None
    assert champion.run == safe_run_id(f"{name}.{run}")
    if name in AT_LEAST:
        metric, least = AT_LEAST[name]
        assert champion.metrics[metric] >= least
    split = SplitData.model_validate(yard.api.result(dag, run, SplitData.stage))
    samples = read_samples(spec, split, Workspace(yard.client), 16)
    answers = list(send(yard.client, name, samples))
    assert {answer.version for answer in answers} == {champion.version}
    judged = [answer.right for answer in answers if answer.right is not None]
    assert sum(judged) >= 0.6 * len(judged)
