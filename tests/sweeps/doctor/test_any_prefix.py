"""A driver may die after any event: what the ledger holds then is valid, and a new driver goes on from it to a whole study."""

import itertools
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.attempt import Attempt, Place
from sweeps.brain import Brain
from sweeps.doctor import findings_of
from sweeps.doctor.ledger import check_ledger
from sweeps.doctor.recorded import Recorded, read
from sweeps.doctor.sampler import check_sampler, rebuilt
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.sweep import Sweep, run_locally
from tests.sweeps.doctor.sound_study import DATA_DIGEST, home_at, some_fail
from tests.sweeps.small_study import make_data, make_study

STUDY = make_study(rule="asha", max_trials=4, capacities=(0.25,), retries=2)
SOURCE = make_data()
_moments = itertools.count(1000)

KINDS = ("dispatch", "dispatch", "report", "report", "report", "lose", "repeat", "die", "stop")
events = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 5)), min_size=5, max_size=40)


class Driver:
    """A driver with as many workers as are busy; `die` leaves everything as it lies."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._place = Place(storage=home.storage, study=STUDY.name, slice_seconds=0.0)
        self.begin()

    def begin(self) -> None:
        self.ledger = Ledger.open(self.home.ledger)
        record = self.ledger.register_study(STUDY.name, STUDY.identity(), STUDY.to_dict(), 1.0)
        self.ledger.set_study(record.id, data_digest=DATA_DIGEST, complete=False)
        self.sweep = Sweep(STUDY, self.ledger, record, Brain(STUDY), DATA_DIGEST, clock=lambda: float(next(_moments)))
        self._attempts: list[Attempt] = []
        self._last = None

    def play(self, kind: str, which: int) -> None:
        if kind == "dispatch" and len(self._attempts) < 3 and (spec := self.sweep.next_trial()):
            self._attempts.append(Attempt(spec, SOURCE, self._place, self.sweep.rungs(spec), some_fail))
        elif kind == "repeat" and self._last:
            self.sweep.record(self._last)
        elif kind == "stop":
            self.sweep.stop()
        elif kind == "die":
            self.ledger.close()
            self.begin()
        elif self._attempts and kind in ("report", "lose"):
            attempt = self._attempts[which % len(self._attempts)]
            self._work(attempt, kind)

    def _work(self, attempt: Attempt, kind: str) -> None:
        if kind == "lose":
            self.sweep.lost(attempt._spec.key, "its worker is gone")
        else:
            self._last = attempt.report()
        if kind == "lose" or self.sweep.record(self._last):
            attempt.close(keep=self.sweep.stopping)
            self._attempts.remove(attempt)

    def seen(self) -> Recorded:
        with Ledger.open(self.home.ledger, read_only=True) as ledger:
            record = ledger.study(STUDY.name)
            assert record
            return read(ledger, record, None)

    def finish(self) -> None:
        run_locally(self.sweep, SOURCE, self._place, some_fail)
        self.ledger.set_study(self.sweep.record_of_study.id, complete=self.sweep.complete)
        self.ledger.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events)
def test_every_prefix_is_valid_and_goes_on_to_a_whole_study(drawn: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(home_at(Path(folder)))
        for kind, which in drawn:
            driver.play(kind, which)
            found = [finding.text for finding in check_ledger(driver.seen())]
            assert set(found) <= {"RUNNING, and nobody runs the study"}, found
            if kind == "die":
                assert found == [], "a start leaves nothing running"
        driver.play("die", 0)
        recorded = driver.seen()
        brain, found = rebuilt(recorded)
        assert brain
        assert [*found, *check_ledger(recorded), *check_sampler(recorded, brain)] == []
        driver.finish()
        recorded = driver.seen()
        assert recorded.is_over
        # a lost worker's checkpoint is what `run` itself tidies up at its end
        left = [finding for finding in findings_of(recorded, driver.home) if "a checkpoint is left" not in finding.text]
        assert left == []
