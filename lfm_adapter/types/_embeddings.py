"""Embeddings: what `embed` takes beside its texts, and what it returns."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict

from lfm_adapter.types._reply import Cost
from lfm_adapter.types._request import JSONDict, ProviderPreferences

EmbeddingRole: TypeAlias = Literal["query", "document"]


class EmbeddingParameters(TypedDict, total=False):
    """Parameters of `embed` that become fields of the request. Those without a name here go into `extra_body`."""

    provider: ProviderPreferences
    user: str
    session_id: str
    trace: JSONDict
    extra_body: JSONDict


@dataclass(slots=True)
class EmbeddingReply:
    """The vectors of some texts, from one request or several.

    Attributes:
        vectors: A vector for each text, in the order of the texts. All have the same length.
        id: OpenRouter's generation id ("gen-…"); the last one, if there were several requests.
        model: The model that served, possibly its dated slug. The requested one if the server names none.
        provider: The provider that served ("Liquid").
        usage: Tokens and cost as OpenRouter sent them, summed over the requests; None if one of them had none.
        cost: The cost of all requests, from the replies or else from the catalogue; None if unknown.
    """

    vectors: list[list[float]]
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: JSONDict | None = None
    cost: Cost | None = None
