r"""TeX to readable Unicode: `$\epsilon$-greedy` becomes ε-greedy, `Rodr\'iguez` Rodríguez, `$O(n^2)$` O(n²).

Pure text in, text out; no HTML (that is `clean.py`, the only caller), no I/O. pylatexenc parses, and knows accents and
symbols; what it does not do is done here: telling mathematics from money, superscripts and subscripts, spacing, and
noticing what cannot be turned. A piece that cannot be turned (an unknown macro with its arguments, a formula with a
matrix) is returned as it was written, never half-turned. Only letters of the basic plane are produced: the
mathematical alphabets beyond it (𝒪, 𝔼) are missing from many mail clients' fonts and from every search box.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from pylatexenc import latex2text, latexwalker, macrospec

from digest.pull.macros import (
    ACCENTS,
    ARGUMENT,
    DOUBLE_STRUCK,
    LETTERS,
    NOTHING,
    OPERATORS,
    PROSE,
    SHAPES,
    SPACE,
    SUB,
    SUPER,
    SYMBOLS,
)

logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)  # what it cannot parse is our business, not the log's


class _CannotTurnError(Exception):
    """A piece of TeX of which no readable text can be made."""


def from_tex(text: str) -> str:
    """Return `text` with its TeX turned into readable Unicode; pieces that cannot be turned stay. Never raises."""
    if "\\" not in text and "$" not in text:
        return _loose(text)
    text = _mended(text)
    # Formulas stand inside the arguments of macros, so the prose around them is turned as a whole, with one private
    # character in place of each formula. (`clean.py` lets no private character in.)
    formulas: list[str] = []
    prose: list[str] = []
    for is_formula, piece in _pieces(text):
        if is_formula and len(formulas) < 0xFFFF:
            prose.append(chr(_PRIVATE + len(formulas)))
            formulas.append(_formula(piece))
        else:
            prose.append(piece)
    turned = _prose("".join(prose))
    return re.sub("[\U000f0000-\U000fffff]", lambda m: formulas[ord(m[0]) - _PRIVATE], turned) if formulas else turned


_CITE = r"\\cite[a-z]{0,8}\*?(?:\[[^][]{0,100}\]){0,2}\{[^{}]{0,500}\}"
_CITED = re.compile(rf"(?<![\s~])[\s~]*+(?:{_CITE}|\({_CITE}\)|\[{_CITE}\])")
_CODE_POINT = re.compile(r"\\unicode\{x([0-9A-Fa-f]{2,4})\}|\\char\"([0-9A-Fa-f]{2,4})\b ?")
_ADDRESS = re.compile(r"\\(?:href|hyperlink)\{([^{}\s]{1,500})\}(?!\s*\{)")
_UNCLOSED = re.compile(r"\\(?:text(?:bf|it|tt|sc|rm|sf)|emph|underline|footnote|abstract)\{(?=[^{}]*$)")


def _mended(text: str) -> str:
    """Mend what stands across formulas and macros: citations go, as do marks around text that nothing ends."""
    text = _CITED.sub("", text)
    text = _CODE_POINT.sub(lambda m: chr(int(m[1] or m[2], 16)), text)
    text = _ADDRESS.sub(r"\1", text)
    text = re.sub(r"(?<=[^\W\d_])\$'\$(?=[^\W\d_])", "'", text)  # Ain$'$t
    if text.startswith("\\abstract{") and text.rstrip().endswith("}"):
        text = text[len("\\abstract{") : text.rindex("}")]
    return _UNCLOSED.sub(" ", text)


_PRIVATE = 0xF0000
_OPENING = re.compile(r"\\\(|\\\[|\\.|\$\$|\$", re.DOTALL)
# Dollar signs further apart than this many characters are not taken for a pair: the cost stays linear.
_CLOSING = {
    "$": re.compile(r"(?:[^$\\]|\\.){1,1500}?\$", re.DOTALL),
    "$$": re.compile(r"(?:[^$\\]|\\.|\$(?!\$)){1,1500}?\$\$", re.DOTALL),
    "\\(": re.compile(r"(?:[^\\]|\\[^)(]){1,1500}?\\\)", re.DOTALL),
    "\\[": re.compile(r"(?:[^\\]|\\[^][]){1,1500}?\\\]", re.DOTALL),
}


def _pieces(text: str) -> Iterable[tuple[bool, str]]:
    """Cut `text` into prose and formulas, delimiters included: pairs of (is a formula, text)."""
    start = at = 0
    while opening := _OPENING.search(text, at):
        at = opening.end()
        mark = opening.group()
        closing = _CLOSING[mark].match(text, at) if mark in _CLOSING else None
        if not closing:
            continue
        inner = text[at : closing.end() - len(mark)]
        if mark == "$" and _is_money(inner, text[closing.end() : closing.end() + 1]):
            continue
        yield False, text[start : opening.start()]
        yield True, text[opening.start() : closing.end()]
        start = at = closing.end()
    yield False, text[start:]


def _is_money(inner: str, following: str) -> bool:
    """Say whether the text between two dollar signs is prose: "$5 million and $6 million"."""
    if re.search(r"[\\^_{}]", inner):
        return False
    if inner[:1].isdigit() and (following.isdigit() or re.search(r"\s$|\s[^\W\d_]{2}", inner)):
        return True
    if inner.count("(") != inner.count(")"):
        return True
    return re.search(r"[^\W\d_]{3,}\s+[^\W\d_]{3,}", inner) is not None


@lru_cache(maxsize=4096)
def _formula(piece: str) -> str:
    """Turn one formula with its delimiters, or return it as it is."""
    inner = piece[2:-2] if piece.startswith(("$$", "\\")) else piece[1:-1]
    try:
        turned = re.sub(r"(?<=[^\s=<>!:])([=<>≤≥≈∈])(?=\s)", r" \1", _turn(inner, math=True).strip())
    except Exception:  # pylatexenc's parser fails in many ways on what is not TeX
        return piece
    return turned or piece


def _prose(text: str) -> str:
    """Turn the macros and accents of running text, each by itself: one that fails spoils no other."""
    if "\\" in text:
        text = _MACRO.sub(lambda m: _macro(m[0]), text)
    return _loose(text)


_GROUP = r"\{(?>[^{}\\]|\\.){0,2000}+\}"
for _ in range(2):  # groups within groups within groups
    _GROUP = r"\{(?>[^{}\\]|\\.|" + _GROUP + r"){0,2000}+\}"
_MACRO = re.compile(
    r"\{\\(?>[^{}\\]|\\.|\{[^{}]{0,50}+\}){1,500}+\}"  # {\"o}, {\it word}
    rf"|\\[A-Za-z]++\*?(?>\s*+\[[^][]{{0,100}}+\])?(?>\s*+{_GROUP})++"  # \textbf{word}, \href{...}{...}
    r"|\\[cvuHkrdbt]\ ++[A-Za-z]"  # \c c
    r"|\\[A-Za-z]++\s*+"
    rf"|\\['`^\"~=.]\s?(?>{_GROUP}|\\[ij](?![A-Za-z])|\w)"  # \'e, \'{e}, \'\i
    r"|\\.",
    re.DOTALL,
)


@lru_cache(maxsize=4096)
def _macro(piece: str) -> str:
    """Turn one macro with its arguments, or return it as it is."""
    try:
        return _turn(piece, math=False)
    except Exception:  # as in _formula
        return piece


_LOOSE_SCRIPT = re.compile(r"(?<=[\w)])([\^_])\{([^{}\\$]{1,20})\}")
_POWER = re.compile(r"(?<=[\w)])(?<!\^\d)\^([-−]?\d{1,3})(?![\d^]|[.,]\d)")
_GLUED = re.compile(r"(\\?(?:[^\W\d_]++|\d))\{([^\W\d_]{1,20}|,)\}")
_EMPTY = re.compile(r"(\\[A-Za-z]++)\{\}")
_PROTECTED = re.compile(r"(?<![\\\w^_])\{([^\W\d_][\w .:-]*)\}")


def _loose(text: str) -> str:
    """Mend the TeX habits that need no backslash: `10^{-5}`, `R^2`, `{BERT}`, ``quotes'', `--`, ties."""
    if "{" in text:
        text = _EMPTY.sub(r"\1", text)
        text = _LOOSE_SCRIPT.sub(lambda m: _script(m[1], m[2]), text)
        text = _PROTECTED.sub(r"\1", text)
        text = _GLUED.sub(lambda m: m[0] if m[0].startswith("\\") else m[1] + m[2], text)
    if "^" in text:
        text = _POWER.sub(lambda m: _script("^", m[1]), text)
    if "``" in text:
        text = re.sub(r"``((?:(?!``).){1,500}?)''", r"“\1”", text, flags=re.DOTALL)
    if "--" in text:
        text = re.sub(r"(?<!-)---(?!-)", "—", text)
        text = re.sub(r"(?<=\w)--(?=\w)|(?<=\s)--(?=\s+[^\s-])", "–", text)
    if "~" in text:
        text = re.sub(r"(?<=[^\W\d_])~(?=[\w\\])|(?<=[^\W\d_]\.)~(?=[\w\\])|(?<=\d)~(?=[^\W\d_])", " ", text)
    return text


def _script(mark: str, text: str) -> str:
    """Set `text` as a superscript (mark ^) or subscript (mark _), in Unicode where that stays legible."""
    text = text.strip()
    if not text:
        return ""
    table = SUPER if mark == "^" else SUB
    if all(c in table for c in text) and not re.search(r"[^\W\d_]{3}", text):
        return "".join(table[c] for c in text)
    return mark + (text if re.fullmatch(r"[^\W²³¹⁰-ₜᵃ-ᵿ]+|.", text) else f"({text})")


def _turn(tex: str, *, math: bool) -> str:
    """Convert TeX to text.

    Raises whatever the parser raises, and `_CannotTurnError` for a formula that holds an unknown macro; in prose an
    unknown macro stays as written, together with the groups that follow it.
    """
    walker_context, converter = _converter()
    tex = re.sub(r"(\\[A-Za-z]+)(?=[^\W\d_a-zA-Z])", r"\1 ", tex)  # \boldsymbolα is \boldsymbol{α}
    shielded = re.sub(r"(\\.)|([%&#$])", lambda m: m[1] or "\\" + m[2], tex, flags=re.DOTALL)
    if math:
        walker = latexwalker.LatexWalker("$" + shielded + "$", latex_context=walker_context, tolerant_parsing=False)
        nodes, _, _ = walker.get_latex_nodes()
        if len(nodes) != 1 or not nodes[0].isNodeType(latexwalker.LatexMathNode):
            raise _CannotTurnError
        return str(converter.nodelist_to_text(nodes[0].nodelist))
    walker = latexwalker.LatexWalker(shielded, latex_context=walker_context, tolerant_parsing=False)
    nodes, _, _ = walker.get_latex_nodes()
    return converter.prose_to_text(nodes)


@cache
def _converter() -> tuple[Any, _Converter]:
    """Build pylatexenc's tables once: what takes which arguments, and the converter."""
    context = latexwalker.get_default_latex_context_db().filter_context(exclude_categories=["nonascii-specials"])
    one_argument = [macrospec.std_macro(name, "{") for name in (*ARGUMENT, "textsuperscript", "textsubscript", "pmod")]
    text_argument = [
        macrospec.MacroSpec(name, args_parser=macrospec.MacroStandardArgsParser("{", args_math_mode=[False]))
        for name in ARGUMENT
        if name.startswith(("text", "emph", "mbox", "url"))
    ]
    others = [macrospec.std_macro(name, spec) for name, spec in SHAPES.items()]
    bare = [macrospec.std_macro(name, "") for name in (*NOTHING, *SPACE, *OPERATORS, *SYMBOLS)]
    context.add_context_category(
        "digest", macros=[*bare, *one_argument, *text_argument, *others], environments=[], specials=[], prepend=True
    )
    return context, _Converter(math_mode="text", keep_comments=True)


