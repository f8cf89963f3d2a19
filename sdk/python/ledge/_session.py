# SPDX-License-Identifier: Apache-2.0
"""A model and its sessions. The C library has one session for each set of input shapes; here they are made as arrays of
new shapes come, and the ones not used for longest go."""
from __future__ import annotations

import collections
import ctypes
import os
import threading
import weakref
from ctypes import byref, c_char_p, c_void_p
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Union

import numpy
from numpy.typing import ArrayLike, NDArray

from ._library import DTYPES, MAX_RANK, CustomOp, Error, Info, ModelOptions, Options, Tensor, call, lib, load_ops

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


def _aligned(shape: tuple[int, ...], dtype: numpy.dtype) -> NDArray:
    """An array of its own whose first element lies at a multiple of _ALIGN."""
    size = int(numpy.prod(shape, dtype=numpy.int64)) * dtype.itemsize
    room = numpy.empty(size + _ALIGN, numpy.uint8)
    start = -room.ctypes.data % _ALIGN
    return room[start:start + size].view(dtype).reshape(shape)


def _view(array: NDArray, number: int) -> Tensor:
    return Tensor(array.ctypes.data, array.nbytes, number, array.ndim, (ctypes.c_int64 * MAX_RANK)(*array.shape))


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
        self._sessions: collections.OrderedDict[tuple, c_void_p] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._threads = threads
        if precision not in ("f32", "bf16"):
            raise Error("ERR_ARG", f"precision {precision}: f32 or bf16")
        self._precision = 1 if precision == "bf16" else 0  # enum ledge_precision
        self._max_bytes = max_bytes
        self._numerics = 1 if consistent else 0  # enum ledge_numerics
        self._close = weakref.finalize(self, Session._free, handle, self._sessions, model)
        self._numbers: list[list[int]] = [[], []]
        self.inputs: list[TensorInfo] = self._infos(lib.ledge_model_n_inputs, lib.ledge_model_input, 0)
        self.outputs: list[TensorInfo] = self._infos(lib.ledge_model_n_outputs, lib.ledge_model_output, 1)

    @staticmethod
    def _free(model: c_void_p, sessions: Mapping[tuple, c_void_p], _bytes: object) -> None:
        for session in sessions.values():
            lib.ledge_session_close(session)
        lib.ledge_model_close(model)

    def _infos(self, count, describe, side: int) -> list[TensorInfo]:
        infos = []
        for i in range(count(self._model)):
            info = Info()
            describe(self._model, i, byref(info))
            infos.append(_describe(info))
            self._numbers[side].append(info.dtype)
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
        numbers = [self._number_of(i, array) for i, array in enumerate(arrays)]
        given = (Tensor * len(arrays))(*map(_view, arrays, numbers))
        with self._lock:
            session = self._session(given)
            results = self._results(session, out or {})
            made = (Tensor * len(results))(*map(_view, results, self._numbers[1]))
            try:
                call("ledge_session_run_into", session, given, len(given), made, len(made))
            except Error as error:
                if out or error.status != "ERR_SHAPE" or not str(error).startswith("output "):
                    raise
                results = self._run_and_copy(session, given)
        return {info.name: array for info, array in zip(self.outputs, results)}

    def reset(self) -> None:
        """Give variables and recurrent layers what they began with."""
        with self._lock:
            self._alive()
            for session in self._sessions.values():
                lib.ledge_session_reset(session)

    @property
    def arena_bytes(self) -> int:
        """Bytes of activations of the sessions opened so far (one for each set of input shapes that was run)."""
        return sum(map(lib.ledge_session_arena_bytes, self._sessions.values()))

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
        names = [info.name for info in self.inputs]
        if isinstance(inputs, Mapping):
            for name in inputs:
                if name not in names:
                    raise Error("ERR_ARG", f"no input {name}; the model has {', '.join(names)}")
            missing = [name for name in names if name not in inputs]
            values = [inputs[name] for name in names if name in inputs]
        else:
            values = list(inputs)
            missing = names[len(values):]
        if missing or len(values) != len(names):
            raise Error("ERR_ARG", f"input {missing[0]} is missing" if missing
                        else f"{len(values)} inputs given, the model has {len(names)}")
        return [numpy.require(value, requirements=("C", "A")) if isinstance(value, (numpy.ndarray, numpy.generic))
                else numpy.array(value, dtype=info.dtype, order="C") for value, info in zip(values, self.inputs)]

    def _number_of(self, index: int, array: NDArray) -> int:
        """The dtype's number; the model's own where the bytes are the same (bf16 as uint16)."""
        info = self.inputs[index]
        if array.dtype != info.dtype:
            raise Error("ERR_DTYPE", f"input {info.name} is {info.dtype}, given is {array.dtype}")
        if array.ndim > MAX_RANK:
            raise Error("ERR_SHAPE", f"input {info.name}: rank {array.ndim}, at most {MAX_RANK} is done")
        return self._numbers[0][index]

    def _session(self, given: ctypes.Array) -> c_void_p:
        """The session for these shapes."""
        self._alive()
        shapes = tuple(tuple(tensor.dims[:tensor.rank]) for tensor in given)
        session = self._sessions.get(shapes)
        if session is not None:
            self._sessions.move_to_end(shapes)
            return session
        options = Options(threads=self._threads, numerics=self._numerics, max_bytes=self._max_bytes, input_shapes=given,
                          n_input_shapes=len(given), precision=self._precision)
        session = c_void_p()
        call("ledge_session_open", self._model, byref(options), byref(session))
        self._sessions[shapes] = session
        if len(self._sessions) > _MAX_SESSIONS:
            lib.ledge_session_close(self._sessions.popitem(last=False)[1])
        return session

    def _run_and_copy(self, session: c_void_p, given: ctypes.Array) -> list[NDArray]:
        """For outputs whose shape only the run itself tells."""
        made = (Tensor * len(self.outputs))()
        call("ledge_session_run", session, given, len(given), made, len(made))
        results = []
        for info, tensor in zip(self.outputs, made):
            array = numpy.empty(tuple(tensor.dims[:tensor.rank]), info.dtype)
            ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
            results.append(array)
        return results

    def _results(self, session: c_void_p, out: Mapping[str, NDArray]) -> list[NDArray]:
        for name in out:
            if name not in [info.name for info in self.outputs]:
                raise Error("ERR_ARG", f"no output {name}")
        results = []
        for i, info in enumerate(self.outputs):
            tensor = Tensor()
            lib.ledge_session_output(session, i, byref(tensor))
            shape = tuple(tensor.dims[:tensor.rank])
            array = out.get(info.name)
            if array is None:
                array = _aligned(shape, info.dtype)
            elif array.dtype != info.dtype or array.shape != shape or not array.flags.c_contiguous or not array.flags.writeable:
                raise Error("ERR_ARG", f"output {info.name} needs a writable C-contiguous {info.dtype} array of {shape}")
            results.append(array)
        return results
