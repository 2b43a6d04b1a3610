"""Choice of device on a machine without a GPU, and a session that leaves no trace."""

import numpy as np
import pytest
import torch
from torch import nn

from trainable.device import Device, cuda_switches, resolve
from trainable.errors import InfrastructureError

CPU = resolve("cpu")
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@needs_no_gpu
def test_auto_is_the_cpu_where_there_is_no_gpu():
    assert resolve("auto").torch_device.type == "cpu"
    assert resolve("auto").describe() == "cpu"


@pytest.mark.parametrize("name", ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:0:1", "tpu", "CPU"])
def test_a_name_that_is_no_device_is_refused_with_those_that_are(name):
    with pytest.raises(InfrastructureError, match="must be auto, cpu, cuda or cuda:<number>"):
        resolve(name)


@needs_no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_a_gpu_that_is_not_there_is_refused_with_what_there_is(name):
    with pytest.raises(InfrastructureError, match=r"device = 'cuda.*sees 0 GPUs \(CUDA_VISIBLE_DEVICES"):
        resolve(name)


def test_images_on_a_cpu_are_the_source_itself_and_read_only_memory_will_do(recwarn):
    pool = np.arange(5 * 1 * 2 * 2, dtype=np.uint8).reshape(5, 1, 2, 2)
    pool.flags.writeable = False
    images = CPU.place_images(pool)
    assert images._images_NCHW.data_ptr() == pool.ctypes.data
    np.testing.assert_array_equal(images.gather(images.index(np.array([3, 0, 3]))), pool[[3, 0, 3]])
    assert not recwarn.list


def test_an_upload_is_a_copy():
    array = np.arange(3)
    tensor = CPU.upload(array)
    tensor[0] = 9
    assert array[0] == 0


def test_a_session_starts_global_draws_from_its_seed_and_leaves_the_generator_as_it_was():
    before = torch.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with CPU.session(seed):
            drawn.append(torch.rand(1).item())
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(before, torch.get_rng_state())


def test_a_session_that_fails_leaves_the_generator_as_it_was():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="shape"), CPU.session(1):
        torch.rand(1).reshape(7)
    assert torch.equal(before, torch.get_rng_state())


def test_the_switches_of_cuda_are_set_and_put_back_even_after_an_error():
    def switches():
        cudnn = torch.backends.cudnn
        return torch.backends.cuda.matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32

    def fails_within():
        with cuda_switches():
            assert switches() == (True, False, True, True)
            torch.zeros(1).reshape(7)

    before = switches()
    with pytest.raises(RuntimeError, match="shape"):
        fails_within()
    assert switches() == before != (True, False, True, True)


def test_bfloat16_computes_products_in_it_and_float32_does_not():
    layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with CPU.autocast(precision):
            assert layer(x).dtype == dtype


def test_convolutions_are_laid_out_channels_last():
    placed = CPU.place_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(2, 2)))
    assert placed[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_devices_of_one_name_are_equal():
    assert resolve("cpu") == Device(torch.device("cpu"))
