from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from lfm_adapter._openrouter.tool_calls import ToolCallPieces
from lfm_adapter.types import ToolCall

MISSING = object()


def piece(
    arguments: Any = MISSING, *, name: Any = MISSING, call_id: Any = MISSING, index: Any = MISSING
) -> dict[str, Any]:
    function = {"arguments": arguments, "name": name}
    fields = {"id": call_id, "index": index, "type": "function"}
    return {key: value for key, value in fields.items() if value is not MISSING} | {
        "function": {key: value for key, value in function.items() if value is not MISSING}
    }


def join(*events: list[dict[str, Any]]) -> list[tuple[str | None, str | None, str]]:
    """Return the calls of a stream as id, name and arguments, after checking the pieces that it yielded."""
    pieces = ToolCallPieces()
    handed_on: dict[int, ToolCall] = {}
    for event in events:
        for added in pieces.add(event, "gen-7", whole=False, finished=False):
            known = handed_on.setdefault(added.index, ToolCall(added.index, added.id, None, ""))
            assert added.id is None or added.id == known.id, "an id is passed on once"
            assert added.name is None or known.name is None, "a name is passed on once"
            known.name = known.name or added.name
            known.arguments += added.arguments
    calls = pieces.joined()
    assert calls == [handed_on[index] for index in range(len(calls))]
    return [(call.id, call.name, call.arguments) for call in calls]


WEATHER = [("call_1", "weather", '{"city": "Oslo"}')]
TWO = [("call_1", "weather", '{"city": "Oslo"}'), ("call_2", "clock", '{"zone": "CET"}')]


class TestToolCalls:
    def test_tool_calls_are_joined_as_openrouter_streams_them(self):
        assert (
            join(
                [piece("", name="weather", call_id="call_1", index=0)],
                [piece('{"city":', index=0)],
                [piece(' "Oslo"}', index=0)],
                [piece("", name="clock", call_id="call_2", index=1)],
                [piece('{"zone": "CET"}', index=1)],
            )
            == TWO
        )

    def test_interleaved_tool_calls_are_joined(self):
        assert (
            join(
                [
                    piece("", name="weather", call_id="call_1", index=0),
                    piece("", name="clock", call_id="call_2", index=1),
                ],
                [piece('{"zone":', index=1), piece('{"city":', index=0)],
                [piece(' "Oslo"}', index=0), piece(' "CET"}', index=1)],
            )
            == TWO
        )

    def test_calls_with_all_fields_repeated_on_each_piece_are_joined(self):
        same = {"name": "weather", "call_id": "call_1", "index": 0}
        assert join([piece("", **same)], [piece('{"city":', **same)], [piece(' "Oslo"}', **same)]) == WEATHER

    @pytest.mark.parametrize("nothing", [None, "", MISSING])
    def test_calls_with_empty_ids_and_names_after_the_first_piece_are_joined(self, nothing):
        assert (
            join(
                [piece("", name="weather", call_id="call_1", index=0)],
                [piece('{"city":', name=nothing, call_id=nothing, index=0)],
                [piece(' "Oslo"}', name=nothing, call_id=nothing, index=0)],
            )
            == WEATHER
        )


