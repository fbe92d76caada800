"""What a scenario says that a user must see, and what one saw, as two values to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter import errors
from tests.faults.asking import asking, is_streamed, play
from tests.faults.scenario import LANGCHAIN
from tests.support.both_clients import KEY

if TYPE_CHECKING:
    from lfm_adapter.testing import RecordedRequest
    from tests.faults.asking import Seen
    from tests.faults.scenario import Scenario

__all__ = ["differences"]

SECRETS = (KEY, "user_2abcDEF345ghi")


def differences(scenario: Scenario, way: str) -> list[str]:
    """Play `scenario` to `way`, and say in what the outcome differs from the table."""
    must, is_so = _expected(scenario, way), _observed(scenario, way)
    return [
        f"{name}: {is_so.get(name, 'nothing')!r} instead of {must.get(name, 'nothing')!r}"
        for name in {**must, **is_so}
        if is_so.get(name, "nothing") != must.get(name, "nothing")
    ]


def _expected(scenario: Scenario, way: str) -> dict[str, Any]:
    """What the user of `way` must see, and the server too."""
    surface = way.partition(".")[0]
    tries = 1 if surface == "litellm" else scenario.tries  # LiteLLM retries itself
    common = {
        "requests": tries if scenario.heard is None else scenario.heard,
        "different requests": min(tries, 1) if scenario.heard is None else scenario.heard,
    }
    if scenario.raises is None:
        return common | {"raised": None, "text": scenario.kept}
    kind = scenario.raises.__name__
    theirs = {
        "ChatLFM": _langchains,
        "LFMDecisions": _langchains,
        "LFMEmbeddings": _langchains,
        "litellm": _litellms,
    }.get(surface, lambda _: [])
    return common | {
        "raised": [kind, *theirs(scenario)],
        "status": scenario.status,
        "retryable": scenario.retried if scenario.is_retryable is None else scenario.is_retryable,
        "retry_after": scenario.retry_after,
        "partial": scenario.kept,
        "passed on": (scenario.kept or "") if is_streamed(way) else "",
        "secrets in the error": [],
    }


def _langchains(scenario: Scenario) -> list[str]:
    assert scenario.raises is not None
    return [LANGCHAIN[scenario.raises]]


def _litellms(scenario: Scenario) -> list[str]:
    from litellm import exceptions

    name = scenario.class_of_litellm()
    return [name if hasattr(exceptions, name) else "APIError"]  # PaymentRequiredError came with 1.106


def _observed(scenario: Scenario, way: str) -> dict[str, Any]:
    """What the user of `way` sees, and the server too."""
    retries = {} if way.startswith("litellm") else {"max_retries": 1}
    with play(scenario, way) as server:
        with asking(way, server.base_url, **retries, **scenario.options) as ask:
            if scenario.first:
                assert ask().error is None
                server.requests.clear()
            seen = ask()
        # A request may be read after its client has given up.
        server.wait_for_requests(_expected(scenario, way)["requests"])
        return _of_requests(server.requests) | _of_user(seen, way)


def _of_requests(requests: list[RecordedRequest]) -> dict[str, Any]:
    return {
        "requests": len(requests),
        "different requests": len({(*one.headers.items(), one.content) for one in requests}),
    }


def _of_user(seen: Seen, way: str) -> dict[str, Any]:
    raised = seen.error
    if raised is None:
        return {"raised": None, "text": seen.text}
    classes = [type(raised).__name__]
    ours: Any = raised
    if way.startswith(("ChatLFM", "LFMDecisions", "LFMEmbeddings")):
        classes.append(next(cls.__name__ for cls in type(raised).__mro__ if cls.__module__.startswith("langchain")))
    if way.startswith("litellm"):
        ours = raised.__cause__
        classes.insert(0, type(ours).__name__)
        assert raised.partial is ours.partial
    assert isinstance(ours, errors.APIError), repr(raised)
    shown = f"{raised} {raised!r} {ours} {ours!r}"
    return {
        "raised": classes,
        "status": ours.status_code,
        "retryable": ours.is_retryable,
        "retry_after": ours.retry_after,
        "partial": ours.partial and ours.partial.text,
        "passed on": seen.text,
        "secrets in the error": [secret for secret in SECRETS if secret in shown],
    }