_WRITTEN = "\x1f"
"""Stands for a space after a macro of a formula: TeX drops it, but before a relation its author meant it."""
_SPACED = re.compile(_WRITTEN + r"(?=(?:[=<>≤≥≠≈≡∈∉⊂⊆∼≃≅→←↦∝≪≫≲≳≜±×·+−~|:-]|:=)(?:\s|$))")


class _Converter(latex2text.LatexNodes2Text):  # type: ignore[misc]  # pylatexenc has no types
    """pylatexenc's converter with scripts, spacing, and no silent loss."""

    def prose_to_text(self, nodes: list[Any]) -> str:
        r"""Convert running text node by node.

        Unknown macros stay, with the groups that are their arguments, except around running text: `\rev{We show that}`.
        """
        out = before = ""
        verbatim = False
        for node in nodes:
            if verbatim and node.isNodeType(latexwalker.LatexGroupNode):
                argument = node.latex_verbatim()
                prose = len(argument.split()) > _FEW and len(nodes) == 2  # the macro and this
                out = before + self.prose_to_text(node.nodelist) if prose else out + argument
                continue
            verbatim = False
            before = out
            try:
                out = self._append(out, node)
            except _CannotTurnError:
                out += re.sub(r"\\([%&#$])", r"\1", node.latex_verbatim())
                verbatim = True
        return out

    def nodelist_to_text(self, nodelist: list[Any]) -> str:
        """Convert nodes, setting `^` and `_` of formulas as scripts."""
        out = ""
        script = ""
        for node in nodelist or ():
            if node is None:
                continue
            if node.isNodeType(latexwalker.LatexCharsNode) and node.parsing_state.in_math_mode:
                out, script = _chars(out, script, node.chars)
            elif script:
                out += _script(script, self.node_to_text(node))
                script = ""
            else:
                out = self._append(out, node)
        if script:
            raise _CannotTurnError
        return _SPACED.sub(" ", out).replace(_WRITTEN, "")

    def _append(self, out: str, node: Any) -> str:
        """Append one node's text with the space that TeX's authors, if not TeX, mean by it."""
        text = str(self.node_to_text(node))
        if not node.isNodeType(latexwalker.LatexMacroNode):
            return out + text
        in_math = node.parsing_state.in_math_mode
        bare = not (node.nodeargd and any(node.nodeargd.argnlist or ()))  # else the space stood before the argument
        space = " " if bare and node.macro_post_space else ""
        if node.macroname in OPERATORS:
            return out + (" " if out[-1:].isalnum() or out[-1:] in (")", "]") else "") + text + space
        if in_math and text.isalpha():
            return out + text + (_WRITTEN if space else "")
        if in_math:
            return out + text + (space if out.endswith((" ", _WRITTEN)) else "")
        return out + text + ("" if node.macroname in LETTERS or not text else space)

    def macro_node_to_text(self, node: Any) -> str:
        """Convert one macro, or raise `_CannotTurnError` if nobody knows it."""
        name = node.macroname
        arguments = node.nodeargd.argnlist if node.nodeargd and node.nodeargd.argnlist else []
        if name in NOTHING or name in SPACE:
            return " " if name in SPACE else ""
        if name in OPERATORS or name in SYMBOLS:
            return SYMBOLS.get(name, str(name))
        if name in ARGUMENT or name in SHAPES or name in _BUILDERS:
            if name in PROSE and not node.parsing_state.in_math_mode:
                return self.prose_to_text(getattr(arguments[-1], "nodelist", None) or [arguments[-1]])
            texts = [self._groupnodecontents_to_text(argument) for argument in arguments]
            return _built(name, texts)
        spec = self.latex_context.get_macro_spec(name)
        if spec is None or (name not in ACCENTS and not isinstance(spec.simplify_repl, str)):
            raise _CannotTurnError
        if name not in ACCENTS and (arguments or "%" in spec.simplify_repl or name == "today"):
            raise _CannotTurnError
        return str(super().macro_node_to_text(node))

    def environment_node_to_text(self, node: Any) -> str:  # noqa: ARG002
        """Refuse: a matrix or an equation has no shape in a line of text."""
        raise _CannotTurnError

    def comment_node_to_text(self, node: Any, textcol: int = 0) -> str:  # noqa: ARG002
        """Keep the per cent sign: nobody writes comments in an abstract."""
        return f"%{node.comment}{node.comment_post_space}"

    def specials_node_to_text(self, node: Any) -> str:
        """Leave special characters alone: alignment marks outside a table are text."""
        return str(node.specials_chars)


