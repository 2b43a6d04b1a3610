"""Named streams: equal names agree everywhere, different names differ, and nobody's generator is touched."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from trainable.seeding import numpy_stream, replicate_names, stream_seed

NAMES = [("order", 0, 0, 1), ("order", 0, 0, 2), ("order", 0, 1, 1), ("order", 1, 0, 1), ("pairing", 0, 0, 1),
         ("order", "0", 0, 1), ("a", "b"), ("ab",), ("a,b",), ("",), ()]


def test_the_seed_of_a_stream_is_what_it_always_was():
    assert stream_seed(0, "order", 1) == 116889601432050504
    assert stream_seed(0) == 6197007067532723406


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("names", NAMES, ids=str)
def test_a_seed_has_63_bits(seed, names):
    assert 0 <= stream_seed(seed, *names) < 2**63


def test_different_names_and_roots_give_different_seeds():
    seeds = {stream_seed(root, *names) for root in (0, 1, -1, 2**63 - 1) for names in NAMES}
    assert len(seeds) == 4 * len(NAMES)


def test_equal_seeds_agree_in_another_process():
    code = "from trainable.seeding import numpy_stream; print(numpy_stream(7, 'x', 3).random(3).tolist())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == f"{numpy_stream(7, 'x', 3).random(3).tolist()}\n"


def test_streams_of_different_names_differ_and_of_equal_names_agree():
    def draw(*names):
        return numpy_stream(0, *names).random()
    assert draw("a") == draw("a")
    assert len({draw("a"), draw("b"), draw("a", 0), draw("a", 1)}) == 4


@pytest.mark.parametrize("name", [1.0, None, True, b"a", ("a",)])
def test_a_name_that_is_neither_text_nor_a_whole_number_is_refused(name):
    with pytest.raises(TypeError, match="named by text and whole numbers"):
        stream_seed(0, name)


def test_a_redraw_changes_the_streams_of_mixing_and_no_other():
    kept = ("order", "init", "dropout", "augment", "augment_partner", "augment_others", "global")
    for names, count in (("pairing", "lam", "box", "layer", "others", "noise"), 3), (kept, 1):
        for name in names:
            assert replicate_names(name, 1, 2, 0) == (name, 1, 2)
            assert len({stream_seed(0, *replicate_names(name, 1, 2, redraw), 1) for redraw in range(3)}) == count


def test_global_generators_are_left_alone():
    torch_before, numpy_before, python_before = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
    numpy_stream(0, "a").random(9)
    assert torch.equal(torch_before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()
    assert python_before == random.getstate()


def test_the_module_imports_without_torch():
    code = "import sys, trainable.seeding; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
