"""One trial of a sweep, trained for real, and what its folder is worth to a later one."""

from __future__ import annotations

import dataclasses

import pytest

from bertexp.errors import SweepFailed
from bertexp.interfaces import RunState
from bertexp.runs.folder import TRAINED, RunFolder
from bertexp.sweeps.start import name_sweep
from bertexp.sweeps.storage import JOURNAL
from bertexp.sweeps.work.study import SweepStudy
from bertexp.sweeps.work.trial import TrialRunner

SMALL = ["dataset.limit_train=48", "dataset.limit_val=16", "dataset.limit_test=16", "trainer.batch_size=8",
         "trainer.max_epochs=1", "model.num_layers=1", "model.hidden_size=64", "sweep.name=one", "tracking=none"]  # fmt: skip


def test_a_trial_trains_as_its_point_says_and_its_result_is_taken_for_no_others(tmp_path):
    def first_trial(rates: str, data: tuple[str, ...] = ()):
        """Of a study that knows of no trial, whatever lies in its folder."""
        (tmp_path / JOURNAL).unlink(missing_ok=True)
        sweep = name_sweep([*SMALL, f"optimizer.learning_rate={rates}", f"run.outputs_dir={tmp_path}"])
        study = SweepStudy(tmp_path, sweep.config.sweep, dataclasses.replace(sweep.spec, data=data))
        return TrialRunner(study, sweep.job_words, {})(study.take(1))

    outcome = first_trial("1e-3,1e-2")
    run = RunFolder(tmp_path / "trial-0000")
    ended = run.info
    assert outcome.state == RunState.COMPLETED, outcome.reason
    assert outcome.values == (ended["metrics"]["val/accuracy"],)
    assert (ended["stage"], ended["parameters"]["optimizer.learning_rate"]) == (TRAINED, 1e-3)
    assert any(run.checkpoints.glob("best-*"))
    assert first_trial("1e-3,1e-1").values == outcome.values  # the same point: nothing is trained again
    assert run.info == ended
    with pytest.raises(
        SweepFailed, match=r"optimizer\.learning_rate was 0\.001 and is 0\.01; .* sweep\.name=<new name>"
    ):
        first_trial("1e-2,1e-1")
    assert run.info == ended
    assert first_trial("1e-3,1e-2", (ended["data_fingerprint"],)).values == outcome.values
    with pytest.raises(SweepFailed, match="the data changed since the sweep one began"):
        first_trial("1e-3,1e-2", ("0" * 16,))
