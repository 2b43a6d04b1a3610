"""One trial in this process: its diagnostics are printed with its final metrics."""

import pytest

from sweeps.single import diagnostics_of, run_single, trial_config
from trainable.errors import ConfigError

TINY = ("train_size=60", "val_size=30", "batch_size=30", "epochs=1", "width=0.25")


def test_diagnostics_are_printed_after_the_metrics() -> None:
    config, source = trial_config(TINY, None, None)
    lines = list(run_single(config, source, "cpu", ("calibration", "jacobian")))
    names = [line.split()[0] for line in lines if "/" in line and not line.startswith("epoch")]
    assert {"test/error", "calibration/nll", "calibration/temperature", "jacobian/test_norm"} <= set(names)
    assert names.index("test/error") < names.index("calibration/nll") < names.index("jacobian/test_norm")


@pytest.mark.parametrize(("text", "names"), [
    ("", ()), ("calibration", ("calibration",)), (" calibration, jacobian ,calibration,", ("calibration", "jacobian"))])
def test_names_stand_between_commas(text: str, names: tuple[str, ...]) -> None:
    assert diagnostics_of(text) == names


@pytest.mark.parametrize(("text", "part"), [("calibraton", "did you mean calibration?"), ("transfer", "diagnostics = 'transfer'")])
def test_a_wrong_name_is_refused_with_the_nearest(text: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        diagnostics_of(text)
    assert part in str(caught.value)
