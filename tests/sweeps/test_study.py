"""A study numbers its trials once, gives each to one worker at a time, and outlives any of them."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from bertexp.errors import ConfigError, DiskFull, EnvironmentProblem, SweepFailed, TrialTaken
from bertexp.sweeps.progress import TrialTable
from bertexp.sweeps.start import NamedSweep, begin_sweep, name_sweep
from bertexp.sweeps.storage import JOURNAL, open_storage
from bertexp.sweeps.work import job
from bertexp.sweeps.work.study import MOST_DEATHS, Outcome, SweepStudy
from bertexp.sweeps.work.summary import SweepSummary, TrialSummary, summarize
from bertexp.sweeps.work.trial import TrialRunner, free_disk
from bertexp.sweeps.work.worker import pull_trials
from bertexp.system.identity import is_free, new_lease
from bertexp.tracking.base import Tracker

LR, WARMUP = "optimizer.learning_rate", "optimizer.warmup_fraction"
FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
REPOSITORY = Path(__file__).resolve().parents[2]


def named(*words: str) -> NamedSweep:
    return name_sweep(["sweep=lr_warmup", "sweep.pruner=none", *words])


def opened(folder: Path, sweep: NamedSweep) -> SweepStudy:
    SweepStudy(folder, sweep.config.sweep, sweep.spec)
    return SweepStudy(folder, sweep.config.sweep)


def run_all(folder: Path, sweep: NamedSweep, value=lambda trial: trial.params[WARMUP]) -> SweepStudy:
    study = opened(folder, sweep)
    pull_trials(study, lambda trial: Outcome("completed", (value(trial),)))
    return study


def points(study: SweepStudy) -> list[tuple]:
    return [tuple(trial.params.values()) for trial in study.trials]


def test_a_sweep_that_goes_on_draws_what_an_undisturbed_one_draws(tmp_path):
    whole = run_all(tmp_path / "whole", named("sweep.trials=12"))
    run_all(tmp_path / "parts", named("sweep.trials=5"))
    parts = run_all(tmp_path / "parts", named("sweep.trials=12"))
    assert points(parts) == points(whole)
    assert len(set(points(whole))) == 12
    assert [trial.number for trial in parts.trials] == list(range(12))


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_what_is_listed_is_gone_through_once_before_any_repeats(tmp_path, sampler):
    def drawn(name: str, trials: int, *space: str) -> list[tuple]:
        sweep = name_sweep([*space, f"sweep.sampler={sampler}", f"sweep.trials={trials}"])
        return points(run_all(tmp_path / name, sweep, lambda trial: trial.params[LR]))

    assert sorted(drawn("two", 2, f"{LR}=1e-4,1e-3")) == [(1e-4,), (1e-3,)]
    mixed = drawn("mixed", 8, f"{LR}=1e-5,3e-5,1e-4,3e-4", f"{WARMUP}=interval(0,0.3)")
    assert len({rate for rate, _ in mixed[:4]}) == 4
    whole = drawn("whole", 27, f"{LR}=1e-5,3e-5,1e-4", f"{WARMUP}=range(0,0.3,0.1)", "trainer.max_epochs=range(1,4)")
    assert len({(rate, round(warmup, 3), epochs) for rate, warmup, epochs in whole}) == 27


def test_two_seeds_share_no_random_point(tmp_path):
    def drawn(seed: int) -> set[tuple]:
        sweep = named("sweep.trials=20", "sweep.sampler=random", f"run.seed={seed}")
        return set(points(run_all(tmp_path / str(seed), sweep)))

    assert not drawn(42) & drawn(43)


def test_a_sweep_begun_before_draws_on_by_the_rule_that_it_began_with(tmp_path):
    def drawn(seed: int) -> list[tuple]:
        sweep = named("sweep.trials=8", "sweep.sampler=random", f"run.seed={seed}")
        former = dataclasses.asdict(sweep.spec)
        del former["drawing"]
        storage, _ = open_storage(tmp_path / str(seed), None)
        optuna.create_study(storage=storage, study_name=sweep.spec.name, direction="maximize").set_user_attr(
            "spec", former
        )
        return points(run_all(tmp_path / str(seed), sweep))

    assert drawn(42)[1:] == drawn(43)[:-1]  # the seed and the number were added


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes"])
def test_samplers_stay_inside_the_space_and_never_repeat(tmp_path, sampler):
    study = run_all(tmp_path, named("sweep.trials=9", f"sweep.sampler={sampler}"))
    assert len(set(points(study))) == 9
    assert all(1e-5 <= rate <= 3e-4 and 0 <= warmup <= 0.3 for rate, warmup in points(study))


def test_no_trial_starts_after_the_timeout_and_more_time_goes_on(tmp_path, monkeypatch):
    sweep, now = named("sweep.trials=50", "sweep.timeout_seconds=300"), [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time, sleep=time.sleep)
    monkeypatch.setattr("bertexp.sweeps.work.worker.time", clock)
    study = opened(tmp_path, sweep)

    def slow(trial):
        now[0] += 200
        return Outcome("completed", (0.5,))

    pull_trials(study, slow)
    assert len(study.trials) == 2
    assert not study.is_done(50)
    pull_trials(study, slow)
    assert len(study.trials) == 4


def test_a_trial_that_kills_its_workers_fails_in_the_end(tmp_path):
    sweep = named("sweep.trials=1")
    study = opened(tmp_path, sweep)

    for _ in range(5):
        study.take(1).set_user_attr("lease", new_lease(60) | {"born": "long ago"})
    assert study.take(1) is None
    assert study.trials[0].state == TrialState.FAIL
    assert "5 workers died in it" in study.trials[0].user_attrs["reason"]


def test_a_worker_that_slept_past_its_lease_leaves_the_trial_to_its_new_holder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bertexp.sweeps.work.worker.POLL_SECONDS", 0.1)
    study, ran = opened(tmp_path, named("sweep.trials=2")), []

    def run_trial(trial):
        ran.append(trial.number)
        if ran == [0]:
            taken = new_lease(1) | {"host": "elsewhere", "worker": "elsewhere:7"}
            trial.set_user_attr("lease", taken)
            study.renew(trial)
            assert study.trials[0].user_attrs["lease"] == taken
            with pytest.raises(TrialTaken):
                study.require_held(trial)
        return Outcome("completed", (0.5,))

    pull_trials(study, run_trial)
    assert ran == [0, 1, 0]  # the new holder dies, and its lease runs out
    assert capsys.readouterr().out.count("trial 0 goes on with elsewhere:7") == 1


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), EnvironmentProblem("no GPU")])
def test_a_full_disk_stops_the_sweep_and_fails_no_trial(tmp_path, monkeypatch, error):
    """Any other problem is its trial's."""
    study = opened(tmp_path, named("sweep.trials=2", "sweep.max_failures=2"))

    def fail(*_):
        raise error

    monkeypatch.setattr(TrialRunner, "_run", fail)
    if isinstance(error, EnvironmentProblem):
        pull_trials(study, TrialRunner(study, [], {}))
        assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2
        return
    with pytest.raises(DiskFull, match=f"no space is left on the disk of {tmp_path}"):
        pull_trials(study, TrialRunner(study, [], {}))
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    pull_trials(study, lambda trial: Outcome("completed", (0.5,)))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2


