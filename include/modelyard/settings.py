"""Where things are: read once from ``MODELYARD_*`` environment variables, with defaults for a laptop."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MARKER = "model_specs"


def find_project(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds ``model_specs/``, else `start`."""
    candidates = (start, *start.parents)
    return next((folder for folder in candidates if (folder / MARKER).is_dir()), start)


def _words(value: object) -> object:
    """Split what an environment variable lists."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


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
    ray_token_override: Path | None = Field(
        default=None,
        validation_alias="MODELYARD_RAY_TOKEN_PATH",
        description="The file with the token of the Ray cluster. Default: that of the local stack.",
    )
    endpoint: str = Field(
        default="http://127.0.0.1:8000",
        description="Where predictions are served.",
    )
    endpoint_processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that answer HTTP requests; the kernel divides connections among them.",
    )
    bind_override: str | None = Field(
        default=None,
        validation_alias="MODELYARD_BIND",
        description="The address that the endpoint listens on, HOST or HOST:PORT, if it is not that of "
        "its URL: behind a proxy, or 0.0.0.0 for all.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="The API key that Modelyard's own commands show to the endpoint, if it asks.",
    )
    require_keys: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether the endpoint asks for API keys: auto (as soon as there is one, and "
        "wherever it listens on more than the loopback address), always, never.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=(),
        description="Origins such as https://app.example.org, separated by commas, whose pages may "
        "ask the endpoint from a browser. Default: none.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="The endpoint's certificate with its chain, in PEM. Default: plain HTTP.",
    )
    tls_key: Path | None = Field(
        default=None,
        description="The certificate's private key, in PEM, without a passphrase.",
    )
    tls_ca: Path | None = Field(
        default=None,
        description="Certificates, in PEM, that Modelyard's own clients trust beside the system's. "
        "Default: the endpoint's own certificate.",
    )

    airflow_url: str | None = Field(
        default=None,
        description="Where Airflow's web pages are, for links to runs of DAGs. Default: no links.",
    )
    notify: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=(),
        description="Where alerts are delivered, as Apprise URLs separated by spaces or commas, such as "
        "mailtos://..., slack://... or webhook+https://host/path (JSON for programs); they may hold passwords.",
    )

    watch_schedule: str = Field(
        default="@hourly",
        description="How often Airflow looks at what is served: as cron says it, such as */10 * * * *, "
        "or a time such as 30m.",
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
    def bind_host(self) -> str:
        """The address that the endpoint listens on."""
        bound = urlsplit(f"//{self.bind_override}").hostname if self.bind_override else None
        return bound or urlsplit(self.endpoint).hostname or "127.0.0.1"

    @property
    def bind_port(self) -> int:
        """The port that the endpoint listens on."""
        address = urlsplit(self.endpoint)
        bound = urlsplit(f"//{self.bind_override}").port if self.bind_override else None
        return bound or address.port or (443 if address.scheme == "https" else 80)

    @property
    def ray_token_file(self) -> Path:
        """Where the token of the Ray cluster is kept, if it has one."""
        return self.ray_token_override or self.home / "secrets" / "ray_token"

    @property
    def specs(self) -> Path:
        """The folder of model specs."""
        return self.project / MARKER


@cache
def get_settings() -> Settings:
    """Read the settings once; tests call ``get_settings.cache_clear()``."""
    return Settings()
