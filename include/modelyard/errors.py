"""Every error that Modelyard shows to a user.

    ModelyardError              exit code 1
    +-- SpecError               a spec file is wrong; carries every problem of it
    +-- DataError               data cannot be found, read or trusted
    |   +-- ChecksFailed        `validate` refused the data
    +-- TrainingError           Ludwig could not build or fit the model
    +-- GateRefused             the model did not reach what the spec asks
    +-- TrackingError           MLflow cannot be reached or refused
    +-- ServingError            Ray Serve cannot be reached or refused
    +-- MonitoringError         there is nothing to compare, or it cannot be compared
    +-- StoreError              Modelyard's database cannot be reached or refused
    +-- ComputeError            the Ray cluster cannot be reached or lost the work
    +-- StackError              a local service did not start, stop or answer
    +-- UsageError              exit code 2; a command was called in a way that cannot work

Foreign exceptions are translated where the foreign library is called, with ``raise ... from``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where.

    `line` counts from 1; `field` is a dotted path such as ``model.trainer.epochs``.
    """

    message: str
    file: str | None = None
    line: int | None = None
    field: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        head = ": ".join(part for part in (place, self.field, self.message) if part)
        return f"{head} ({self.hint})" if self.hint else head


class ModelyardError(Exception):
    """A refusal with a text for people: what is wrong, where, and what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


def _rebuild(kind: type[ModelyardError], state: dict[str, object]) -> ModelyardError:
    """Make an error again on the other side of a process border, whatever its constructor takes."""
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = (state["message"],)
    return error


class ProblemsError(ModelyardError):
    """A refusal that lists several problems at once."""

    def __init__(self, message: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(message)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


class SpecError(ProblemsError):
    """A spec file is wrong."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{file}: {count}", problems)
        self.file = file

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class DataError(ModelyardError):
    """Data cannot be found, read or trusted."""


class ChecksFailed(ProblemsError, DataError):  # noqa: N818 - reads as what happened
    """The data broke checks of the spec."""


class TrainingError(ModelyardError):
    """Ludwig could not build or fit the model."""


class GateRefused(ProblemsError):  # noqa: N818 - reads as what happened
    """The model did not reach what the spec asks."""


class TrackingError(ModelyardError):
    """MLflow cannot be reached or refused."""


class ServingError(ModelyardError):
    """Ray Serve cannot be reached or refused."""


class MonitoringError(ModelyardError):
    """There is nothing to compare, or it cannot be compared."""


class StoreError(ModelyardError):
    """Modelyard's database cannot be reached or refused."""


class ComputeError(ModelyardError):
    """The Ray cluster cannot be reached or lost the work."""


class StackError(ModelyardError):
    """A local service did not start, stop or answer."""


class UsageError(ModelyardError):
    """A command was called in a way that cannot work."""

    exit_code = 2
