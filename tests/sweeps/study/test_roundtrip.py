"""Whatever a study is, its written form with all defaults filled in is the same study again."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.plan import plan
from sweeps.redaction import holds_credential
from sweeps.study import Study, load_study
from sweeps.study.yaml_source import write_document

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True) | st.sampled_from(["no", "1e5", "010", "null", "1.0"])
ROOTS = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda text: not holds_credential(text))
WIDTHS = st.lists(st.floats(0.1, 4), min_size=1, max_size=3, unique_by=lambda width: f"{width:g}")


def between(low: float, high: float):
    """{low, high} inside a range."""
    return st.lists(st.floats(low, high), min_size=2, max_size=2, unique=True).map(sorted).map(
        lambda ends: {"low": ends[0], "high": ends[1]})


AXES = st.fixed_dictionaries({}, optional={
    "alpha": st.floats(0.2, 1e5).map(lambda high: {"high": high})
    | st.floats(0, 40) | st.just({"choices": [0, 0.5, 32]}) | st.just({"scale": "linear"}),
    "weight_decay": between(1e-8, 1) | st.just(0) | st.just({"points": 7}),
    "dropout": between(0, 0.99) | st.floats(0, 0.9) | st.just({"when": {"alpha": {"above": 0}}}),
    "epochs": st.integers(1, 99) | st.just({"low": 1, "high": 5, "scale": "log"}) | st.just({"when": {"optimizer": "sgd"}}),
    "lr": between(1e-4, 10) | st.floats(1e-4, 10),
    "label_smoothing": st.just({"low": 0, "high": 0.5, "when": {"optimizer": ["adamw", "sgd"], "alpha": {"above": 0.01}}}),
}).map(lambda axes: {**axes, "optimizer": {"choices": ["sgd", "adamw"]}, "alpha": axes.get("alpha", {})}).map(
    lambda axes: axes if isinstance(axes["alpha"], dict) else {**axes, "dropout": 0.1, "label_smoothing": 0.1})

STUDIES = st.fixed_dictionaries(
    {"space": AXES},
    optional={
        "name": NAMES, "seed": st.integers(0, 2**63 - 1), "objective": st.sampled_from(["val/error", "val/loss"]),
        "data": st.fixed_dictionaries({}, optional={"root": ROOTS, "label_noise": st.floats(0, 1), "download": st.booleans(),
                                                    "train_size": st.integers(200, 900)}),
        "model": WIDTHS.map(lambda widths: {"capacity": {"width": widths}})
        | st.just({"capacity": [{"width": 2, "model": "mlp"}, {"width": 1}]}) | st.just({"name": "resnet18"}),
        "train": st.fixed_dictionaries({}, optional={"momentum": st.floats(0, 0.99), "schedule": st.just("step"),
                                                     "batch_size": st.integers(1, 200)}),
        "search": st.fixed_dictionaries({}, optional={
            "max_trials": st.integers(1, 50), "max_hours": st.none() | st.floats(0.01, 99),
            "prune": st.sampled_from(["none", "median", {"grace": 0.3}]), "sampler": st.sampled_from(["gp", "qmc"])}),
        "measure": st.fixed_dictionaries({}, optional={"splits": st.integers(2, 9), "seeds": st.integers(1, 3)}),
        "compute": st.fixed_dictionaries({}, optional={"gpus": st.sampled_from(["auto", 0, 0.5, 2]), "cpus": st.floats(0.1, 8)}),
        "tolerance": st.floats(0, 1)})


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(spec=STUDIES)
def test_a_study_written_out_with_all_defaults_is_the_same_study(spec, tmp_path) -> None:
    path, full = tmp_path / "s.yaml", tmp_path / "full.yaml"
    path.write_text(write_document(spec), encoding="utf-8")
    study = load_study(path)
    full.write_text(study.to_yaml(), encoding="utf-8")
    again = load_study(full)
    assert again == study
    assert again.to_yaml() == study.to_yaml()
    assert Study.from_dict(json.loads(json.dumps(study.to_dict(), allow_nan=False))) == study
    assert json.loads(json.dumps(study.identity(), allow_nan=False)) == again.identity()
    assert all(study.space.contains(setting) for setting in study.search.first)
    assert plan(study) == plan(again)
