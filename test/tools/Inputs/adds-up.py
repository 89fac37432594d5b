# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fails where the lines of a roofline table aren't the time and work of a run:
they add up to the total, none counts another's, and the products' FLOPs are
the multiply-adds that the model is known to need."""
import json
import sys

with open(sys.argv[1]) as file:
    results = json.load(file)
manifest = results["model"]
assert results["rooflines"] and results["limits"][0]["read"]
for table in results["rooflines"]:
    batch, length = map(int, table["shape"].split("x"))
    kernels = table["kernels"]
    described = [group["launches"] for group in manifest["kernels"]
                 if table["target"] in group["targets"]]
    assert [kernel["name"] for kernel in kernels] == [one["name"] for one in described[0]]
    parts = [kernel["us"] for kernel in kernels]
    parts += [table["between_kernels_us"], table["outside_us"]]
    assert min(parts) >= 0, parts
    assert abs(sum(parts) - table["total_us"]) <= 0.02 * table["total_us"], table
    assert all(0 < kernel["best_us"] <= kernel["us"] * 1.001 for kernel in kernels), kernels
    products = [kernel for kernel in kernels if kernel["kind"].startswith("product")]
    wanted = eval(manifest["multiply_adds"], {"batch": batch, "length": length})
    assert sum(kernel["flops"] for kernel in products) == 2 * wanted, products
    for kernel in kernels:
        assert kernel["bytes"] > 0 and kernel["limit"] in ("compute", "memory"), kernel