_FEW = 4
"""Words that a macro's argument may have without being running text."""
_BUILDERS = ("textsuperscript", "textsubscript", "pmod")


def _built(name: str, texts: list[str]) -> str:
    """Make the text of a macro out of its arguments' texts."""
    last = texts[-1] if texts else ""
    built = last
    match name:
        case "frac" | "dfrac" | "tfrac" | "nicefrac" | "sfrac":
            built = "/".join(_atom(text) for text in texts)
        case "sqrt":
            built = f"{_script('^', texts[0])}√{_atom(last)}"
        case "mathbb" | "mathds":
            built = DOUBLE_STRUCK.get(last, last)
        case "binom" | "dbinom" | "tbinom":
            built = f"({texts[0]} choose {last})"
        case "textsuperscript" | "textsubscript":
            built = _script("^" if name == "textsuperscript" else "_", last)
        case "pmod":
            built = f" (mod {last})"
        case "footnote":
            built = f" ({last})"
        case "color" | "label" | "hspace" | "vspace":
            built = ""
    return built


def _atom(text: str) -> str:
    """Wrap in parentheses what would change its meaning without them."""
    text = text.strip()
    return text if re.fullmatch(r"(?:[^\W_]|[.∞′])+|\([^()]*\)|⟨[^⟨⟩]*⟩", text) else f"({text})"


def _chars(out: str, script: str, chars: str) -> tuple[str, str]:
    """Append a formula's plain characters; return the text so far and a script mark that still lacks its argument."""
    for part in re.split(r"([\^_])", chars):
        if part in ("^", "_"):
            if script:
                raise _CannotTurnError
            script = part
            continue
        rest = part.lstrip() if script else part
        if script and rest:
            out += _script(script, rest[0])
            rest, script = rest[1:], ""
        out += re.sub(r"'+", lambda m: "′" * len(m[0]), rest).replace("~", " ")
    return out, script
