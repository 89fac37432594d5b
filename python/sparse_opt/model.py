# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A compiled model as a Python object that behaves like an InferenceSession."""

import ctypes
import json
import os
import struct
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


def load(path, threads=None, knobs=None, entry="sparse_opt_model_v1", capacity=None):
    """Loads a compiled model (`sparse-opt compile model.onnx -o model.so`).

    threads: how many to use, None for one per core. knobs: {name: value}.
    capacity: rows that the caches of a model compiled with --kv-cache=in-place
    may hold, None to let them grow.
    """
    return Model(path, threads, knobs, entry, capacity)


class Model:
    def __init__(
        self, path, threads=None, knobs=None, entry="sparse_opt_model_v1", capacity=None
    ):
        self._library, self._api = _open(os.fspath(path), entry)
        self._adopt(self._create(threads, knobs or {}, capacity))

    def _adopt(self, instance):
        self._instance = instance
        self._inputs = self._describe(self._api.inputs)
        self._outputs = self._describe(self._api.outputs)
        self._states = self._describe(self._api.states) if self._api.has("states") else []
        weakref.finalize(self, self._api.instance_destroy, instance)

    def get_inputs(self):
        return list(self._inputs)

    def get_outputs(self):
        return list(self._outputs)

    def get_states(self):
        """The caches that the model keeps itself, named like the inputs they
        were; [] unless it was compiled with --kv-cache=in-place."""
        return list(self._states)

    @property
    def length(self):
        """Rows in the caches: each run appends to them, a failed one doesn't."""
        return self._state_length()[0]

    @property
    def capacity(self):
        """Rows that the caches have memory for."""
        return self._state_length()[1]

    def reset(self):
        """Empties the caches; the next run may have another batch."""
        self.truncate(0)

    def truncate(self, length):
        """Forgets all rows of the caches but the first `length`."""
        self._need_states()
        if length < 0:
            raise ValueError(f"the caches can't be cut to {length} rows")
        self._check(self._api.state_truncate(self._instance, length))

    def select(self, rows):
        """Batch item i of the caches becomes what item rows[i] was, for beams."""
        self._need_states()
        rows = [int(row) for row in rows]
        if any(row < 0 for row in rows):
            raise ValueError(f"batch items can't be negative: {rows}")
        self._check(
            self._api.state_select(
                self._instance, (ctypes.c_uint32 * len(rows))(*rows), len(rows)
            )
        )

    def fork(self):
        """A second model with a copy of the caches; weights and threads are shared."""
        if not self._api.has("instance_fork"):
            raise SparseOptError("the model was compiled before models could be forked")
        instance = ctypes.c_void_p()
        self._check(self._api.instance_fork(self._instance, ctypes.byref(instance)))
        copy = Model.__new__(Model)
        copy._library, copy._api = self._library, self._api
        copy._adopt(instance)
        return copy

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
        """One dict per sparse block: block, rows, fallbacks, density. Blocks that
        skip columns of their input too have another, "<block>.inputs", for those."""
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

    def on_drift(self, function):
        """From the next run on calls function(block, density, low, high) when a
        sparse block's density over 256 rows is outside the band that calibration
        makes expect, so that errors may be other than what was measured. It runs
        within `run` and may not call the model. None: nobody is told."""
        if not self._api.has("on_drift"):
            raise ValueError("the model was compiled by a version that can't tell of drift")

        def call(_, block, density, low, high):
            function(block.decode(), density, low, high)

        callback = _abi.DRIFT_CALLBACK(call) if function else _abi.DRIFT_CALLBACK()
        self._check(self._api.on_drift(self._instance, callback, None))
        self._drift = callback  # the model holds but a pointer to it

    def set_profiling(self, enabled):
        """From the next run on, times every kernel, or none."""
        self._check(self._api.profile_enable(self._instance, int(enabled)))

    def profile(self):
        """(seconds of the last run that was timed, of each launch in it), the
        launches in the order of the manifest's "kernels", each of which stands
        for as many as its "launches" says, or one."""
        total, count = ctypes.c_uint64(), ctypes.c_uint32()
        call = lambda times, size: self._check(self._api.profile(
            self._instance, ctypes.byref(total), times, size, ctypes.byref(count)))
        call(None, 0)
        times = (ctypes.c_uint64 * count.value)()
        call(times, count.value)
        return total.value / 1e9, [each / 1e9 for each in times]

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

    def _need_states(self):
        if not self._states:
            raise ValueError(
                "the model keeps no caches: it was not compiled with --kv-cache=in-place"
            )

    def _state_length(self):
        self._need_states()
        length, capacity = ctypes.c_uint64(), ctypes.c_uint64()
        self._check(
            self._api.state_length(self._instance, ctypes.byref(length), ctypes.byref(capacity))
        )
        return length.value, capacity.value

    def _create(self, threads, knobs, capacity):
        if threads is not None and not 1 <= threads <= 1024:
            raise ValueError(f"threads must be between 1 and 1024, not {threads}")
        values = (_abi.Knob * len(knobs))(
            *[(name.encode(), float(value)) for name, value in knobs.items()]
        )
        if capacity is not None and capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        options = _abi.Options(
            ctypes.sizeof(_abi.Options), threads or 0, None, values, len(values), capacity or 0
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


def _check_segments(path):
    """The loader maps segments that a file is too short for, and dies of them."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return  # the loader says what it is
        (table,) = struct.unpack_from("<Q", header, 32)
        entry_size, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        entries = file.read(entry_size * count)
    ends = [table + entry_size * count]
    for at in range(0, len(entries) - 55, max(entry_size, 56)):
        offset, _, _, length = struct.unpack_from("<4Q", entries, at + 8)
        ends.append(offset + length)
    if max(ends) > size:
        raise SparseOptError(f"cannot load {path}: it is truncated")


def _open(path, entry):
    # A path without a slash would be searched for in the system's folders.
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no model at {path}")
    try:
        _check_segments(path)
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
