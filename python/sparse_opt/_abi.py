# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""sparse-opt/Runtime/Runtime.h for ctypes, declaration by declaration.

Functions made by CFUNCTYPE release the GIL while they run.
"""

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_uint32, c_uint64, c_void_p

import numpy as np

OK = 0
INVALID_ARGUMENT, UNKNOWN_NAME, WRONG_TYPE, WRONG_SHAPE, BUFFER_TOO_SMALL = range(1, 6)
OUT_OF_RANGE, UNSUPPORTED_CPU, OUT_OF_MEMORY, INTERNAL, OVER_CAPACITY = range(6, 11)

# ONNX TensorProto.DataType -> (ONNX Runtime's name, numpy's dtype)
ELEMENT_TYPES = {
    1: ("float", np.dtype(np.float32)),
    2: ("uint8", np.dtype(np.uint8)),
    3: ("int8", np.dtype(np.int8)),
    4: ("uint16", np.dtype(np.uint16)),
    5: ("int16", np.dtype(np.int16)),
    6: ("int32", np.dtype(np.int32)),
    7: ("int64", np.dtype(np.int64)),
    9: ("bool", np.dtype(np.bool_)),
    10: ("float16", np.dtype(np.float16)),
    11: ("double", np.dtype(np.float64)),
    12: ("uint32", np.dtype(np.uint32)),
    13: ("uint64", np.dtype(np.uint64)),
}
try:  # NumPy has no bfloat16 of its own
    import ml_dtypes
    ELEMENT_TYPES[16] = ("bfloat16", np.dtype(ml_dtypes.bfloat16))
except ImportError:
    pass
ELEMENT_TYPE_OF = {dtype: number for number, (_, dtype) in ELEMENT_TYPES.items()}


class TensorInfo(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("element_type", c_int32),
        ("rank", c_int32),
        ("dims", POINTER(c_int64)),
        ("dim_names", POINTER(c_char_p)),
    ]


class Tensor(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("element_type", c_int32),
        ("rank", c_int32),
        ("dims", POINTER(c_int64)),
        ("data", c_void_p),
        ("bytes", c_uint64),
    ]


class Knob(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_double)]


class BlockStats(ctypes.Structure):
    _fields_ = [
        ("block", c_char_p),
        ("rows", c_uint64),
        ("fallbacks", c_uint64),
        ("density", c_double),
    ]


class Options(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32),
        ("threads", c_uint32),
        ("pool", c_void_p),
        ("knobs", POINTER(Knob)),
        ("num_knobs", c_uint32),
        ("capacity", c_uint64),
    ]


# void (*)(user, block, density, low, high)
DRIFT_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_double, c_double, c_double)


def _function(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


_MODEL = _INSTANCE = c_void_p


class Api(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32),
        ("version", c_uint32),
        ("model", _MODEL),
        ("last_error", _function(c_char_p)),
        ("manifest", _function(c_char_p, _MODEL)),
        ("inputs", _function(POINTER(TensorInfo), _MODEL, POINTER(c_uint32))),
        ("outputs", _function(POINTER(TensorInfo), _MODEL, POINTER(c_uint32))),
        ("pool_create", _function(c_int32, _MODEL, c_uint32, POINTER(c_void_p))),
        ("pool_destroy", _function(None, c_void_p)),
        ("instance_create", _function(c_int32, _MODEL, POINTER(Options), POINTER(_INSTANCE))),
        ("instance_destroy", _function(None, _INSTANCE)),
        ("instance_target", _function(c_char_p, _INSTANCE)),
        ("instance_threads", _function(c_uint32, _INSTANCE)),
        (
            "output_shapes",
            _function(c_int32, _INSTANCE, POINTER(Tensor), c_uint32, POINTER(c_int64), c_uint32),
        ),
        (
            "run",
            _function(c_int32, _INSTANCE, POINTER(Tensor), c_uint32, POINTER(Tensor), c_uint32),
        ),
        ("knob_get", _function(c_int32, _INSTANCE, c_char_p, POINTER(c_double))),
        ("knob_set", _function(c_int32, _INSTANCE, c_char_p, c_double)),
        (
            "telemetry",
            _function(c_int32, _INSTANCE, POINTER(BlockStats), c_uint32, POINTER(c_uint32)),
        ),
        ("profile_enable", _function(c_int32, _INSTANCE, c_int32)),
        (
            "profile",
            _function(
                c_int32,
                _INSTANCE,
                POINTER(c_uint64),
                POINTER(c_uint64),
                c_uint32,
                POINTER(c_uint32),
            ),
        ),
        ("states", _function(POINTER(TensorInfo), _MODEL, POINTER(c_uint32))),
        ("state_length", _function(c_int32, _INSTANCE, POINTER(c_uint64), POINTER(c_uint64))),
        ("state_truncate", _function(c_int32, _INSTANCE, c_uint64)),
        ("state_select", _function(c_int32, _INSTANCE, POINTER(c_uint32), c_uint32)),
        ("instance_fork", _function(c_int32, _INSTANCE, POINTER(_INSTANCE))),
        ("on_drift", _function(c_int32, _INSTANCE, DRIFT_CALLBACK, c_void_p)),
    ]

    def has(self, name):
        """Whether the model's table is new enough to have the function."""
        return self.size > getattr(Api, name).offset


API_VERSION = 1
