#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints the N-th fenced block of a page, so that tests run what it shows.

usage: code-block.py PAGE.md LANGUAGE N      N counts that language's from 1
"""
import re
import sys

page, language, number = sys.argv[1:]
blocks = re.findall(rf"^```{language}\n(.*?)^```", open(page).read(), re.M | re.S)
print(blocks[int(number) - 1], end="")
