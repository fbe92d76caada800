"""The differences between servers that answer decisions: addresses, images, criteria, names of models.

- OpenRouter (https://openrouter.ai/docs/guides/features/decisions, an alpha API): images are parts of the state's
  top-level list, beside plain texts. A noul has both criteria or none.
- Liquid (https://docs.liquid.ai/lfm/models/decision-models): images are in `images`, models have no "liquid/".
- llama.cpp (https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md) and vLLM
  (https://docs.vllm.ai): the same address; llama.cpp takes images in `files`, and vLLM none.

All were read 2026-11-28.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from lfm_adapter._masking import shown
from lfm_adapter._openrouter.address import is_liquid, is_openrouter
from lfm_adapter._openrouter.request import encode
from lfm_adapter._toolcalls.render import escape_special_tokens
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.types import JSONDict, ModelCard

MAX_IMAGES = 8  # Liquid's limit, and llama.cpp's; that of Liquid's models on OpenRouter is not documented
MAX_LIQUID_BODY = 4_500_000  # bytes

_IMAGE = re.compile(r"data:image/(?:png|jpe?g|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
_MEDIA = ("audio", "document", "file", "input_audio", "video", "video_url")


def decision_url(base_url: str, *, route: str = "alpha") -> str:
    """Return the address for decisions. `route` is OpenRouter's: "alpha" or "systemone".

    >>> decision_url("https://openrouter.ai/api/v1")
    'https://openrouter.ai/api/alpha/decisions'
    >>> decision_url("https://api.liquid.ai"), decision_url("http://localhost:8080/v1")
    ('https://api.liquid.ai/decisions/v1/systemone', 'http://localhost:8080/v1/systemone')
    """
    if route not in ("alpha", "systemone"):
        raise ConfigurationError(f"`route` must be 'alpha' or 'systemone', got {shown(route)}.")
    if is_openrouter(base_url) and route == "alpha":
        return base_url.removesuffix("/v1") + "/alpha/decisions"
    if is_liquid(base_url):
        parts = urlsplit(base_url)
        path = parts.path.removesuffix("/v1").removesuffix("/decisions")
        return urlunsplit((parts.scheme, parts.netloc, f"{path}/decisions/v1/systemone", "", ""))
    return f"{base_url.removesuffix('/systemone')}/systemone"


def read_state(state: object, card: ModelCard) -> tuple[Any, list[JSONDict]]:
    """Return a state as JSON, and its images, each with its URL.

    In the state, a name replaces each image, and special tokens are escaped, which llama.cpp would interpret.

    Raises:
        ConfigurationError: The state is empty, or has media that the model does not take.
    """
    if not isinstance(state, str | Mapping | list | tuple):
        raise ConfigurationError(f"`state` must be a string, a dict or a list, got {type(state).__name__}.")
    images: list[JSONDict] = []
    try:
        plain = _without_images(state, images)
        is_empty = not images and not _has_text(plain)
    except RecursionError:
        raise ConfigurationError("`state` is nested too deeply.") from None
    if is_empty:
        raise ConfigurationError("`state` is empty. Pass the text or the facts that the questions are about.")
    if images and card.input_modalities is not None and "image" not in card.input_modalities:
        raise ConfigurationError(f"`{card.id}` does not take images.")
    if len(images) > MAX_IMAGES and card.status != "unknown":
        raise ConfigurationError(f"`state` has {len(images)} images; at most {MAX_IMAGES} are allowed.")
    return plain, images


def decision_body(
    base_url: str, model: str, state: Any, images: Sequence[JSONDict], questions: Mapping[str, JSONDict]
) -> JSONDict:
    """Return the body of a request in the form of the server at `base_url`; see `read_state`.

    Raises:
        ConfigurationError: The images are larger than the server takes.
    """
    urls = [image["url"] for image in images]
    if is_openrouter(base_url):
        sent = {id_: _for_openrouter(question) for id_, question in questions.items()}
        return {"model": model, "state": with_images(state, images) if images else state, "questions": sent}
    if is_liquid(base_url):
        if sum(map(len, urls)) > MAX_LIQUID_BODY:
            raise ConfigurationError(
                f"Liquid's API takes up to {MAX_LIQUID_BODY:,} bytes a request. Shrink the images."
            )
        sent = {id_: _with_described_levels(question) for id_, question in questions.items()}
        body = {"model": model.removeprefix("liquid/"), "state": state, "questions": sent}
        return {**body, "images": urls} if images else body
    body = {"model": model, "state": state, "questions": dict(questions)}
    return {**body, "files": urls} if images else body


def with_images(state: Any, images: Sequence[JSONDict]) -> list[str | JSONDict]:
    """Return a list of texts and images. Images within an object, where OpenRouter reads only text, go to its end."""
    parts = {f"[image {number}]": {"type": "image_url", "image_url": image} for number, image in enumerate(images, 1)}
    given = state if isinstance(state, list) else [state]
    items = [parts.pop(item) if isinstance(item, str) and item in parts else text_of(item) for item in given]
    for name, part in parts.items():
        items += [name, part]
    return items


def _without_images(value: Any, images: list[JSONDict]) -> Any:
    """Return JSON in which names replace the images, which are added to `images`, and special tokens are escaped."""
    if isinstance(value, str):
        return escape_special_tokens(value)
    if isinstance(value, Mapping):
        if (image := _image(value)) is not None:
            if not _IMAGE.fullmatch(image["url"]):
                raise ConfigurationError(
                    "An image in `state` must be a data URL (data:image/png;base64,…) of a PNG, JPEG, WebP or GIF; "
                    f"servers do not fetch URLs. Got {image['url'][:40]!r}."
                )
            images.append(image)
            return f"[image {len(images)}]"
        kind = value.get("type")
        if kind in _MEDIA and ("base64" in value or isinstance(value.get(kind), Mapping)):
            raise ConfigurationError(f"`state` has a part of type {shown(kind)}. Only text and images can be sent.")
        return {
            escape_special_tokens(key) if isinstance(key, str) else key: _without_images(member, images)
            for key, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_images(member, images) for member in value]
    return value


def _image(part: Mapping[Any, Any]) -> JSONDict | None:
    """Return the URL, with OpenAI's `detail`, of an image as OpenAI, Anthropic or LangChain write it; else None."""
    match part:
        case {"type": "image_url", "image_url": {"url": str()} as image}:
            return dict(image)
        case {"type": "image_url" | "input_image", "image_url": str(url)}:
            return {"url": url}
        case {"type": "image", "base64": str(data), "mime_type": str(mime)}:
            return {"url": f"data:{mime};base64,{data}"}
        case {"type": "image", "source": {"data": str(data), "media_type": str(mime)}}:
            return {"url": f"data:{mime};base64,{data}"}
        case {"type": "image", "url": str(url)} | {"type": "image", "source": {"url": str(url)}}:
            return {"url": url}
    return None


