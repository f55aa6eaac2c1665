"""What the macros of TeX stand for in a line of Unicode: tables. `tex.py` reads them."""

from __future__ import annotations

SUPER = dict(zip("0123456789+-=()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾", strict=True)) | dict(
    zip("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True)
)
SUPER |= {"−": "⁻", "*": "*", "∗": "*", "⋆": "*", "′": "′", "∘": "°", "°": "°", "†": "†", "T": "ᵀ", "⊤": "ᵀ", "%": "%"}
SUB = dict(zip("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", strict=True)) | {"−": "₋"}
SUB |= dict(zip("aehijklmnoprstuvx", "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARGUMENT = _words(
    "text textrm textit textbf textsf textsl textsc texttt textnormal textmd textup emph mbox hbox fbox url path "
    "mathrm mathbf mathit mathsf mathtt mathcal mathscr mathfrak mathnormal mathbb boldsymbol bm pmb boldmath "
    "operatorname ensuremath underline uline overline widehat widetilde mathop mathbin mathrel mathord mathds"
)
"""Macros of one argument that are turned into that argument."""
NOTHING = _words(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle scriptstyle "
    "limits nolimits it em bf rm sc tt sf sl itshape bfseries ttfamily scshape sffamily rmfamily small large Large "
    "footnotesize normalsize tiny xspace noindent protect relax nonumber ! / -"
)
"""Macros that change how something looks and leave no text."""
PROSE = _words("textbf textit texttt textsf textsl textsc textrm textnormal textmd textup emph underline uline")
"""Of them, those around running text, in which an unknown macro stays without keeping the rest."""
SPACE = _words(", ; : > quad qquad enspace thinspace \\ newline linebreak par") | {" ", "\n", "\t"}
OPERATORS = _words(
    "arccos arcsin arctan arg cos cosh cot deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max min Pr sec "
    "sin sinh sup tan tanh argmin argmax"
)
SYMBOLS = {
    "ldots": "…", "dots": "…", "cdots": "⋯", "dotsc": "…", "dotsb": "⋯", "sim": "~", "thicksim": "~", "ast": "*",
    "star": "⋆", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "Vert": "‖", "lVert": "‖", "rVert": "‖",
    "|": "‖", "bmod": " mod ", "mod": " mod ", "iff": "⇔", "implies": "⇒", "prime": "′", "leqslant": "≤",
    "geqslant": "≥", "ne": "≠", "land": "∧", "lor": "∨", "neg": "¬", "lnot": "¬", "ominus": "⊖", "colon": ":",
    "bot": "⊥", "top": "⊤", "intercal": "⊤", "dag": "†", "dagger": "†", "backslash": "\\", "textasciitilde": "~",
    "lbrace": "{", "rbrace": "}", "textbar": "|", "textless": "<", "textgreater": ">", "textquotesingle": "'",
    "textunderscore": "_", "TeX": "TeX", "LaTeX": "LaTeX", "eg": "e.g.", "ie": "i.e.", "checkmark": "✓",
    "cmark": "✓", "xmark": "✗",
    "S": "§", "P": "¶", "$": "$", "%": "%", "&": "&", "#": "#", "_": "_", "{": "{", "}": "}", "i": "ı", "j": "ȷ",
    "triangleq": "≜", "lesssim": "≲", "gtrsim": "≳", "circ": "∘", "bullet": "•", "degree": "°", "textdegree": "°",
    "epsilon": "ε", "phi": "φ", "varepsilon": "ε", "varphi": "φ", "hbar": "ħ", "ell": "ℓ", "setminus": "∖",
    "R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "F": "F",
    "longrightarrow": "→", "longleftarrow": "←", "Longrightarrow": "⇒", "mapsto": "↦", "longmapsto": "↦",
}  # fmt: skip
DOUBLE_STRUCK = {"C": "ℂ", "H": "ℍ", "N": "ℕ", "P": "ℙ", "Q": "ℚ", "R": "ℝ", "Z": "ℤ"}
LETTERS = _words("oe OE ae AE aa AA o O ss l L i j dh DH th TH dj DJ ng NG")
ACCENTS = _words("' ` ^ \" ~ = . u v H c d b k r t hat tilde bar vec dot ddot acute grave breve check mathring dddot")
SHAPES = {
    "frac": "{{", "dfrac": "{{", "tfrac": "{{", "nicefrac": "{{", "sfrac": "{{", "sqrt": "[{", "textcolor": "{{",
    "binom": "{{", "dbinom": "{{", "tbinom": "{{", "foreignlanguage": "{{", "hyperlink": "{{",
    "color": "{", "href": "{{", "footnote": "[{", "hspace": "*{", "vspace": "*{", "label": "{", "texorpdfstring": "{{",
}  # fmt: skip
"""The arguments of macros that have more than one, as pylatexenc writes them."""
