"""Where a trial computes. The only file that knows one kind of device from another.

Owns the choice of device, what is switched on for it while a trial computes (and switched back after), where images
are kept and how they reach the device. Refuses to know of models' insides, batches' contents and metrics.

Axes: N image of the pool, B image of a batch, C channel, H height, W width.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainable.errors import InfrastructureError

IMAGE_MEMORY_FRACTION = 0.4
"""Share of a GPU's free memory that a pool of images may take; a larger pool stays on the host and travels by batch."""


@dataclass(frozen=True)
class Device:
    """One device, by torch's name for it. Made by `resolve`."""

    torch_device: torch.device

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"

    def describe(self) -> str:
        """A name for records: 'cpu', or the GPU's own."""
        return torch.cuda.get_device_name(self.torch_device) if self.is_cuda else "cpu"

    def place_model(self, model: nn.Module) -> nn.Module:
        """The same module, on the device; convolutions' weights channels last, as `Normalise` lays out images."""
        return model.to(device=self.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def upload(self, array: np.ndarray) -> Tensor:
        """A copy of the array on the device. Does not wait for a GPU: the source is pinned memory of our own."""
        tensor = torch.from_numpy(np.ascontiguousarray(array).copy())
        if not self.is_cuda:
            return tensor
        return tensor.pin_memory().to(self.torch_device, non_blocking=True)

    def place_images(self, images_NCHW: np.ndarray) -> "Images":
        """The images where batches are gathered from: on the device if they fit. On a CPU that is no copy at all."""
        tensor = _view(images_NCHW)
        if self.is_cuda and tensor.nbytes <= IMAGE_MEMORY_FRACTION * torch.cuda.mem_get_info(self.torch_device)[0]:
            tensor = tensor.to(self.torch_device)
        return Images(tensor, self)

    def autocast(self, precision: str) -> contextlib.AbstractContextManager[object]:
        """Context of the forward pass: bfloat16 where it is safe, float32 elsewhere; nothing for float32."""
        if precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16)

    def synchronize(self) -> None:
        """Waits until the device has done all it was given: a clock read next measures work, not the asking for it."""
        if self.is_cuda:
            torch.cuda.synchronize(self.torch_device)

    @contextlib.contextmanager
    def session(self, seed: int) -> Iterator[None]:
        """Within it the device computes as a trial should; after it every global switch and generator is as before.

        Torch's global generators start from `seed` inside: a layer of some torchvision models (stochastic depth) draws
        from them, and is thereby reproducible and unable to disturb anyone. On CUDA: TF32 for matrix products and
        convolutions (float32 sums of products rounded to 10 bits, several times faster), cuDNN's deterministic kernels.
        """
        with contextlib.ExitStack() as undo:
            undo.enter_context(torch.random.fork_rng(devices=[self.torch_device] if self.is_cuda else []))
            torch.default_generator.manual_seed(seed)
            if self.is_cuda:
                undo.enter_context(torch.cuda.device(self.torch_device))
                torch.cuda.manual_seed(seed)
                undo.enter_context(cuda_switches())
            yield


@contextlib.contextmanager
def cuda_switches() -> Iterator[None]:
    """Process-wide switches of CUDA arithmetic as a trial wants them, and as they were afterwards. Works without a GPU."""
    matmul_tf32 = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul_tf32


class Images:
    """A pool of images, and batches of it on the device. Never writes to the pool."""

    def __init__(self, images_NCHW: Tensor, device: Device) -> None:
        self._images_NCHW = images_NCHW
        self._device = device
        self.on_device = images_NCHW.device.type == device.torch_device.type
        self.numbers_per_image = images_NCHW[0].numel()

    def index(self, index_N: np.ndarray) -> Tensor:
        """The indices as `gather` wants them: beside the images."""
        return self._device.upload(index_N) if self.on_device else torch.from_numpy(index_N)

    def gather(self, index_B: Tensor) -> Tensor:
        """The indexed images on the device, as stored. From the host by pinned memory, without waiting for the GPU."""
        if self.on_device:
            return self._images_NCHW.index_select(0, index_B)
        shape = (len(index_B), *self._images_NCHW.shape[1:])
        staged = torch.empty(shape, dtype=self._images_NCHW.dtype, pin_memory=True)
        torch.index_select(self._images_NCHW, 0, index_B, out=staged)
        return staged.to(self._device.torch_device, non_blocking=True)


def resolve(name: str) -> Device:
    """`auto` (the first visible GPU, else the CPU), `cpu`, `cuda` or `cuda:<n>`.

    Raises InfrastructureError, saying what there is, when the name is none of these or the GPU is not there.
    """
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda:0" if num_gpus else "cpu"
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not (kind == "cuda" and number.isdecimal())):
        raise InfrastructureError(f"device = {name!r}: must be auto, cpu, cuda or cuda:<number>")
    if kind == "cpu":
        return Device(torch.device("cpu"))
    if int(number or 0) >= num_gpus:
        raise InfrastructureError(f"device = {name!r}: this process sees {num_gpus} GPUs "
                                  f"(CUDA_VISIBLE_DEVICES = {os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')})")
    return Device(torch.device("cuda", int(number or 0)))


def limit_threads(num_threads: int) -> None:
    """Gives this process `num_threads` threads for arithmetic. It changes sums in their last bits: set it once."""
    torch.set_num_threads(num_threads)


def release_memory() -> None:
    """Gives back to the GPU what torch keeps of this process's memory for later: other trials may lie on it. Nothing on a CPU."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _view(array: np.ndarray) -> Tensor:
    """The array as a tensor that shares its memory, read-only memory included (torch warns; nothing here writes)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
