"""One DAG run with nothing replaced, within one process: every stage, on the data that ships.

Nightly: `tests/e2e/test_every_spec.py` runs the same DAG in a real Airflow each time.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.settings import get_settings

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.nightly,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("migrated"),
    # Ludwig's, MLflow's and Airflow's own
    pytest.mark.filterwarnings("ignore"),
]


def test_a_dag_run_makes_a_registered_and_deployed_version(
    bag: Callable[[], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from modelyard.tracking import registry

    monkeypatch.setenv("MODELYARD_PROJECT", str(ROOT))
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    done = (
        bag()
        .dags["train_breast-cancer-mlp"]
        .test(run_conf={"tune": False, "cross_validate": False, "revision": None})
    )
    assert str(done.state) == "success"
    champion = registry.champion(get_settings(), "breast-cancer-mlp")
    assert champion is not None
    assert champion.run.startswith("breast-cancer-mlp.manual__")
    assert champion.metrics["diagnosis.accuracy"] >= 0.93
