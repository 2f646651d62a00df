from pathlib import Path

import pytest

from modelyard.settings import Settings, find_project, get_settings


def test_the_project_is_the_nearest_folder_with_model_specs(project: Path) -> None:
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    assert find_project(deep) == project


def test_without_model_specs_the_project_is_where_one_stands(tmp_path: Path) -> None:
    assert find_project(tmp_path) == tmp_path


def test_everything_is_kept_below_one_home_folder(project: Path) -> None:
    settings = Settings()
    assert settings.home == project / ".modelyard"
    assert settings.database_url == f"sqlite:///{project}/.modelyard/modelyard.db"
    assert settings.tracking_uri == f"sqlite:///{project}/.modelyard/mlflow/mlflow.db"
    assert settings.artifact_root == project / ".modelyard" / "mlflow" / "artifacts"


def test_the_environment_overrides_each_place(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_HOME", str(project / "elsewhere"))
    monkeypatch.setenv("MODELYARD_DATABASE_URL", "postgresql+psycopg://localhost/m")
    monkeypatch.setenv("MODELYARD_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("MODELYARD_RAY_ADDRESS", "127.0.0.1:6380")
    settings = Settings()
    assert settings.home == project / "elsewhere"
    assert settings.database_url == "postgresql+psycopg://localhost/m"
    assert settings.tracking_uri == "http://127.0.0.1:5000"
    assert settings.ray_address == "127.0.0.1:6380"


def test_settings_are_read_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("MODELYARD_HOME", str(project / "later"))
    assert get_settings() is first
