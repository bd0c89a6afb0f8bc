"""A run in MLflow, through its client alone: no active run, no global address, no autologging."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.console import say
from bertexp.errors import TrackingError
from bertexp.tracking.base import STATES, ParamValue
from bertexp.tracking.mlflow_store import artifacts_folder, first_line, must_answer, open_store, resolve_uri
from bertexp.tracking.outbox import Outbox, Point
from bertexp.tracking.provenance import hide_passwords

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow.entities import Run

PARAMS_PER_CALL = 100  # MLflow's limits
PARAM_LENGTH = 6000
TABLE_ROWS = 1000  # what a browser shows with ease; the parquet file has them all
STATUS = {"completed": "FINISHED", "pruned": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI shows training pages, not chat traces
SYSTEM_TAGS = {
    "user": "mlflow.user",
    "command": "mlflow.source.name",
    "git.commit": "mlflow.source.git.commit",
    "description": "mlflow.note.content",
    "parent_run_id": "mlflow.parentRunId",
}


class MlflowTracker:
    """One MLflow run; ``resume_run_id`` continues that run, leaving out the points it already has."""

    def __init__(
        self,
        uri: str | None,
        experiment: str,
        run_name: str,
        outputs_dir: str | PathLike[str],
        resume_run_id: str | None = None,
    ):
        self.uri = resolve_uri(uri, outputs_dir)
        self.run_id: str | None = None
        self._experiment = experiment
        self._run_name = run_name
        self._outputs_dir = Path(outputs_dir).resolve()
        self._resume_run_id = resume_run_id
        self._known: set[tuple[str, int]] = set()  # points that a resumed run brought along
        self._latest: dict[str, Point] = {}
        self._datasets: dict[str, tuple[str, str]] = {}  # by split: name and digest
        self._late: list[Callable[[], object]] = []  # what the store did not take yet, in order
        self._warned = False

    def start(self, params: Mapping[str, ParamValue], tags: Mapping[str, str]) -> None:
        """See ``Tracker.start``. Takes about 3 seconds for the import of MLflow, and 7 more to create a new store."""
        self._client = open_store(self.uri)
        with must_answer(self.uri):
            run = self._reopen_run() if self._resume_run_id else self._create_run()
            self.run_id, self._outbox = run.info.run_id, Outbox(self._send, self._warn)
            self._log_params(params, run)
            self._set_tags({"mlflow.source.type": "LOCAL", **{SYSTEM_TAGS.get(k, k): v for k, v in tags.items()}})

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """See ``Tracker.log_metrics``; takes microseconds, a thread does the sending."""
        for key, value in metrics.items():
            if (key, step) not in self._known:
                self._latest[key] = self._outbox.put(key, float(value), int(step))

    def log_dataset(self, name: str, split_tables: Mapping[str, pa.Table], fingerprint: str, source: str) -> None:
        """See ``Tracker.log_dataset``; shown as the run's "Datasets used", with the fingerprint as digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        kind, place = ("http", {"url": source}) if source.startswith("http") else ("local", {"uri": source})
        self._datasets = {split: (f"{name}-{split}", fingerprint) for split in split_tables}
        inputs = [
            DatasetInput(
                Dataset(
                    name=f"{name}-{split}",  # MLflow keeps one row count per name and digest
                    digest=fingerprint,
                    source_type=kind,
                    source=json.dumps(place),
                    schema=json.dumps({"mlflow_colspec": _columns(table)}),
                    profile=json.dumps(
                        {"num_rows": table.num_rows, "num_elements": table.num_rows * table.num_columns}
                    ),
                ),
                [InputTag("mlflow.data.context", split)],
            )
            for split, table in split_tables.items()
        ]
        self._deliver(lambda: self._client.log_inputs(self.run_id, inputs))

    def log_dict(self, data: Mapping[str, Any] | Sequence[Any], file_name: str) -> None:
        """See ``Tracker.log_dict``."""
        self._deliver(lambda: self._client.log_dict(self.run_id, data, file_name))

    def log_text(self, text: str, file_name: str) -> None:
        """See ``Tracker.log_text``."""
        self._deliver(lambda: self._client.log_text(self.run_id, text, file_name))

    def log_figure(self, figure_path: str | PathLike[str], folder: str = "figures") -> None:
        """See ``Tracker.log_figure``."""
        self.log_file(figure_path, folder)

    def log_file(self, path: str | PathLike[str], folder: str = "") -> None:
        """See ``Tracker.log_file``."""
        if not Path(path).is_file():
            raise FileNotFoundError(path)
        self._deliver(lambda: self._client.log_artifact(self.run_id, str(path), folder or None))

    def log_table(self, table: pa.Table | str | PathLike[str], file_name: str) -> None:
        """See ``Tracker.log_table``; the first 1,000 rows."""
        if isinstance(table, (str, PathLike)):
            import pyarrow.parquet as pq

            table = pq.read_table(table)
        rows = table.slice(0, TABLE_ROWS).to_pydict()
        data = {"columns": list(rows), "data": [list(row) for row in zip(*rows.values(), strict=True)]}
        self.log_dict(data, file_name)
        shown = json.dumps([{"path": file_name, "type": "table"}])
        self._deliver(lambda: self._client.set_tag(self.run_id, "mlflow.loggedArtifacts", shown))

    def log_model(
        self,
        folder: str | PathLike[str],
        loader_file: str | PathLike[str],
        input_columns: Sequence[str],
        pip_requirements: Sequence[str],
    ) -> None:
        """See ``Tracker.log_model``; loads as ``runs:/<run id>/model`` and carries the latest val/ and test/ metrics."""
        from bertexp.tracking.mlflow_model import SavedModelFiles, create_model

        files = SavedModelFiles(Path(folder), Path(loader_file), tuple(input_columns), tuple(pip_requirements))
        results = [point for key, point in self._latest.items() if key.startswith(("val/", "test/"))]
        self._deliver(
            lambda: create_model(self._client, self.run_id, files, results, self._datasets, self._outputs_dir)
        )

    def flush(self) -> None:
        """See ``Tracker.flush``."""
        self._outbox.flush()

    def finish(self, state: str, reason: str = "") -> None:
        """See ``Tracker.finish``; what the store missed is offered to it once more."""
        if state not in STATES:
            raise ValueError(f"state {state!r} is not one of {', '.join(STATES)}")
        if self.run_id is None:  # never started
            return
        lost_points = self._outbox.close()
        lost = self._late
        if not lost or self._try(lambda: self._client.get_run(self.run_id)):
            lost = [action for action in lost if not self._try(action)]  # one that fails must not hold up the others
            self._try(lambda: self._set_tags({"state": state, **({"reason": reason} if reason else {})}))
            self._try(lambda: self._client.set_terminated(self.run_id, STATUS[state]))
        if lost_points or lost:
            say(
                f"warning    the MLflow store missed {lost_points} metric points and {len(lost)} records of this run; the "
                f"run folder has them all"
            )

    def _create_run(self) -> Run:
        from mlflow.exceptions import MlflowException

        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            # a server knows where its artifacts go; a database or a folder is told
            place = (
                None if self.uri.startswith(("http", "databricks")) else artifacts_folder(self._outputs_dir).as_uri()
            )
            try:
                experiment_id = self._client.create_experiment(self._experiment, place, EXPERIMENT_TAGS)
            except MlflowException:  # another run was first
                experiment = self._client.get_experiment_by_name(self._experiment)
                if experiment is None:
                    raise
        if experiment is not None:
            if experiment.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"tracking.experiment={self._experiment} was deleted in {hide_passwords(self.uri)}; give another name, or "
                    f"bring it back with: mlflow experiments restore --experiment-id {experiment.experiment_id}"
                )
            experiment_id = experiment.experiment_id
        return self._client.create_run(experiment_id, run_name=self._run_name)

    def _reopen_run(self) -> Run:
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(self._resume_run_id)
        except MlflowException as error:
            raise TrackingError(
                f"the run to resume, {self._resume_run_id}, is not in {hide_passwords(self.uri)}; name the store it lies in "
                f"with tracking.uri"
            ) from error
        if run.info.lifecycle_stage == "deleted":
            raise TrackingError(
                f"the run to resume was deleted in {hide_passwords(self.uri)}; bring it back with: "
                f"mlflow runs restore --run-id {run.info.run_id}"
            )
        self._client.update_run(run.info.run_id, status="RUNNING")
        for key in run.data.metrics:
            self._known.update((key, point.step) for point in self._client.get_metric_history(run.info.run_id, key))
        return run

    def _log_params(self, params: Mapping[str, ParamValue], run: Run) -> None:
        """Parameters cannot be changed in MLflow: what a resumed run does otherwise becomes a tag."""
        from mlflow.entities import Param

        texts = {key: _as_text(value) for key, value in params.items()}
        new = [Param(key, text) for key, text in texts.items() if key not in run.data.params]
        for batch in _batches(new, PARAMS_PER_CALL):
            self._client.log_batch(run.info.run_id, params=batch)
        changed = {f"resumed.{k}": v for k, v in texts.items() if run.data.params.get(k, v) != v}
        self._set_tags(changed)

    def _set_tags(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        for batch in _batches([RunTag(key, str(value)) for key, value in tags.items()], PARAMS_PER_CALL):
            self._client.log_batch(self.run_id, tags=batch)

    def _send(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(point.key, point.value, point.timestamp_ms, point.step) for point in points]
        self._client.log_batch(self.run_id, metrics=metrics)

    def _deliver(self, action: Callable[[], object]) -> None:
        """Runs ``action``, or keeps it for ``finish`` when the store does not answer or did not before."""
        if self._late or not self._try(action):
            self._late.append(action)

    def _try(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except Exception as error:  # whatever a store may raise must not reach the training
            self._warn(error)
            return False
        return True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            say(
                f"warning    the MLflow store {hide_passwords(self.uri)} does not take what it is told ({first_line(error)}); the "
                f"run goes on and tries again at its end"
            )
        self._warned = True


def _as_text(value: ParamValue) -> str:
    """Writes a value the way it is given on the command line, cut where MLflow would refuse it."""
    if isinstance(value, (list, tuple)):
        text = f"[{','.join(map(_as_text, value))}]"
    else:
        text = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    note = f" … [cut at {PARAM_LENGTH} characters]"
    return text if len(text) <= PARAM_LENGTH else text[: PARAM_LENGTH - len(note)] + note


def _columns(table: pa.Table) -> list[dict[str, Any]]:
    """Describes the columns of a table in MLflow's words."""
    words = {"int32": "integer", "int64": "long", "float": "float", "double": "double", "bool": "boolean"}
    return [
        {"name": field.name, "type": words.get(str(field.type), "string"), "required": not field.nullable}
        for field in table.schema
    ]


def _batches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