class TestWithoutIndex:
    @pytest.mark.parametrize("nothing", [None, "0", MISSING])
    def test_without_index_pieces_belong_to_call_of_their_id(self, nothing):
        assert (
            join(
                [piece("", name="weather", call_id="call_1", index=nothing)],
                [piece("", name="clock", call_id="call_2", index=nothing)],
                [piece('{"city": "Oslo"}', call_id="call_1", index=nothing)],
                [piece('{"zone": "CET"}', call_id="call_2", index=nothing)],
            )
            == TWO
        )

    def test_without_index_and_id_pieces_belong_to_last_call(self):
        assert (
            join(
                [piece("", name="weather", call_id="call_1")],
                [piece('{"city": "Oslo"}')],
                [piece("", name="clock", call_id="call_2")],
                [piece('{"zone":')],
                [piece(' "CET"}')],
            )
            == TWO
        )

    def test_without_index_whole_calls_of_one_id_are_separated_by_name(self):
        calls = join(
            [piece("{}", name="weather", call_id="call_1"), piece("{}", name="clock", call_id="call_1")],
        )
        assert calls == [("call_1", "weather", "{}"), ("call_gen-7_1", "clock", "{}")]

    def test_without_index_pieces_of_one_id_belong_to_last_call(self):
        calls = join(
            [piece("{", name="weather", call_id="call_1")],
            [piece("}", call_id="call_1")],
            [piece("[", name="clock", call_id="call_1")],
            [piece("]", call_id="call_1")],
        )
        assert calls == [("call_1", "weather", "{}"), ("call_gen-7_1", "clock", "[]")]

    def test_without_index_and_id_whole_calls_are_separate(self):
        calls = join([piece("{}", name="weather"), piece("{}", name="weather")], [piece("{}", name="clock")])
        assert calls == [
            ("call_gen-7_0", "weather", "{}"), ("call_gen-7_1", "weather", "{}"), ("call_gen-7_2", "clock", "{}"),
        ]  # fmt: skip


class TestWrongIndex:
    def test_same_index_with_different_ids_is_separate_calls(self):
        assert (
            join(
                [
                    piece("", name="weather", call_id="call_1", index=0),
                    piece("", name="clock", call_id="call_2", index=0),
                ],
                [piece('{"city": "Oslo"}', call_id="call_1", index=0)],
                [piece('{"zone": "CET"}', call_id="call_2", index=0)],
            )
            == TWO
        )

    def test_same_index_without_ids_on_later_pieces_is_separate_calls(self):
        assert (
            join(
                [piece("", name="weather", call_id="call_1", index=0)],
                [piece('{"city": "Oslo"}', index=0)],
                [piece("", name="clock", call_id="call_2", index=0)],
                [piece('{"zone": "CET"}', index=0)],
            )
            == TWO
        )

    def test_same_index_with_different_names_without_ids_is_separate_calls(self):
        assert [call[1:] for call in join(
            [piece("{}", name="weather", index=0)],
            [piece("{}", name="clock", index=0)],
        )] == [("weather", "{}"), ("clock", "{}")]  # fmt: skip

    def test_different_index_on_each_piece_is_one_call(self):
        assert (
            join(
                [piece("", name="weather", call_id="call_1", index=0)],
                [piece('{"city":', call_id="call_1", index=1)],
                [piece(' "Oslo"}', call_id="call_1", index=2)],
            )
            == WEATHER
        )

    def test_unknown_index_without_id_or_name_belongs_to_last_call(self):
        assert join([piece("", name="weather", call_id="call_1", index=0)], [piece('{"city": "Oslo"}', index=7)]) == (
            WEATHER
        )


class TestWrongId:
    @pytest.mark.parametrize("nothing", [None, "", MISSING, 7])
    def test_missing_id_is_generated_once_and_unique(self, nothing):
        calls = join(
            [piece("", name="weather", call_id=nothing, index=0)],
            [piece("{}", call_id=nothing, index=0)],
            [piece("{}", name="clock", call_id=nothing, index=1)],
        )
        assert calls == [("call_gen-7_0", "weather", "{}"), ("call_gen-7_1", "clock", "{}")]

    def test_missing_id_is_generated_without_generation_id(self):
        pieces = ToolCallPieces()
        pieces.add([piece("{}", name="weather")], None, whole=True, finished=False)
        assert pieces.joined()[0].id == "call_reply_0"

    def test_same_id_at_different_indices_is_separate_calls(self):
        calls = join(
            [
                piece("", name="weather", call_id="call_1", index=0),
                piece("", name="weather", call_id="call_1", index=1),
            ],
            [piece("[1]", call_id="call_1", index=1)],
            [piece("[0]", call_id="call_1", index=0)],
            [piece(" ", index=1)],
        )
        assert calls == [("call_1", "weather", "[0]"), ("call_gen-7_1", "weather", "[1] ")]

    def test_different_id_on_each_piece_is_one_call(self):
        assert (
            join(
                [piece("", name="weather", call_id="call_1", index=0)],
                [piece('{"city":', call_id="call_x", index=0)],
                [piece(' "Oslo"}', call_id="call_y", index=0)],
            )
            == WEATHER
        )

    def test_late_id_begins_no_second_call(self):
        for late in ({"call_id": "call_1"}, {"call_id": "call_1", "name": "weather"}):
            calls = join(
                [piece("", name="weather", index=0)],
                [piece('{"city":', index=0, **late)],
                [piece(' "Oslo"}', index=0, **late)],
            )
            assert calls == [("call_gen-7_0", "weather", '{"city": "Oslo"}')]


