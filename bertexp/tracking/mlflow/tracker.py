"""A run in MLflow, through its client alone: no active run, no global address, no autologging."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.errors import TrackingError
from bertexp.interfaces import RunState
from bertexp.system.console import labelled, say
from bertexp.system.credentials import hide
from bertexp.system.files import scratch_folder
from bertexp.tracking.base import OnOpen, ParamValue, Tracker
from bertexp.tracking.mlflow import records, store
from bertexp.tracking.outbox import Outbox, Point

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_ROWS = 1000  # what a browser shows with ease; the parquet file has them all
STATUS = {
    RunState.COMPLETED: "FINISHED",
    RunState.PRUNED: "FINISHED",
    RunState.INTERRUPTED: "KILLED",
    RunState.FAILED: "FAILED",
}


class MlflowTracker(Tracker):
    """One MLflow run; ``resume_run_id`` continues that run, leaving out the points it already has."""

    def __init__(
        self,
        uri: str | None,
        experiment: str,
        run_name: str,
        outputs_dir: str | PathLike[str],
        resume_run_id: str | None = None,
    ):
        self.uri = store.resolve_uri(uri, outputs_dir)
        self._experiment, self._run_name, self._resume_run_id = experiment, run_name, resume_run_id
        self._outputs_dir = Path(outputs_dir).resolve()
        self._run_id = ""  # until the run is there
        self._opening: threading.Thread | None = None
        self._client: Any = None  # once the store is open
        self._problem: TrackingError | None = None  # what kept it shut
        self._known: set[tuple[str, int]] = set()  # points that a resumed run brought along
        self._latest: dict[str, Point] = {}
        self._datasets: dict[str, tuple[str, str]] = {}  # by split: name and digest
        self._outbox = Outbox(self._send, self._warn)
        self._late: list[Callable[[], object]] = []  # what the store did not take yet, in order
        self._order = threading.RLock()  # held while records go out, so that they keep their order
        self._warned = False

    @property
    def run_id(self) -> str | None:
        """See ``Tracker.run_id``."""
        self._wait()
        return self._run_id or None

    def start(self, params: Mapping[str, ParamValue], tags: Mapping[str, str], on_open: OnOpen | None = None) -> None:
        """See ``Tracker.start``.

        Importing MLflow and opening its database take nearly as long as TensorFlow's import, and making one seconds more. So
        of a new run in a local store only the file is looked at if ``on_open`` is given; a thread opens it at the first
        metrics, beside the training.
        """
        store.set_environment()
        begun_ms = time.time_ns() // 1_000_000
        path = None if self._resume_run_id or on_open is None else store.local_path(self.uri)
        if path:
            with store.must_answer(self.uri):
                store.look_at(path)
        arguments = (hide(params), hide(tags), on_open, begun_ms)
        self._opening = threading.Thread(target=self._open, args=arguments, name="store", daemon=True)
        if not path:
            self._wait()
            self._complain()

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """See ``Tracker.log_metrics``; takes microseconds, a thread does the sending.

        Raises:
            TrackingError: the store could not be opened.
        """
        self._complain()
        self._begin()
        for key, value in metrics.items():
            if (key, step) not in self._known:
                self._latest[key] = self._outbox.put(key, float(value), int(step))

    def log_dataset(self, name: str, split_tables: Mapping[str, pa.Table], fingerprint: str, source: str) -> None:
        """See ``Tracker.log_dataset``; shown as the run's "Datasets used", with the fingerprint as digest."""
        # by split, for MLflow keeps one row count per name and digest
        self._datasets = {split: (f"{name}-{split}", fingerprint) for split in split_tables}
        self._deliver(lambda: self._log_inputs(split_tables, hide(source)))

    def log_dict(self, data: Mapping[str, Any], file_name: str) -> None:
        """See ``Tracker.log_dict``."""
        told = hide(data)
        self._deliver(lambda: self._client.log_dict(self._run_id, told, file_name))

    def log_file(self, path: Path, folder: str = "") -> None:
        """See ``Tracker.log_file``."""
        if not path.is_file():
            raise FileNotFoundError(path)
        self._deliver(lambda: self._client.log_artifact(self._run_id, str(path), folder or None))

    def log_table(self, path: Path, file_name: str) -> None:
        """See ``Tracker.log_table``; the first 1,000 rows."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            table = next(file.iter_batches(TABLE_ROWS), file.schema_arrow.empty_table())
        data = [list(row) for row in zip(*table.to_pydict().values(), strict=True)]
        self.log_dict({"columns": table.schema.names, "data": data}, file_name)
        shown = json.dumps([{"path": file_name, "type": "table"}])
        self._deliver(lambda: self._client.set_tag(self._run_id, "mlflow.loggedArtifacts", shown))

    def log_model(self, folder: Path, loader_file: Path, pip_requirements: Sequence[str]) -> None:
        """See ``Tracker.log_model``; loads as ``runs:/<run id>/model`` and carries the latest val/ and test/ metrics."""
        results = [point for key, point in self._latest.items() if key.startswith(("val/", "test/"))]

        def create() -> None:
            with scratch_folder(self._outputs_dir) as scratch:
                model_id = records.create_model(
                    self._client, self._run_id, folder, loader_file, pip_requirements, scratch
                )
            records.add_results(self._client, self._run_id, model_id, results, self._datasets)

        self._deliver(create)

    def flush(self) -> None:
        """See ``Tracker.flush``."""
        if self._wait():
            self._outbox.flush()

    def finish(self, state: RunState, reason: str = "") -> None:
        """See ``Tracker.finish``; what the store missed is offered to it once more."""
        if self._opening is None:  # never started, or ended by the store
            return
        if not self._wait():
            say(labelled("warning", f"nothing of this run is recorded: {self._problem}"))
            return
        lost_points = self._outbox.close()
        if not self._late or self._try(lambda: self._client.get_run(self._run_id)):
            self._deliver_late()
            ended = {"state": state} | ({"reason": hide(reason)} if reason else {})
            self._try(lambda: records.set_tags(self._client, self._run_id, ended))
            self._try(lambda: self._client.set_terminated(self._run_id, STATUS[state]))
        if lost_points or self._late:
            missed = f"{lost_points} metric points and {len(self._late)} records of this run"
            say(labelled("warning", f"the MLflow store missed {missed}; the run folder has them all"))

    def _begin(self) -> None:
        """Lets the store be opened."""
        if self._opening and not self._opening.ident:
            self._opening.start()

    def _wait(self) -> bool:
        """Returns when the store was opened, and whether it could be."""
        self._begin()
        if self._opening:
            self._opening.join()
        return self._client is not None

    def _complain(self) -> None:
        if self._problem:
            self._opening = None  # the run knows of it, and has nothing to finish
            raise self._problem

    def _open(
        self, params: Mapping[str, ParamValue], tags: Mapping[str, str], on_open: OnOpen | None, begun_ms: int
    ) -> None:
        try:
            with store.must_answer(self.uri):
                client = store.open_store(self.uri)
                if self._resume_run_id:
                    run, self._known = records.reopen_run(client, self.uri, self._resume_run_id)
                else:
                    experiment_id = records.find_experiment(client, self.uri, self._experiment, self._outputs_dir)
                    run = client.create_run(experiment_id, start_time=begun_ms, run_name=self._run_name)
                self._run_id = run.info.run_id
                changed = records.log_params(client, run, params)
                records.set_tags(client, self._run_id, {"mlflow.source.type": "LOCAL"} | changed | {**tags})
                if on_open:
                    on_open(self._run_id)
        except TrackingError as error:
            self._problem = error
            if self._run_id:  # half begun
                with contextlib.suppress(Exception):
                    client.set_terminated(self._run_id, STATUS[RunState.FAILED])
            return
        with self._order:
            self._client = client
            self._deliver_late()
        self._outbox.begin()

    def _send(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        self._client.log_batch(self._run_id, metrics=[Metric(*point) for point in points])

    def _log_inputs(self, split_tables: Mapping[str, pa.Table], source: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        kind, where = ("http", {"url": source}) if source.startswith("http") else ("local", {"uri": source})
        inputs = []
        for split, table in split_tables.items():
            schema = json.dumps({"mlflow_colspec": _columns(table)})
            profile = json.dumps({"num_rows": table.num_rows, "num_elements": table.num_rows * table.num_columns})
            data = Dataset(*self._datasets[split], kind, json.dumps(where), schema, profile)
            inputs.append(DatasetInput(data, [InputTag("mlflow.data.context", split)]))
        self._client.log_inputs(self._run_id, inputs)

    def _deliver(self, action: Callable[[], object]) -> None:
        """Runs ``action``, or keeps it for later if the store is not open yet, does not answer or did not before."""
        with self._order:
            if self._client is None or self._late or not self._try(action):
                self._late.append(action)

    def _deliver_late(self) -> None:
        self._late = [action for action in self._late if not self._try(action)]  # one that fails holds up no others

    def _try(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except Exception as error:  # whatever a store may raise must not reach the training
            self._warn(error)
            return False
        return True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            why = f"the MLflow store {self.uri} does not take what it is told ({store.first_line(error)})"
            say(labelled("warning", f"{why}; the run goes on and tries again at its end"))
        self._warned = True


def _columns(table: pa.Table) -> list[dict[str, Any]]:
    """Describes the columns of a table in MLflow's words."""
    words = {"int32": "integer", "int64": "long", "float": "float", "double": "double", "bool": "boolean"}
    return [
        {"name": field.name, "type": words.get(str(field.type), "string"), "required": not field.nullable}
        for field in table.schema
    ]
