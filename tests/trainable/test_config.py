"""The names of arms and trials: which fields are in them."""

import pytest

from trainable.config import TrialConfig
from trainable.errors import ConfigError

CONFIG = {"alpha": 1.0, "split": 2}


def test_a_first_draw_keeps_the_key_it_had_before_there_were_redraws() -> None:
    assert TrialConfig(**CONFIG, redraw=0).trial_key("data") == TrialConfig(**CONFIG).trial_key("data") == "b45b0f48c29bb4af"


def test_a_redraw_is_another_trial_of_the_same_arm() -> None:
    configs = [TrialConfig(**CONFIG, redraw=redraw) for redraw in range(3)]
    assert len({config.trial_key("data") for config in configs}) == 3
    assert len({config.arm_key() for config in configs}) == 1
    assert "redraw" not in configs[1].arm()


@pytest.mark.parametrize("redraw", [-1, 0.5, True, None])
def test_a_redraw_is_a_count(redraw: object) -> None:
    with pytest.raises(ConfigError, match="redraw"):
        TrialConfig.from_dict({"redraw": redraw})
