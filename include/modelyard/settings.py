"""Where things are: read once from ``MODELYARD_*`` environment variables, with defaults for a laptop."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MARKER = "model_specs"


def find_project(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds ``model_specs/``, else `start`."""
    candidates = (start, *start.parents)
    return next((folder for folder in candidates if (folder / MARKER).is_dir()), start)


class Settings(BaseSettings):
    """All that may differ between a laptop, a server and a cluster."""

    model_config = SettingsConfigDict(
        env_prefix="MODELYARD_", frozen=True, extra="ignore", populate_by_name=True
    )

    project: Path = Field(
        default_factory=lambda: find_project(Path.cwd()),
        description="The folder with model_specs/, data/ and dvc.yaml.",
    )
    home_override: Path | None = Field(
        default=None,
        validation_alias="MODELYARD_HOME",
        description="Where runs, databases and logs are kept. Default: .modelyard in the project.",
    )
    database_override: str | None = Field(
        default=None,
        validation_alias="MODELYARD_DATABASE_URL",
        description="SQLAlchemy URL of Modelyard's database. Default: SQLite in the home folder.",
    )
    tracking_override: str | None = Field(
        default=None,
        validation_alias="MODELYARD_TRACKING_URI",
        description="MLflow tracking URI. Default: SQLite in the home folder.",
    )
    ray_address: str | None = Field(
        default=None,
        validation_alias="MODELYARD_RAY_ADDRESS",
        description="The Ray cluster for heavy stages, HOST:PORT. Default: run in this process.",
    )
    serve_api: str | None = Field(
        default=None,
        description="Ray's dashboard URL, where Serve takes its configuration. Default: no serving.",
    )
    endpoint: str = Field(
        default="http://127.0.0.1:8000",
        description="Where predictions are served.",
    )

    energy_country: str = Field(
        default="",
        description="Whose electricity trainings use, as three ISO letters such as DEU, for an estimate of CO2. "
        "Default: only energy is estimated; `off` leaves that out too.",
    )
    wandb: Literal["off", "offline", "online"] = Field(
        default="off",
        description="Weights & Biases as a second tracker: off, offline (files in the home folder), online.",
    )

    @property
    def home(self) -> Path:
        """The folder for everything that a run makes."""
        return (self.home_override or self.project / ".modelyard").absolute()

    @property
    def database_url(self) -> str:
        """Modelyard's own database, as SQLAlchemy spells it."""
        return self.database_override or f"sqlite:///{self.home / 'modelyard.db'}"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs and model versions."""
        return self.tracking_override or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    @property
    def artifact_root(self) -> Path:
        """Where MLflow keeps files; the same with and without its server, so both see all runs."""
        return self.home / "mlflow" / "artifacts"

    @property
    def specs(self) -> Path:
        """The folder of model specs."""
        return self.project / MARKER


@cache
def get_settings() -> Settings:
    """Read the settings once; tests call ``get_settings.cache_clear()``."""
    return Settings()
