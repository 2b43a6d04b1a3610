"""A wrong study file: every problem at once, each at its line, with what is allowed."""

import pytest

from sweeps.study import Study, load_study
from trainable.errors import StudyError


def problems_of(text: str, folder, *overrides: str) -> list[str]:
    """Lines of the error without the folder: `3: key = value: allowed`."""
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        load_study(path, overrides)
    return str(caught.value).replace(f"{path}:", "").splitlines()


WRONG = [  # text, the line and key at fault, what the error says
    ("seeed: 3", "1: seeed = 3", "did you mean seed?"),
    ("zzz: 3", "1: zzz = 3", "the keys here are name, seed, data, model, train, space"),
    ("train: {label_noise: 0.2}", "1: train.label_noise = 0.2", "did you mean data.label_noise?"),
    ("search: {samplr: tpe}", "1: search.samplr", "did you mean sampler?"),
    ("search: {prune: {grce: 1}}", "1: search.prune.grce", "did you mean grace?"),
    ("name: [a]", "1: name = ['a']", "1 to 64 letters"),
    ("name: 3", "1: name = 3", "1 to 64 letters"),
    ("name: ''", "1: name = ''", "1 to 64 letters"),
    ("name: ../../etc/passwd", "1: name = '../../etc/passwd'", "1 to 64 letters"),
    ("name: .hidden", "1: name", "a letter or digit first"),
    ("name: a/b", "1: name", "1 to 64 letters"),
    ("name: 'a b'", "1: name", "1 to 64 letters"),
    ("name: 'a\nb'", "1: name", "1 to 64 letters"),
    (f"name: {'n' * 600}", "1: name", "(602 characters)"),
    (f"name: {'n' * 65}", "1: name", "1 to 64 letters"),
    ("seed: -1", "1: seed = -1", "[0, "),
    ("seed: 1.5", "1: seed = 1.5", "a whole number"),
    ("seed: true", "1: seed = True", "a whole number"),
    ("seed: 9223372036854775808", "1: seed", "must be"),
    (f"seed: {'9' * 400}", "1: seed = inf", "must be"),
    ("data: digits", "1: data = 'digits'", "must be a mapping; its keys are name, root"),
    ("data: [1]", "1: data = [1]", "must be a mapping"),
    ("data: {name: digts}", "1: data.name = 'digts'", "did you mean digits?"),
    ("data: {name: 3}", "1: data.name = 3", "must be text"),
    ("data: {label_noise: 1.1}", "1: data.label_noise = 1.1", "in [0, 1]"),
    ("data: {label_noise: 20%}", "1: data.label_noise = '20%'", "must be a number"),
    ("data: {download: yes}", "1: data.download = 'yes'", "true or false"),
    ("data: {root: 3}", "1: data.root = 3", "text"),
    ("data: {split_kind: fold}", "1: data.split_kind = 'fold'", "one of holdout, disjoint"),
    ("data: {train_size: 1200, val_size: 400}", "1: data.train_size = 1200", "the pool of digits has 1297"),
    ("data: {val_size: 1297}", "1: data.val_size = 1297", "needs at least"),
    ("data: {split_kind: disjoint}", "1: measure.splits = 4", "1 disjoint splits"),
    ("data: {split_kind: disjoint, train_size: 200, val_size: 100}", "1: measure.splits = 4", "must be at most 3"),
    ("model: {name: convnt}", "1: model.name = 'convnt'", "did you mean convnet?"),
    ("model: {name: resnet19}", "1: model.name = 'resnet19'", "did you mean resnet1"),
    ("model: {name: zzzzz}", "1: model.name = 'zzzzz'", "or a torchvision classifier"),
    ("model: {width: 0}", "1: model.width = 0", "(0, 64]"),
    ("model: {capacity: {model: [convnt]}}", "1: model.capacity = 'convnt'", "did you mean convnet?"),
    ("model:\n  capacity:\n    width:\n    - 1\n    - 0", "5: model.capacity.width.1 = 0", "(0, 64]"),
    ("model: {capacity: {width: [1, 1.0]}}", "1: model.capacity = 'width=1'", "is twice on the ladder"),
    ("model: {capacity: {width: 3}}", "1: model.capacity.width = 3", "must be a list"),
    ("model: {capacity: 3}", "1: model.capacity = 3", "{width: [..]}"),
    ("model: {capacity: {width: [0.0001]}}", "1: model.capacity = 'width=0.0001'", "must be above"),
    ("model: {capacity: {depth: [18]}}", "1: model.capacity = 'depth=18'", "convnet always has 3 layers"),
    ("train: {optimizer: adam}", "1: train.optimizer = 'adam'", "did you mean adamw?"),
    ("train: {lr: 0}", "1: train.lr = 0", "(0, 1000]"),
    ("train: {lr: fast}", "1: train.lr = 'fast'", "must be a number in (0, 1000]"),
    ("train: {lr: null}", "1: train.lr = None", "must not be empty"),
    ("train: {dropout: 1}", "1: train.dropout = 1", "[0, 1)"),
    ("train: {epochs: 0}", "1: train.epochs = 0", "[1, 100000]"),
    ("train: {epochs: 2.5}", "1: train.epochs = 2.5", "a whole number"),
    ("train: {alpha: -0.1}", "1: train.alpha = -0.1", "[0, "),
    ("train: {alpha: .nan}", "1: train.alpha = nan", "[0, "),
    ("train: {alpha: .inf}", "1: train.alpha = inf", "[0, "),
    ("train: {batch_size: 1039}", "1: train.batch_size = 1039", "must be at most 1038"),
    ("space: {batch_size: {low: 32, high: 2000}}", "1: space.batch_size = 2000", "must be at most 1038"),
    ("train: {lr: 0.1}\nspace: {lr: {low: 0.01, high: 1}}", "1: train.lr = 0.1", "is an axis of the space as well"),
    ("train: {dropout: 0.1}\nspace: {dropout: {high: 0.2}}", "1: train.dropout = 0.1", "is an axis of the space as well"),
    ("space: [alpha]", "1: space = ['alpha']", "a mapping of axes"),
    ("space: {alhpa: 1}", "1: space.alhpa", "did you mean alpha?"),
    ("space: {width: {low: 1, high: 2}}", "1: space.width", "is no axis"),
    ("space:\n  dropout:\n    high: 0.5\n    low: 0.5", "4: space.dropout.low = 0.5", "must be below high"),
    ("space: {dropout: {low: 0.6}}", "1: space.dropout.low = 0.6", "must be below high = 0.5"),
    ("space: {weight_decay: {low: 0}}", "1: space.weight_decay.low = 0", "above 0 on a log scale"),
    ("space: {dropout: {scale: epsilon}}", "1: space.dropout.scale", "is only for alpha"),
    ("space: {alpha: {scale: logarithmic}}", "1: space.alpha.scale", "one of linear, log, epsilon"),
    ("space: {alpha: {low: -1}}", "1: space.alpha.low = -1", "[0, "),
    ("space: {dropout: {high: 1}}", "1: space.dropout.high = 1", "[0, 1)"),
    ("space: {epochs: {low: 0}}", "1: space.epochs.low = 0", "[1, 100000]"),
    ("space: {epochs: {low: 1e1}}", "1: space.epochs.low = 10.0", "a whole number"),
    ("space: {lr: {low: 0.1}}", "1: space.lr.high = None", "must be given"),
    ("space: {alpha: [0, 1]}", "1: space.alpha", "{choices: [..]}"),
    ("space: {optimizer: {choices: [sgd, adam]}}", "1: space.optimizer.choices", "one of sgd, adamw"),
    ("space: {dropout: {when: {optimizer: sgd}}}", "1: space.dropout.when.optimizer", "names no axis"),
    ("search: {sampler: tpee}", "1: search.sampler = 'tpee'", "did you mean tpe?"),
    ("search: {max_trials: -1}", "1: search.max_trials = -1", "[0, 100000]"),
    ("search: {max_trials: 1.5}", "1: search.max_trials = 1.5", "a whole number"),
    ("search: {max_hours: 0}", "1: search.max_hours = 0", "(0, "),
    ("search: {max_hours: .inf}", "1: search.max_hours = inf", "(0, "),
    ("search: {prune: hyperband}", "1: search.prune.rule = 'hyperband'", "one of asha, median, none"),
    ("search: {prune: 3}", "1: search.prune = 3", "must be a mapping"),
    ("search: {prune: {grace: 0}}", "1: search.prune.grace = 0", "(0, 1]"),
    ("search: {prune: {audit: 1.1}}", "1: search.prune.audit = 1.1", "[0, 1]"),
    ("search: {prune: {audit: -0.1}}", "1: search.prune.audit = -0.1", "[0, 1]"),
    ("search: {prune: {reduction: 1}}", "1: search.prune.reduction = 1", "[2, 100]"),
    ("search: {first: best}", "1: search.first = 'best'", "a list of settings, or auto"),
    ("search: {first: [3]}", "1: search.first.0 = 3", "must be a mapping"),
    ("search: {first: [{alpha: 1, dropout: 0, epochs: 20}]}", "1: search.first.0.weight_decay = None", "is missing"),
    ("search: {sampler: grid, max_trials: 82}", "1: search.max_trials = 82", "must be at most 81"),
    ("search: {sampler: grid}\nspace: {alpha: {points: 1000}, dropout: {points: 1000}}", "1: search.sampler = 'grid'",
     "has 9,000,000 points"),
    ("search: {max_trials: 1}\nspace: {alpha: 0, weight_decay: 0, dropout: 0, epochs: 3}", "1: search.max_trials = 1",
     "must be 0 where every axis is fixed"),
    ("search: {max_trials: 0}", "1: measure.at = 'best'", "must map the searched axes to values"),
    ("measure: {at: worst}", "1: measure.at = 'worst'", "or best"),
    ("measure: {at: {dropout: 0, weight_decay: 0}}", "1: measure.at.epochs = None", "must be given"),
    ("measure: {at: {dropout: 0, epochs: 0, weight_decay: 0}}", "1: measure.at.epochs = 0", "[1, 100000]"),
    ("measure: {at: {dropout: 0, epochs: 3, weight_decay: 0, alpha: 1}}", "1: measure.at.alpha = 1", "measure.alphas"),
    ("measure: {at: {dropout: 0, epochs: 3, weight_decay: 0, lr: 1}}", "1: measure.at.lr = 1", "is not searched here"),
    ("measure: {alphas: 3}", "1: measure.alphas = 3", "a list of numbers, 0 among them"),
    ("measure: {alphas: []}", "1: measure.alphas = []", "must contain 0"),
    ("measure: {alphas: [0]}", "1: measure.alphas = [0.0]", "must be 2 to 100 alphas"),
    ("measure: {alphas: [0.1, 1]}", "1: measure.alphas = [0.1, 1.0]", "must contain 0"),
    ("measure: {alphas: [0, 1, 1]}", "1: measure.alphas = [0.0, 1.0, 1.0]", "must be distinct"),
    ("measure:\n  alphas:\n  - 0\n  - -1", "4: measure.alphas.1 = -1", "[0, "),
    ("measure: {alphas: [0, many]}", "1: measure.alphas.1 = 'many'", "must be a number"),
    ("measure: {alphas: [0, 33]}", "1: measure.alphas = 33.0", "lies outside space.alpha, 0 to 32"),
    ("measure: {alphas: [0, 1, 4]}\nspace: {alpha: {choices: [0, 1, 3]}}", "1: measure.alphas = 4.0", "lies outside space.alpha"),
    ("measure: {splits: 1}", "1: measure.splits = 1", "[2, 1000]"),
    ("measure: {seeds: 0}", "1: measure.seeds = 0", "[1, 1000]"),
    ("objective: val/eror", "1: objective = 'val/eror'", "did you mean val/error?"),
    ("objective: test/error", "1: objective = 'test/error'", "one of val/error, val/loss"),
    ("compute: {cpus: 0}", "1: compute.cpus = 0", "(0, 1024]"),
    ("compute: {gpus: all}", "1: compute.gpus = 'all'", "or auto"),
    ("compute: {gpus: null}", "1: compute.gpus = None", "or auto"),
    ("compute: {gpus: 1.5}", "1: compute.gpus = 1.5", "must be a whole number where it is above 1"),
    ("compute: {max_concurrent: 0}", "1: compute.max_concurrent = 0", "or null"),
    ("compute: {retries: -1}", "1: compute.retries = -1", "[0, 100]"),
    ("tolerance: 1.1", "1: tolerance = 1.1", "[0, 1]"),
    ("data: {root: 's3://user:pa55@host/x'}", "1: data.root = 's3://***@host/x'", "keep it in the environment"),
    ("name: 'x token=abc123'", "1: name = 'x token=***'", "keep it in the environment"),
    ("name: a\nmlflow_token: abc123", "2: mlflow_token = '***'", "keep it in the environment"),
    ("data: {root: 'AKIAABCDEFGHIJKLMNOP'}", "1: data.root = '***'", "keep it in the environment"),
    ("'http://u:pa55@h': 1", "1: http://***@h = '***'", "keep it in the environment"),
    ("", "1: file = None", "is empty"),
    ("# only a comment", "1: file = None", "is empty"),
    ("3", "1: file = 3", "must be a mapping"),
    ("[a, b]", "1: file = ['a', 'b']", "must be a mapping"),
    ("seed: 1\nseed: 2", "2: seed = 'again'", "stands twice"),
]


