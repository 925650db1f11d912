from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from stages.show.web.condition import MAX_CHARACTERS, checked_condition, identifiers


@pytest.mark.parametrize(
    "text",
    [
        "width > 300",
        "a = 1 OR (b = 2 AND c IS NULL)",
        "key LIKE '%;%' -- with a comment",
        "image_id IN (SELECT image_id FROM labels WHERE score > 0.8 ORDER BY score LIMIT 5)",
        "EXISTS (WITH x AS (SELECT 1) SELECT * FROM x)",
    ],
)
def test_an_expression_passes(text: str) -> None:
    """Whatever is one expression that reads is let through as it is, but for blanks and semicolons at its end."""
    assert checked_condition(f"  {text} ") == text
    assert checked_condition("width > 300 ; ") == "width > 300"
    assert checked_condition(" ") == ""


@pytest.mark.parametrize(
    "text",
    [
        "true) UNION ALL SELECT 2 WHERE (true",
        "true) UNION ALL (SELECT 2",
        "true) LIMIT (3",
        "true) LIMIT 5 --",
        "true) GROUP BY (x",
        "true) GROUP BY x HAVING (true",
        "true) QUALIFY (x",
        "true) ORDER BY (x",
        "true) USING SAMPLE (3",
        "true /*",
        "true; DROP TABLE images",
        "x = ?",
        "x = $name",
        "a b",
        "EXISTS (WITH x AS (COPY images TO 'here') SELECT 1)",
        "EXISTS (INSERT INTO images VALUES (1))",
        "x" * (MAX_CHARACTERS + 1),
    ],
)
def test_what_would_leave_its_place_is_refused(text: str) -> None:
    """Further clauses, statements, comments that hide the rest, question marks and writing are errors in one line."""
    with pytest.raises(UsageError) as caught:
        checked_condition(text)
    assert "\n" not in str(caught.value)


def test_names_of_columns_are_found() -> None:
    """Words in strings and comments are no names; case and quotes do not matter."""
    text = """Masks > 3 AND "best_score" < 1 AND split = 'mean_score' -- worst_score"""
    assert identifiers(text) == {"masks", "best_score", "split"}
    assert identifiers("") == set()
