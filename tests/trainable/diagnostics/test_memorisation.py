"""Memorisation from the metrics of the epochs: the oracle's epoch, the honest one, and the last."""

import pytest

from trainable.diagnostics.memorisation import diagnose


def history(test, val, corrupt=None):
    rows = [{"oracle/test_error": t, "val/error": v, "train_real/error": 0.1} for t, v in zip(test, val, strict=True)]
    for row, error in zip(rows, corrupt or [], strict=False):
        row["train_corrupt/error"] = error
    return rows


def test_best_is_named_for_who_picked_it():
    found = diagnose(history([0.3, 0.1, 0.2, 0.4], [0.5, 0.5, 0.2, 0.2]))
    assert found.values == {"memorisation/best_oracle": 0.1, "memorisation/best_by_validation": 0.2, "memorisation/last": 0.4,
                            "memorisation/last_10_median": pytest.approx(0.25), "memorisation/real": 0.1}
    assert found.curves["memorisation/test_error"] == [0.3, 0.1, 0.2, 0.4]


def test_the_median_is_that_of_the_last_ten_epochs():
    found = diagnose(history([1.0] * 5 + [0.1] * 4 + [0.2] * 6, [0.0] * 15))
    assert found.values["memorisation/last_10_median"] == 0.2


def test_replaced_labels_are_reported_where_there_are_any():
    found = diagnose(history([0.3, 0.2], [0.3, 0.2], corrupt=[0.9, 0.6]))
    assert found.values["memorisation/corrupt"] == 0.6
    assert found.curves["memorisation/corrupt_error"] == [0.9, 0.6]
    assert "memorisation/corrupt" not in diagnose(history([0.3], [0.3])).values


def test_a_trial_that_began_without_it_has_no_best():
    rows = history([0.3, 0.2], [0.3, 0.2])
    del rows[0]["oracle/test_error"]
    found = diagnose(rows)
    assert set(found.values) == {"memorisation/real"}
    assert found.curves["memorisation/test_error"] == [0.2]
