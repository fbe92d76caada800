"""A text is cut into parts that fit, at sensible places, and nothing of it is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter.apps.mcp.splitting import likely_tokens, split


@given(text=st.text(), max_tokens=st.integers(1, 50))
def test_the_parts_are_the_text(text: str, max_tokens: int):
    parts = split(text, max_tokens)
    assert "".join(parts) == text
    assert all(likely_tokens(part) <= max_tokens or len(part) == 1 for part in parts)


def test_a_text_that_fits_is_not_cut():
    assert split("One.\n\nTwo.", 100) == ["One.\n\nTwo."]


def test_paragraphs_lines_and_sentences_stay_whole_where_they_fit():
    text = "\n\n".join("This is a sentence. And one more." for _ in range(20))
    assert all(part.strip().endswith("more.") for part in split(text, 40))
    lines = "\n".join(f"line {number}" for number in range(100))
    assert all(part.startswith("line") for part in split(lines, 40))


def test_a_diff_is_cut_between_its_files():
    files = [f"diff --git a/{name} b/{name}\n+one\n\n+two\n" for name in "abcdef"]
    parts = split("".join(files), likely_tokens(files[0]) * 2)
    assert parts == ["".join(files[place : place + 2]) for place in (0, 2, 4)]


def test_text_without_spaces_is_cut_as_well():
    parts = split("語" * 1000, 100)
    assert len(parts) >= 10
    assert "".join(parts) == "語" * 1000
