"""Rankers to compare with, each by its own published settings: those of three tools, and textbook ones.

A baseline sees a `Corpus`, the papers of one set as matrices, and either free texts or example papers as row numbers.
All words are split and stopped as scikit-learn does by default, stems are Snowball's English ones; nothing here uses
the ranker that is measured. Needs the extra `bench`. Used by `rank.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import bm25s
import numpy as np
import scipy.sparse as sp
import snowballstemmer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from tests.bench.rank_data import Floats, JudgedSet

Sparse: TypeAlias = Any
"""A scipy.sparse CSR matrix of floats."""

RIDGE = 1e-3
"""Half of what sentence vectors vary by in one of their 384 directions, on average."""

_words = TfidfVectorizer(stop_words="english").build_analyzer()
_english = snowballstemmer.stemmer("english")


@lru_cache(1 << 20)
def _stem(word: str) -> str:
    return str(_english.stemWord(word))


def stems(text: str) -> list[str]:
    """The stems of a text, stop words left out."""
    return [_stem(word) for word in _words(text)]


def stems_and_pairs(text: str) -> list[str]:
    """The stems of a text and each two neighbours among them."""
    single = stems(text)
    return single + [f"{one} {other}" for one, other in pairwise(single)]


def z(scores: Floats) -> Floats:
    """Each profile's scores with mean 0 and deviation 1 over all papers."""
    deviation = scores.std(axis=1, keepdims=True)
    return np.asarray((scores - scores.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-12))


class Counts:
    """Terms counted in each paper, a title `title_weight` times, and weighed by BM25 with k1 1.2, b .75.

    As in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with the idf that is never negative.
    """

    def __init__(self, corpus: JudgedSet, analyzer: Callable[[str], list[str]], title_weight: int):
        self.vectorizer = CountVectorizer(analyzer=analyzer, dtype=np.float64)
        fields = [each[field] for field in ("title", "abstract") for each in corpus.documents]
        counted, papers = self.vectorizer.fit_transform(fields).tocsr(), len(corpus.documents)
        self.counts: Sparse = (title_weight * counted[:papers] + counted[papers:]).tocsr()
        found_in = np.bincount(self.counts.indices, minlength=self.counts.shape[1])
        self.idf: Floats = np.log1p((papers - found_in + 0.5) / (found_in + 0.5))
        lengths = np.asarray(self.counts.sum(axis=1)).ravel()
        norm = np.repeat(1.2 * (0.25 + 0.75 * lengths / lengths.mean()), np.diff(self.counts.indptr))
        self.bm25: Sparse = self.counts.copy()
        self.bm25.data *= 2.2 * self.idf[self.counts.indices] / (self.counts.data + norm)