def test_a_grid_is_walked_in_order_and_ends_by_itself(tmp_path):
    sweep = name_sweep([f"{LR}=3e-5,1e-4", f"{WARMUP}=0.0,0.1"])
    study = run_all(tmp_path, sweep)
    assert points(study) == [(3e-5, 0.0), (3e-5, 0.1), (1e-4, 0.0), (1e-4, 0.1)]


def test_the_recipes_own_values_come_first(tmp_path):
    study = run_all(tmp_path, named("model=small_bert_l4", "sweep.trials=2"))
    assert points(study)[0] == (3e-5, 0.1)


def test_the_best_trial_is_the_first_of_equals(tmp_path):
    study = run_all(tmp_path, named("sweep.trials=4"), value=lambda trial: float(trial.number > 0))
    assert [trial.number for trial in study.best_of(study.trials)] == [1]
    down = run_all(
        tmp_path, named("sweep.trials=4", "sweep.objective=val/loss", "sweep.name=down"), lambda c: -c.number
    )
    assert [trial.number for trial in down.best_of(down.trials)] == [3]


def test_of_several_objectives_the_best_are_those_that_none_beats(tmp_path):
    sweep = named("sweep.trials=12", "sweep.objectives=[val/accuracy,predict/latency_ms]")
    study = opened(tmp_path, sweep)
    values = [(number * 7 % 12 // 3 / 4, float(number * 5 % 12)) for number in range(12)]
    pull_trials(study, lambda trial: Outcome("completed", values[trial.number]))
    best = [trial.number for trial in study.best_of(study.trials)]
    assert best == sorted(trial.number for trial in study.study.best_trials)
    assert 1 < len(best) < 12


class GrowingStudy(SweepStudy):
    """A study in which another worker ends the best trial between two looks."""

    def __init__(self, study: SweepStudy):
        self.__dict__ = dict(study.__dict__)
        self.looks = 0

    @property
    def trials(self):
        self.looks += 1
        return super().trials[:2] + super().trials[2:][: self.looks - 1]


def test_a_trial_that_becomes_best_while_disk_is_freed_keeps_its_checkpoints(tmp_path):
    sweep = named("sweep.trials=3")
    study = run_all(tmp_path, sweep, lambda trial: float(trial.number))
    folders = [tmp_path / f"trial-000{number}" / "checkpoints" for number in range(3)]
    for folder in folders:
        folder.mkdir(parents=True)
    free_disk(GrowingStudy(study))
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_another_space_is_refused_with_the_difference(tmp_path):
    opened(tmp_path, named("sweep.name=x"))
    other = named("sweep.name=x", f"{LR}=interval(1e-5,1e-3)", "run.seed=7")
    with pytest.raises(ConfigError) as told:
        opened(tmp_path, other)
    assert "the space of optimizer.learning_rate was 1e-05 to 0.0003, logarithmic and is 1e-05 to 0.001" in str(
        told.value
    )
    assert "run.seed was not given and is 7" in str(told.value)
    assert "sweep.name=" in str(told.value)


def test_a_trial_whose_worker_is_dead_is_taken_over_and_a_living_ones_is_not(tmp_path):
    sweep = named("sweep.trials=2")
    study = opened(tmp_path, sweep)
    first = study.take(2)
    other = SweepStudy(tmp_path, sweep.config.sweep)
    assert other.take(2).number == 1  # trial 0 is in work
    assert other.take(2) is None
    dead = new_lease(60) | {"pid": 2**22 + 1, "born": "1"}
    first.set_user_attr("lease", dead)
    again = other.take(2)
    assert (again.number, again.params) == (0, first.params)


def test_leases_of_other_hosts_end_with_their_time():
    assert not is_free(new_lease(60))  # ours
    assert is_free(None)
    elsewhere = new_lease(60) | {"host": "elsewhere"}
    assert not is_free(elsewhere)
    assert is_free(elsewhere | {"until": time.time() - 1})


def test_a_trial_that_is_interrupted_is_given_back(tmp_path):
    sweep = named("sweep.trials=1")
    study = opened(tmp_path, sweep)

    def interrupted(trial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull_trials(study, interrupted)
    assert study.count(TrialState.RUNNING) == 1
    ended = run_all(tmp_path, sweep)
    assert [trial.state for trial in ended.trials] == [TrialState.COMPLETE]
    assert len(ended.trials[0].user_attrs["segments"]) == 2


def test_failures_are_kept_with_their_reason_until_there_are_too_many(tmp_path, capsys):
    sweep = named("sweep.trials=9", "sweep.max_failures=2")
    study = opened(tmp_path, sweep)

    def fail_every_other(trial):
        return Outcome("failed", reason="no number") if trial.number % 2 else Outcome("completed", (0.5,))

    with pytest.raises(
        SweepFailed, match=r"3 trials .* failed, more than sweep\.max_failures=2; the last one said: no number"
    ):
        pull_trials(study, fail_every_other)
    assert len(study.trials) == 6
    assert capsys.readouterr().out.count("no number") == 3
    sweep.config.sweep.max_failures = 9
    pull_trials(study, fail_every_other)
    assert study.count(TrialState.COMPLETE) == 5


class DeterministicPruner(optuna.pruners.BasePruner):
    """Prunes odd trials at their second report."""

    def prune(self, study, trial) -> bool:
        return trial.number % 2 == 1 and trial.last_step == 2


def test_a_pruned_trial_says_against_what(tmp_path):
    sweep = named("sweep.trials=4")
    study = opened(tmp_path, sweep)
    study._pruner = DeterministicPruner()

    def train(trial):
        for index in (1, 2, 3):
            why = study.report(trial, index, 0.5 + 0.1 * trial.number)
            if why is not None:
                return Outcome("pruned", reason=why)
        return Outcome("completed", (0.5 + 0.1 * trial.number,))

    pull_trials(study, train)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
    assert [sorted(trial.intermediate_values) for trial in study.trials] == [[1, 2, 3], [1, 2], [1, 2, 3], [1, 2]]
    assert study.trials[3].user_attrs["reason"] == (
        "val/accuracy 0.8000 is number 1 of 4 trials there (best 0.8000, median 0.6500)"
    )
    rows = summarize(study).trials
    assert [bool(row.values) for row in rows] == [True, False, True, False]  # a last report is no result


def test_a_validation_that_is_reported_again_after_a_resume_counts_once(tmp_path):
    sweep = named("sweep.trials=1")
    study = opened(tmp_path, sweep)
    trial = study.take(1)
    study.report(trial, 1, 0.5)
    study.report(trial, 1, 0.4)
    assert study.trials[0].intermediate_values == {1: 0.5}


def test_a_journal_that_a_crash_cut_off_is_mended(tmp_path):
    sweep = named("sweep.trials=2")
    run_all(tmp_path, sweep)
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(b'{"op_code": 4, "half a li')
    assert len(run_all(tmp_path, named("sweep.trials=3")).trials) == 3


def test_only_one_worker_writes_the_end_and_more_trials_bring_a_new_one(tmp_path):
    study = run_all(tmp_path, named("sweep.trials=2"))
    other = SweepStudy(tmp_path, named("sweep.trials=2").config.sweep)
    with study.finishing() as mine:
        assert mine
        with other.finishing() as also_mine:
            assert not also_mine
    assert study.is_done(2)
    assert not study.is_done(3)
    with other.finishing() as mine:
        assert not mine
    more = run_all(tmp_path, named("sweep.trials=3"))
    with more.finishing() as mine:
        assert mine


class Ends(Tracker):
    """A tracker that keeps how its run ended."""

    def __init__(self):
        self.told: list[tuple[str, str]] = []

    def finish(self, state, reason=""):
        self.told.append((str(state), reason))


def test_a_sweep_of_which_no_trial_completed_fails_and_given_again_tries_them_anew(tmp_path, monkeypatch, capsys):
    sweep, ends = name_sweep([f"{LR}=3e-5,1e-4", "tracking=none"]), Ends()
    monkeypatch.setattr(job, "build_tracker", lambda *_: ends)
    monkeypatch.setattr(job, "_ship", lambda *_: None)

    def give(outcome: Outcome) -> SweepStudy:
        monkeypatch.setattr(job, "TrialRunner", lambda *_: lambda trial: outcome)
        assert begin_sweep(sweep, str(tmp_path), 1)
        job.work(sweep.config, sweep.job_words, tmp_path)
        return SweepStudy(tmp_path, sweep.config.sweep)

    sentence = r"no trial of the sweep .* has completed, 2 failed and 0 were pruned; the last one said: no GPU\. Mend the cause"
    for _ in range(2):
        with pytest.raises(SweepFailed, match=sentence):
            give(Outcome("failed", reason="no GPU"))
        assert {state for state, _ in ends.told} == {"failed"}
        study = SweepStudy(tmp_path, sweep.config.sweep)
        study.remember("final_lease", study.ended)  # as an older bertexp left it
    study = give(Outcome("completed", (0.5,)))
    assert points(study) == [(3e-5,), (1e-4,)] * 3
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 4 + ["COMPLETE"] * 2
    assert ends.told[-1] == ("completed", "")
    assert capsys.readouterr().out.count("2 failed trials are tried anew") == 2
    assert not begin_sweep(sweep, str(tmp_path), 1)


def test_failed_trials_are_tried_again_before_new_points_and_none_where_one_completed_or_is_at_work(tmp_path):
    sweep = named("sweep.trials=4", "sweep.max_failures=1", "sweep.sampler=random")
    study = opened(tmp_path, sweep)
    with pytest.raises(SweepFailed, match="give the same command again"):
        pull_trials(study, lambda trial: Outcome("failed", reason="no network"))
    assert study.retry_failed() == 2
    assert study.retry_failed() == 0
    begun = study.take(4)
    assert begun.params == study.trials[0].params
    assert study.retry_failed() == 0
    study.tell(begun, Outcome("failed", reason="no network"))
    assert study.retry_failed() == 1  # the other one waits already
    pull_trials(study, lambda trial: Outcome("completed", (0.5,)))
    undisturbed = points(run_all(tmp_path / "undisturbed", sweep))
    assert [tuple(t.params.values()) for t in study.trials if t.state == TrialState.COMPLETE] == [
        undisturbed[place] for place in (1, 0, 2, 3)
    ]
    assert study.retry_failed() == 0


def test_the_table_has_one_width(tmp_path):
    sweep = named("sweep.trials=11")
    table = TrialTable(sweep.spec)
    point, segments = {LR: 3e-5, WARMUP: 0.1}, (("host:1", 1000.0, 1061.0),)
    trial = TrialSummary(0, "completed", point, (0.91,), steps=(189, 189), segments=segments)
    row = table.line(SweepSummary(sweep.spec, sweep.config.sweep, (trial,), (0,)), 0)
    assert row.split() == ["0", "completed", "0.9100", "3e-05", "0.1", "189/189", "61", "0.9100", "(0)", "10.2", "min"]
    assert table.head.index("steps") + len("steps") == row.index("189/189") + len("189/189")


def start_worker(folder: Path, *words: object) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, str(FAKE_WORKER), str(folder), *map(str, words)], env=environment, stdout=subprocess.DEVNULL
    )


def kill_workers_at_random(folder: Path, trials: int, steps: int, kills: int, *storage: str) -> None:
    """Keeps four workers running and kills one that is at work, whichever, again and again.

    No trial is hit so often that it is given up: on a slow machine, where new workers take long to start, few are at work.
    """
    chance, hits = random.Random(0), Counter[Path]()
    workers = [start_worker(folder, trials, steps, *storage) for _ in range(4)]
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.1, 0.9))
            while not (at_work := find_work(folder, steps, workers, [t for t in hits if hits[t] >= MOST_DEATHS - 1])):
                assert any(worker.poll() is None for worker in workers), "the trials ended before the last kill"
                time.sleep(0.01)
            chosen, trial = chance.choice(at_work)
            hits[trial] += 1
            chosen.kill()
            chosen.wait()
            workers[workers.index(chosen)] = start_worker(folder, trials, steps, *storage)
        assert [worker.wait(120) for worker in workers] == [0] * 4
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def find_work(
    folder: Path, steps: int, workers: list[subprocess.Popen], spared: list[Path]
) -> list[tuple[subprocess.Popen, Path]]:
    """The workers that did the last step of a trial that is under way, and the trial's file."""
    texts = {path: path.read_text().splitlines() for path in folder.glob("trial-*.txt") if path not in spared}
    last = {
        int(lines[-1].split()[1]): path for path, lines in texts.items() if 0 < len(lines) < steps and " " in lines[-1]
    }
    return [(worker, last[worker.pid]) for worker in workers if worker.pid in last]