def _has_text(value: Any) -> bool:
    if isinstance(value, str):
        return not value.isspace() and value != ""
    if isinstance(value, Mapping | list):
        return any(map(_has_text, value.values() if isinstance(value, Mapping) else value))
    return value is not None


def text_of(value: Any) -> str:
    """Return a text as it is, and other JSON as text."""
    return value if isinstance(value, str) else encode(value).decode()


def _for_openrouter(question: JSONDict) -> JSONDict:
    """Return a question in the form of the alpha API.

    It refused structured instructions and criteria at first: https://github.com/browser-use/jev-ultrafast/issues/18
    """
    question = _with_described_levels(question)
    shown = {**question, "instructions": text_of(question["instructions"])}
    criteria = question.get("criteria")
    if question["type"] == "noul" and criteria:
        criteria = {"true": criteria.get("true", "Anything else."), "false": criteria.get("false", "Anything else.")}
    if isinstance(criteria, Mapping):
        shown["criteria"] = {name: text if text is None else text_of(text) for name, text in criteria.items()}
    elif criteria:
        shown["criteria"] = [text_of(level) for level in criteria]
    return shown


def _with_described_levels(question: JSONDict) -> JSONDict:
    """Return a question in which no level is null, which the hosted servers refuse."""
    if question["type"] != "score":
        return question
    levels = [str(place) if level is None else level for place, level in enumerate(question["criteria"])]
    return {**question, "criteria": levels}
