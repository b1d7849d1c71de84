from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.markup import SHOWN, differences
from shadow.opened import DEEPEST
from shadow.paths import Path, render, shape
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


@pytest.mark.parametrize(
    ("control", "candidate", "where"),
    [
        ('<input name="name">', '<input name="">', ["input.name.name"]),
        ('<img alt="alt">', '<img alt="">', ["img.alt"]),
        ('<option value="value">', '<option value="">', ["option.value"]),
        ('<input checked="checked">', "<input checked>", []),
        ('<a title="1>2">t</a>', '<a title="1&gt;2">t</a>', []),
        ("<a title='1>2' href=x>t</a>", '<a title="1&gt;2" href="x">t</a>', []),
        ('<a title="it\'s">t</a>', '<a title="it&#39;s">t</a>', []),
        ('<a title="1>2">t</a>', '<a title="1>3">t</a>', ["a.title"]),
        ("<a title=it's>t</a>", "<a title=its>t</a>", ["a.s", "a.title"]),
    ],
)
def test_an_attribute_is_its_value(control: str, candidate: str, where: list[str]) -> None:
    assert [place for place, _ in found(control, candidate)] == where


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        ("<!DOCTYPE html>\n<span>a</span>", "<!DOCTYPE html><span>a</span>"),
        ("<ul>\n  <li>a</li>\n</ul>", "<ul> <li>a</li>\t</ul>"),
        ("<p>a</p >b", "<p>a</p>b"),
        ("<b>a</b> \n <i>c</i>", "<b>a</b> <i>c</i>"),
        ("a<!-- <b> -->c", "a<!-- c -->c"),
        ("<title-bar><p>a</p></title-bar>", "<title-bar>\n<p> a</p>\n</title-bar>"),
        ("<!DOCTYPE html>\n<p>a</p>", "<!doctype  HTML><p>a</p>"),
        ("<!--><p>a</p>", "<!-- x --><p>a</p>"),
        ("<!---><p>a</p>", "<!----!><p>a</p>"),
        ("<!-- > -> x --!><p>a</p>", "<p>a</p>"),
        ("a <iframe src=b></iframe> c", "a\n<iframe src=b>\n</iframe>\nc"),
        ("<p>a</p>\n<video src=b></video>", "<p>a</p><video src=b>\n</video>"),
        ("<SCRIPT>a < b</SCRIPT>", "<script>a < b</script>"),
        ("<p>a</p><!-- ", "<p>a</p>"),
    ],
)
def test_pages_that_are_written_otherwise_are_the_same(control: str, candidate: str) -> None:
    assert found(control, candidate) == []
    assert found(candidate, control) == []


@pytest.mark.parametrize(
    ("control", "candidate", "where"),
    [
        ("a<b", "a< b", "text"),
        ("<p>a<!-- -->b</p>", "<p>a<!-- --> b</p>", "p.text"),
        ("<p>a<!-- 1 -->b<!-- 2 -->c</p>", "<p>a<!-- 3 -->b<!-- 4 -->d</p>", "p.text"),
        ("<pre>a</pre><pre>b\n</pre>", "<pre>a</pre><pre>b\n\n</pre>", "pre.text"),
        ("<script>a;\n</script>", "<script>a; </script>", "script.text"),
        ("<script>a <b> c", "<script>a <b> d", "script.text"),
        ("<p>a<br/>b", "<p>a<br/>c", "p.text"),
        ("<p>a <font>b</font> c</p>", "<p>a<font>b</font> c</p>", "p.text"),
        ("<p>a <strike>b</strike> c</p>", "<p>a <strike>b</strike>c</p>", "p.text"),
        ("<p>a <x-name>b</x-name> c</p>", "<p>a<x-name>b</x-name> c</p>", "p.text"),
        ("<p>a <x-name>b</x-name> c</p>", "<p>a <x-name>b</x-name>c</p>", "p.text"),
        ("<p>a <video>b</video> c</p>", "<p>a<video>b</video> c</p>", "p.text"),
        ("<p>a <embed> c</p>", "<p>a <embed>c</p>", "p.text"),
        ("<p>a <textarea>b</textarea> c</p>", "<p>a <textarea>b</textarea>c</p>", "p.text"),
        ("<!--><p>a</p>", "<!--><p>b</p>", "p.text"),
        ("<!---><p>a</p><!-- -->", "<!---><p>b</p><!-- -->", "p.text"),
        ("<!-- a --!><p>a</p>", "<!-- a --!><p>b</p>", "p.text"),
        ("<!DOCTYPE html><p>a</p>", "<!DOCTYPE math><p>a</p>", "text"),
        ("<title-bar>a<b>c</b></title-bar>", "<title-bar>a<b>d</b></title-bar>", "title-bar.b.text"),
    ],
)
def test_white_space_is_part_of_a_page_where_it_is_shown_or_run(control: str, candidate: str, where: str) -> None:
    assert found(control, candidate) == [(where, "value")]
    assert found(candidate, control) == [(where, "value")]


def test_a_text_that_comments_interrupt_is_one() -> None:
    (difference,) = differences("<p>a<!-- 1 --> b</p>", "<p>a<!-- 2 --> c</p>", None, Effort(100))
    assert (difference.control, difference.candidate) == ("a b", "a c")


def test_an_ignored_element_that_ends_with_the_page_leaves_nothing_to_read() -> None:
    assert found("<ul><li>a</li></ul>", "<ul><b>a</b>", "ul") == []
    assert found("<ul><li>a</li></ul>b", "<ul><b>a</b></ul>c", "ul") == [("text", "value")]


def test_what_nests_deeper_than_anyone_means_lies_side_by_side() -> None:
    (difference,) = differences("<p>" * 300 + "a", "<p>" * 300 + "b", None, Effort(10**4))
    assert not isinstance(difference.path, str)
    assert shape(difference.path) == ("text", *["p"] * DEEPEST)


def test_what_parts_is_shown_from_its_beginning_and_not_whole() -> None:
    (difference,) = differences("<p>" * 9_000, "<b>" + "x" * 9_000, None, Effort(10**5))
    assert (difference.control, difference.candidate) == (("<p>" * 200)[:SHOWN], "<b>" + "x" * (SHOWN - 3))


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


@pytest.mark.parametrize(
    "piece", ["<", "<p", "<p ", '<p a="', "<!--", "<script>", "</p>", "<p>", "&", '="', "<p a='>", "' >", "\">'"]
)
def test_no_page_costs_more_than_its_length(piece: str) -> None:
    """Twenty thousand of them: what costs a square would take minutes."""
    found(piece * 20_000, piece * 20_000 + "x")


def test_more_than_was_allowed_is_not_compared() -> None:
    with pytest.raises(Exhausted):
        list(differences("<p>" * 100, "<p>" * 99, None, Effort(100)))