class Corpus:
    """One set's papers in the forms that the baselines ask for, each made once."""

    def __init__(self, judged: JudgedSet):
        self.judged = judged
        self.papers = len(judged.documents)

    @cached_property
    def texts(self) -> list[str]:
        """Title and abstract."""
        return [f"{each['title']} {each['abstract']}" for each in self.judged.documents]

    @cached_property
    def words(self) -> Counts:
        """Words as they stand, titles twice."""
        return Counts(self.judged, _words, 2)

    @cached_property
    def stems(self) -> Counts:
        """Stems, titles twice."""
        return Counts(self.judged, stems, 2)

    @cached_property
    def pairs(self) -> Counts:
        """Stems and pairs of them, titles once."""
        return Counts(self.judged, stems_and_pairs, 1)

    @cached_property
    def tfidf(self) -> Sparse:
        """Unit rows of (1 + log count) · idf over stems and pairs."""
        weighed = self.pairs.counts.copy()
        found_in = np.bincount(weighed.indices, minlength=weighed.shape[1])
        weighed.data = (1 + np.log(weighed.data)) * (1 + np.log((1 + self.papers) / (1 + found_in)))[weighed.indices]
        return normalize(weighed)

    @cached_property
    def arxiv_sanity(self) -> tuple[TfidfVectorizer, Sparse]:
        """arxiv-sanity-lite's features, by the defaults of its compute.py."""
        vectorizer = TfidfVectorizer(
            strip_accents="unicode",
            stop_words="english",
            token_pattern=r"(?u)\b[a-zA-Z_][a-zA-Z0-9_]+\b",
            ngram_range=(1, 2),
            max_features=20_000,
            max_df=0.1,
            min_df=5,
            sublinear_tf=True,
        )
        return vectorizer, vectorizer.fit_transform(self.texts).astype(np.float32)

    @cached_property
    def bm25s(self) -> tuple[Callable[[list[str]], list[list[str]]], bm25s.BM25]:
        """bm25s with its defaults (Lucene's formula, k1 1.5, b .75) and scikit-learn's stop words, and its splitter."""

        def split(texts: list[str]) -> list[list[str]]:
            stop = sorted(ENGLISH_STOP_WORDS)
            found: list[list[str]] = bm25s.tokenize(texts, stopwords=stop, return_ids=False, show_progress=False)
            return found

        index = bm25s.BM25()
        index.index(split(self.texts), show_progress=False)
        return split, index

    @cached_property
    def lsa(self) -> tuple[TruncatedSVD, Floats]:
        """The 200 greatest singular vectors of the unit BM25 rows, and the papers in them, scaled to length 1."""
        svd = TruncatedSVD(200, random_state=1)
        return svd, normalize(svd.fit_transform(normalize(self.stems.bm25)))


@dataclass(frozen=True, slots=True)
class Query:
    """A free text and its query's id."""

    name: str
    text: str


def tfidf_of_arxiv_sanity(corpus: Corpus, queries: Sequence[Query]) -> Floats:
    """The cosine with the text's own features; the tool itself offers only a count of words for free text."""
    vectorizer, papers = corpus.arxiv_sanity
    return _dense(vectorizer.transform([query.text for query in queries]) @ papers.T)


def bm25_plain(corpus: Corpus, queries: Sequence[Query]) -> Floats:
    """BM25 of unstemmed words."""
    split, index = corpus.bm25s
    words = split([query.text for query in queries])
    return np.array([index.get_scores(each) if each else np.zeros(corpus.papers) for each in words])


def bm25_stemmed(corpus: Corpus, queries: Sequence[Query]) -> Floats:
    """BM25 of stems."""
    return _dense(_asked(corpus, queries) @ corpus.stems.bm25.T)


def bm25_and_lsa(corpus: Corpus, queries: Sequence[Query]) -> Floats:
    """z(BM25) + .4 z(cosine in the LSA space), the text weighed by idf."""
    svd, papers = corpus.lsa
    texts = normalize(svd.transform(normalize(_asked(corpus, queries).multiply(corpus.stems.idf).tocsr())))
    return z(bm25_stemmed(corpus, queries)) + 0.4 * z(texts @ papers.T)


def minilm(corpus: Corpus, queries: Sequence[Query]) -> Floats:
    """The cosine of the sentence vectors."""
    vectors = corpus.judged.query_vectors
    return np.stack([vectors[query.name] for query in queries]) @ corpus.judged.document_vectors.T


def bm25_and_minilm(corpus: Corpus, queries: Sequence[Query]) -> Floats:
    """z(BM25) + 1.5 z(cosine)."""
    return z(bm25_stemmed(corpus, queries)) + 1.5 * z(minilm(corpus, queries))


def bm25_share_and_minilm(corpus: Corpus, queries: Sequence[Query]) -> Floats:
    """.6 of the share that BM25 reaches of the most that it could, and .4 of the cosine: comparable across days."""
    most = (_asked(corpus, queries) @ (2.2 * corpus.stems.idf))[:, None]
    share: Floats = bm25_stemmed(corpus, queries) / np.maximum(most, 1e-12)
    return 0.6 * share + 0.4 * minilm(corpus, queries)


