"""Every study that ships is valid, plans, and survives being written out and read back."""

import pytest

from sweeps.plan import plan
from sweeps.study import load_study, studies_shipped


@pytest.mark.parametrize("name", studies_shipped())
def test_a_ready_study_loads_plans_and_goes_round(name: str, tmp_path) -> None:
    study = load_study(name)
    assert study.name == name
    assert plan(study).num_trials > 0
    written = tmp_path / f"{name}.yaml"
    written.write_text(study.to_yaml())
    assert load_study(written) == study


def test_the_default_study_asks_what_the_product_is_for() -> None:
    study = load_study("digits")
    assert len(study.capacities) >= 3
    assert study.measure.splits >= 4
    assert len(study.measure.alphas) >= 7
    assert min(study.measure.alphas) == 0
    assert max(study.measure.alphas) == 32
    assert {"alpha", "weight_decay", "dropout", "epochs"} <= set(study.space.names)
    assert study.base.label_noise == 0.2