@pytest.mark.parametrize(("text", "start", "says"), WRONG, ids=[case[0][:40].replace("\n", "|") for case in WRONG])
def test_a_wrong_study_is_refused_at_its_line_with_what_is_allowed(tmp_path, text: str, start: str, says: str) -> None:
    lines = problems_of(text, tmp_path)
    assert any(line.startswith(start) and says in line for line in lines), lines
    assert len(lines) == 1, "one mistake is one line"


def test_every_problem_is_told_at_once_in_the_order_of_the_file(tmp_path) -> None:
    lines = problems_of("seed: -1\nname: a/b\ndata: {label_noise: 2}\nspace:\n  alpha: {low: -1}\n  dropout: 3\n"
                        "measure: {splits: 0}\nobjective: x\nmodel: {name: convnt}\n", tmp_path)
    starts = [line.split(" = ")[0] for line in lines]
    assert starts == ["1: seed", "2: name", "3: data.label_noise", "5: space.alpha.low", "6: space.dropout",
                      "7: measure.splits", "8: objective", "9: model.name"]


def test_a_rule_rests_where_one_of_its_keys_is_wrong_already(tmp_path) -> None:
    assert len(problems_of("space: {alpha: {low: 3, high: 2}}\nmeasure: {alphas: [0, 5]}", tmp_path)) == 1