def _asked(corpus: Corpus, queries: Sequence[Query]) -> Sparse:
    return corpus.stems.vectorizer.transform([query.text for query in queries]).tocsr()


Examples: TypeAlias = Sequence[Sequence[int]]
"""Each profile's papers, as rows of the corpus."""


def zotero_arxiv_daily(corpus: Corpus, examples: Examples) -> Floats:
    """The mean of the cosines, the n-th newest paper's weighed by 1 / (1 + log10 n).

    The papers come in the drawn order, as the sets that are judged by libraries mostly know no dates.
    """
    vectors = corpus.judged.document_vectors
    profiles = []
    for rows in examples:
        weights = 1 / (1 + np.log10(np.arange(1, len(rows) + 1)))
        profiles.append(weights @ vectors[list(rows)] / weights.sum())
    return np.stack(profiles) @ vectors.T


def svm_of_arxiv_sanity(corpus: Corpus, examples: Examples) -> Floats:
    """The tool's classifier, by the settings of its serve.py: the papers liked against all others."""
    return _svm(corpus.arxiv_sanity[1], examples, LinearSVC(C=0.01, class_weight="balanced", tol=1e-6, max_iter=10_000))


def scholar_inbox(corpus: Corpus, examples: Examples) -> Floats:
    """Logistic regression on TF-IDF and on sentence vectors: liked papers against others drawn at random.

    After Flicke et al., "Scholar Inbox" (2025), and the settings that its authors' code recommends: both classes weigh
    the same, then the negative one `scale` times; C = .4, scale 1 on TF-IDF, C = .1, scale 5 on vectors. Which of the
    two it is today depends on the version, so both logits are added. Its own vectors are larger than MiniLM's.
    """
    return _logistic(corpus.arxiv_sanity[1], examples, 0.4, 1) + _logistic(
        corpus.judged.document_vectors, examples, 0.1, 5
    )


def bm25_of_papers(corpus: Corpus, examples: Examples) -> Floats:
    """BM25 of unstemmed words with the papers' own text as the query, each word weighing 1 + log of its count."""
    query = _chosen(corpus, examples) @ corpus.words.counts
    query.data = 1 + np.log(query.data)
    return _dense(query @ corpus.words.bm25.T)


def tfidf_centroid(corpus: Corpus, examples: Examples) -> Floats:
    """The mean cosine with the papers, over TF-IDF of stems and pairs."""
    return _dense(_chosen(corpus, examples) @ corpus.tfidf @ corpus.tfidf.T)


def svm_on_bm25(corpus: Corpus, examples: Examples) -> Floats:
    """LinearSVC with C = .1 on unit BM25 rows of stems and pairs."""
    return _svm(normalize(corpus.pairs.bm25), examples, LinearSVC(C=0.1, class_weight="balanced"))


def nearest_mean(corpus: Corpus, examples: Examples) -> Floats:
    """(mean v of the papers - mean v of all) · v_d / ‖v_d‖^.75, v = BM25 weights of stems and pairs."""
    weights = corpus.pairs.bm25
    chosen = _chosen(corpus, examples)
    sizes = np.array([[len(rows)] for rows in examples])
    usual = weights @ np.asarray(weights.mean(axis=0)).ravel()
    lengths: Floats = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel())
    likeness: Floats = _dense(chosen @ weights @ weights.T) / sizes - usual
    return likeness / np.maximum(lengths, 1e-9) ** 0.75


def sum_of_three(corpus: Corpus, examples: Examples) -> Floats:
    """z(NM) + z(TF-IDF centroid) + z(BM25)."""
    parts = nearest_mean(corpus, examples), tfidf_centroid(corpus, examples), bm25_of_papers(corpus, examples)
    return sum(map(z, parts), np.zeros(1))


