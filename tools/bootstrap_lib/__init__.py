# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What tools/bootstrap does, one module a concern; standard library only."""
