from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.markup import differences
from shadow.paths import Path, render
from shadow.result import Effort, Exhausted
from shadow.rules import Rules

PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <title>Inbox &amp; more</title>
    <meta name="csrf-token" content="abc">
    <script nonce="1">if (a < b) { document.write("<b>") }</script>
  </head>
  <body class="wide dark">
    <!-- rendered in 12 ms -->
    <ul id="list"><li>one</li><li>two <b>bold</b> <i>thin</i></li></ul>
    <pre>a  b</pre>
    <input type=checkbox checked disabled='disabled'>
  </body>
</html>"""


def found(control: str, candidate: str, *ignore: str) -> list[tuple[str, str]]:
    walked = differences(control, candidate, Rules.parse(ignore).body, Effort(10**6))
    return [(shown(each.path), each.kind.value) for each in walked if each.rule is None]


def shown(path: Path | str | None) -> str:
    assert not isinstance(path, str)
    return render(path)


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        ('class="wide dark"', "class='dark  wide'"),
        ('name="csrf-token" content="abc"', "content=abc NAME='csrf-token'"),
        ("&amp; more", "&#38;\n more"),
        ("    <!-- rendered in 12 ms -->\n", ""),
        ("<li>one</li>", "\n <li> one\n</li> "),
        ("two <b>", "two\n<b>"),
        ("two <b>", "two<!-- -->\n<b>"),
        ("checked disabled='disabled'", "disabled checked=''/"),
        ("<body", "<BODY"),
        ("</html>", "</html>\n"),
    ],
)
def test_what_looks_the_same_is_the_same(control: str, candidate: str) -> None:
    assert control in PAGE
    assert found(PAGE, PAGE.replace(control, candidate)) == []


@pytest.mark.parametrize(
    ("control", "candidate", "where"),
    [
        ("abc", "abd", ("html.head.meta.csrf-token.content", "value")),
        (' content="abc"', "", ("html.head.meta.csrf-token.content", "missing")),
        ("type=checkbox", "type=checkbox name=a", ("html.body.input.name", "extra")),
        ("Inbox", "inbox", ("html.head.title.text", "value")),
        ("one", "One", ("html.body.ul.list.li.text", "value")),
        ("</b> <i>", "</b><i>", ("html.body.ul.list.li.text", "value")),
        ("a  b", "a b", ("html.body.pre.text", "value")),
        ("a < b", "a  < b", ("html.head.script.text", "value")),
        ('"<b>"', '"<i>"', ("html.head.script.text", "value")),
        ("bold", "&lt;i&gt;bold", ("html.body.ul.list.li.b.text", "value")),
        ("<li>one</li>", "", ("html.body.ul.list.li.text", "value")),
        ('lang="en"', 'lang="de"', ("html.lang", "value")),
    ],
)
def test_what_looks_different_is_found_where_it_is(control: str, candidate: str, where: tuple[str, str]) -> None:
    assert control in PAGE
    assert found(PAGE, PAGE.replace(control, candidate, 1))[0] == where
    assert found(PAGE.replace(control, candidate, 1), PAGE) != []


def test_text_that_is_not_escaped_parts_the_elements() -> None:
    difference, _ = differences("<p>a &lt;b&gt;x</p>", "<p>a <b>x</p>", None, Effort(100))
    assert (shown(difference.path), difference.control, difference.candidate) == ("p.text", "a <b>x", "a ")


def test_several_differences_are_found_one_by_one() -> None:
    other = PAGE.replace("abc", "x").replace("one", "1").replace("bold", "2")
    assert [place for place, _ in found(PAGE, other)] == [
        "html.head.meta.csrf-token.content",
        "html.body.ul.list.li.text",
        "html.body.ul.list.li.b.text",
    ]


def test_a_place_can_be_ignored_and_what_follows_is_read_on() -> None:
    other = PAGE.replace("abc", "x").replace("<li>one</li>", "").replace("a  b", "c")
    ignored = "html.head.meta.csrf-token.content", "html.body.ul.list"
    assert found(PAGE, other, *ignored) == [("html.body.pre.text", "value")]
    walked = differences(PAGE, other, Rules.parse(ignored).body, Effort(10**6))
    assert Counter(each.rule for each in walked)["ignore html.body.ul.list"] > 0


def test_where_the_elements_part_the_rest_is_not_guessed_at() -> None:
    assert found("<p>a</p><p>b</p>", "<p>a</p><i>c</i><p>d</p>") == [("", "value")]
    assert found("<p>a</p>", "<p>a</p><p>b</p>") == [("", "value")]


@given(st.text(alphabet="<>/!-ab= \"'&;p\n", max_size=60), st.text(alphabet="<>/!-ab= \"'&;p\n", max_size=60))
def test_no_pages_whatever_raise(control: str, candidate: str) -> None:
    assert found(control, control) == []
    there, back = found(control, candidate, "p"), found(candidate, control, "p")
    assert bool(there) is bool(back)


@pytest.mark.parametrize("piece", ["<", "<p", "<p ", '<p a="', "<!--", "<script>", "</p>", "<p>", "&", '="', "<p a='>"])
def test_no_page_costs_more_than_its_length(piece: str) -> None:
    """Twenty thousand of them: what costs a square would take minutes."""
    found(piece * 20_000, piece * 20_000 + "x")


def test_more_than_was_allowed_is_not_compared() -> None:
    with pytest.raises(Exhausted):
        list(differences("<p>" * 100, "<p>" * 99, None, Effort(100)))