def sum_of_three_and_minilm(corpus: Corpus, examples: Examples) -> Floats:
    """The same + .3 z(w · v_d), w = (covariance of all v + RIDGE)⁻¹ · (mean v of the papers - mean v of all)."""
    vectors = corpus.judged.document_vectors.astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    covariance = centred.T @ centred / len(centred) + RIDGE * np.eye(centred.shape[1])
    liked = np.stack([centred[list(rows)].mean(axis=0) for rows in examples])
    return sum_of_three(corpus, examples) + 0.3 * z(liked @ np.linalg.solve(covariance, centred.T))


def _chosen(corpus: Corpus, examples: Examples) -> Sparse:
    """Shape (profiles, papers), 1 where a paper is an example."""
    ends = np.cumsum([0, *map(len, examples)])
    columns = np.concatenate([np.asarray(rows, int) for rows in examples])
    return sp.csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(examples), corpus.papers))


def _svm(features: Sparse, examples: Examples, model: LinearSVC) -> Floats:
    scores = []
    for rows in examples:
        liked = np.zeros(features.shape[0])
        liked[list(rows)] = 1
        scores.append(model.fit(features, liked).decision_function(features))
    return np.array(scores)


def _logistic(features: Any, examples: Examples, inverse_penalty: float, scale: float) -> Floats:
    draw = np.random.default_rng(1)
    scores = []
    for rows in examples:
        others = np.setdiff1d(draw.choice(features.shape[0], min(1000, features.shape[0]), replace=False), rows)
        shown = np.concatenate([np.asarray(rows, int), others])
        weights = {True: len(shown) / len(rows), False: scale * len(shown) / len(others)}
        model = LogisticRegression(C=inverse_penalty, class_weight=weights, max_iter=1000)
        model.fit(features[shown], np.arange(len(shown)) < len(rows))
        scores.append(model.decision_function(features))
    return np.array(scores)


def _dense(matrix: Sparse) -> Floats:
    return np.asarray(matrix.toarray())


@dataclass(frozen=True, slots=True)
class Baseline:
    """A row of the table."""

    name: str
    by_text: Callable[[Corpus, Sequence[Query]], Floats] | None = None
    by_examples: Callable[[Corpus, Examples], Floats] | None = None
    vectors: bool = False
    """Whether it needs sentence vectors."""
    slow: bool = False
    """Whether it trains a model for each profile: minutes on the largest set, which it is spared."""


BASELINES = (
    Baseline("arxiv-sanity-lite: TF-IDF", tfidf_of_arxiv_sanity),
    Baseline("BM25, bm25s defaults", bm25_plain),
    Baseline("BM25 1.2/.75, stemmed, title twice", bm25_stemmed),
    Baseline("z(BM25) + .4 z(LSA-200)", bm25_and_lsa),
    Baseline("MiniLM-L6 alone, int8", minilm, vectors=True),
    Baseline("z(BM25) + 1.5 z(MiniLM)", bm25_and_minilm, vectors=True),
    Baseline(".6 BM25/most + .4 MiniLM", bm25_share_and_minilm, vectors=True),
    Baseline("zotero-arxiv-daily: mean of MiniLM", by_examples=zotero_arxiv_daily, vectors=True),
    Baseline("arxiv-sanity-lite: TF-IDF + SVM", by_examples=svm_of_arxiv_sanity, slow=True),
    Baseline("like Scholar Inbox: logistic", by_examples=scholar_inbox, vectors=True, slow=True),
    Baseline("BM25, query = the papers", by_examples=bm25_of_papers),
    Baseline("TF-IDF centroid, stems + pairs", by_examples=tfidf_centroid),
    Baseline("SVM C = .1 on BM25, stems + pairs", by_examples=svm_on_bm25, slow=True),
    Baseline("NM, closed form", by_examples=nearest_mean),
    Baseline("z(NM) + z(TF-IDF) + z(BM25)", by_examples=sum_of_three),
    Baseline("the same + .3 z(MiniLM ridge)", by_examples=sum_of_three_and_minilm, vectors=True),
)
