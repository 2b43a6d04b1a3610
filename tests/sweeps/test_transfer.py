"""Attacks of every arm on every other: who takes part, that the numbers are those of the attacks, and what happens to weights."""

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweeps.attempt import Place
from sweeps.brain import Brain
from sweeps.ledger import Ledger
from sweeps.records import FINISHED, MEASURE
from sweeps.storage import weights_path, write_whole
from sweeps.sweep import Sweep, run_locally
from sweeps.transfer import compute, find_transfer, label_of, merged, partners, read_weights
from trainable.checkpoint import dumps
from trainable.config import TrialConfig
from trainable.data.source import Raw, make_source
from trainable.errors import DataError
from trainable.trial import run_trial

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
make_study, make_data = SMALL["make_study"], SMALL["make_data"]
SETTING = {"weight_decay": 1e-4, "dropout": 0.0}


def study_of(*diagnostics: str, alphas: tuple[float, ...] = (0.0, 1.0), epochs: int = 2) -> Any:
    study = make_study(max_trials=0, capacities=(0.25, 0.5), first=())
    return replace(study, diagnostics=diagnostics, measure=replace(study.measure, alphas=alphas, at={**SETTING, "epochs": epochs}))


def hard_data() -> Any:
    """As make_data, but with little to tell the classes by and 60 test images: no two networks make the same mistakes."""
    generator = np.random.default_rng(1)
    labels = np.arange(100) % 2
    images = (generator.random((100, 1, 4, 4)) * 200 + 40 * labels[:, None, None, None]).astype(np.uint8)
    return make_source("small", Raw(place="small", images_NCHW=images[:40], labels_N=labels[:40], test_images_NCHW=images[40:],
                                    test_labels_N=labels[40:], class_names=("no", "yes")))


class Desk:
    """A study run in a plain loop, with its ledger and storage."""

    def __init__(self, folder: Path, source: Any = None) -> None:
        self.storage, self.source = str(folder), source or make_data()
        self.ledger = Ledger.open(folder / "ledger.db")

    def run(self, study: Any) -> Any:
        self.study = study
        self.record = self.ledger.register_study(study.name, study.identity(), study.to_dict(), 0.0)
        sweep = Sweep(study, self.ledger, self.record, Brain(study), self.source.digest)
        run_locally(sweep, self.source, Place(storage=self.storage, study=study.name, diagnostics=study.diagnostics), run_trial)
        return self

    def conclude(self) -> Any:
        find_transfer(self.study, self.ledger, self.record.id, self.source, self.storage)
        return self.ledger.study_findings(self.record.id).get("transfer")

    def kept(self) -> list[str]:
        return sorted(path.name for path in Path(self.storage).glob("weights/small/*"))


@pytest.fixture
def desk(tmp_path: Path):
    made = Desk(tmp_path)
    yield made
    made.ledger.close()


def test_weights_of_one_replicate_of_every_arm_are_kept_until_the_matrix_is_committed(desk: Desk) -> None:
    desk.run(study_of("transfer", "robustness"))
    trials = desk.ledger.trials(desk.record.id, MEASURE)
    mine = partners(desk.study, trials)
    assert desk.kept() == sorted(trial.key for trial in trials if (trial.split, trial.repeat) == (1, 0))
    found = desk.conclude()
    assert [model["label"] for model in found["models"]] == [
        "width=0.25, alpha 0", "width=0.25, alpha 1", "width=0.5, alpha 0", "width=0.5, alpha 1"]
    assert [model["label"] for model in found["models"]] == [label_of(trial) for trial in mine]
    assert (found["epsilon_255"], found["num_examples"], found["split"], found["left_out"]) == ([4, 16], 10, 1, [])
    assert {name: np.array(rows).shape for name, rows in found["attacks"].items()} == {
        f"{attack} {epsilon}": (4, 4) for attack in ("fgsm", "ifgsm", "pgd") for epsilon in (4, 16)}
    assert desk.kept() == []


def test_the_diagonal_is_the_white_box_error_of_robustness(tmp_path: Path) -> None:
    """The same images, attacks and starts by another way: what every trial found of itself."""
    desk = Desk(tmp_path, hard_data()).run(study_of("transfer", "robustness", epochs=6))
    mine = partners(desk.study, desk.ledger.trials(desk.record.id))
    found = desk.conclude()
    matrix = np.array(found["attacks"]["pgd 16"])
    assert (matrix != matrix.T).any()
    assert len(set(np.diag(matrix))) > 1
    for place, trial in enumerate(mine):
        for attack, rows in found["attacks"].items():
            assert rows[place][place] == pytest.approx(trial.metrics["robustness/{}_error_{}".format(*attack.split())], abs=1e-12)
        curves = desk.ledger.findings(desk.record.id, [trial.id])[trial.id]
        assert found["clean"][place] == pytest.approx(curves["robustness/error"]["pgd"][0], abs=1e-12)