def check_nothing_was_lost(study: SweepStudy, folder: Path, trials: int, steps: int) -> None:
    assert [trial.number for trial in study.trials] == list(range(trials))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert len(set(points(study))) == trials
    for number in range(trials):  # every step done, in order, none twice
        lines = (folder / f"trial-{number:04d}.txt").read_text().split("\n")[:-1]
        assert [int(line.split()[0]) for line in lines] == list(range(steps))
    assert (folder / "finished.txt").read_text() == f"{trials}\n"
    taken_over = [trial for trial in study.trials if len(trial.user_attrs["segments"]) > 1]
    assert taken_over
    assert all(begun and ended is None for trial in taken_over for _, begun, ended in trial.user_attrs["segments"][:-1])


def test_four_workers_of_which_one_is_killed_ten_times_lose_nothing(tmp_path):
    kill_workers_at_random(tmp_path, trials=60, steps=40, kills=10)
    sweep = name_sweep(["sweep=lr_warmup", "sweep.pruner=none", "sweep.name=killed"])
    check_nothing_was_lost(SweepStudy(tmp_path, sweep.config.sweep), tmp_path, 60, 40)


@pytest.fixture
def postgres(tmp_path):
    """The address of a PostgreSQL server of our own."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL is not installed: no initdb and pg_ctl on the path")
    pytest.importorskip("psycopg", reason="the driver is not installed: pip install 'bertexp[database]'")
    data, log = tmp_path / "pg", tmp_path / "pg.log"
    as_user = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []  # it refuses to run as root
    if as_user:
        tmp_path.chmod(0o777)
        for parent in tmp_path.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o755)
    subprocess.run(
        [*as_user, "initdb", "-A", "trust", "-U", "bertexp", "-D", str(data)], check=True, capture_output=True
    )
    options = f"-c listen_addresses='' -c unix_socket_directories={tmp_path}"
    start = [*as_user, "pg_ctl", "-D", str(data), "-l", str(log), "-o", options, "-w", "start"]
    subprocess.run(start, check=True, capture_output=True)
    yield f"postgresql://bertexp@/postgres?host={tmp_path}"
    subprocess.run([*as_user, "pg_ctl", "-D", str(data), "-m", "immediate", "-t", "300", "stop"], capture_output=True)


@pytest.mark.long
def test_postgresql_keeps_the_study_as_well(tmp_path, postgres):
    folder = tmp_path / "sweep"
    folder.mkdir()
    kill_workers_at_random(folder, 30, 30, 3, postgres)
    sweep = name_sweep(["sweep=lr_warmup", "sweep.pruner=none", "sweep.name=killed", f"sweep.storage='{postgres}'"])
    check_nothing_was_lost(SweepStudy(folder, sweep.config.sweep), folder, 30, 30)


def test_a_store_that_fails_too_does_not_hide_why_a_sweep_stopped(tmp_path, monkeypatch, capsys):
    def fail(error):
        raise error

    parent = SimpleNamespace(begin=dict, stop=lambda *_: fail(OSError("the store is gone")))
    monkeypatch.setattr(job, "ParentRun", lambda *_: parent)
    monkeypatch.setattr(job, "pull_trials", lambda *_: fail(SweepFailed("4 trials failed")))
    sweep = named()
    opened(tmp_path, sweep)
    with pytest.raises(SweepFailed, match="4 trials failed"):
        job.work(sweep.config, [], tmp_path)
    assert "does not tell how it ended: the store is gone" in capsys.readouterr().out