class TestLateName:
    def test_late_name_belongs_to_call_of_its_id_or_index(self):
        for same in ({"call_id": "call_1", "index": 0}, {"call_id": "call_1"}):
            assert join([piece('{"city":', **same)], [piece(' "Oslo"}', name="weather", **same)]) == WEATHER
        assert join([piece("{", index=0)], [piece("}", name="weather", index=0)]) == [("call_gen-7_0", "weather", "{}")]

    def test_call_without_name_has_none(self):
        assert join([piece("{}", index=0)]) == [("call_gen-7_0", None, "{}")]


class TestArguments:
    @pytest.mark.parametrize(
        ("sent", "text"),
        [
            (None, ""),
            (MISSING, ""),
            ("", ""),
            ("{}", "{}"),
            ("{cut o", "{cut o"),
            ({"a": "é"}, '{"a": "é"}'),
            ([], "[]"),
        ],
    )
    def test_arguments_of_any_type_become_text(self, sent, text):
        assert join([piece(sent, name="weather", call_id="call_1", index=0)]) == [("call_1", "weather", text)]


class TestRepeatedFinish:
    """Since June 2026 OpenRouter repeats the finish chunk, sometimes with the calls of the first."""

    STREAMED = (
        [piece("", name="weather", call_id="call_1", index=0)],
        [piece('{"city": "Oslo"}', index=0)],
        [piece('{"zone": "CET"}', name="clock", call_id="call_2", index=1)],
    )

    @pytest.mark.parametrize(
        "fields", [("call_id", "name", "index"), ("call_id", "index"), ("call_id", "name"), ("index",), ("name",)]
    )
    def test_repeated_finish_adds_no_call_twice(self, fields):
        pieces = ToolCallPieces()
        for event in self.STREAMED:
            pieces.add(event, "gen-7", whole=False, finished=False)
        repeated = [
            piece(arguments, **{key: value for key, value in known.items() if key in fields})
            for arguments, known in (
                ('{"city": "Oslo"}', {"name": "weather", "call_id": "call_1", "index": 0}),
                ('{"zone": "CET"}', {"name": "clock", "call_id": "call_2", "index": 1}),
            )
        ]
        for _ in range(2):
            assert pieces.add(repeated, "gen-7", whole=False, finished=True) == []
        assert [(call.id, call.name, call.arguments) for call in pieces.joined()] == TWO

    def test_repeated_finish_without_arguments_adds_nothing(self):
        pieces = ToolCallPieces()
        for event in self.STREAMED:
            pieces.add(event, "gen-7", whole=False, finished=False)
        assert pieces.add([piece("", call_id="call_1", index=0)], "gen-7", whole=False, finished=True) == []

    def test_call_that_arrives_only_with_finish_is_kept(self):
        pieces = ToolCallPieces()
        pieces.add([piece("{}", name="weather", call_id="call_1", index=0)], "gen-7", whole=False, finished=False)
        late = [piece("{}", name="clock", call_id="call_2", index=1)]
        assert [call.name for call in pieces.add(late, "gen-7", whole=False, finished=True)] == ["clock"]


