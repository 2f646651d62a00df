"""A served model, watched from a program or a notebook: metrics, drift, plots, alerts, profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import finalize

from modelyard.errors import MonitoringError, SpecError, UsageError
from modelyard.settings import Settings, get_settings
from modelyard.spec.models import MonitorSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from modelyard.monitoring.check import DriftReport, Window
    from modelyard.monitoring.profile import ColumnSummary
    from modelyard.store.monitoring_records import AlertRecord, DriftCheck, PerformanceCheck

LOOKS = 500
ESTIMATED = "estimated."


@dataclass(slots=True, weakref_slot=True)
class ModelMonitor:
    """What is known of a model's live inputs and answers.

    ``ModelMonitor("digits-cnn").detect_drift()`` compares the champion's last 1,000 predictions
    with its training data. All methods read the database that the settings name; nothing has to
    run for that.
    """

    name: str
    settings: Settings | None = None
    """Where things are; those of the environment by default."""
    version: int | None = None
    """The model version; by default the champion's, and in plots all of them."""
    _scratch: finalize[..., ModelMonitor] | None = field(default=None, init=False, repr=False)
    _folder: Path = field(default=Path(), init=False, repr=False)

    def calculate_metrics(
        self, window: Window = "all", *, segment: str | None = None, save: bool = False
    ) -> dict[str, float]:
        """Return how good the answers of a window were: OUTPUT.METRIC to its value.

        Of labelled predictions `window` counts the last. What the model's confidence lets expect
        of the others is there too, as estimated.OUTPUT.METRIC. Empty where there is too little to
        measure. `save` keeps it, as the hourly watch does, so that plots show it.

        Raises:
            MonitoringError: there is no such version.
        """
        from modelyard import watch
        from modelyard.monitoring.performance import measure
        from modelyard.store.database import open_store
        from modelyard.tracking import registry

        settings = self._settings()
        version = watch.version_of(settings, self.name, self.version)
        files = registry.download(settings, self.name, version)
        with open_store(settings.database_url) as store:
            checks = measure(
                self.name,
                version,
                reference_folder=files / "reference",
                store=store,
                monitor=watch.monitor_of(settings, self.name, files),
                window=window,
                segment=segment,
            )
            for check in checks if save else ():
                store.save_performance(check)
        return {
            f"{ESTIMATED if one.estimated else ''}{one.output}.{one.metric}": one.value
            for check in checks
            for one in check.metrics
        }

    def detect_drift(
        self, window: Window = 1000, *, segment: str | None = None, save: bool = True
    ) -> DriftReport:
        """Compare a window of live inputs and outputs with the reference, as `modelyard drift` does.

        `window` is the last so many predictions, `all`, or a time span such as `24h`; `segment` is
        COLUMN=VALUE. Without `save` the verdicts are not kept, and the report's files are gone
        with this object.

        Raises:
            MonitoringError: there is no such version, no reference, or too few predictions.
            UsageError: `window` or `segment` is written otherwise.
        """
        from modelyard.watch import run_drift

        destination = None if save else self._scratch_file()
        return run_drift(
            self._settings(),
            self.name,
            window=window,
            version=self.version,
            segment=segment,
            destination=destination,
            keep=save,
        )

    def plot_metrics(
        self,
        metric: str = "accuracy",
        path: Path | str | None = None,
        *,
        window: Window | None = None,
    ) -> Figure:
        """Draw a metric over time, with its intervals, the evaluation's value and the alert levels.

        `metric` is a name such as accuracy, or OUTPUT.METRIC. `window` is the one that was measured
        most often by default. `path` is a PNG to write.

        Raises:
            MonitoringError: it was never measured, or several outputs have it.
        """
        from modelyard.monitor_plots import draw_metric, metric_named

        looks = self._looks(None if window is None else str(window))
        output, found = metric_named(looks, metric, self.name)
        figure = draw_metric(looks, output, found, self.name, self._spec().levels)
        return self._written(figure, path)

    def plot_drift(
        self,
        column: str | None = None,
        path: Path | str | None = None,
        *,
        window: Window | None = None,
    ) -> Figure:
        """Draw effect sizes over time: of one column, or of those that differed most.

        Filled marks are drift. `window` is the one that was compared most often by default. `path`
        is a PNG to write.

        Raises:
            MonitoringError: nothing was compared yet, or never that column.
        """
        from modelyard.monitor_plots import draw_drift

        checks = self._checks(None if window is None else str(window))
        figure = draw_drift(checks, column, self.name, self._spec())
        return self._written(figure, path)

    def alerts(self, open_only: bool = True) -> list[AlertRecord]:
        """Return the model's alerts, open ones first, then the newest first."""
        from modelyard.store.database import open_store

        with open_store(self._settings().database_url) as store:
            found = store.alerts(self.name, open_only=open_only, limit=LOOKS)
        return [one for one in found if self.version in {None, one.version}]

    def profiles(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, ColumnSummary]:
        """Return the profile of what was served from hour to hour, both included; empty if none.

        Raises:
            MonitoringError: there is no champion and no version was named.
        """
        from modelyard import watch
        from modelyard.monitoring.live import read_live
        from modelyard.monitoring.profile import summarise

        settings = self._settings()
        version = watch.version_of(settings, self.name, self.version)
        content = read_live(settings.home, self.name, version, since=since, until=until)
        return {} if content is None else summarise(content)

    def close(self) -> None:
        """Delete the files of reports that were not saved; they go with the object at the latest."""
        if self._scratch is not None:
            self._scratch()
            self._scratch = None

    def _settings(self) -> Settings:
        return get_settings() if self.settings is None else self.settings

    def _spec(self) -> MonitorSpec:
        """Read the levels to draw from today's spec; the defaults where there is none."""
        from modelyard.spec.load import load_spec, resolve

        try:
            return load_spec(resolve(self.name, self._settings().specs)).monitor
        except (UsageError, SpecError):
            return MonitorSpec()

    def _looks(self, window: str | None) -> list[PerformanceCheck]:
        """Return the looks at performance of one window, oldest first."""
        from modelyard.store.database import open_store

        with open_store(self._settings().database_url) as store:
            found = store.performance(
                self.name, version=self.version, window=window, segment="", limit=LOOKS
            )
        return _of_one_window(found, window, f"the performance of {self.name} was never measured")

    def _checks(self, window: str | None) -> list[DriftCheck]:
        """Return the comparisons of one window, oldest first."""
        from modelyard.store.database import open_store

        with open_store(self._settings().database_url) as store:
            found = store.verdicts(
                self.name, LOOKS, version=self.version, window=window, segment=""
            )
        return _of_one_window(found, window, f"the inputs of {self.name} were never compared")

    def _scratch_file(self) -> Path:
        import shutil
        from tempfile import mkdtemp

        if self._scratch is None:
            self._folder = Path(mkdtemp(prefix="modelyard-"))
            self._scratch = finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder / f"drift-{len(list(self._folder.glob('*.html'))) + 1}.html"

    @staticmethod
    def _written(figure: Figure, path: Path | str | None) -> Figure:
        import warnings

        from modelyard.training.figures import save

        if path is not None:
            with warnings.catch_warnings():
                # A column's name may have letters that no font here has.
                warnings.filterwarnings("ignore", message="Glyph .* missing")
                save(figure, Path(path))
        return figure


def _of_one_window[Check: (DriftCheck, PerformanceCheck)](
    found: Sequence[Check], window: str | None, nothing: str
) -> list[Check]:
    """Keep the checks of one window: points of several would make a saw of the line."""
    if not found:
        message = f"{nothing} in the window {window}" if window else nothing
        raise MonitoringError(message, hint="the DAG monitoring does it every hour")
    chosen = window or Counter(one.window for one in found).most_common(1)[0][0]
    return [one for one in reversed(found) if one.window == chosen]
