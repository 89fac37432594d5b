# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A compiled model as a Python object that behaves like an InferenceSession."""

import ctypes
import json
import os
import weakref

import numpy as np

from . import _abi


class SparseOptError(RuntimeError):
    """The model cannot run here: unsupported CPU, or a damaged file."""


class NodeArg:
    """An input or output: `shape` holds ints, and names for dynamic dims."""

    def __init__(self, info):
        self.name = info.name.decode()
        self._number = info.element_type
        self.type = f"tensor({_abi.ELEMENT_TYPES.get(info.element_type, ('unknown',))[0]})"
        self.shape = [
            info.dims[i] if info.dims[i] >= 0 else info.dim_names[i].decode()
            for i in range(info.rank)
        ]

    def __repr__(self):
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape})"


def load(path, threads=None, knobs=None, entry="sparse_opt_model_v1"):
    """Loads a compiled model (`sparse-opt compile model.onnx -o model.so`).

    threads: how many to use, None for one per core. knobs: {name: value}.
    """
    return Model(path, threads, knobs, entry)


class Model:
    def __init__(self, path, threads=None, knobs=None, entry="sparse_opt_model_v1"):
        self._library, self._api = _open(os.fspath(path), entry)
        self._inputs = self._describe(self._api.inputs)
        self._outputs = self._describe(self._api.outputs)
        self._instance = self._create(threads, knobs or {})
        weakref.finalize(self, self._api.instance_destroy, self._instance)

    def get_inputs(self):
        return list(self._inputs)

    def get_outputs(self):
        return list(self._outputs)

    def run(self, output_names, feeds):
        """Outputs as a list of arrays, in the order of `output_names` or, when
        that is None, of the model. `feeds` maps input names to arrays."""
        wanted = self._pick_outputs(output_names)
        arrays = [(name, _dense(name, value)) for name, value in feeds.items()]
        inputs = _tensors(arrays)
        shapes = self._output_shapes(inputs)
        results = [
            (arg.name, np.empty(shapes[arg.name], _dtype(arg))) for arg in wanted
        ]
        self._check(
            self._api.run(self._instance, inputs, len(inputs), _tensors(results), len(results))
        )
        return [array for _, array in results]

    @property
    def manifest(self):
        """What the model was made from and how, as a dict."""
        return json.loads(self._api.manifest(self._api.model).decode())

    @property
    def target(self):
        """The instruction set in use, as `--march` spells it."""
        return self._api.instance_target(self._instance).decode()

    @property
    def threads(self):
        return self._api.instance_threads(self._instance)

    def get_knob(self, name):
        value = ctypes.c_double()
        self._check(self._api.knob_get(self._instance, name.encode(), ctypes.byref(value)))
        return value.value

    def set_knob(self, name, value):
        self._check(self._api.knob_set(self._instance, name.encode(), value))

    def telemetry(self):
        """One dict per sparse block: block, rows, fallbacks, density."""
        count = ctypes.c_uint32()
        self._check(self._api.telemetry(self._instance, None, 0, ctypes.byref(count)))
        stats = (_abi.BlockStats * count.value)()
        self._check(
            self._api.telemetry(self._instance, stats, count.value, ctypes.byref(count))
        )
        return [
            {"block": s.block.decode(), "rows": s.rows, "fallbacks": s.fallbacks, "density": s.density}
            for s in stats
        ]

    def _check(self, status):
        if status == _abi.OK:
            return
        message = self._api.last_error().decode(errors="replace")
        if status == _abi.OUT_OF_MEMORY:
            raise MemoryError(message)
        if status in (_abi.UNSUPPORTED_CPU, _abi.INTERNAL):
            raise SparseOptError(message)
        raise ValueError(message)

    def _describe(self, function):
        count = ctypes.c_uint32()
        infos = function(self._api.model, ctypes.byref(count))
        return [NodeArg(infos[i]) for i in range(count.value)]

    def _create(self, threads, knobs):
        if threads is not None and not 1 <= threads <= 1024:
            raise ValueError(f"threads must be between 1 and 1024, not {threads}")
        values = (_abi.Knob * len(knobs))(
            *[(name.encode(), float(value)) for name, value in knobs.items()]
        )
        options = _abi.Options(
            ctypes.sizeof(_abi.Options), threads or 0, None, values, len(values)
        )
        instance = ctypes.c_void_p()
        self._check(
            self._api.instance_create(
                self._api.model, ctypes.byref(options), ctypes.byref(instance)
            )
        )
        return instance

    def _pick_outputs(self, names):
        if names is None:
            return self._outputs
        known = {arg.name: arg for arg in self._outputs}
        for name in names:
            if name not in known:
                listed = ", ".join(f'"{arg.name}"' for arg in self._outputs)
                raise ValueError(f'the model has no output "{name}"; its outputs are {listed}')
        return [known[name] for name in names]

    def _output_shapes(self, inputs):
        total = sum(len(arg.shape) for arg in self._outputs)
        dims = (ctypes.c_int64 * max(total, 1))()
        self._check(
            self._api.output_shapes(self._instance, inputs, len(inputs), dims, total)
        )
        flat = iter(dims)
        return {arg.name: [next(flat) for _ in arg.shape] for arg in self._outputs}


def _open(path, entry):
    # A path without a slash would be searched for in the system's folders.
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no model at {path}")
    try:
        library = ctypes.CDLL(path)
        function = getattr(library, entry)
    except OSError as error:
        raise SparseOptError(f"cannot load {path}: {error}") from None
    except AttributeError:
        raise SparseOptError(f"{path} is not a compiled model: it lacks {entry}") from None
    function.restype = ctypes.POINTER(_abi.Api)
    table = function()
    if not table or table.contents.version != _abi.API_VERSION:
        raise SparseOptError(f"{path} has another version of the interface than this package")
    return library, table.contents


def _dtype(arg):
    if arg._number not in _abi.ELEMENT_TYPES:
        raise ValueError(f'output "{arg.name}" has a type numpy does not know ({arg.type})')
    return _abi.ELEMENT_TYPES[arg._number][1]


def _dense(name, value):
    """`value` as a row-major, aligned array in this machine's byte order."""
    array = np.asarray(value)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype not in _abi.ELEMENT_TYPE_OF:
        raise ValueError(f'input "{name}" is an array of {array.dtype}, which no model takes')
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED"])


def _tensors(arrays):
    """Named arrays as the interface's structs, which keep them alive."""
    tensors = (_abi.Tensor * len(arrays))()
    for tensor, (name, array) in zip(tensors, arrays):
        tensor.name = name.encode()
        tensor.element_type = _abi.ELEMENT_TYPE_OF[array.dtype]
        tensor.rank = array.ndim
        tensor.dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor.data = array.ctypes.data
        tensor.bytes = array.nbytes
    return tensors
