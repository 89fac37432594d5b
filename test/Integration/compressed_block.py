# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A compressed FFN block as IR and as its definition in numpy, for tests."""
import numpy

WIDTH, NEURONS = 64, 192
RANDOM = numpy.random.default_rng(5)


def weights(width, neurons, random=RANDOM):
    def weight(*shape):
        return (random.standard_normal(shape) * 0.2).astype(numpy.float32)

    return {
        "gate": weight(width, neurons), "up": weight(width, neurons),
        "down": weight(neurons, width), "bias": weight(neurons), "centre": weight(neurons),
        "norm": abs(weight(neurons)), "folded": weight(width, width), "offset": weight(width),
    }


WEIGHTS = weights(WIDTH, NEURONS)


def relu(z):
    return numpy.maximum(z, 0)


def silu(z):
    return z / (1 + numpy.exp(-z))


CUTOFF = 0.25
ACTIVATIONS = {"relu": relu, "relu2": lambda z: relu(z) ** 2, "silu": silu,
               "fatrelu": lambda z: numpy.where(z > CUTOFF, z, 0)}


class Block:
    """One block as IR and as numpy: y, and which neurons it keeps."""

    def __init__(self, select, act="silu", gated=True, bias=False, minus=False, known=True,
                 known_up=False, group=1, threshold=0.1, crossover=None,
                 band=None, kept=None, input_crossover=None, input_band=None, weights=None,
                 up_relu=False):
        self.select, self.act, self.gated = select, act, gated
        self.bias, self.minus, self.known = bias, minus, known
        self.known_up, self.group, self.threshold = known_up, group, threshold
        self.crossover, self.band = crossover, band
        self.kept = kept  # what abs(x) is above where it counts, or None
        self.up_relu = up_relu  # dReLU
        self.input_crossover, self.input_band = input_crossover, input_band
        self.weights = weights or WEIGHTS
        self.width, self.neurons = self.weights["up"].shape

    @staticmethod
    def array(band):
        return f"array<f64: {band[0]}, {band[1]}>"

    def type_of(self, name):
        return "tensor<" + "x".join(map(str, self.weights[name].shape)) + "xf32>"

    def text(self):
        first, type_of = "gate" if self.gated else "up", self.type_of
        f32_rows, hidden = f"tensor<?x{self.width}xf32>", f"tensor<?x{self.neurons}xf32>"
        flags = f"tensor<?x{self.neurons}xi1>"
        lines = [f"%{name} = onnx.constant dense_resource<{name}> : {type_of(name)}"
                 for name in self.weights]
        bias, bias_type = (", %bias", f", {type_of('bias')}") if self.bias else ("", "")
        selection = f"!ffn.selection<{self.neurons}, group = {self.group}>"
        x = "%x"
        if self.kept is not None:
            x, guard = "%k", ""
            if self.input_crossover is not None:
                lines.append(f'%ox = ffn.knob "b.input_crossover" = {self.input_crossover:e}')
                guard = " all_above(%ox)"
            input_band = f"{{density_band = {self.array(self.input_band)}}} " if self.input_band else ""
            lines += [f'%tx = ffn.knob "b.input_threshold" = {self.kept:e}',
                      f"%sx = ffn.select magnitude(%x) above(%tx) : ({f32_rows}, f32) -> !ffn.selection<{self.width}>",
                      f"%k = ffn.keep %x, %sx{guard} {input_band}: {f32_rows}, !ffn.selection<{self.width}>"]
        act, cutoff = self.act, ""
        if act == "fatrelu":
            act, cutoff = "relu", f"cutoff = {CUTOFF:e} : f32"
        up_act = "relu" if self.up_relu else "identity"
        lines += [f'%t = ffn.knob "b.threshold" = {self.threshold:e}',
                  f"%g = ffn.score exact <{act}> {x}(%{first}{bias}) {{{cutoff}}} : "
                  f"({f32_rows}, {type_of(first)}{bias_type}) -> {hidden}",
                  f"%u = ffn.score exact <{up_act}> {x}(%up) : ({f32_rows}, {type_of('up')}) -> {hidden}"]
        operands = {
            "all": ("all", []),
            "given": ("given(%mask)", [flags]),
            "nonzero": ("nonzero(%g)", [hidden]),
            "gate": ("magnitude(%g) above(%t)", [hidden, "f32"]),
            "up": ("magnitude(%u) above(%t)", [hidden, "f32"]),
            "both": ("magnitude(%g, %u) above(%t)", [hidden, hidden, "f32"]),
            "centred": ("magnitude(%g) minus(%centre) weight(%norm) above(%t)",
                        [hidden, type_of("centre"), type_of("norm"), "f32"]),
            "product": ("magnitude(%g, %u) minus(%centre) weight(%norm) above(%t)",
                        [hidden, hidden, type_of("centre"), type_of("norm"), "f32"]),
        }[self.select]
        lines.append(f"%s = ffn.select {operands[0]} : ({', '.join(operands[1])}) -> {selection}")
        parts = [f"ffn.correct <{act}> {x}, %s"]
        types = [f32_rows, selection]
        if self.known:
            parts.append("known(%g, %u)" if self.known_up else "known(%g)")
            types += [hidden] * (2 if self.known_up else 1)
        if self.gated:
            parts += [f"gate(%gate{bias}) up{': <relu>' if self.up_relu else ''}(%up)"]
            types += [type_of("gate")] + [type_of("bias")] * self.bias + [type_of("up")]
        else:
            parts += [f"up(%up{bias})"]
            types += [type_of("up")] + [type_of("bias")] * self.bias
        parts.append("down(%down)")
        types.append(type_of("down"))
        if self.minus:
            parts.append("minus(%centre)")
            types.append(type_of("centre"))
        if self.crossover is not None:
            lines.append(f'%o = ffn.knob "b.crossover" = {self.crossover:e}')
            parts.append("all_above(%o)")
            types.append("f32")
        more = f", density_band = {self.array(self.band)}" if self.band else ""
        more += f", {cutoff}" if cutoff else ""
        lines += [f'%c = {" ".join(parts)} {{block_name = "b"{more}}} : ({", ".join(types)}) -> {f32_rows}',
                  f"%l = ffn.linear %x folded(%folded) offset(%offset) : ({f32_rows}, "
                  f"{type_of('folded')}, {type_of('offset')}) -> {f32_rows}",
                  f"%y = arith.addf %l, %c : {f32_rows}", f"return %y : {f32_rows}"]
        dims = f'onnx.dims = ["n", "{self.width}"]'
        mask = (f', %mask: {flags} {{onnx.name = "mask", onnx.dims = ["n", "{self.neurons}"]}}'
                if self.select == "given" else "")
        blobs = ",\n".join(f'{name}: "0x40000000{array.tobytes().hex().upper()}"'
                           for name, array in self.weights.items())
        return (f'func.func @main(%x: {f32_rows} {{onnx.name = "x", {dims}}}{mask}) -> '
                f'({f32_rows} {{onnx.name = "y", {dims}}}) {{\n  ' + "\n  ".join(lines) +
                "\n}\n{-#\n dialect_resources: { builtin: {\n" + blobs + "\n} }\n#-}\n")

    def evaluate(self, x, kept=None):
        """In f64: z, what each neuron adds to y, the score, and the rest of y."""
        w = {name: array.astype(numpy.float64) for name, array in self.weights.items()}
        whole = x = x.astype(numpy.float64)
        if self.kept is not None:
            x = numpy.where(abs(x) > (self.kept if kept is None else kept), x, 0)
        z = x @ (w["gate"] if self.gated else w["up"]) + (w["bias"] if self.bias else 0)
        act = ACTIVATIONS[self.act](z)
        up = relu(x @ w["up"]) if self.up_relu else x @ w["up"]
        minus = w["centre"] if self.minus else 0
        score = {"all": None, "given": None, "nonzero": act, "gate": act, "up": up,
                 "both": act * up, "centred": (act - w["centre"]) * w["norm"],
                 "product": (act - w["centre"]) * up * w["norm"]}[self.select]
        hidden = (act - minus) * (up if self.gated else 1)
        return z, hidden, score, whole @ w["folded"] + w["offset"]

    def in_groups(self, keep):
        return keep.reshape(len(keep), -1, self.group).any(-1).repeat(self.group, 1)

    def run(self, x, threshold, kept=None):
        """In f64; the third result is False where rounding could decide."""
        z, hidden, score, rest = self.evaluate(x, kept)
        if self.select == "all":
            keep, sure = numpy.ones_like(z, bool), True
        elif self.select == "nonzero":
            least = CUTOFF if self.act == "fatrelu" else 0
            keep, sure = score != 0, abs(z - least).min() > 1e-5
        else:
            keep = abs(score) > threshold
            sure = abs(abs(score) - threshold).min() > 1e-6
        keep = self.in_groups(keep)
        if self.crossover is not None and len(x) <= 16 and keep.any(0).mean() > self.crossover:
            keep = numpy.ones_like(keep)
        down = self.weights["down"].astype(numpy.float64)
        return numpy.where(keep, hidden, 0) @ down + rest, keep, sure