class TestWholeReply:
    def test_whole_reply_has_one_call_per_entry(self):
        pieces = ToolCallPieces()
        same = piece("{}", name="weather", call_id="call_1", index=0)
        added = pieces.add([same, same, piece("{}")], "gen-7", whole=True, finished=False)
        assert [(call.id, call.name) for call in added] == [
            ("call_1", "weather"), ("call_gen-7_1", "weather"), ("call_gen-7_2", None),
        ]  # fmt: skip
        assert pieces.joined() == added

    def test_no_tool_calls_add_none(self):
        pieces = ToolCallPieces()
        for nothing in (None, [], "call", {"id": "x"}, [None, "x"]):
            assert pieces.add(nothing, "gen-7", whole=True, finished=False) == []
        assert pieces.joined() == []


class TestCallsWithOneIdAndIndex:
    SAME: ClassVar[dict[str, Any]] = {"call_id": "call_1", "index": 0}

    def test_two_names_are_two_calls(self):
        calls = join([piece('{"city": "Oslo"}', name="weather", **self.SAME)], [piece("{}", name="clock", **self.SAME)])
        assert [(name, arguments) for _, name, arguments in calls] == [("weather", '{"city": "Oslo"}'), ("clock", "{}")]

    def test_pieces_go_to_the_call_of_their_name(self):
        calls = join(
            [piece('{"city":', name="weather", **self.SAME), piece("{", name="clock", **self.SAME)],
            [piece(' "Oslo"}', name="weather", **self.SAME), piece("}", name="clock", **self.SAME)],
        )
        assert [(name, arguments) for _, name, arguments in calls] == [("weather", '{"city": "Oslo"}'), ("clock", "{}")]


NO_ARGUMENTS = [None, "", " ", "null", {}, "{}", '""', '"null"', '"{}"']
TWICE = json.dumps('{"city": "Oslo"}')


def closed(events: list[Any], *, whole: bool, is_cut_off: bool = False) -> str:
    """Return the arguments of one call, after checking that what was yielded adds up to it."""
    pieces = ToolCallPieces()
    added = []
    for number, arguments in enumerate(events):
        sent = [piece(arguments, name="weather" if number == 0 else MISSING, call_id="call_1", index=0)]
        added += pieces.add(sent, "gen-7", whole=whole, finished=False)
    added += pieces.close(is_cut_off=is_cut_off)
    assert pieces.close(is_cut_off=is_cut_off) == []
    (call,) = pieces.joined()
    assert "".join(one.arguments for one in added) == call.arguments
    return call.arguments


class TestArgumentsThatAreNone:
    @pytest.mark.parametrize("whole", [True, False])
    @pytest.mark.parametrize("sent", NO_ARGUMENTS)
    def test_no_arguments_are_an_empty_object(self, sent, whole):
        assert closed([sent], whole=whole) == "{}"

    @pytest.mark.parametrize("whole", [True, False])
    def test_arguments_encoded_twice_are_the_object(self, whole):
        assert closed([TWICE], whole=whole) == '{"city": "Oslo"}'

    @pytest.mark.parametrize("size", [1, 3])
    @pytest.mark.parametrize(("sent", "meant"), [("null", "{}"), (TWICE, '{"city": "Oslo"}'), ('{"a": "null"}', None)])
    def test_arguments_in_pieces_mean_the_same(self, sent, meant, size):
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert closed(pieces, whole=False) == (meant or sent)

    @pytest.mark.parametrize("sent", ['"Oslo"', "not json", "[1]", "5", '"{"', "nul"])
    def test_other_arguments_are_unchanged(self, sent):
        assert closed([sent], whole=False) == sent

    @pytest.mark.parametrize("sent", ["", "nul", '"{', '{"city": "Os'])
    def test_arguments_that_were_cut_off_are_unchanged(self, sent):
        assert closed([sent], whole=False, is_cut_off=True) == sent

    def test_repeated_finish_without_arguments_adds_nothing(self):
        pieces = ToolCallPieces()
        sent = [piece("null", name="clock", call_id="call_1", index=0)]
        pieces.add(sent, "gen-7", whole=False, finished=False)
        pieces.close(is_cut_off=False)
        assert pieces.add(sent, "gen-7", whole=False, finished=True) == []
