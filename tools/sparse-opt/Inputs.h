// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inputs made up for `verify` and `bench`: shapes from a flag, contents from
// the names and bounds in the model's manifest.
#ifndef SPARSE_OPT_TOOLS_INPUTS_H
#define SPARSE_OPT_TOOLS_INPUTS_H
#include "ModelFile.h"
#include <map>

namespace sparse_opt::tool {

/// A value for each symbolic dim.
using DimValues = std::map<std::string, int64_t>;

/// The model's symbols in order of appearance in its inputs, then the length of
/// caches that it keeps.
std::vector<std::string> symbolNames(const ModelFile &model);

/// "input_ids:1x128", "batch=1,sequence=128" or, for symbols in order,
/// "1x128". Symbols left out are 1, the length of caches 0, and sizes that
/// others decide ("past + sequence") what those make them.
llvm::Expected<DimValues> parseShape(llvm::StringRef text,
                                     const ModelFile &model);

/// The first symbol, which most models call their batch, and all others; what
/// is decided as above.
DimValues defaultShape(const ModelFile &model, int64_t first, int64_t others);

/// Sizes of inputs that others decide.
void setDecidedSizes(DimValues &dims, const ModelFile &model);

/// "1x128".
std::string shapeText(const DimValues &dims, const ModelFile &model);

/// Token ids within the tables they look up, masks with padding (the first
/// row full), zeros for token types, normal floats. The same for a `seed`.
std::vector<NpyArray> makeInputs(const ModelFile &model, const DimValues &dims,
                                 unsigned seed, bool padding);

/// What `inputs` say about the symbols; nothing when they disagree.
std::optional<DimValues> dimsOf(const std::vector<NpyArray> &inputs,
                                const ModelFile &model);

} // namespace sparse_opt::tool
#endif
