"""A new data revision: the spec's data, and logged predictions that got labels.

It is a git commit on the branch `modelyard/data/NAME` that changes the .dvc pointer and nothing
else. The user's work tree, index and branches stay as they are; whoever wants the data merges the
branch, or names it as `data.revision`.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from modelyard.data.append import append_rows
from modelyard.data.branch import Branch, Tip
from modelyard.data.checks import unfit_rows
from modelyard.data.labelled_rows import Added, Former, Observe, Rows
from modelyard.data.pull import find_table
from modelyard.data.revise import add_objects, find_pointer, push, revised_pointer
from modelyard.data.tables import read_table, text_columns
from modelyard.data.tracked import DvcVersion, Repository
from modelyard.data.words import plural
from modelyard.errors import DataError
from modelyard.spec.models import Spec
from modelyard.store.predictions import Labelled
from modelyard.workspace import Workspace

log = logging.getLogger(__name__)

MOST = 100_000
"""Rows that one revision may add; the newest are taken."""
FOUNDATION, COMMIT, PATH, ROWS, CONTENT, RETRAINING = (
    f"Modelyard-{word}" for word in ("Base", "Base-Commit", "Path", "Rows", "Content", "Retraining")
)
"""What a commit's message says, so that the next revision knows what this one stands on."""


@dataclass(frozen=True, slots=True)
class DataRevision:
    """Data with labelled predictions in it, as a run can pull it."""

    commit: str
    content_hash: str
    branch: str
    rows: int
    pushed: str


class TooFewRows(DataError):  # noqa: N818 - reads as what happened
    """There are not enough new labelled predictions."""


def branch_of(name: str) -> str:
    """The git branch of a model's data revisions."""
    return f"modelyard/data/{name}"


@contextmanager
def addition(
    spec: Spec, workspace: Workspace, found: Iterable[Sequence[Labelled]], observe: Observe
) -> Iterator[Addition]:
    """Find what labelled predictions would add to the spec's data; nothing is changed yet.

    `found` are predictions, newest first, and `observe` says what is observed of a value. Rows
    that an earlier revision added are kept and not counted, unless the spec's data changed
    meanwhile: then all are added to the new data.

    Raises:
        DataError: the data is not tracked by DVC, or rows cannot be added to it.
    """
    lock = workspace.home / "locks" / f"data-{spec.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(lock),
        tempfile.TemporaryDirectory(prefix="modelyard-") as scratch,
        Branch(workspace.settings.project, branch_of(spec.name)) as branch,
    ):
        with _opened(spec, workspace, spec.data.revision) as (_, base):
            foundation = base.content_hash
        tip = branch.tip()
        goes_on = tip is not None and (
            tip.said.get(FOUNDATION) == foundation and tip.said.get(PATH) == spec.data.path
        )
        start = tip.commit if tip is not None and goes_on else spec.data.revision
        with _opened(spec, workspace, start) as (repository, version):
            new = Addition(spec, branch, tip, foundation, repository, version, Path(scratch))
            new.collect(found, workspace.home, observe)
            yield new


@contextmanager
def _opened(
    spec: Spec, workspace: Workspace, revision: str | None
) -> Iterator[tuple[Repository, DvcVersion]]:
    with Repository(workspace.settings.project, revision) as repository:
        version = repository.tracked(Path(spec.data.path).as_posix().rstrip("/"))
        if version is None:
            message = (
                f"{spec.data.path} is not tracked by DVC, so no data revision can be made of it"
            )
            raise DataError(
                message, hint=f"dvc add {spec.data.path}, or set monitor.retrain.data: spec"
            )
        find_pointer(repository, version)
        yield repository, version


