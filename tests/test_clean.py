"""Text as sources write it, made readable."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.pull.clean import readable, split_authors

TEX_WORDS = st.sampled_from(
    [
        "$", "$$", "\\", "{", "}", "^", "_", "\\(", "\\)", "\\[", "\\]", "\\frac", "\\sqrt[3]", "\\'e", "\\c ",
        "\\unknown", "\\textbf{", "\\begin{cases}", "\\end{cases}", "%", "&", "#", "~", "--", "``", "''", "<i>",
        "</i>", "<a href='", "<!--", "&amp;", "&lt;", "&#0;", "&#xD800;", "]]>", "x", "12", " and ", "é", "\u0301",
        "\ufeff", "\x00", "\ud800", "\U000f0000", "\U000f0001", "\u202e",
    ]
)  # fmt: skip
HOSTILE = st.one_of(st.text(), st.lists(TEX_WORDS, max_size=30).map("".join))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"$\epsilon$-greedy", "ε-greedy"),
        (r"Borja Rodr\'iguez-G\'alvez", "Borja Rodríguez-Gálvez"),
        (r"A Poincar\'e Inequality", "A Poincaré Inequality"),
        (r"$O(n^2)$ and $\mathcal{O}(n\log n)$", "O(n²) and O(n log n)"),
        (r"46.62\% responses", "46.62% responses"),
        (r"50% of \textbf{the 5%} & more", "50% of the 5% & more"),
        (r"\emph{x}", "x"),
        (r"{\it in vivo} {\"o}", "in vivo ö"),
        (r"Sk\l odowska, \L{}ukasz, \c{C}elik, \c c, \'{\i}, \aa", "Skłodowska, Łukasz, Çelik, ç, í, å"),
        (r"S$^{3}$G and $x_{t-1}^{*}$", "S³G and xₜ₋₁*"),
        (r"$\sqrt{s_{NN}}=200$ GeV, $d_{\text{model}}$", "√(s_NN)=200 GeV, d_model"),
        (r"$\frac{a+b}{2}$, $\mathbb{R}^{d}$, 90$^\circ$", "(a+b)/2, ℝᵈ, 90°"),
        (r"over \textbf{1.5$\times$} faster", "over 1.5× faster"),
        (r"The Blahut--Arimoto algorithm", "The Blahut–Arimoto algorithm"),
        ("promises to keep -- the candle burns -- and one more", "promises to keep – the candle burns – and one more"),
        (r"10^{-5} of 3{,}000 in Fig.~2", "10⁻⁵ of 3,000 in Fig. 2"),
        ("``quoted'' text", "“quoted” text"),
        (r"\(x\) and \[y\]", "x and y"),
        (r"{BERT} is \LaTeX here", "BERT is LaTeX here"),
        (r"$\rho = 0.57$, $\rho=0.57$, $k\geq 3$", "ρ = 0.57, ρ=0.57, k≥3"),
        (r"$\theta \in [0, 1]$, $2\alpha \beta$, $\lambda \rightarrow \infty$", "θ ∈ [0, 1], 2αβ, λ → ∞"),
        (r"$\mathbb{F}_{q^2}$, $\binom{n}{3}$, \(\Z_4\)", "F_(q²), (n choose 3), ℤ₄"),
        (r"\ours{} beats \textbf{\method} and \textbf{V\textbf{AE}}", r"\ours beats \method and VAE"),
        (r"as shown~\cite{lee2026, li2026}, and by \citep[p.~3]{day}.", "as shown, and by."),
        (r"complexity (\cite{lee2026}) and [\citealt{li}]", "complexity and"),
        ("Mega-ASR^2: R^2 = 0.9, 10^-8, O(n^2 log n), (x+1)^2", "Mega-ASR²: R² = 0.9, 10⁻⁸, O(n² log n), (x+1)²"),
        (r"\rev{We walk on \emph{long} graphs} and \rev{on x}", r"We walk on long graphs and \rev{on x}"),
        (r"$\rho= -0.6$, $a <= b$, $x> 0$", "ρ = -0.6, a <= b, x > 0"),
        (r"a region$\unicode{x2014}$defined", "a region—defined"),
        (r"at \href{https://x.example/a_b} and \href{https://x.example}{here}", "at https://x.example/a_b and here"),
        (r"\textbf{Keywords: walks, graphs", "Keywords: walks, graphs"),
        (r"\abstract{\textbf{Aims:} We walk.}", "Aims: We walk."),
        (r"Ain$'$t Allo{SR}$^2$, 5~dB", "Ain't AlloSR², 5 dB"),
    ],
)
def test_tex_becomes_unicode(written: str, read: str) -> None:
    """TeX in titles, abstracts and names is read as a person would read it."""
    assert readable(written) == read


@pytest.mark.parametrize(
    "text",
    [
        "$5 million and $6 million",
        "It costs $20 a month, not $30.",
        "at $0.08 per query",
        "from $5-$20 each",
        r"\ours beats \method",
        "pass^k, 10^5.5, 2^2^3, ^2H and x^12345",
        r"$\begin{cases}a\\b\end{cases}$",
        r"$\unknown{x}_2$",
        r"C:\Users\x",
        "a < b and c > d",
        "if a <b then c> d",
        "<Transformer> and Vec<T>",
        "AT&T, Q&A, R&parallel",
        "set {0, 1} and x_i",
        "--verbose",
        "run -- --verbose",
        "100% #1 ~5",
    ],
)
def test_what_cannot_be_turned_stays_as_written(text: str) -> None:
    """Money, unknown macros, comparisons and angle brackets that are no markup are left alone."""
    assert readable(text) == text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<i>E. coli</i>", "E. coli"),
        ("<p>One.</p><p>Two<br/>three.</p>", "One. Two three."),
        ("&lt;i&gt;E. coli&lt;/i&gt; &amp;amp; co", "E. coli & co"),
        ("CO<sub>2</sub> and 10<sup>-5</sup>", "CO₂ and 10⁻⁵"),
        ("a<script>alert(1)</script>b <style>p{}</style>c<!-- d -->e", "a b c e"),
        ('<a href="https://example.org/?a=1&b=2" title="x > y">link</a>', "link"),
        ("<T5> and <b>bold</b>", "<T5> and bold"),
        ("$p&lt;0.05$", "p<0.05"),
        ("Caf&eacute; &#8211; &#x1F600;", "Café – 😀"),
        ("<![CDATA[x & y]]>", "x & y"),
    ],
)
def test_markup_goes_and_its_text_stays(written: str, read: str) -> None:
    """HTML is removed whether it comes plain, escaped or escaped twice; text that looks like it stays."""
    assert readable(written) == read


def test_white_space_and_unseen_characters() -> None:
    """Line breaks fold, byte-order marks, controls and direction marks go, accents are composed, joiners stay."""
    assert readable("\ufeffa\r\n  b\x00\x07\u202ec\u00a0d") == "a bc d"
    assert readable("e\u0301") == "é"
    assert readable("می\u200cخواهم") == "می\u200cخواهم"


@settings(deadline=None)
@given(HOSTILE)
def test_readable_never_raises_and_shows_no_control_characters(text: str) -> None:
    """Whatever comes in, one line of printable NFC text comes out."""
    out = readable(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} for c in out)
    assert out == " ".join(out.split())
    assert unicodedata.is_normalized("NFC", out)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\\$<>&{}`~^_")))
def test_plain_text_is_cleaned_once_for_all(text: str) -> None:
    """Cleaning clean text changes nothing."""
    once = readable(text)
    assert readable(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "$",
        "\\",
        "{",
        "\\a{",
        "$x$",
        "\\'e",
        "<p a=",
        "<p a='",
        "<!--",
        "<",
        "&amp;",
        "{\\",
        "``",
        "$x",
        "a--",
        "\\[",
        "$$",
        "~",
        "~\\cite{",
        "(\\cite{a}",
        "\\textbf{",
        "\\textbf{a}",
        "\\rho ",
        "$\\rho =",
        "<sup>1",
    ],
)
def test_repetition_of_a_piece_ends(piece: str) -> None:
    """A hundred thousand characters of the same beginning are read in time that grows with their number only."""
    assert isinstance(readable(piece * (100_000 // len(piece))), str)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("Matteo Gasparin, Aaditya Ramdas", ("Matteo Gasparin", "Aaditya Ramdas")),
        (r"Borja Rodr\'iguez-G\'alvez, Omar Rivasplata", ("Borja Rodríguez-Gálvez", "Omar Rivasplata")),
        ("Ada Lovelace (MIT, Boston), Bo Li (CNRS (Paris), Lyon)", ("Ada Lovelace", "Bo Li")),
        ("Martin King, Jr., Ann Lee and Jo Day", ("Martin King, Jr.", "Ann Lee", "Jo Day")),
        ("A. One, B. Two, and C. Three", ("A. One", "B. Two", "C. Three")),
        ("Loconsole, M.; Xue, C.", ("M. Loconsole", "C. Xue")),
        ("Vasseur, F., Cornet, D., Beurier, G.,", ("F. Vasseur", "D. Cornet", "G. Beurier")),
        ("Zhang, a., jiang, x., Li, B.", ("a. Zhang", "x. jiang", "B. Li")),
        ("Zhang Li., Bo Xu", ("Zhang Li.", "Bo Xu")),
        ("Ann Lee & Jo Day", ("Ann Lee", "Jo Day")),
        ('<a href="https://example.org">Chris Day</a> (STAR Collaboration)', ("Chris Day",)),
        ("By: Anand Rao et al.", ("Anand Rao",)),
        ("Anand Rao, Anand Rao", ("Anand Rao",)),
        ("Li, X.", ("X. Li",)),
        ("", ()),
        (" , ;", ()),
    ],
)
def test_one_string_of_authors_is_split_into_names(written: str, names: tuple[str, ...]) -> None:
    """Author strings of arXiv and of publishers become names, first name first."""
    assert split_authors(written) == names


@settings(deadline=None)
@given(HOSTILE)
def test_split_authors_never_raises(text: str) -> None:
    """Whatever comes in, every name that comes out holds a letter."""
    assert all(any(c.isalpha() for c in name) for name in split_authors(text))
