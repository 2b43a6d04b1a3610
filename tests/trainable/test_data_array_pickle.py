"""The pickle reader: arrays come back bit for bit; nothing in a file can run, crash the process or exhaust its memory."""

import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from trainable.data.array_pickle import read_pickle
from trainable.errors import DataError

ARRAY = np.random.default_rng(0).integers(256, size=(3, 7), dtype=np.uint8)
CONTENT = {"data": ARRAY, "labels": [1, 2, 3], "name": "tëst", "deep": {"a": (1, None, 2.5, True)}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.pickle"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", [
    ARRAY, np.asfortranarray(ARRAY), ARRAY[:, ::2], ARRAY[0], ARRAY.reshape(3, 7, 1, 1)],
    ids=["plain", "fortran", "strided", "one axis", "four axes"])
def test_arrays_and_plain_values_come_back_as_they_were(path, protocol, array):
    path.write_bytes(pickle.dumps({**CONTENT, "data": array}, protocol=protocol))
    found = read_pickle(path)
    assert np.array_equal(found.pop("data"), array)
    assert found == {key: value for key, value in CONTENT.items() if key != "data"}


class Reduces:
    """Pickled as the call that it is given: what to call, its arguments, and maybe a state."""

    def __init__(self, *reduction):
        self.reduction = reduction

    def __reduce__(self):
        return self.reduction


@pytest.mark.parametrize("call", [os.system, eval, exec, getattr, __import__, pickle.loads, np.load, np.fromfile])
def test_a_pickle_that_would_run_something_is_refused_before_it_does(path, tmp_path, call):
    witness = tmp_path / "witness"
    command = f"touch {witness}" if call is os.system else f"open({str(witness)!r}, 'w')"
    path.write_bytes(pickle.dumps({"data": Reduces(call, (command,))}, protocol=2))
    with pytest.raises(DataError, match=r"some\.pickle: .*asks for .*refused"):
        read_pickle(path)
    assert not witness.exists()


@pytest.mark.parametrize("target", [b"c_codecs\nencode\n", b"cnumpy\ndtype\n", b"]", b"}"])
def test_no_attribute_can_be_set_on_anything_but_an_array(path, target):
    path.write_bytes(b"\x80\x02}(U\x04data" + target + b"}U\x01aK\x01sbu.")
    with pytest.raises(DataError, match=r"sets the state of a .*; refused"):
        read_pickle(path)


def test_another_encoding_is_refused(path):
    path.write_bytes(b"\x80\x02}(U\x04datac_codecs\nencode\nU\x01aU\x05utf-7\x86Ru.")
    with pytest.raises(DataError, match="asks for the encoding 'utf-7'; refused"):
        read_pickle(path)


@pytest.mark.parametrize("opcode", [pickle.BYTEARRAY8, pickle.BINBYTES8, pickle.BINUNICODE8, pickle.FRAME])
def test_a_length_beyond_the_file_takes_no_memory(path, opcode):
    path.write_bytes(b"\x80\x05" + opcode + struct.pack("<Q", 2**31) + b"x.")
    tracemalloc.start()
    with pytest.raises(DataError):
        read_pickle(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


WRONG = {
    "shape larger than the bytes": ({"shape": (1000, 1000)}, "with 21 values"),
    "negative shape": ({"shape": (-3, -7)}, r"shape \(-3, -7\)"),
    "another type": ({"dtype": np.dtype("f8")}, "an array of 'f8'"),
}


@pytest.mark.parametrize(("change", "text"), WRONG.values(), ids=WRONG)
def test_an_array_whose_parts_do_not_fit_together_is_refused(path, change, text):
    rebuild, arguments, (version, shape, dtype, is_fortran, content) = ARRAY.__reduce__()
    parts = {"shape": shape, "dtype": dtype, **change}
    forged = Reduces(rebuild, arguments, (version, parts["shape"], parts["dtype"], is_fortran, content))
    path.write_bytes(pickle.dumps({"data": forged}, protocol=2))
    with pytest.raises(DataError, match=text):
        read_pickle(path)


def test_an_array_that_was_never_filled_is_refused(path):
    path.write_bytes(b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)Rs.")
    with pytest.raises(DataError, match="an array of None, must be of bytes"):
        read_pickle(path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"<html>", b"\x00" * 100, pickle.dumps([1]), pickle.dumps(None)])
def test_a_file_of_another_kind_is_named(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"some\.pickle: cannot be read"):
        read_pickle(path)


def test_flipped_bytes_give_a_data_error_or_another_value_never_anything_else(path):
    sound = [pickle.dumps(CONTENT, protocol=protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    stream = np.random.default_rng(1)
    num_refused = 0
    for trial in range(1200):
        damaged = bytearray(sound[trial % len(sound)])
        for position in stream.integers(len(damaged), size=stream.integers(1, 5)):
            damaged[position] = stream.integers(256)
        path.write_bytes(damaged)
        try:
            read_pickle(path)
        except DataError:
            num_refused += 1
    assert num_refused > 600


def test_a_missing_file_is_named(path):
    with pytest.raises(DataError, match=r"some\.pickle: does not exist"):
        read_pickle(path)
