// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of vectors against libm in double precision, over all of f32: each
// exponent of both signs, denormals, infinities and NaN. Errors are counted in
// units of the last place of the exact value (VectorMath.h, --expand-math).
#include "sparse-opt/Conversion/VectorMath.h"
#include "KernelsFixture.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "llvm/Support/raw_ostream.h"
#include <cfloat>
#include <cmath>
#include <cstring>
#include <functional>

using namespace sparse_opt;

namespace {

using Emit =
    std::function<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value)>;

/// f(x, y) of vectors: y[i] = `op`(x[i]), or what `emit` makes in its place.
std::string functionText(const std::string &op, const Emit &emit = nullptr) {
  std::string text =
      "func.func @f(%x: memref<?xf32>, %y: memref<?xf32>)\n"
      "    attributes {llvm.emit_c_interface} {\n"
      "  %c0 = arith.constant 0 : index\n"
      "  %c16 = arith.constant 16 : index\n"
      "  %n = memref.dim %x, %c0 : memref<?xf32>\n"
      "  scf.for %i = %c0 to %n step %c16 {\n"
      "    %a = vector.load %x[%i] : memref<?xf32>, vector<16xf32>\n"
      "    %b = math." +
      op +
      " %a : vector<16xf32>\n"
      "    vector.store %b, %y[%i] : memref<?xf32>, vector<16xf32>\n"
      "  }\n"
      "  return\n"
      "}\n";
  if (!emit)
    return text;
  mlir::DialectRegistry registry;
  registerEverything(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  module->walk([&](mlir::Operation *inner) {
    if (inner->getName().getStringRef() != "math." + op)
      return;
    mlir::ImplicitLocOpBuilder b(inner->getLoc(), inner);
    inner->getResult(0).replaceAllUsesWith(emit(b, inner->getOperand(0)));
    inner->erase();
  });
  std::string result;
  llvm::raw_string_ostream stream(result);
  module->print(stream);
  return result;
}

float fromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// About half a million floats of all signs and exponents, denormals and NaNs
/// among them; as many in [-110, 110], where the functions bend; special ones.
const std::vector<float> &arguments() {
  static const std::vector<float> all = [] {
    std::vector<float> x;
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += 8191)
      x.push_back(fromBits(bits));
    for (int i = 0; i < 1 << 19; ++i)
      x.push_back((i - (1 << 18)) * (110.0f / (1 << 18)));
    for (float value : {0.0f, 1e-45f, 1.1754942e-38f, 1.17549435e-38f, 1.0f,
                        3.4028235e38f, std::numeric_limits<float>::infinity(),
                        std::numeric_limits<float>::quiet_NaN()})
      x.insert(x.end(), {value, -value});
    x.resize(x.size() / 16 * 16 + 16);
    return x;
  }();
  return all;
}

/// What lies between a float and the next, at `value`.
double ulpAt(double value) {
  int exponent = value == 0 ? -126 : std::max(-126, std::ilogb(value));
  return std::ldexp(1.0, exponent - 23);
}

struct Function {
  std::string name, text;
  double (*exact)(double);
  double ulps; ///< bound of the error in [low, high]
  double low = -INFINITY, high = INFINITY;
  /// Values from 0.01 outside of them on; NaN: not what the function is for.
  double below = NAN, above = NAN;
  /// Results may be 0 for them, or arguments the smallest normal number.
  enum { Exact, ResultsOfZero, AsSmallest } denormals = Exact;
};

class VectorMath : public KernelTest {
protected:
  void check(const Function &function) {
    SCOPED_TRACE(function.name);
    const std::vector<float> &x = arguments();
    std::vector<float> y(x.size(), 1234.0f);
    KernelJit jit(function.text, *target);
    int64_t count = x.size();
    jit.call("f", memRef(x.data(), count), memRef(y.data(), count));
    double worst = 0, at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      float argument = x[i];
      if (function.denormals == Function::AsSmallest && argument > 0)
        argument = std::max(argument, FLT_MIN);
      bool isBelow = x[i]<function.low, isAbove = x[i]> function.high;
      double exact = isBelow   ? function.below
                     : isAbove ? function.above
                               : function.exact(argument);
      bool isNear = (isBelow && x[i] > function.low - 0.01) ||
                    (isAbove && x[i] < function.high + 0.01);
      if (isNear || ((isBelow || isAbove) && std::isnan(exact)))
        continue;
      if (std::isnan(exact)) {
        ASSERT_TRUE(std::isnan(y[i])) << "at " << x[i];
      } else if (std::isinf(float(exact))) {
        ASSERT_EQ(y[i], float(exact)) << "at " << x[i];
      } else {
        ASSERT_TRUE(std::isfinite(y[i])) << "at " << x[i];
        if (function.denormals == Function::ResultsOfZero &&
            std::fabs(exact) < FLT_MIN && y[i] == 0)
          continue;
        double error = std::fabs(y[i] - exact) / ulpAt(exact);
        if (error > worst)
          at = x[i];
        worst = std::max(worst, error);
      }
    }
    EXPECT_LE(worst, function.ulps) << "at " << at;
  }
};

Emit exp2Emitter(bool isShort) {
  return [=](mlir::ImplicitLocOpBuilder &b, mlir::Value x) {
    return emitExp2(b, x, isShort);
  };
}

TEST_P(VectorMath, OwnFunctions) {
  check({"exp", functionText("exp", emitExp), std::exp, 1, -86.5, 88.37, 0,
         INFINITY});
  check({"2^x", functionText("exp2", exp2Emitter(false)), std::exp2, 2, -126.5,
         64, 0});
  check({"2^x, short", functionText("exp2", exp2Emitter(true)), std::exp2, 1240,
         -126.5, 64, 0});
  check({"erf", functionText("erf", emitErf), std::erf, 12});
}

TEST_P(VectorMath, UpstreamsFunctions) {
  auto withDenormals = [](Function function, auto denormals) {
    function.denormals = denormals;
    return function;
  };
  check(withDenormals({"exp", functionText("exp"), std::exp, 6},
                      Function::ResultsOfZero));
  check({"expm1", functionText("expm1"), std::expm1, 6});
  check({"erf", functionText("erf"), std::erf, 6});
  check({"tanh", functionText("tanh"), std::tanh, 6});
  for (auto [name, exact] :
       {std::pair<const char *, double (*)(double)>("log", std::log),
        {"log2", std::log2}})
    check(withDenormals({name, functionText(name), exact, 6},
                        Function::AsSmallest));
  check({"log1p", functionText("log1p"), std::log1p, 6});
}

INSTANTIATE_TEST_SUITE_P(Targets, VectorMath, allTargets(), targetOf);

} // namespace
