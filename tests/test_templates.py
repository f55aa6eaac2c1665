"""Templates: found in the list's own folder first, sandboxed, and broken ones named with file and line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from digest.errors import TemplateError
from digest.model import Selection, Theme
from digest.render.fragments import Marks, read_back, size
from digest.render.language import language_of
from digest.render.templates import Templates, email_folders, shipped_templates
from tests.render_samples import ADA, LIST, paper, picks, renderer

SHIPPED = shipped_templates() / "email" / "daily"


def override(folder: Path, name: str, source: str) -> Path:
    """Writes one of the list's own templates; the file."""
    file = folder / "email" / "daily" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    return file


def rendered_with(folder: Path) -> str:
    """HTML and text of an edition of a list with templates of its own."""
    result = renderer([paper()], dataclasses.replace(LIST, templates=folder)).render(ADA, Selection(picks([paper()])))
    return result.html + result.text


def test_a_list_can_override_any_single_file(tmp_path: Path) -> None:
    """A template in the list's folder is preferred; the others stay the shipped ones, also where one includes one."""
    override(tmp_path, "card.html", '<p class="title">Mine: {{ card.title }} {{ slot.why }}</p>')
    override(tmp_path, "style.css", ".title { color: #123456 }")
    html = rendered_with(tmp_path)
    assert '<p class="title" style="color:#123456">Mine: Tidal Attention' in html
    assert "Why you get this" in html
    assert "#a8381c" not in html


def test_media_queries_keep_their_weight(tmp_path: Path) -> None:
    """Rules that cannot become attributes stay in the head, and each keeps its !important."""
    override(tmp_path, "client.css", "")
    override(tmp_path, "style.css", ".x { color: #111111 }\n@media (max-width: 9px) { .x { color: red !important } }")
    assert "!important" in rendered_with(tmp_path).partition("</head>")[0]


@pytest.mark.parametrize(
    ("name", "source", "line", "message"),
    [
        ("card.html", "<p>\n{% if card.title %}\n", 2, "Unexpected end of template"),
        ("card.html", "<p>\n\n{{ crad.title }}</p>", 3, "'crad' is undefined"),
        ("card.html", "<p>\n{{ card.titel }}</p>", 2, "has no attribute 'titel'"),
        ("card.html", "{% if card.byline == 'never' %}\n\n{{ crad }}{% endif %}", 3, "'crad' is undefined"),
        ("card.html", "{{ slot.preheader }}", 1, "has no attribute 'preheader'"),
        ("card.txt", "{{ card.title | shout }}", 1, "No filter named 'shout'"),
        ("edition.txt", "{{ slot.body }}\n{{ card.title }}", 2, "'card' is undefined"),
        ("quiet.html", "\n{{ edition.number + 'x' }}", 2, "unsupported operand"),
        ("line.html", "\n{{ card.__class__.__mro__ }}", 2, "unsafe"),
        ("edition.html", "{{ slot.body }}\n{{ edition.sources.append(1) }}", 2, "append"),
        ("more.html", "{{ 1 / 0 }}", 1, "division by zero"),
        ("client.css", "\n{{ nothing }}", 2, "'nothing' is undefined"),
    ],
)
def test_a_broken_template_is_named_with_file_and_line(
    tmp_path: Path, name: str, source: str, line: int, message: str
) -> None:
    """Before anything is rendered for anyone, the renderer says what is wrong and where."""
    file = override(tmp_path, name, source)
    with pytest.raises(TemplateError) as caught:
        renderer([], dataclasses.replace(LIST, templates=tmp_path))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("source", ["<html><body>no papers</body></html>", "<p>{{ slot.body }}{{ slot.body }}</p>"])
def test_a_page_must_show_the_papers_once(tmp_path: Path, source: str) -> None:
    """A page without the papers, or with them twice, is refused."""
    file = override(tmp_path, "edition.html", source)
    with pytest.raises(TemplateError, match=r"must show slot.body once") as caught:
        rendered_with(tmp_path)
    assert str(file) in str(caught.value)


def test_papers_cannot_stand_inside_a_tag(tmp_path: Path) -> None:
    """A page that shows the papers where no element may stand is refused."""
    override(tmp_path, "edition.html", "<html><head><title>{{ slot.body }}</title></head><body></body></html>")
    with pytest.raises(TemplateError, match=r"slot.body must stand"):
        rendered_with(tmp_path)


def test_a_page_that_leaves_no_room_is_refused(tmp_path: Path) -> None:
    """A page of more bytes than half of an email is refused, since nobody would see the papers."""
    override(tmp_path, "edition.html", "<html><body>{{ slot.body }}" + "x" * 70_000 + "</body></html>")
    with pytest.raises(TemplateError, match=r"70,\d{3} bytes without papers"):
        rendered_with(tmp_path)


def test_a_slot_can_only_be_shown(tmp_path: Path) -> None:
    """What a filter makes of a slot is no slot any more: refused instead of sent."""
    override(tmp_path, "card.html", "<p>{{ slot.why | upper }}</p>")
    with pytest.raises(TemplateError, match="must be shown as it is"):
        rendered_with(tmp_path)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """A list that names a folder which is not there does not silently get the shipped templates."""
    with pytest.raises(TemplateError, match="no such folder"):
        rendered_with(tmp_path / "nowhere")


def test_a_missing_template_is_said_with_where_it_was_looked_for(tmp_path: Path) -> None:
    """An include of a file that exists nowhere names the file and the folders."""
    override(tmp_path, "card.html", '{% include "email/daily/mine.html" %}')
    with pytest.raises(TemplateError, match=r"email/daily/mine.html is missing: looked in .* or "):
        rendered_with(tmp_path)


def test_a_template_that_is_not_utf_8_is_said(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are reported as a broken template, not with a traceback."""
    override(tmp_path, "card.txt", "").write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match=r"card.txt"):
        rendered_with(tmp_path)


def test_html_is_escaped_and_text_is_not() -> None:
    """Escaping goes by the template's ending."""
    theme = Templates(email_folders(Theme.DAILY), None, language_of("en"))
    assert "&lt;b&gt;" in theme.render("more.html", slot={"names": "<b>"})
    assert "<b>" in theme.render("links.txt", slot={"links": "<b>"})


def test_every_shipped_template_is_in_use() -> None:
    """The folder holds what the renderer reads, and nothing else."""
    from digest.render.edition import SLOTS

    assert {file.name for file in SHIPPED.iterdir()} == {*SLOTS, "style.css", "client.css"}


def test_marks_cut_where_they_stand() -> None:
    """A slot knows its column, also at the start of a text and after a line end."""
    marks = Marks("0123")
    a, b = marks.slot("a", "b").values()
    fragment = marks.split(f"{a} one\n  two {b}!", "x.txt")
    assert [(slot.name, slot.column) for slot in fragment.slots] == [("a", 0), ("b", 6)]
    assert (
        read_back(fragment.fill_text(a="A", b="B " * 40)) == "A one\n  two " + "B " * 32 + "B\n      " + "B " * 7 + "!"
    )
    assert sum(map(size, fragment.wires)) == len(" one\n  two !")
