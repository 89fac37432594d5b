// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_FFN_FFNOPS_H
#define SPARSE_OPT_DIALECTS_FFN_FFNOPS_H
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Ffn/FfnDialect.h.inc"
#include "dialects/Ffn/FfnEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Ffn/FfnAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Ffn/FfnTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/Ffn/FfnOps.h.inc"
#endif
