"""Files that people already have: members as CSV, a library as BibTeX."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.model import Address, Frequency, LinkKind, PaperId
from digest.subscribe import values
from digest.subscribe.importing import COLUMNS, Imported, SubscriberRow, read_bibtex, read_subscribers

# --- CSV ---


def rows(tmp_path: Path, text: str | bytes) -> Imported[SubscriberRow]:
    file = tmp_path / "members.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_subscribers(file)


def told(found: Imported[SubscriberRow]) -> list[tuple[int | None, str, str]]:
    return [(p.line, p.key, p.message) for p in found.problems]


def test_a_row_says_all_that_a_table_can_say(tmp_path: Path) -> None:
    """Every column is read; several values in a cell stand with semicolons between them."""
    text = (
        "Email, name ,topics,authors,categories,examples,timezone,language,frequency\r\n"
        'ada@EXAMPLE.org,"Lovelace, Ada",video; audio;,Tim Brooks;Åsa Öberg,cs.CV;hep-th,'
        "2406.04325v2; doi:10.1038/ABC,Asia/Tokyo,pt-BR,weekly\r\n"
    )
    (row,) = rows(tmp_path, text).items
    assert row == SubscriberRow(
        line=2,
        address=Address("ada@example.org"),
        name="Lovelace, Ada",
        topics=("video", "audio"),
        authors=("Tim Brooks", "Åsa Öberg"),
        categories=("cs.CV", "hep-th"),
        examples=(PaperId("arxiv:2406.04325"), PaperId("doi:10.1038/abc")),
        timezone="Asia/Tokyo",
        language="pt-BR",
        frequency=Frequency.WEEKLY,
    )


@pytest.mark.parametrize(
    "text",
    [
        "email,name\nada@example.org,Ada\n",
        "email,name\r\nada@example.org,Ada",
        "\ufeffemail;name\r\nada@example.org;Ada\r\n",
        "sep=;\r\nemail;name\r\nada@example.org;Ada\r\n",
        "email\tname\nada@example.org\tAda\n",
        '"EMAIL","Name"\n"ada@example.org"," Ada "\n',
        "name,email,\nAda,ada@example.org,\n".replace(",\n", "\n"),
        "\n\nemail,name\n\n , \nada@example.org,Ada\n\n",
        "email,name,topics\nada@example.org,Ada\n",
        "email,name\nada@example.org,Ada,,\n",
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, text: str) -> None:
    """Byte-order marks, semicolons, tabs, `sep=`, CRLF, blank lines, short rows and quotation marks do no harm."""
    found = rows(tmp_path, text)
    assert told(found) == []
    assert [(r.address, r.name) for r in found.items] == [("ada@example.org", "Ada")]


CATEGORY = "an arXiv category such as `cs.CV`, `astro-ph.GA` or `hep-th`"
CELLS = "put quotation marks around a cell with a comma in it, and `;` between several values"


def test_all_mistakes_of_all_rows_are_told_and_good_rows_kept(tmp_path: Path) -> None:
    """Each mistake has the line on which its row begins; a good row between bad ones is read."""
    text = """\
email,name,categories,examples,timezone,language,frequency
ada@example.org,"Ada
with a line break",cs.CV,,,,
bob,,cs.cv,abc,Mars,deutsch!,hourly

cid@example.org,,,,Asia/Tokio,,
,Nobody,,,,,
dan@example.org,Dan,,,,,,x
eve@example.org,Eve,,,,,
"""
    found = rows(tmp_path, text)
    assert [r.address for r in found.items] == ["eve@example.org"]
    zone, example = "must be an IANA time zone such as `Europe/Berlin`", "`arxiv:2406.04325` or a DOI such as"
    assert told(found) == [
        (2, "name", r'`name` must be one line without control characters, not "Ada\nwith a line break"'),
        (4, "email", '`email` must be an email address, not "bob"; an email address must have an @-sign'),
        (4, "categories", f'`categories` must be {CATEGORY}, not "cs.cv"; did you mean `cs.CV`?'),
        (4, "examples", f'`examples` must be an arXiv id such as {example} `doi:10.1038/nature14539`, not "abc"'),
        (4, "timezone", f'`timezone` {zone}, not "Mars"'),
        (4, "language", '`language` must be a language tag such as `en`, `de` or `pt-BR`, not "deutsch!"'),
        (4, "frequency", '`frequency` must be one of daily, weekly, monthly, not "hourly"'),
        (6, "timezone", f'`timezone` {zone}, not "Asia/Tokio"; did you mean `Asia/Tokyo`?'),
        (7, "email", "`email` is empty"),
        (8, "", f"has 8 cells, the header has 7: {CELLS}"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("", 1, "email", "the first line must be a header with the column `email`"),
        ("name\nAda\n", 1, "email", "the first line must be a header with the column `email`"),
        ("emial,name\n", 1, "emial", "`emial` is not a column of subscribers; did you mean `email`?"),
        ("email,phone\n", 1, "phone", f"`phone` is not a column of subscribers; the columns are {', '.join(COLUMNS)}"),
        ("\nemail,name,Email\n", 2, "email", "the column `email` is there twice"),
        (b"email,name\n\na@example.org,J\xf6rg\n", 3, "", "is not UTF-8: in a spreadsheet, save it as “CSV UTF-8”"),
        (
            'email,name\na@example.org,"Ada\n\n', 2, "",
            "is not CSV from here on (unexpected end of data): look for a quotation mark without its partner",
        ),
    ],
)  # fmt: skip
def test_what_is_no_list_of_subscribers_is_told(
    tmp_path: Path, text: str | bytes, line: int, key: str, message: str
) -> None:
    """A header that cannot be right, or a file that is no CSV, is one mistake and not one for each row."""
    found = rows(tmp_path, text)
    assert told(found) == [(line, key, message)]


def test_a_csv_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file and a folder are problems without a line."""
    assert [(p.line, p.message) for p in read_subscribers(tmp_path / "x.csv").problems] == [(None, "no such file")]
    assert [(p.line, p.message) for p in read_subscribers(tmp_path).problems] == [
        (None, "cannot be read: Is a directory")
    ]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text('ab@.;,"\t\r\n\x00\x1b é'), st.booleans())
