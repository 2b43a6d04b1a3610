"""What strangers hand the command line: names that are paths, files that are bombs, damaged data. Exit 2, no traceback."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps import cli

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Gives a command that must be refused: its words on stderr, after it ended with exit 2 and left nothing behind."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SWEEP_HOME", str(home))
    monkeypatch.chdir(home)

    def refuse(*arguments: str, code: int = 2) -> str:
        monkeypatch.setattr(sys, "argv", ["mixup-sweep", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert ended.value.code == code, said
        assert "Traceback" not in said.out + said.err
        assert [path.name for path in home.rglob("*") if path.name != ".writable"] == [], "nothing has begun"
        return said.err

    return refuse


@pytest.mark.parametrize("command", ["status", "report", "sync", "ui", "stop", "replay", "doctor"])
@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "/etc/passwd", "a/b", "a\\b", "x" * 600, "a\nb", "\x1b[2J", "[red]x[/]",
                                  "", ".hidden", "a b", "a\x00b", "smoke/../smoke"])
def test_a_name_that_could_lead_elsewhere_is_refused_by_every_command(refused: Refused, command: str, name: str) -> None:
    said = refused(command, name)
    assert "no study's name either" in said
    assert "\x1b" not in said
    assert len(said) < 400


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/hosts", "..", "a/b", "x" * 600, "\x00"])
def test_a_file_that_is_no_study_is_refused(refused: Refused, command: str, name: str) -> None:
    assert "root:" not in refused(command, name), "what is in the file is nobody's business"


@pytest.mark.parametrize(("arguments", "code"), [
    (("--storage", "s3://me:hunter2@bucket/x"), 4), (("--tracking-uri", "http://me:hunter2@127.0.0.1:1"), 4),
    (("--tracking-uri", "nosuch://me:hunter2@h"), 4), (("--set", "data.root=http://me:hunter2@h/x"), 2),
    (("--set", "name=a", "--set", "compute.token=hunter2"), 2), (("--ledger", "mysql://me:hunter2@h/x", "--tracker", "defer"), 4),
    (("--address", "ray://me:hunter2@h:10001"), 2)])
def test_a_secret_on_the_command_line_is_in_no_refusal(refused: Refused, arguments: tuple[str, ...], code: int) -> None:
    assert "hunter2" not in refused("run", "smoke", *arguments, code=code)


BOMB = "\n".join(["l0: &l0 x", *(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 20))])
FILES = {  # content, lines at fault, what is said
    "unknown key": (b"name: a\nseeed: 3\n", (2,), "did you mean seed?"),
    "wrong type": (b"name: a\ntrain:\n  lr: fast\n", (3,), "must be a number"),
    "low above high": (b"space:\n  dropout: {low: 0.4, high: 0.1}\n", (2,), "must be below high"),
    "log scale from 0": (b"space:\n  weight_decay: {low: 0}\n", (2,), "above 0 on a log scale"),
    "epsilon scale": (b"space:\n  dropout: {scale: epsilon}\n", (2,), "only for alpha"),
    "duplicate key": (b"seed: 1\nseed: 2\n", (2,), "stands twice"),
    "empty": (b"", (1,), "is empty"),
    "byte order mark": (b"\xef\xbb\xbfname: a\nseed: -1\n", (2,), "must be in"),
    "tabs": (b"space:\n\talpha: 1\n", (2,), "indent with spaces"),
    "ten megabytes": (b"# " + b"x" * 10_000_000, (1,), "larger than"),
    "alias bomb": (BOMB.encode(), (1, 2), "anchors (&) and aliases (*)"),
    "tag": (b"name: !!python/object/apply:os.system ['touch here']\n", (1,), "tags (!) are not allowed"),
    "infinite": (b"train:\n  lr: .inf\n  alpha: .nan\n", (2, 3), "must be"),
    "metric": (b"objective: val/eror\n", (1,), "did you mean val/error?"),
    "alpha": (b"train: {alpha: -1}\n", (1,), "[0, "),
    "dropout": (b"train: {dropout: 1}\n", (1,), "[0, 1)"),
    "epochs": (b"train: {epochs: 0}\n", (1,), "[1, "),
    "grid of a million": (b"search: {sampler: grid}\nspace: {alpha: {points: 1000}, dropout: {points: 1000}}\n", (1,), "points"),
    "negative budget": (b"search:\n  max_trials: -4\n", (2,), "[0, "),
    "name of 600": (b"name: " + b"n" * 600, (1,), "1 to 64 letters"),
    "name that is a path": (b"seed: 1\nname: ../../x\n", (2,), "1 to 64 letters"),
    "dataset": (b"data: {name: digts}\n", (1,), "did you mean digits?"),
    "model": (b"model: {name: convnt}\n", (1,), "did you mean convnet?"),
    "batch": (b"train:\n  batch_size: 5000\n", (2,), "must be at most"),
    "not text": (b"\x93NUMPY\x01\x00v\x00", (1,), "not UTF-8"),
    "several": (b"seed: -1\ntrain:\n  lr: -1\n  dropout: 2\nobjective: x\n", (1, 3, 4, 5), "must be"),
}


@pytest.mark.parametrize(("content", "lines", "says"), FILES.values(), ids=FILES)
def test_a_wrong_file_is_told_with_all_its_lines(refused: Refused, tmp_path: Path, content: bytes, lines: tuple[int, ...],
                                                 says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    said = refused("run", str(path))
    assert says in said
    for line in lines:
        assert f"{path}:{line}: " in said
    assert not (tmp_path / "home" / "here").exists()


def cifar(root: Path, labels: Callable[[int], int] = lambda index: index % 10, width: int = 3072, num: int = 40) -> Path:
    """A root with a small CIFAR-10 in it."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (num, width), np.uint8)
    batch = {"data": pixels, "labels": [labels(index) for index in range(num)]}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    return folder


