"""Patterns of JSON Schema for llama.cpp, which ignores what it does not support."""

from __future__ import annotations

import re

import pytest

from lfm_adapter.apps.local.patterns import to_engine_pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^abc$", "^abc$"),
        ("^$", "^$"),
        (r"^\d{4}-\d\d$", "^[0-9]{4}-[0-9][0-9]$"),
        (r"^\w+@\S+$", r"^[A-Za-z0-9_]+@[^ \t\n\r]+$"),
        (r"^[\w.-]+\.\D$", r"^[A-Za-z0-9_.-]+\.[^0-9]$"),
        (r"^\/v1\/[\.\/\-]$", r"^/v1/[./\-]$"),
        (r"^[\^a]$", r"^[\x5Ea]$"),
        ("^(?:a|b){2,3}?$", "^(?:a|b){2,3}$"),
        (r"^US\$\$$", r"^US\$\$$"),
        (r"^\\$", r"^\\$"),
    ],
)
def test_pattern_keeps_its_meaning(pattern: str, expected: str):
    assert to_engine_pattern(pattern) == expected
    for text in ("abc", "", "2026-11", "2026-110", "a@b.c", "a b", "/v1/.", "^", "a", "aab", "US$$", "\\", "x-y.z"):
        assert bool(re.search(pattern, text, re.ASCII)) == bool(re.search(expected, text, re.ASCII)), text


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("abc", "matches only whole strings"),
        ("^abc", "matches only whole strings"),
        ("abc$", "matches only whole strings"),
        (r"^abc\$", "matches only whole strings"),
        ("^a(b$", "not a valid regular expression"),
        ("^a**$", "not a valid regular expression"),
        ("^a{2,1}$", "not a valid regular expression"),
        ("^[z-a]$", "not a valid regular expression"),
        ("^" + "(" * 5000 + "a" + ")" * 900 + "$", "more than 2,000 characters"),
        ("^" + "(" * 900 + "a" + ")" * 900 + "$", "not a valid|nested groups"),
        ("^(?=a)a$", r"does not support `\(\?=`"),
        ("^(?i)a$", "not a valid|does not support"),
        (r"^(a)\1$", r"does not support `\\1`"),
        (r"^\bword\b$", r"does not support `\\b`"),
        (r"^[\D]$", r"does not support `\\D` in a set"),
        ("^a^b$", r"does not support `\^` here"),
        ("^a{,3}$", r"does not support `\{` here"),
        ("^a++$", r"not a valid|does not support `\+\+`"),
        ("^a{2001}$", "repeats more than 2,000 times"),
    ],
)
def test_pattern_that_would_be_ignored_is_refused_with_the_reason(pattern: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        to_engine_pattern(pattern)
