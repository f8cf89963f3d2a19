# SPDX-License-Identifier: Apache-2.0
"""A model and its sessions. The C library has one session for each set of input shapes; here they are made as arrays of
new shapes come, and the ones not used for longest go."""
from __future__ import annotations

import collections
import ctypes
import math
import os
import threading
import weakref
from ctypes import byref, c_char_p, c_void_p
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Union

import numpy
from numpy.typing import ArrayLike, NDArray

from ._library import (DTYPES, MAX_RANK, CustomOp, Error, ErrorText, Info, ModelOptions, Options, Tensor, call, lib, load_ops,
                       raise_error, run, run_again, run_into)

_ALIGN = 64  # outputs at a multiple of this are computed in place
_MAX_SESSIONS = 8


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the model declares it."""
    name: str
    dtype: numpy.dtype
    shape: Optional[tuple[Union[int, str, None], ...]]  # a name or None: free; None for the whole: unknown
    scale: float  # real value = scale * (q - zero_point); 0: not quantised
    zero_point: int


def _describe(info: Info) -> TensorInfo:
    def dim(i: int) -> Union[int, str, None]:
        name = info.dim_names[i]
        return info.dims[i] if info.dims[i] >= 0 else name.decode(errors="replace") if name else None
    if info.dtype not in DTYPES:
        raise Error("ERR_UNSUPPORTED", f"tensor {info.name.decode(errors='replace')}: "
                    f"{lib.ledge_dtype_text(info.dtype).decode()} has no numpy type")
    shape = tuple(dim(i) for i in range(info.rank)) if info.rank >= 0 else None
    return TensorInfo(info.name.decode(errors="replace"), DTYPES[info.dtype], shape, info.scale, info.zero_point)


def _address(array: NDArray) -> int:
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # it cannot be written, or is empty
        return array.ctypes.data


def _aligned(shape: tuple[int, ...], dtype: numpy.dtype) -> NDArray:
    """An array of its own whose first element lies at a multiple of _ALIGN."""
    room = numpy.empty(math.prod(shape) * dtype.itemsize + _ALIGN, numpy.uint8)
    return numpy.ndarray(shape, dtype, room, -_address(room) % _ALIGN)


def _shape(tensor: Tensor) -> Optional[tuple[int, ...]]:
    """None: only a run tells it."""
    if tensor.rank < 0 or tensor.bytes == 0 and 0 not in tensor.dims[:tensor.rank]:
        return None
    return tuple(tensor.dims[:tensor.rank])


class _Ready:
    """A session of the library for one set of input shapes, and the arguments of its calls, made once."""

    def __init__(self, handle: c_void_p, n_inputs: int, infos: list[TensorInfo]):
        self.handle, self.infos, self.error = handle, infos, ErrorText()
        given, made = (Tensor * n_inputs)(), (Tensor * len(infos))()
        for i in range(n_inputs):
            lib.ledge_session_input(handle, i, byref(given[i]))
        for i in range(len(infos)):
            lib.ledge_session_output(handle, i, byref(made[i]))
        self.inputs, self.outputs = list(given), list(made)  # parts of the arrays, not copies
        self.shapes = [_shape(tensor) for tensor in made]
        self.late = None in self.shapes
        self.arguments = (handle, given, ctypes.c_int32(n_inputs), made, ctypes.c_int32(len(infos)), byref(self.error))
        self.function = run if self.late else run_into

    def results(self, out: Optional[Mapping[str, NDArray]]) -> list[NDArray]:
        """Arrays for the outputs, which the next run fills."""
        results = []
        for info, tensor, shape in zip(self.infos, self.outputs, self.shapes):
            array = out.get(info.name) if out else None
            if array is None:
                array = _aligned(shape, info.dtype)
            elif array.dtype != info.dtype or array.shape != shape or not array.flags.c_contiguous or not array.flags.writeable:
                raise Error("ERR_ARG", f"output {info.name} needs a writable C-contiguous {info.dtype} array of {shape}")
            tensor.data = _address(array)
            tensor.bytes = array.nbytes
            results.append(array)
        return results

    def copies(self) -> list[NDArray]:
        """What a run left, where only the run itself tells shapes."""
        results = []
        for info, tensor in zip(self.infos, self.outputs):
            array = numpy.empty(tuple(tensor.dims[:tensor.rank]), info.dtype)
            ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
            results.append(array)
        return results

    def check(self, out: Optional[Mapping[str, NDArray]]) -> None:
        for name in out or ():
            if name not in [info.name for info in self.infos]:
                raise Error("ERR_ARG", f"no output {name}")
            if self.late:
                raise Error("ERR_ARG", f"output {name} cannot be given: only a run tells the shapes of the outputs")


def _not_yet(_handle: c_void_p) -> int:
    """Instead of run_again(): nothing has run that could be repeated."""
    return -1


class Bound:
    """A model with its arrays: run() reads `inputs` and fills `outputs`, and does nothing else. Made by Session.bind().

    It has a session of the library for itself: activations and state of its own, side by side with the other runs of the
    model, and it may outlive the Session. For one thread at a time: a call beside another raises ERR_STATE.
    """
    inputs: dict[str, NDArray]  # by name; change what is in them, not the arrays
    outputs: dict[str, NDArray]  # by name; each run overwrites them (where only a run tells shapes: new ones)

    def __init__(self, ready: _Ready, infos: list[TensorInfo], arrays: Optional[list[NDArray]],
                 out: Optional[Mapping[str, NDArray]], model: object):
        self._close = weakref.finalize(self, Bound._free, ready.handle, model)
        self._ready, self._again = ready, _not_yet
        self._idle = [ready.handle]  # empty: in use, or closed. Faster than a lock
        self._names = [info.name for info in ready.infos]
        self.inputs, self.outputs = {}, {}
        for i, (info, tensor) in enumerate(zip(infos, ready.inputs)):
            array = arrays[i] if arrays is not None else Bound._zeros(info, tensor)
            tensor.data = _address(array)
            self.inputs[info.name] = array
        ready.check(out)
        if not ready.late:
            self.outputs = dict(zip(self._names, ready.results(out)))

    @staticmethod
    def _zeros(info: TensorInfo, tensor: Tensor) -> NDArray:
        if tensor.rank < 0:
            raise Error("ERR_ARG", f"input {info.name} may have any rank: give an array")
        array = _aligned(tuple(tensor.dims[:tensor.rank]), info.dtype)
        array[...] = 0
        return array

    @staticmethod
    def _free(handle: c_void_p, _bytes: object) -> None:
        lib.ledge_session_close(handle)

    def _take(self) -> c_void_p:
        try:
            return self._idle.pop()
        except IndexError:
            raise Error("ERR_STATE", "the bound run is at work in another thread" if self._close.alive
                        else "the bound run is closed") from None

    def run(self) -> dict[str, NDArray]:
        """Run one inference on what the inputs hold now; returns `outputs`. Raises Error."""
        try:
            handle = self._idle.pop()
        except IndexError:
            handle = self._take()  # says why
        try:
            if self._again(handle):
                self._run()
            return self.outputs
        finally:
            self._idle.append(handle)

    def _run(self) -> None:
        """With all arguments: the first time, where nothing can be repeated, and to learn what is wrong."""
        ready = self._ready
        status = ready.function(*ready.arguments)
        if status != 0:
            raise_error(status, ready.error)
        if ready.late:
            self.outputs = dict(zip(self._names, ready.copies()))
        else:
            self._again = run_again

    def reset(self) -> None:
        """Give variables and recurrent layers what they began with."""
        handle = self._take()
        lib.ledge_session_reset(handle)
        self._idle.append(handle)

    @property
    def arena_bytes(self) -> int:
        """Bytes of its activations."""
        return lib.ledge_session_arena_bytes(self._ready.handle) if self._close.alive else 0

    def close(self) -> None:
        """Give its session back now. The arrays stay."""
        if self._close.alive:
            self._take()
            self._close()


class Session:
    """A model that is ready to run.

    model    path of an .onnx, .tflite or .ledge file, or its bytes
    threads  that work on one run, the calling one included
    consistent  float answers are the same bytes on every processor (docs/numerics.md), at a price in speed
    max_bytes  that runs may hold for each set of input shapes; more raises ERR_NOMEM. 0: no limit
    precision  "f32", or "bf16": large weights of float models are held in half the bytes (docs/numerics.md)
    ops_libraries  paths of shared objects with operators that are not built in (docs/sdk.md)

    A session may be used by several threads: runs wait for each other. Sessions run side by side.
    Raises ledge.Error with the library's one line.
    """

    def __init__(self, model: Union[str, os.PathLike, bytes, bytearray, memoryview], *, threads: int = 1,
                 consistent: bool = False, max_bytes: int = 0, precision: str = "f32",
                 ops_libraries: Sequence[Union[str, os.PathLike]] = ()):
        handle = c_void_p()
        ops = [op for path in ops_libraries for op in load_ops(os.fspath(path))]
        how = ModelOptions(custom_ops=(CustomOp * len(ops))(*ops), n_custom_ops=len(ops))  # copied by the library
        model = bytes(model) if isinstance(model, (bytearray, memoryview)) else model
        if isinstance(model, bytes):
            call("ledge_model_open_memory", model, len(model), byref(how), byref(handle))
        else:
            call("ledge_model_open", os.fsencode(model), byref(how), byref(handle))
        self._bytes = model  # read in place while the model lives
        self._model = handle
        self._sessions: collections.OrderedDict[tuple, _Ready] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._threads = threads
        if precision not in ("f32", "bf16"):
            raise Error("ERR_ARG", f"precision {precision}: f32 or bf16")
        self._precision = 1 if precision == "bf16" else 0  # enum ledge_precision
        self._max_bytes = max_bytes
        self._numerics = 1 if consistent else 0  # enum ledge_numerics
        self._close = weakref.finalize(self, Session._free, handle, self._sessions, model)
        self.inputs: list[TensorInfo] = self._infos(lib.ledge_model_n_inputs, lib.ledge_model_input)
        self.outputs: list[TensorInfo] = self._infos(lib.ledge_model_n_outputs, lib.ledge_model_output)
        self._names = [[info.name for info in side] for side in (self.inputs, self.outputs)]

    @staticmethod
    def _free(model: c_void_p, sessions: Mapping[tuple, _Ready], _bytes: object) -> None:
        for ready in sessions.values():
            lib.ledge_session_close(ready.handle)
        lib.ledge_model_close(model)

    def _infos(self, count, describe) -> list[TensorInfo]:
        infos = []
        for i in range(count(self._model)):
            info = Info()
            describe(self._model, i, byref(info))
            infos.append(_describe(info))
        return infos

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself (ONNX metadata_props; TFLite: name, description, labels)."""
        pairs = {}
        key, value = c_char_p(), c_char_p()
        for i in range(lib.ledge_model_n_metadata(self._alive())):
            lib.ledge_model_metadata_at(self._model, i, byref(key), byref(value))
            pairs[key.value.decode(errors="replace")] = value.value.decode(errors="replace")
        return pairs

    def run(self, inputs: Union[Mapping[str, ArrayLike], Sequence[ArrayLike]],
            out: Optional[Mapping[str, NDArray]] = None) -> dict[str, NDArray]:
        """Run one inference.

        inputs   an array for each input, by name or in the model's order; dtype and shape must be the model's (lists and
                 numbers become what the model wants). Contiguous arrays are read where they lie.
        out      arrays to write outputs into, by name: C-contiguous, of the output's dtype and shape; the others are new
        Returns  an array for each output, by name.
        Raises   Error: ERR_SHAPE, ERR_DTYPE, ERR_ARG name the tensor; ERR_RANGE names the node.
        """
        arrays = self._arrays(inputs)
        with self._lock:
            ready = self._session(arrays)
            for tensor, array in zip(ready.inputs, arrays):
                tensor.data = _address(array)
            if out:
                ready.check(out)
            results = None if ready.late else ready.results(out)
            status = ready.function(*ready.arguments)
            if status != 0:
                raise_error(status, ready.error)
            if results is None:
                results = ready.copies()
        return dict(zip(self._names[1], results))

    def bind(self, inputs: Union[Mapping[str, ArrayLike], Sequence[ArrayLike], None] = None,
             out: Optional[Mapping[str, NDArray]] = None) -> Bound:
        """The fastest way to run a model again and again on inputs of the same shapes.

        inputs   as in run(): contiguous arrays are read where they lie, in every run; others are copied once. None: arrays
                 of zeros in the model's shapes, with 1 for free leading dimensions
        out      as in run()
        Returns  a Bound: change the contents of its `inputs`, call its run(), read its `outputs`.
        """
        arrays = None if inputs is None else self._arrays(inputs)
        with self._lock:
            return Bound(self._open(arrays), self.inputs, arrays, out, self._bytes)

    def reset(self) -> None:
        """Give variables and recurrent layers what they began with."""
        with self._lock:
            self._alive()
            for ready in self._sessions.values():
                lib.ledge_session_reset(ready.handle)

    @property
    def arena_bytes(self) -> int:
        """Bytes of activations of the sessions opened so far (one for each set of input shapes that was run)."""
        return sum(lib.ledge_session_arena_bytes(ready.handle) for ready in self._sessions.values())

    def close(self) -> None:
        """Give everything back now; the session cannot be used any more. Arrays that it returned stay."""
        with self._lock:
            self._close()
            self._sessions.clear()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        def side(infos: list[TensorInfo]) -> str:
            return ", ".join(f"{i.name} {i.dtype}{list(i.shape) if i.shape is not None else '[?]'}" for i in infos)
        return f"<ledge.Session {side(self.inputs)} -> {side(self.outputs)}>"

    # -- inside

    def _alive(self) -> c_void_p:
        if not self._close.alive:
            raise Error("ERR_STATE", "the session is closed")
        return self._model

    def _arrays(self, inputs: Union[Mapping[str, ArrayLike], Sequence[ArrayLike]]) -> list[NDArray]:
        names = self._names[0]
        if isinstance(inputs, Mapping):
            for name in inputs:
                if name not in names:
                    raise Error("ERR_ARG", f"no input {name}; the model has {', '.join(names)}")
            values = [inputs[name] for name in names if name in inputs]
            missing = [name for name in names if name not in inputs] if len(values) < len(names) else []
        else:
            values = list(inputs)
            missing = names[len(values):]
        if len(values) != len(names):
            raise Error("ERR_ARG", f"input {missing[0]} is missing" if missing
                        else f"{len(values)} inputs given, the model has {len(names)}")
        return [value if type(value) is numpy.ndarray and value.dtype is info.dtype and value.flags.carray
                else self._array(info, value) for value, info in zip(values, self.inputs)]

    @staticmethod
    def _array(info: TensorInfo, value: ArrayLike) -> NDArray:
        if not isinstance(value, (numpy.ndarray, numpy.generic)):
            return numpy.array(value, dtype=info.dtype, order="C")
        array = numpy.require(value, requirements=("C", "A"))
        if array.dtype != info.dtype:
            raise Error("ERR_DTYPE", f"input {info.name} is {info.dtype}, given is {array.dtype}")
        return array

    def _session(self, arrays: list[NDArray]) -> _Ready:
        """The session for these shapes."""
        self._alive()
        shapes = tuple([array.shape for array in arrays])
        ready = self._sessions.get(shapes)
        if ready is not None:
            self._sessions.move_to_end(shapes)
            return ready
        ready = self._sessions[shapes] = self._open(arrays)
        if len(self._sessions) > _MAX_SESSIONS:
            lib.ledge_session_close(self._sessions.popitem(last=False)[1].handle)
        return ready

    def _open(self, arrays: Optional[list[NDArray]]) -> _Ready:
        """A session for these shapes, or the model's."""
        self._alive()
        options = Options(threads=self._threads, numerics=self._numerics, max_bytes=self._max_bytes, precision=self._precision)
        if arrays is not None:
            given = (Tensor * len(arrays))()
            for tensor, array, info in zip(given, arrays, self.inputs):
                if array.ndim > MAX_RANK:
                    raise Error("ERR_SHAPE", f"input {info.name}: rank {array.ndim}, at most {MAX_RANK} is done")
                tensor.rank, tensor.dims[:array.ndim] = array.ndim, array.shape
            options.input_shapes, options.n_input_shapes = given, len(given)
        session = c_void_p()
        call("ledge_session_open", self._model, byref(options), byref(session))
        return _Ready(session, len(self.inputs), self.outputs)
