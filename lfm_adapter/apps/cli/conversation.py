"""A model and the messages so far."""

from __future__ import annotations

import time
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter.apps.cli.console import note
from lfm_adapter.apps.cli.screen import Screen, cost_text, spinner, summary
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter.apps.cli.store import ConversationStore, KeptConversation
    from lfm_adapter.types import JSONDict, Reply


class Conversation:
    """Asks, shows the answers, and remembers both.

    Args:
        client: Asks the model.
        system: The system message.
        parameters: Fields of the requests, such as `max_tokens`.
        is_free: Whether the model costs nothing, because it runs on this machine.
        is_plain: Whether answers are shown as they come, rather than as Markdown.
        shows_reasoning: Whether reasoning is shown.
        store: Keeps the conversation; None to keep none.
        kept: A kept conversation to continue.

    Attributes:
        client: Asks the model.
        model: The model to ask instead of the client's, or None.
        system: The system message, or None.
        turns: The messages so far, without the system message.
    """

    def __init__(
        self,
        client: LFMClient,
        system: str | None = None,
        parameters: dict[str, Any] | None = None,
        *,
        is_free: bool = False,
        is_plain: bool = True,
        shows_reasoning: bool = True,
        store: ConversationStore | None = None,
        kept: KeptConversation | None = None,
    ) -> None:
        self.client = client
        self.model: str | None = None
        self.system = system
        self.turns: list[JSONDict] = []
        self._store = store
        self._number: int | None = None
        if kept is not None:
            self._number = kept.id
            self.turns = [message for message in kept.messages if message["role"] != "system"]
            self.system = system or next((str(m["content"]) for m in kept.messages if m["role"] == "system"), None)
        self._question: str | None = None
        self._parameters = parameters or {}
        self._is_free = is_free
        self._is_plain = is_plain
        self._shows_reasoning = shows_reasoning
        self._answers = self._tokens = 0
        self._cost = Decimal(0)

    def messages(self) -> list[JSONDict]:
        """Return the system message, if there is one, and all turns."""
        return [*([{"role": "system", "content": self.system}] if self.system else []), *self.turns]

    def ask(self, question: str) -> None:
        """Show the answer while it is written, and remember what arrived of it, even if it was interrupted."""
        screen = Screen(is_plain=self._is_plain, shows_reasoning=self._shows_reasoning)
        started_s = time.perf_counter()
        text = ""
        reply: Reply | None = None
        stream = self.client.stream(self._with(question), model=self.model, **self._parameters)
        try:
            with closing(stream), spinner("waiting") as stop:
                for delta in stream:
                    if delta.text or delta.reasoning or delta.refusal:
                        stop()
                    text += delta.text or delta.refusal
                    screen.show(delta)
                    reply = delta.reply
        finally:
            screen.close()
            if text:
                self._remember(question, text, reply)
        if reply is not None:
            self._answers += 1
            self._tokens += (reply.usage or {}).get("total_tokens") or 0
            self._cost += reply.cost.total if reply.cost else 0
            note(summary(reply, time.perf_counter() - started_s, is_free=self._is_free))

    def ask_quietly(self, question: str) -> Reply:
        """Return the whole answer, and show nothing."""
        reply = self.client.chat(self._with(question), model=self.model, **self._parameters)
        self._remember(question, reply.text, reply)
        return reply

    def _with(self, question: str) -> list[JSONDict]:
        self._question = question
        return [*self.messages(), {"role": "user", "content": question}]

    def _remember(self, question: str, text: str, reply: Reply | None) -> None:
        self.turns += [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        if self._store is None:
            return
        model = (reply and reply.model) or self.model or self.client.model or ""
        try:
            self._number = self._store.save(self._number, model, self.messages())
        except ConfigurationError as error:
            note(f"The conversation could not be kept: {error}", style="yellow")

    def retry(self) -> None:
        """Ask the last question again, and forget its answer."""
        if self._question is None:
            note("Nothing has been asked yet.")
            return
        if len(self.turns) >= 2 and self.turns[-2]["content"] == self._question:
            del self.turns[-2:]
        self.ask(self._question)

    def clear(self) -> None:
        """Forget all turns."""
        self.turns, self._question, self._number = [], None, None

    def drop(self, number: int) -> int:
        """Forget the oldest questions with their answers, and return how many were forgotten."""
        before = len(self.turns)
        del self.turns[: 2 * number]
        return (before - len(self.turns)) // 2

    def usage(self) -> str:
        """Return the number of answers, their tokens and their cost."""
        cost = "no cost" if self._is_free else cost_text(self._cost)
        answers = "1 answer" if self._answers == 1 else f"{self._answers} answers"
        return f"{answers} · {self._tokens:,} tokens · {cost}"