def test_an_attack_off_the_diagonal_uses_the_gradient_of_its_row() -> None:
    """Two linear networks that look at different pixels: each is fooled by its own images and not by the other's."""
    source = make_data()
    config = TrialConfig(model="mlp", train_size=20, val_size=10, batch_size=10)
    trials, states = [], {}
    for number, pixel in enumerate((0, 5)):
        trials.append(fake_trial(number, config))
        states[f"k{number}"] = looking_at(config, source, pixel)
    found = compute(trials, states, source, "cpu")
    assert found is not None
    for rows in found["attacks"].values():
        matrix = np.array(rows)
        assert (np.diag(matrix) >= np.array(found["clean"])).all()
        assert np.allclose(matrix[0, 1], found["clean"][1])
        assert np.allclose(matrix[1, 0], found["clean"][0])


def looking_at(config: TrialConfig, source: Any, pixel: int) -> dict[str, Any]:
    """Weights of a network whose first layer sees one pixel only."""
    from trainable.models import build
    torch.manual_seed(0)
    state = build(config, source.shape, source.num_classes).state_dict()
    first = next(name for name, value in state.items() if value.ndim == 2 and value.shape[1] == 16)
    mask = torch.zeros(16)
    mask[pixel] = 1.0
    state[first] = state[first] * mask
    return dict(state)


def fake_trial(number: int, config: TrialConfig) -> Any:
    plain = runpy.run_path(str(Path(__file__).with_name("fake_trials.py")))["trial"]
    return plain(id=number, key=f"k{number}", stage=MEASURE, state=FINISHED, split=1, number=number, config=config.to_dict(),
                 origin="ladder")


def test_a_model_without_weights_that_fit_is_left_out_by_name(desk: Desk) -> None:
    desk.run(study_of("transfer"))
    damaged, foreign, *_ = partners(desk.study, desk.ledger.trials(desk.record.id))
    place = Path(desk.storage) / weights_path("small", damaged.key)
    place.write_bytes(place.read_bytes()[:-1])
    write_whole(f"{desk.storage}/{weights_path('small', foreign.key)}", dumps({"x": torch.zeros(2)}, foreign.key))
    found = desk.conclude()
    assert found["left_out"] == [label_of(damaged), label_of(foreign)]
    assert len(found["models"]) == 2


def test_without_weights_nothing_is_found_and_what_was_found_stays(desk: Desk) -> None:
    desk.run(study_of("calibration"))
    assert desk.conclude() is None
    desk.ledger.set_findings(desk.record.id, {"transfer": {"models": []}})
    assert desk.conclude() == {"models": []}


def test_a_ladder_that_grew_keeps_the_pairs_it_had(desk: Desk) -> None:
    first = desk.run(study_of("transfer")).conclude()
    second = desk.run(study_of("transfer", alphas=(0.0, 1.0, 4.0))).conclude()
    assert len(second["models"]) == 6
    assert second["left_out"] == []
    keys = [model["key"] for model in second["models"]]
    old = [keys.index(model["key"]) for model in first["models"]]
    matrix = second["attacks"]["fgsm 16"]
    assert [[matrix[row][column] for column in old] for row in old] == first["attacks"]["fgsm 16"]
    assert sum(cell is None for row in matrix for cell in row) == 2 * 4 * 2


def test_a_matrix_made_otherwise_is_replaced() -> None:
    known = {"models": [{"key": "a"}], "clean": [0.1], "attacks": {"fgsm": [[0.5]]}, "epsilon_255": 8, "num_examples": 10,
             "split": 1, "repeat": 0}
    fresh = {**known, "models": [{"key": "b"}], "epsilon_255": 16}
    assert merged(known, fresh) == fresh
    assert merged(None, fresh) == fresh


def test_weights_are_read_whole_or_not_at_all(tmp_path: Path) -> None:
    write_whole(f"{tmp_path}/{weights_path('s', 'k')}", dumps({"x": torch.ones(3)}, "k"))
    found = read_weights(str(tmp_path), "s", "k")
    assert found is not None
    assert torch.equal(found["x"], torch.ones(3))
    write_whole(f"{tmp_path}/{weights_path('s', 'other')}", dumps({"x": torch.ones(3)}, "k"))
    assert read_weights(str(tmp_path), "s", "other") is None
    assert read_weights(str(tmp_path), "s", "missing") is None


def test_a_report_needs_no_torch_for_it() -> None:
    probe = "import sys, sweeps.transfer, sweeps.run, sweeps.answer, sweeps.findings_tables; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize(("diagnostics", "is_refused"), [(("transfer",), True), (("robustness",), True), (("jacobian",), False)])
def test_data_that_are_no_pixels_are_refused_before_the_first_trial(
        monkeypatch: pytest.MonkeyPatch, diagnostics: tuple[str, ...], is_refused: bool) -> None:
    import trainable.data
    from sweeps.run import prepared
    images = np.random.default_rng(0).random((40, 2, 4, 4), dtype=np.float32) * np.float32([1, 1000]).reshape(2, 1, 1)
    labels = np.arange(40) % 2
    raw = Raw(place="t", images_NCHW=images, labels_N=labels, test_images_NCHW=images[:10], test_labels_N=labels[:10],
              class_names=("no", "yes"))
    monkeypatch.setattr(trainable.data, "load", lambda *_, **__: make_source("table", raw))
    if is_refused:
        with pytest.raises(DataError, match="channel 0 spans"):
            prepared(study_of(*diagnostics))
    else:
        assert prepared(study_of(*diagnostics)).name == "table"