def test_no_credential_appears_in_any_error(tmp_path) -> None:
    text = ("name: 'x token=hunter2'\nsecret: hunter2\ndata: {root: 'http://u:hunter2@h', passwd: hunter2}\n"
            "space: {'password=hunter2': 3}\nseed: 'api_key: hunter2'\nzzz: ['https://hunter2@h/']\n")
    lines = problems_of(text, tmp_path, "data.root=ftp://u:hunter2@h", "password=hunter2", "hunter2=hunter2")
    told = "\n".join(lines).replace("hunter2 = 'hunter2'", "").replace("--set hunter2=hunter2", "")
    assert "hunter2" not in told
    assert len(lines) >= 8


def test_control_characters_of_a_file_never_reach_the_terminal(tmp_path) -> None:
    lines = problems_of('"\\e[2J\\nkey": "\\e[2J"\n"name": "\\a\\x9b"\n', tmp_path)
    assert all(line.isprintable() for line in lines)


def test_a_file_full_of_mistakes_is_told_in_part_and_counted(tmp_path) -> None:
    lines = problems_of("\n".join(f"x{number}: 1" for number in range(200)), tmp_path)
    assert len(lines) == 51
    assert lines[-1].endswith("and 150 more problems")


def test_an_endless_value_is_shortened(tmp_path) -> None:
    assert max(len(line) for line in problems_of(f"objective: {'x' * 50_000}\n{'k' * 20_000}: 1", tmp_path)) < 1000


@pytest.mark.parametrize(("wanted", "says"), [
    ("digit", "did you mean digits?"), ("nosuch", "is no study"), ("./nosuch.yaml", "cannot be read"),
    ("a/b", "cannot be read"), ("x" * 600, "is no study"), ("\x00.yaml", "cannot be read"), ("", "is no study")])
def test_a_study_that_is_not_there_is_named_with_the_ready_ones(wanted: str, says: str) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(wanted)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_whose_name_is_no_study_s_name_must_give_one(tmp_path) -> None:
    path = tmp_path / "my study.yaml"
    path.write_text("seed: 1\n")
    with pytest.raises(StudyError, match="must be given where the name of the file is not a valid one"):
        load_study(path)
    path.write_text("name: mine\n")
    assert load_study(path).name == "mine"


def test_a_recorded_study_is_checked_like_a_file() -> None:
    with pytest.raises(StudyError, match=r"recorded study:1: seed = -1: must be in"):
        Study.from_dict({"name": "a", "seed": -1})
