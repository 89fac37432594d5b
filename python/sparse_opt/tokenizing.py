# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text to tokens and back, through the `tokenizers` package (an extra:
`pip install ./python[text]`)."""

ENDS = ["<|endoftext|>", "<|im_end|>", "</s>", "<eos>", "<|end_of_text|>", "<|eot_id|>", "<|end|>"]


class UsageError(Exception):
    """What the user gave is wrong; one sentence."""


def load(path):
    try:
        import tokenizers
    except ImportError:
        raise UsageError("a tokenizer needs the package `tokenizers`: "
                         "pip install 'sparse-opt[text]'") from None
    try:
        made = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing narrower
        raise UsageError(f"cannot read the tokenizer {path}: {error}") from None
    made.no_truncation()
    made.no_padding()
    return made


def end_tokens(tokenizer, names=None):
    """Ids that end a text: `names`, or all well-known ones there are."""
    found = {name: tokenizer.token_to_id(name) for name in names or ENDS}
    for name in names or []:
        if found[name] is None:
            raise UsageError(f"the tokenizer has no token {name!r}")
    return {i for i in found.values() if i is not None}


class TextStream:
    """Tokens in, finished pieces of text out, ending before a stop string.

    A piece waits while its last character is incomplete or while it may be
    the beginning of a stop string.
    """

    def __init__(self, tokenizer, stops=()):
        self._decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
        self._stops = [stop for stop in stops if stop]
        self._ids, self._from, self._shown = [], 0, 0
        self._waiting = ""
        self.stopped = False

    def push(self, token):
        """Text that can be shown after this token; sets `stopped`."""
        self._ids.append(token)
        before = self._decode(self._ids[self._from:self._shown])
        now = self._decode(self._ids[self._from:])
        if now.endswith("\ufffd"):
            return ""
        # Decoding begins a few tokens back: some mark spaces at a beginning.
        self._from, self._shown = max(0, len(self._ids) - 6), len(self._ids)
        self._waiting += now[len(before):]
        return self._release()

    def finish(self):
        """The rest, when no more tokens come."""
        rest = self._decode(self._ids[self._from:])[
            len(self._decode(self._ids[self._from:self._shown])):]
        self._waiting += rest
        text, self._waiting = self._waiting, ""
        return "" if self.stopped else text

    def _release(self):
        text = self._waiting
        at = min((i for i in map(text.find, self._stops) if i >= 0), default=None)
        if at is not None:
            self.stopped, self._waiting = True, ""
            return text[:at]
        held = max((n for stop in self._stops for n in range(1, len(stop))
                    if text.endswith(stop[:n])), default=0)
        self._waiting = text[len(text) - held:]
        return text[:len(text) - held]