class Addition:
    """Rows that could be added, and what they would be added to."""

    def __init__(  # noqa: PLR0913, PLR0917 - made by `addition` only
        self,
        spec: Spec,
        branch: Branch,
        tip: Tip | None,
        foundation: str,
        repository: Repository,
        version: DvcVersion,
        scratch: Path,
    ) -> None:
        self._spec = spec
        self._branch = branch
        self._tip = tip
        self._foundation = foundation
        self._repository = repository
        self._version = version
        self._scratch = scratch
        self.added = Added()

    def __len__(self) -> int:
        return len(self.added.rows)

    def require(self, least: int) -> None:
        """Raise TooFewRows, with what was left out, if there are fewer new rows than `least`."""
        if len(self) >= least:
            return
        left_out = [f"{count:,} {reason}" for reason, count in self.added.left_out.most_common()]
        others = f"; left out: {', '.join(left_out)}" if left_out else ""
        message = f"{plural(len(self), 'new labelled prediction')}, and a retraining waits for {least:,}{others}"
        raise TooFewRows(message)

    def record(self, because: Mapping[str, str], retraining: str) -> DataRevision:
        """Make the revision; called again for the same retraining, return what was made.

        `because` is said in the commit's message.

        Raises:
            DataError: DVC's cache or git cannot be written.
        """
        if self._tip is not None and self._tip.said.get(RETRAINING) == retraining:
            return self._made_before(self._tip)
        pointer = find_pointer(self._repository, self._version)
        table = self._scratch / "new" / Path(self._table).name
        table.parent.mkdir()
        append_rows(self._scratch / self._table, self.added.rows, table)
        revised = add_objects(self._version, {self._table: table, **self.added.files})
        pushed = push(self._repository, self._version, revised.content_hash)
        onto = self._onto()
        commit = self._branch.commit(
            pointer.path,
            revised_pointer(pointer, revised),
            self._message(because, retraining, onto, revised.content_hash),
            onto=onto,
            parents=self._parents(onto),
            tip=None if self._tip is None else self._tip.commit,
        )
        log.info(
            "%s: %s added to %s, %s (%s)",
            self._spec.name,
            plural(len(self), "labelled prediction"),
            self._spec.data.path,
            commit[:12],
            pushed,
        )
        return DataRevision(commit, revised.content_hash, self._branch.name, len(self), pushed)

    def collect(self, found: Iterable[Sequence[Labelled]], home: Path, observe: Observe) -> None:
        """Read the table as it is before, and make rows of what is new."""
        files = {stored.name: stored for stored in self._version.objects}
        name = self._version.file_name
        if name is not None:
            self._table = name
        elif self._spec.data.table is not None and self._spec.data.table in files:
            self._table = self._spec.data.table
        else:
            find_table(self._spec.data, self._scratch, None)
            message = f"data.table: {self._spec.data.path} has no table that rows could be added to"
            raise DataError(message, hint="set monitor.retrain.data: spec")
        files[self._table].copy_to(self._scratch / self._table)
        table = read_table(self._scratch / self._table, text_columns(self._spec))
        hashes = {one.name: one.oid for one in files.values()}
        rows = Rows(self._spec, Former(table, hashes), home, observe)
        self.added = rows.collect(found, MOST)
        self._leave_out_unfit()

    def _leave_out_unfit(self) -> None:
        """Leave out rows that break a check, or one of them would fail every later training.

        They are read back first, for a word such as "null" is a missing value in a text table.
        """
        if not self.added.rows or not self._spec.data.checks:
            return
        written = self._scratch / "unchecked" / Path(self._table).name
        written.parent.mkdir()
        append_rows(self._scratch / self._table, self.added.rows, written)
        table = read_table(written, text_columns(self._spec)).tail(len(self.added.rows))
        unfit = unfit_rows(table.reset_index(drop=True), self._spec.data.checks)
        if unfit:
            rows = [row for index, row in enumerate(self.added.rows) if index not in unfit]
            named = {str(cell) for row in rows for cell in row.values()}
            files = {name: path for name, path in self.added.files.items() if name in named}
            left_out = self.added.left_out + Counter({"that break a check": len(unfit)})
            self.added = Added(rows=rows, files=files, left_out=left_out)

    def _onto(self) -> str:
        """The commit whose tree the revision stands on: the spec's, or what is checked out."""
        if self._spec.data.revision is None:
            return self._branch.head()
        with Repository(self._repository.project, self._spec.data.revision) as repository:
            return str(repository.commit)

    def _parents(self, onto: str) -> list[str]:
        """What came before; an earlier revision stays reachable when the project went on."""
        if self._tip is None:
            return [onto]
        same = onto in {self._tip.commit, self._tip.said.get(COMMIT)}
        return [self._tip.commit] if same else [self._tip.commit, onto]

    def _message(
        self, because: Mapping[str, str], retraining: str, onto: str, content_hash: str
    ) -> str:
        said = {
            **because,
            RETRAINING: retraining,
            ROWS: str(len(self)),
            PATH: self._spec.data.path,
            FOUNDATION: self._foundation,
            COMMIT: onto,
            CONTENT: content_hash,
        }
        title = f"Data for {self._spec.name}: {plural(len(self), 'labelled prediction')} added"
        return "\n".join([title, "", *(f"{key}: {value}" for key, value in said.items()), ""])

    def _made_before(self, tip: Tip) -> DataRevision:
        rows = int(tip.said[ROWS])
        return DataRevision(tip.commit, tip.said[CONTENT], self._branch.name, rows, "made before")
