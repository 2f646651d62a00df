"""The README tells the truth: its spec loads, its verbs and commands are there, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.spec.load import load_spec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"^(?:\$ )?modelyard ([a-z]+(?: [a-z]+)?)", README, re.MULTILINE)))


def test_the_spec_of_the_readme_is_valid(tmp_path: Path) -> None:
    (text,) = [body for language, body in BLOCKS if language == "yaml"]
    file = tmp_path / "digits-cnn.yaml"
    file.write_text(text)
    assert load_spec(file).name == "digits-cnn"


def test_the_make_verbs_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = set(re.findall(r"make ([a-z]+)", README))
    assert {"demo", "up", "down", "status", "logs"} <= verbs
    assert [verb for verb in verbs if not re.search(rf"^{verb}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_exist(command: str) -> None:
    words = command.split()
    known = words if words[0] in {"spec", "data", "models", "keys", "db"} else words[:1]
    done = subprocess.run(
        [Path(sys.executable).with_name("modelyard"), *known, "--help"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


def test_the_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / link).exists()] == []
