# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training recipes: programs that need torch, which the package does not."""
