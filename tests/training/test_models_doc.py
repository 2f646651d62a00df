"""docs/models.md tells the truth: its examples pass the check, Ludwig resolves them, they train."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from modelyard.spec import yaml_text
from modelyard.spec.lines import Finding
from modelyard.spec.load import build as build_spec
from modelyard.spec.load import load_spec
from modelyard.spec.merge import Part, merge
from modelyard.spec.models import Spec
from tests.training.samples import save_split, workspace_in, write_digits

DOC = Path(__file__).parents[2] / "docs" / "models.md"
BLOCKS = {
    block.splitlines()[0].strip("# "): block
    for block in re.findall(r"```yaml\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
}
OWN_KEYS = (
    "augmentation: applied to the training rows of each batch",
    "class weights, by class",
    "half precision where the GPU is better at it; without a GPU it changes nothing",
    "by the norm of all gradients together; Ludwig's default is 0.5",
    "warm up for a tenth of the steps, then down in a line to zero",
)
BASE: dict[str, Any] = {
    "name": "digits",
    "data": {"path": "data/digits"},
    "model": {
        "input_features": [
            {
                "name": "image",
                "type": "image",
                "encoder": {"type": "stacked_cnn", "padding": "same", "out_channels": 4},
            }
        ],
        "output_features": [{"name": "label", "type": "category"}],
        "combiner": {"type": "concat"},
        "trainer": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01},
    },
}


def spec_with(*names: str, **changes: Any) -> Spec:
    """Lay blocks of the page over the small spec."""
    value: dict[str, Any] = copy.deepcopy(BASE)
    for name in names:
        block, _places, findings = yaml_text.read(BLOCKS[name])
        assert findings == []
        assert isinstance(block, dict)
        model = merge(Part(value["model"], {}), Part(block.pop("model"), {})).value
        value = {**value, **block, "model": model}
    found: list[Finding] = []
    spec = build_spec({**value, **changes}, found)
    assert found == []
    assert spec is not None
    return spec


def test_the_page_has_an_example_of_everything_that_it_promises() -> None:
    assert set(OWN_KEYS) <= set(BLOCKS)
    assert len(BLOCKS) >= 10


@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "from"])
def test_every_example_passes_the_check(name: str) -> None:
    assert spec_with(name).model != BASE["model"]


def test_the_example_of_from_is_a_spec(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "digits.json").write_text(json.dumps(BASE["model"]))
    block = BLOCKS["from"]
    (tmp_path / "one.yaml").write_text(f"name: one\ndata: {{path: data/x}}\n{block}")
    trainer = load_spec(tmp_path / "one.yaml").model["trainer"]
    assert trainer == {**BASE["model"]["trainer"], "epochs": 40}


def test_every_link_and_section_of_the_page_is_whole() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert text.count("```") % 2 == 0
    for name in re.findall(r"^## (.+)$", text, re.MULTILINE):
        assert text.count(f"## {name}") == 1


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "from"])
def test_ludwig_resolves_every_example(name: str) -> None:
    from modelyard.training.config import resolve
    from modelyard.training.engine import engine

    spec = spec_with(name, resources={})
    with engine(spec.resources, "resolve"):
        assert resolve(spec)["trainer"]


@pytest.mark.heavy
def test_all_of_ludwig_s_own_ways_to_train_work_together(tmp_path: Path) -> None:
    import torch

    from modelyard.training.build import build
    from modelyard.training.fit import fit
    from modelyard.training.rows import read_rows

    workspace = workspace_in(tmp_path)
    rows = write_digits(workspace, 40)
    rows["label"] = ["abc"[number % 3] for number in range(40)]
    split = save_split(workspace, rows)

    def trained(number: int, spec: Spec) -> tuple[list[float], dict[str, torch.Tensor]]:
        from safetensors.torch import load_file

        built = build(spec, split, workspace)
        config = json.loads(workspace.path(built.config).read_bytes())
        folder = tmp_path / str(number)
        folder.mkdir()
        read = read_rows(spec, split, workspace)
        fitted = fit(spec, config, read, folder, lambda *_: None)
        rates = [figures["learning_rate"] for figures in fitted.history]
        return rates, load_file(next(fitted.model.glob("*.safetensors")))

    rates, weights = trained(1, spec_with(*OWN_KEYS, resources={}))
    assert len(rates) == 3
    assert rates[0] > rates[1] > rates[2]
    without = [name for name in OWN_KEYS if not name.startswith("augmentation")]
    _rates, plain = trained(2, spec_with(*without, resources={}))
    assert any(not torch.equal(weights[name], plain[name]) for name in weights)