def test_hostile_text_is_read_or_told(tmp_path: Path, text: str, has_header: bool) -> None:
    """Whatever is in a CSV, the answer is rows and problems; a problem is one printable line with its place."""
    found = rows(tmp_path, ("email,name\n" if has_header else "") + text)
    for problem in found.problems:
        assert problem.line is not None
        assert problem.line >= 1
        assert problem.message.isprintable()
    assert all(r.address and r.name.isprintable() for r in found.items)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.text("aé \"',;", max_size=9), st.sampled_from(["", "x;y", "z"])), max_size=5), st.data())
def test_what_is_written_as_csv_is_read_again(
    tmp_path: Path, people: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Names and topics come back as they were written, with either delimiter and either line end."""
    out = io.StringIO(newline="")
    delimiter, end = data.draw(st.sampled_from(",;")), data.draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(["email", "name", "topics"])
    writer.writerows([f"p{n}@example.org", name, topics] for n, (name, topics) in enumerate(people))
    found = rows(tmp_path, out.getvalue())
    assert not found.problems
    assert [(r.line, r.name, ";".join(r.topics)) for r in found.items] == [
        (n + 2, " ".join(name.split()), topics) for n, (name, topics) in enumerate(people)
    ]


# --- Papers' ids ---


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2406.04325", "arxiv:2406.04325"),
        ("arXiv:2406.04325v3", "arxiv:2406.04325"),
        ("0704.0001", "arxiv:0704.0001"),
        ("hep-th/9901001v2", "arxiv:hep-th/9901001"),
        ("math.GT/0309136", "arxiv:math/0309136"),
        ("https://arxiv.org/abs/2406.04325v1", "arxiv:2406.04325"),
        ("http://www.arxiv.org/pdf/2406.04325.pdf", "arxiv:2406.04325"),
        ("10.48550/arXiv.2406.04325", "arxiv:2406.04325"),
        ("https://doi.org/10.48550/arxiv.2406.04325", "arxiv:2406.04325"),
        ("doi:10.1038/NATURE14539", "doi:10.1038/nature14539"),
        ("https://doi.org/10.1038/nature14539", "doi:10.1038/nature14539"),
        ("10.1002/(SICI)1097-0258(19980815)17:15", "doi:10.1002/(sici)1097-0258(19980815)17:15"),
    ],
)
def test_a_paper_is_named_in_many_ways(written: str, meant: str) -> None:
    """ArXiv ids and DOIs are known bare, with a prefix and as an address; versions are one paper."""
    assert values.paper_id(written) == meant


@pytest.mark.parametrize(
    "written", ["", "2406.4325", "2413.04325", "0704.00001", "arxiv:", "10.1/x", "Attention", "10.1038/"]
)
def test_what_names_no_paper_is_refused(written: str) -> None:
    """A mistyped id is not taken for one."""
    with pytest.raises(values.WrongValue):
        values.paper_id(written)


# --- BibTeX ---

LIBRARY = r"""% Encoding: UTF-8
@string{jml = "J. Mach. Learn."}
@comment{jabref-meta: x;}
@article{full,
  title     = {The {{\'E}}tale $\alpha$-{GAN}: 5% Faster \& R{\"o}bust,
               in 3{D}},
  author    = {M{\"u}ller, J{\"o}rg and {OpenAI Team} and Ada de la Cruz and Nov{\'a}k, Jr., Jan and others},
  abstract  = {We \emph{show} that $x^2 \leq y$.
               Code: \url{https://example.org/a_b}.},
  journal   = jml,
  doi       = {10.1000/AB\_c},
  year      = 2020
}
@misc{arxiv, title="Plain", eprint={2406.04325v2}, archivePrefix={arXiv}, primaryClass={cs.CV}}
@article{scholar, title={Scholar}, journal={arXiv preprint arXiv:1706.03762}, author={Vaswani, Ashish}}
@article{dblp, title={Dblp}, journal={CoRR}, volume={abs/1412.6980}}
@misc{zotero, title={Zotero}, url={http://arxiv.org/abs/hep-th/9901001v3}, number={arXiv:hep-th/9901001}}
@misc{datacite, title={Datacite}, doi={10.48550/arXiv.2301.00001}}
@misc{hal, title={Hal}, eprint={hal-00000001}, eprinttype={hal}}
@book{untitled, author={Nobody}}
@article{broken, title={No end, author={X}
@article{again, title={Again}, eprint={2406.04325}}
@article{twice, title={A}, title={B}}
@article{nocomma title={X}}
@misc{last, title={Last}}
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    file = tmp_path / "ada.bib"
    file.write_text(LIBRARY, encoding="utf-8")
    return file


def test_a_library_s_papers_have_their_ids(library: Path) -> None:
    """The id is found where arXiv, Google Scholar, DBLP, Zotero and DataCite put it; the same paper twice is one."""
    found = {p.title: p.id for p in read_bibtex(library).items}
    assert found.pop("Hal").startswith("title:")
    assert found.pop("Last").startswith("title:")
    assert list(found.items())[1:] == [
        ("Plain", "arxiv:2406.04325"),
        ("Scholar", "arxiv:1706.03762"),
        ("Dblp", "arxiv:1412.6980"),
        ("Zotero", "arxiv:hep-th/9901001"),
        ("Datacite", "arxiv:2301.00001"),
    ]


def test_tex_becomes_readable(library: Path) -> None:
    """Accents, formulas, braces and line breaks of TeX come out as text; names in reading order."""
    paper = read_bibtex(library).items[0]
    assert paper.title == "The Étale α-GAN: 5% Faster & Röbust, in 3D"
    assert paper.authors == ("Jörg Müller", "OpenAI Team", "Ada de la Cruz", "Jan Novák Jr.")
    assert paper.abstract.startswith("We show that x^2 ≤ y. Code: <https://")
    assert paper.journal_ref == "J. Mach. Learn."
    assert paper.doi == "10.1000/ab_c"
    assert [(link.kind, link.url) for link in paper.links] == [(LinkKind.DOI, "https://doi.org/10.1000/ab_c")]


def test_a_broken_entry_is_told_and_the_others_kept(library: Path) -> None:
    """What cannot be read is told by line and key, and nothing else is lost."""
    found = read_bibtex(library)
    assert [(p.line, p.message.partition(":")[0]) for p in found.problems] == [
        (20, "`untitled` has no title"),
        (21, "`broken` cannot be read"),
        (23, "`twice` cannot be read"),
        (24, "`nocomma` cannot be read"),
    ]
    assert found.items[-1].title == "Last"


def test_categories_of_arxiv_s_entries_are_kept(library: Path) -> None:
    """`primaryClass` is the paper's category."""
    plain = next(p for p in read_bibtex(library).items if p.title == "Plain")
    assert (plain.categories, plain.primary_category) == (("cs.CV",), "cs.CV")
    assert [link.url for link in plain.links] == ["https://arxiv.org/abs/2406.04325"]


def test_an_old_library_is_decoded(tmp_path: Path) -> None:
    """A library in a Western code page, as older programs write it, has its accents."""
    file = tmp_path / "old.bib"
    file.write_bytes("@misc{a, title={Größe}, author={Øre, Åsa}}".encode("cp1252"))
    (paper,) = read_bibtex(file).items
    assert (paper.title, paper.authors) == ("Größe", ("Åsa Øre",))


@pytest.mark.parametrize("text", ["", "<html></html>", "email,name\n", "@", "%", "@comment{x}"])
def test_what_is_no_library_gives_no_papers(tmp_path: Path, text: str) -> None:
    """A file without entries gives nothing, and does not fail."""
    (tmp_path / "x.bib").write_text(text)
    assert read_bibtex(tmp_path / "x.bib").items == ()


def test_a_library_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing library is one problem without a line."""
    found = read_bibtex(tmp_path / "x.bib")
    assert [(p.line, p.message) for p in found.problems] == [(None, "no such file")]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text("ab{}\\$%&\"'=,@~^_ \n\x00é#", max_size=40), st.text('ab,{}\\ "d\n', max_size=20))
def test_hostile_tex_is_read_or_told(tmp_path: Path, title: str, author: str) -> None:
    """Whatever stands in an entry, the answer is papers and printable problems, and the next entry is read."""
    file = tmp_path / "x.bib"
    file.write_text(f"@misc{{a,\n title = {{{title}}},\n author = {{{author}}}}}\n\n@misc{{z, title={{Zed}}}}\n")
    found = read_bibtex(file)
    assert all(p.title and "\n" not in p.title for p in found.items)
    assert all(p.message.isprintable() and p.line for p in found.problems)


def test_nothing_is_printed_about_a_broken_library(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is wrong is returned; the parser's own complaints do not reach the terminal."""
    read_bibtex(library)
    assert capfd.readouterr() == ("", "")