def pictures(root: Path, classes: tuple[str, ...] = ("cat", "dog"), test: tuple[str, ...] = ("cat", "dog"), num: int = 12) -> Path:
    generator = np.random.default_rng(0)
    for part, names in (("train", classes), ("test", test)):
        (root / part).mkdir(parents=True)
        for name in names:
            (root / part / name).mkdir()
            for index in range(num):
                Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)).save(root / part / name / f"{index}.png")
    return root


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DATA: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {
    "missing": ("cifar10", lambda root: None, ("cifar-10-batches-py: does not exist",)),
    "truncated": ("cifar10", lambda root: cut(cifar(root) / "data_batch_3"), ("data_batch_3",)),
    "empty file": ("cifar10", lambda root: (cifar(root) / "test_batch").write_bytes(b""), ("test_batch",)),
    "wrong shape": ("cifar10", lambda root: cifar(root, width=3000), ("data_batch_1", "must be uint8 of shape")),
    "labels out of range": ("cifar10", lambda root: cifar(root, labels=lambda index: index % 11), ("labels", "10")),
    "negative labels": ("cifar10", lambda root: cifar(root, labels=lambda index: index % 10 - 1), ("labels", "-1")),
    "one class": ("cifar10", lambda root: cifar(root, labels=lambda index: 3), ("every label is 3",)),
    "code": ("cifar10", lambda root: (cifar(root) / "data_batch_1").write_bytes(pickle.dumps(print)), ("data_batch_1", "refused")),
    "no pictures": ("image_folder:8", lambda root: root.mkdir(), ("holds neither test nor val",)),
    "one folder": ("image_folder:8", lambda root: pictures(root, ("cat",), ("cat",)), ("class",)),
    "empty test": ("image_folder:8", lambda root: pictures(root, test=()), ("test", "is empty")),
    "a broken picture": ("image_folder:8", lambda root: cut(pictures(root) / "train" / "cat" / "3.png"), ("3.png", "damaged")),
    "empty split": ("image_folder:8", lambda root: pictures(root, num=1), ("val_size",)),
}


@pytest.mark.parametrize(("name", "make", "says"), DATA.values(), ids=DATA)
def test_damaged_data_are_named_before_the_first_trial(refused: Refused, tmp_path: Path, name: str, make: Callable[[Path], object],
                                                       says: tuple[str, ...]) -> None:
    root = tmp_path / "data"
    make(root)
    sizes = ("--set", "data.train_size=16", "--set", "data.val_size=8", "--set", "train.batch_size=8")
    said = refused("run", "smoke", "--set", f"data.name={name}", "--set", f"data.root={root}", *sizes)
    for part in says:
        assert part in said
