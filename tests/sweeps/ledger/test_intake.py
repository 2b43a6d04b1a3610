"""Whatever order reports, losses and ends arrive in: rows stay whole, finished trials stay finished."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.ledger import Ledger
from sweeps.ledger.intake import contradictions
from sweeps.records import (
    ENDED,
    FAILED,
    FINAL_STATES,
    FINISHED,
    INTERRUPTED,
    LOST,
    PENDING,
    PRUNED,
    RUNNING,
    End,
    Row,
    TrialRecord,
)
from trainable.errors import LedgerError

AT = 2000.0
KEYS = ("key0", "key1")
_studies = itertools.count()

keys = st.sampled_from(KEYS)
tokens = st.sampled_from("abc")
# Ends are rare, so that trials live long enough for attempts to be lost, superseded and resumed.
ends = st.sampled_from([*[None] * 12, End(state=FINISHED, metrics={"test/error": 0.5}), End(state=FAILED)])
overlaps = st.sampled_from([0, 0, 0, 1, 2, -1])  # epochs reported again; -1 leaves one out
starts = st.sampled_from([900.0, 900.0, 900.0, 950.0])
# By weight, which `one_of` with a strategy named several times would not give.
kinds = st.sampled_from([*["report"] * 12, *["repeat"] * 3, "close", "close", "restart", "prune"])


@st.composite
def drawn_events(draw: st.DrawFn) -> tuple:
    kind = draw(kinds)
    if kind == "report":
        return (kind, draw(keys), draw(tokens), draw(overlaps), draw(st.integers(0, 4)), draw(ends), draw(starts))
    if kind == "repeat":
        return (kind, draw(st.integers(0, 30)))
    return {
        "close": (kind, draw(keys), draw(st.sampled_from([LOST, INTERRUPTED]))),
        "prune": (kind, draw(keys)),
        "restart": (kind,),
    }[kind]


events = st.lists(drawn_events(), min_size=8, max_size=25)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[Ledger]:
    """One file for all examples: each has a study of its own in it."""
    with Ledger.open(tmp_path_factory.mktemp("intake") / "ledger.db") as ledger:
        yield ledger


def play(ledger: Ledger, study_id: int, event: tuple) -> None:
    """One event of a sweep. A gap is our own mistake, is refused as such, and must leave no trace."""
    kind, *rest = event
    if kind == "report":
        with suppress(LedgerError):
            ledger.append(study_id, rest[0], AT)
    elif kind == "close":
        ledger.close_attempt(study_id, rest[0], rest[1], "gone", AT)
    elif kind == "prune":
        ledger.end_trial(study_id, rest[0], End(state=PRUNED), AT, {})
    else:
        ledger.interrupt_running(study_id, AT)


def resolve(drawn: tuple, last_epochs: dict[str, int], played: list[tuple], make) -> tuple:
    """What was drawn as a message: reports go on from where their trial stands, repeats are old messages again."""
    if drawn[0] == "repeat":
        return played[drawn[1] % len(played)] if played else ("restart",)
    if drawn[0] != "report":
        return drawn
    _, key, token, overlap, length, end, started_at = drawn
    first = max(1, last_epochs[key] + 1 - overlap)
    return ("report", make.report(key, token, (first, first + length - 1), end=end, started_at=started_at))


def check(ledger: Ledger, study_id: int, make) -> dict[str, tuple[TrialRecord, list[Row]]]:
    """The study's trials with their rows, after seeing that they agree with each other and with their attempts."""
    trials, rows, attempts = ledger.trials(study_id), ledger.rows(study_id), ledger.attempts(study_id)
    for trial in trials:
        mine = [attempt for attempt in attempts if attempt.trial_id == trial.id]
        assert rows.get(trial.id, []) == list(make.rows(trial.key, 1, trial.last_epoch))
        assert [attempt.number for attempt in mine] == list(range(1, len(mine) + 1))
        assert len({attempt.token for attempt in mine}) == len(mine)
        assert [attempt.state for attempt in mine].count(RUNNING) == (trial.state == RUNNING)
        assert all(attempt.state != RUNNING for attempt in mine[:-1])
        assert (trial.ended_at is not None) == (trial.state in FINAL_STATES)
        assert all((attempt.ended_at is None) == (attempt.state == RUNNING) for attempt in mine)
        assert [attempt.state for attempt in mine].count(ENDED) <= (trial.state in FINAL_STATES)
        assert (trial.state == PENDING) <= (not mine)
    assert max(trial.revision for trial in trials) <= ledger.head_revision(study_id)
    assert len({trial.revision for trial in trials}) == len(trials)
    return {trial.key: (trial, rows.get(trial.id, [])) for trial in trials}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events)
def test_after_any_events_the_state_is_valid_and_what_is_final_stays(shared, make, sequence):
    study_id = shared.register_study(f"study{next(_studies)}", {}, {}, AT).id
    for number in range(len(KEYS)):
        shared.add_trial(study_id, make.spec(number), AT)
    before = check(shared, study_id, make)
    played: list[tuple] = []
    for drawn in sequence:
        played.append(resolve(drawn, {key: trial.last_epoch for key, (trial, _) in before.items()}, played, make))
        play(shared, study_id, played[-1])
        after = check(shared, study_id, make)
        for key, (trial, rows) in before.items():
            now, rows_now = after[key]
            assert rows_now[: len(rows)] == rows
            if trial.state in FINAL_STATES:
                assert (now, rows_now) == (trial, rows)
        before = after
    assert shared.decisions(study_id, "contradiction") == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_reports_delivered_twice_or_late_leave_what_one_orderly_delivery_leaves(shared, make, lengths, data):
    lasts = list(itertools.accumulate(lengths))
    orderly = [make.report(epochs=(last - length + 1, last)) for length, last in zip(lengths, lasts, strict=True)]
    orderly[-1] = replace(orderly[-1], end=make.finish)
    results = []
    for disorderly in (False, True):
        study_id = shared.register_study(f"study{next(_studies)}", {}, {}, AT).id
        shared.add_trial(study_id, make.spec(), AT)
        for position, report in enumerate(orderly):
            shared.append(study_id, report, AT)
            if disorderly:
                late = data.draw(st.lists(st.sampled_from(orderly[: position + 1]), max_size=3))
                for again in late:
                    shared.append(study_id, again, AT)
        results.append(check(shared, study_id, make)["key0"])
    (trial, rows), (trial_again, rows_again) = results
    assert rows_again == rows
    ours = {"id": 0, "study_id": 0, "revision": 0}
    assert replace(trial_again, **ours) == replace(trial, **ours)


@pytest.mark.parametrize(
    ("recorded", "replayed", "epochs"),
    [
        ({"a": 1.0}, {"a": 1.0}, []),
        ({"a": 1.0}, {"a": 1}, []),
        ({"a": float("nan")}, {"a": float("nan")}, []),
        ({"a": float("nan")}, {"a": 0.0}, [1]),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, [1]),
        ({"a": 1.0}, {"a": 1.0, "b": 2.0}, [1]),
        ({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}, []),
    ],
)
def test_a_contradiction_is_any_difference_in_any_metric(recorded, replayed, epochs):
    def row(metrics: dict[str, float]) -> Row:
        return Row(epoch=1, at=0.0, seconds=0.0, eval_seconds=0.0, metrics=metrics)

    assert contradictions([row(recorded)], (row(replayed),)) == epochs
