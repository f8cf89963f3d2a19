# SPDX-License-Identifier: Apache-2.0
"""libledge.so by ctypes: the structs and functions of include/ledge that this package uses."""
from __future__ import annotations

import ctypes
import os
import pathlib
from ctypes import POINTER, byref, c_char, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_void_p

import numpy

MAX_RANK = 8

# enum ledge_dtype, with numpy's type of the same bytes. What numpy does not have comes as its bits: bfloat16 as uint16,
# the 8-bit floats as uint8, elements of 2 and 4 bits one a byte.
DTYPES: dict[int, numpy.dtype] = {
    number: numpy.dtype(name) for number, name in (
        (1, "float32"), (2, "uint8"), (3, "int8"), (4, "uint16"), (5, "int16"), (6, "int32"), (7, "int64"),
        (9, "bool"), (10, "float16"), (11, "float64"), (12, "uint32"), (13, "uint64"), (16, "uint16"),
        (17, "uint8"), (18, "uint8"), (19, "uint8"), (20, "uint8"), (21, "uint8"), (22, "int8"), (23, "uint8"),
        (24, "uint8"), (25, "uint8"), (26, "int8"))}


class Tensor(ctypes.Structure):
    """struct ledge_tensor."""
    _fields_ = [("data", c_void_p), ("bytes", c_size_t), ("dtype", c_int), ("rank", c_int32),
                ("dims", c_int64 * MAX_RANK), ("scale", c_float), ("zero_point", c_int32)]


class Info(ctypes.Structure):
    """struct ledge_tensor_info."""
    _fields_ = [("name", c_char_p), ("dtype", c_int), ("rank", c_int32), ("dims", c_int64 * MAX_RANK),
                ("dim_names", c_char_p * MAX_RANK), ("scale", c_float), ("zero_point", c_int32)]


class Options(ctypes.Structure):
    """struct ledge_session_options; what a later library adds behind is zero, its default."""
    _fields_ = [("threads", c_int32), ("batch", c_int32), ("profile", c_int32), ("input_shapes", POINTER(Tensor)),
                ("n_input_shapes", c_int32), ("arena", c_void_p), ("arena_bytes", c_size_t), ("strings", c_int32),
                ("numerics", c_int32), ("max_bytes", c_size_t), ("precision", c_int32),
                ("later", c_char * 256)]


class CustomOp(ctypes.Structure):
    """struct ledge_custom_op."""
    _fields_ = [("domain", c_char_p), ("name", c_char_p), ("state_bytes", c_size_t), ("infer", c_void_p),
                ("prepare", c_void_p), ("run", c_void_p), ("user", c_void_p)]


class ModelOptions(ctypes.Structure):
    """struct ledge_model_options; what a later library adds behind is zero, its default."""
    _fields_ = [("allocator", c_void_p), ("custom_ops", POINTER(CustomOp)), ("n_custom_ops", c_int32),
                ("verify", c_int32), ("later", c_char * 256)]


class OpsLibrary(ctypes.Structure):
    """struct ledge_ops_library."""
    _fields_ = [("name", c_char_p), ("ops", POINTER(CustomOp)), ("n_ops", c_int32)]


class ErrorText(ctypes.Structure):
    """struct ledge_error."""
    _fields_ = [("status", c_int), ("text", c_char * 512)]


class Error(Exception):
    """What the library refused: one line that names what and where; `status` is the code's name, e.g. "ERR_SHAPE"."""

    def __init__(self, status: str, text: str):
        super().__init__(text)
        self.status = status


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    handle, error = c_void_p, POINTER(ErrorText)
    table = {
        "ledge_version": (c_char_p, []),
        "ledge_cpu_rung": (c_char_p, []),
        "ledge_status_name": (c_char_p, [c_int]),
        "ledge_dtype_text": (c_char_p, [c_int]),
        "ledge_model_open": (c_int, [c_char_p, c_void_p, POINTER(handle), error]),
        "ledge_model_open_memory": (c_int, [c_char_p, c_size_t, c_void_p, POINTER(handle), error]),
        "ledge_model_close": (None, [handle]),
        "ledge_model_n_inputs": (c_int32, [handle]),
        "ledge_model_n_outputs": (c_int32, [handle]),
        "ledge_model_input": (c_int, [handle, c_int32, POINTER(Info)]),
        "ledge_model_output": (c_int, [handle, c_int32, POINTER(Info)]),
        "ledge_model_n_metadata": (c_int32, [handle]),
        "ledge_model_metadata_at": (c_int, [handle, c_int32, POINTER(c_char_p), POINTER(c_char_p)]),
        "ledge_session_open": (c_int, [handle, POINTER(Options), POINTER(handle), error]),
        "ledge_session_close": (None, [handle]),
        "ledge_session_reset": (None, [handle]),
        "ledge_session_input": (c_int, [handle, c_int32, POINTER(Tensor)]),
        "ledge_session_output": (c_int, [handle, c_int32, POINTER(Tensor)]),
        "ledge_session_arena_bytes": (c_size_t, [handle]),
        "ledge_session_memory_bytes": (c_size_t, [handle]),
    }
    for name, (result, arguments) in table.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _load() -> ctypes.CDLL:
    """The library in the package, or another one named by LEDGE_LIBRARY."""
    path = os.environ.get("LEDGE_LIBRARY") or pathlib.Path(__file__).resolve().parent / "libledge.so"
    return _declare(ctypes.CDLL(str(path)))


lib = _load()


# Called with objects of ctypes that are made once: types declared here would be checked again in each call.
run, run_into, run_again = lib["ledge_session_run"], lib["ledge_session_run_into"], lib["ledge_session_run_again"]


def raise_error(status: int, error: ErrorText) -> None:
    raise Error(lib.ledge_status_name(status).decode(), error.text.decode(errors="replace"))


def call(name: str, *arguments) -> None:
    """Call a function whose last parameter is a struct ledge_error; raise what it reports."""
    error = ErrorText()
    status = getattr(lib, name)(*arguments, byref(error))
    if status != 0:
        raise_error(status, error)


def load_ops(path: str) -> list[CustomOp]:
    """The operators of a shared object (include/ledge/ops_library.h), which stays loaded."""
    try:
        library = ctypes.CDLL(path)
        function = library.ledge_ops_library_1
    except (OSError, AttributeError) as error:
        raise Error("ERR_UNSUPPORTED", f"operator library {path}: {error}") from None
    try:
        host = lib.ledge_ops_host_get
    except AttributeError:
        raise Error("ERR_UNSUPPORTED", f"operator library {path}: this libledge was built without part:custom") from None
    made = OpsLibrary()
    host.restype, host.argtypes = c_void_p, []
    function.restype, function.argtypes = c_int, [c_void_p, POINTER(OpsLibrary)]
    status = function(host(), byref(made))
    if status != 0:
        raise Error(lib.ledge_status_name(status).decode(), f"operator library {path} cannot be used with this libledge")
    return made.ops[:made.n_ops]


def version() -> str:
    """Version of the library, e.g. "0.1.0"."""
    return lib.ledge_version().decode()


def cpu_rung() -> str:
    """The instruction set its kernels use here: "c", "avx2", "avxvnni", "avx512", "avx512vnni". LEDGE_CPU=avx2 lowers it."""
    return lib.ledge_cpu_rung().decode()
