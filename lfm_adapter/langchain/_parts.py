"""Content blocks of LangChain's messages to content parts of the wire.

Blocks come as OpenAI writes them, as LangChain's standard blocks (v1, and v0 before it), and as Anthropic writes them:
histories are carried from one model to another.
"""

from __future__ import annotations

from mimetypes import guess_extension
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

__all__ = ["to_parts"]

_OF_THE_WIRE = {"file", "image_url", "input_audio", "text", "video_url"}

# OpenRouter's names, where they are not the MIME type's
# (https://openrouter.ai/docs/features/multimodal/audio, read 2026-11-23).
# https://openrouter.ai/docs/features/multimodal/audio, read 2026-11-23.
_AUDIO_FORMATS = {"mpeg": "mp3", "mp4": "m4a", "vnd.wave": "wav", "wave": "wav", "x-m4a": "m4a", "x-wav": "wav"}


def to_parts(content: str | list[Any], *, assistant: bool = False) -> str | list[JSONDict]:
    """Return a message's content for the wire.

    Args:
        content: As LangChain has it.
        assistant: It is a model's answer. What has no form on the wire is then left out (other providers' answers are
            full of it), and text that was streamed in blocks is joined. What a user wrote goes as it is: the server is
            the judge.

    Raises:
        ConfigurationError: A block names its data in a way that cannot be sent.

    >>> to_parts(["Look: ", {"type": "image", "url": "https://example.com/cat.png"}])
    [{'type': 'text', 'text': 'Look: '}, {'type': 'image_url', 'image_url': {'url': 'https://example.com/cat.png'}}]
    """
    if isinstance(content, str):
        return content
    parts = [_part(block) for block in content]
    # Some providers refuse empty texts. Tool results become messages of their own.
    parts = [part for part in parts if part.get("text") != "" and part.get("type") != "tool_result"]
    if assistant:
        parts = [part for part in parts if part.get("type") in _OF_THE_WIRE]
    plain = all(part.keys() == {"type", "text"} for part in parts)
    if plain and (assistant or len(parts) <= 1):
        return "".join(part["text"] for part in parts)
    return parts


def _part(block: str | JSONDict) -> JSONDict:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    match block.get("type"):
        case "text" | "input_text" | "output_text":
            return _text(block.get("text") or "", block)
        case "image_url" if isinstance(block.get("image_url"), str):
            return {"type": "image_url", "image_url": {"url": block["image_url"]}}
        case "image":
            return {"type": "image_url", "image_url": {"url": _url(block)}}
        case "audio":
            return {"type": "input_audio", "input_audio": _audio(block)}
        case "video":
            return {"type": "video_url", "video_url": {"url": _url(block)}}
        case "file" | "document" | "text-plain" if "file" not in block:
            return _file(block)
        case "non_standard" if isinstance(block.get("value"), dict):
            return _part(block["value"])
    return block


def _text(text: str, block: JSONDict) -> JSONDict:
    cache_control = block.get("cache_control") or as_dict(block.get("extras")).get("cache_control")
    part = {"type": "text", "text": text}
    return {**part, "cache_control": cache_control} if cache_control else part


def _audio(block: JSONDict) -> JSONDict:
    url = block.get("url")
    if isinstance(url, str) and url.startswith("data:"):
        mime_type, _, data = url.removeprefix("data:").partition(";base64,")
    else:
        mime_type, data = block.get("mime_type") or "audio/wav", _base64(block)
    if not data:
        raise ConfigurationError("OpenRouter takes audio as base64 only. Put the data into the block's `base64`.")
    kind = mime_type.partition("/")[2]
    return {"data": data, "format": _AUDIO_FORMATS.get(kind, kind)}


def _file(block: JSONDict) -> JSONDict:
    source = as_dict(block.get("source"))
    text = source.get("data") if source.get("type") == "text" else block.get("text")
    if isinstance(text, str):
        return _text(text, block)
    if block.get("file_id"):
        return {"type": "file", "file": {"file_id": block["file_id"]}}
    mime_type = block.get("mime_type") or source.get("media_type") or "application/pdf"
    name = block.get("filename") or block.get("title") or as_dict(block.get("extras")).get("filename")
    return {
        "type": "file",
        "file": {"filename": name or f"document{guess_extension(mime_type) or ''}", "file_data": _url(block)},
    }


def _url(block: JSONDict) -> str:
    source = as_dict(block.get("source"))
    url = block.get("url") or source.get("url")
    if url:
        return str(url)
    data = _base64(block)
    if not data:
        raise ConfigurationError(
            f"A block of type {block['type']!r} holds neither `url` nor `base64`, which are what OpenRouter takes."
        )
    return f"data:{block.get('mime_type') or source.get('media_type') or 'application/octet-stream'};base64,{data}"


def _base64(block: JSONDict) -> str:
    data = block.get("base64") or block.get("data") or as_dict(block.get("source")).get("data")
    return str(data or "")
