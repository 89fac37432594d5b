// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sparse_opt::onnx;

#include "dialects/Onnx/OnnxDialect.cpp.inc"
#include "dialects/Onnx/OnnxEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Onnx/OnnxAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Onnx/OnnxTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Onnx/OnnxOps.cpp.inc"

void OnnxDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Onnx/OnnxTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Onnx/OnnxOps.cpp.inc"
      >();
}

Operation *OnnxDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  if (auto elements = dyn_cast<ElementsAttr>(value))
    return ConstantOp::create(builder, loc, type, elements);
  return nullptr;
}

//===----------------------------------------------------------------------===//
// NodeOp
//===----------------------------------------------------------------------===//

// onnx.node ["domain"] "Name" version N (operands) {attrs} [graphs
// ["then", "else"] {region} ...] : functional-type [attributes {...}]
ParseResult NodeOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  std::string first, second;
  int64_t version;
  if (parser.parseString(&first))
    return failure();
  bool hasDomain = succeeded(parser.parseOptionalColon());
  if (hasDomain && parser.parseString(&second))
    return failure();
  if (hasDomain)
    result.addAttribute("domain", builder.getStringAttr(first));
  result.addAttribute("op_type",
                      builder.getStringAttr(hasDomain ? second : first));
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  NamedAttrList attrs;
  if (parser.parseKeyword("version") || parser.parseInteger(version) ||
      parser.parseOperandList(operands, OpAsmParser::Delimiter::Paren) ||
      parser.parseOptionalAttrDict(attrs))
    return failure();
  result.addAttribute("version", builder.getI64IntegerAttr(version));
  result.addAttribute("attrs", attrs.getDictionary(builder.getContext()));
  if (succeeded(parser.parseOptionalKeyword("graphs"))) {
    ArrayAttr graphs;
    if (parser.parseAttribute(graphs, "graphs", result.attributes))
      return failure();
    for (size_t i = 0; i < graphs.size(); ++i)
      if (parser.parseRegion(*result.addRegion()))
        return failure();
  }
  FunctionType type;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperands(operands, type.getInputs(), loc, result.operands))
    return failure();
  result.addTypes(type.getResults());
  return success();
}

void NodeOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  if (getDomain())
    printer << getDomainAttr() << ':';
  printer << getOpTypeAttr() << " version " << getVersion() << " ("
          << getOperands() << ')';
  if (!getAttrs().empty())
    printer << ' ' << getAttrs();
  if (getGraphs()) {
    printer << " graphs " << getGraphsAttr();
    for (Region &body : getBodies()) {
      printer << ' ';
      printer.printRegion(body);
    }
  }
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {"op_type", "domain", "version", "attrs", "graphs"});
  printer << " : ";
  printer.printFunctionalType(*this);
}

LogicalResult NodeOp::verify() {
  // (C1) as many names in `graphs` as regions.
  size_t names = getGraphs() ? getGraphs()->size() : 0;
  if (names != (*this)->getNumRegions())
    return emitOpError("expects ")
           << names << " regions, got " << (*this)->getNumRegions();
  return success();
}

int64_t NodeOp::intAttr(StringRef name, int64_t byDefault) {
  auto value = dyn_cast_or_null<IntegerAttr>(attr(name));
  return value ? value.getInt() : byDefault;
}

float NodeOp::floatAttr(StringRef name, float byDefault) {
  auto value = dyn_cast_or_null<FloatAttr>(attr(name));
  return value ? value.getValue().convertToFloat() : byDefault;
}

StringRef NodeOp::stringAttr(StringRef name, StringRef byDefault) {
  auto value = dyn_cast_or_null<StringAttr>(attr(name));
  return value ? value.getValue() : byDefault;
}

std::optional<ArrayRef<int64_t>> NodeOp::intsAttr(StringRef name) {
  if (auto value = dyn_cast_or_null<DenseI64ArrayAttr>(attr(name)))
    return value.asArrayRef();
  return std::nullopt;
}

Value NodeOp::operandOrNull(unsigned i) {
  if (i >= getNumOperands() || isa<NoneType>(getOperand(i).getType()))
    return {};
  return getOperand(i);
}

StringRef NodeOp::nodeName() {
  if (auto loc = (*this)->getLoc()->findInstanceOf<NameLoc>())
    return loc.getName().getValue();
  return "";
}

//===----------------------------------------------------------------------===//
// ConstantOp, DimsOp
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult DimsOp::verify() {
  // (C1) as many expressions as the result has elements.
  int64_t elements = cast<ShapedType>(getType()).getNumElements();
  if (elements != static_cast<int64_t>(getExprs().size()))
    return emitOpError("expects ")
           << elements << " expressions, got " << getExprs().size();
  return success();
}
