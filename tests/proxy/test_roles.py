from __future__ import annotations

import pytest

from proxy.roles import Holder, Role, holders


def test_a_line_is_a_token_a_role_and_a_name() -> None:
    text = "# who may\n\nabc\ndef viewer\n  ghi operator Anna of the night shift  \n"
    assert holders(text) == {
        "abc": Holder("operator 3", Role.OPERATOR),
        "def": Holder("viewer 4", Role.VIEWER),
        "ghi": Holder("Anna of the night shift", Role.OPERATOR),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no token"),
        ("# none\n \n", "no token"),
        ("s3cret admin", "line 1: behind a token stands viewer or operator"),
        ("one\none viewer", "line 2: the token of a line above"),
    ],
)
def test_what_is_wrong_is_named_by_its_line_and_never_repeated(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        holders(text)
    assert "s3cret" not in str(caught.value)


def test_a_viewer_may_look_and_an_operator_may_do_both() -> None:
    viewer, operator = Holder("v", Role.VIEWER), Holder("o", Role.OPERATOR)
    assert [viewer.may(Role.VIEWER), viewer.may(Role.OPERATOR)] == [True, False]
    assert [operator.may(Role.VIEWER), operator.may(Role.OPERATOR)] == [True, True]
