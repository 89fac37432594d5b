# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text to train a small language model on, its tokens and their order.

All of it is English that anybody can fetch: State of the Union addresses,
Moby-Dick and Python's own help. What sparse_opt.eval and the benchmarks
measure on is held out: the address of 2021 and chapters 120 to 135.
"""

import numpy as np

from .. import texts
from ..tokenizing import UsageError

HELD_SPEECH = "2021_joseph_r_biden_d"
TRAINED_CHAPTERS = range(1, 120)
HELD_CHAPTERS = range(133, 136)
END = "<|endoftext|>"


def training_documents():
    from pydoc_data import topics

    speeches = texts.speeches()
    speeches.pop(HELD_SPEECH)
    return [*speeches.values(),
            *(texts.moby_dick([chapter]) for chapter in TRAINED_CHAPTERS),
            *topics.topics.values()]


def held_out_documents():
    """The texts of sparse_opt.eval."""
    return {"SOTU 2021": texts.speech(HELD_SPEECH),
            "Moby-Dick 133-135": texts.moby_dick(HELD_CHAPTERS)}


def train_tokenizer(documents, words):
    """Byte-level BPE whose digits stand alone, as SmolLM2's, and END as 0."""
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError:
        raise UsageError("training needs the package `tokenizers`: "
                         "pip install 'sparse-opt[train]'") from None
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=words, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return made


def stream(tokenizer, documents):
    """Tokens of all documents, each behind END."""
    end = tokenizer.token_to_id(END)
    rows = [[end, *encoded.ids] for encoded in tokenizer.encode_batch(list(documents))]
    return np.concatenate([np.asarray(row, np.int32) for row in rows])


class Windows:
    """Batches of windows of `context` + 1 tokens. What step n gets depends on
    the seed and n alone: a resumed run reads on where it stopped."""

    def __init__(self, tokens, context, batch, seed):
        self._tokens, self._context, self._batch, self._seed = tokens, context, batch, seed
        self._count = (len(tokens) - 1) // context
        if self._count < batch:
            raise UsageError(f"{len(tokens)} tokens are fewer than a batch of "
                             f"{batch} windows of {context}")
        self._epoch, self._order = None, None

    @property
    def steps_an_epoch(self):
        return self._count // self._batch

    def at(self, step):
        """[batch, context + 1] tokens."""
        epoch, within = divmod(step, self.steps_an_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self._seed, epoch]).permutation(self._count)
        chosen = self._order[within * self._batch:(within + 1) * self._batch]
        return np.stack([self._tokens[i * self._context:(i + 1) * self._context + 1]
                         for i in chosen]).astype(np.int64)
