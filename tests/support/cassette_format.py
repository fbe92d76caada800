"""How cassettes are written: YAML that a reviewer can read, and that gives the replies back.

A JSON body stands as a tree under `json:` (whitespace before it under `padding:`), a stream as a list under `sse:` with
one event a line, anything else under `text:` or `base64:`. Of the headers only those on a list are kept, so keys,
cookies and dates cannot get in; keys and account ids in bodies are masked. The first line says what was recorded.

vcrpy calls `CassetteFiles` to load and save, and `normalized` for each request
(https://vcrpy.readthedocs.io/en/latest/advanced.html).
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.request import Request

from lfm_adapter.testing._reply import compact_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "ORIGIN",
    "VCR_SETTINGS",
    "Cassette",
    "CassetteFiles",
    "from_text",
    "normalized",
    "same_attribution",
    "to_text",
]

ORIGIN = "https://openrouter.ai/api/v1"

REQUEST_HEADERS = re.compile("content-type|http-referer|x-title|x-openrouter-title|x-openrouter-categories|user-agent")
ATTRIBUTION_HEADERS = ("http-referer", "x-title", "x-openrouter-title", "x-openrouter-categories")
REPLY_HEADERS = re.compile("content-type|retry-after|x-generation-id|x-ratelimit-.*")

_KEY = re.compile(r"\bsk-or-[\w-]+|\bBearer +[\w.-]+|\b(?:user|org)_(?=[A-Za-z]*\d)[A-Za-z0-9]{16,}")
# In JSON, and in JSON inside a JSON string, as a provider's error is passed on.
_ACCOUNT = re.compile(r"""((?:user|organization|workspace)_id\\*" *: *\\*")[^"\\]+""")

Object = dict[str, Any]


@dataclass(frozen=True)
class Cassette:
    """What a file holds.

    Attributes:
        recorded_from: What answered, and the day: "OpenRouter, 2026-11-23".
        requests: As vcrpy wants them.
        responses: As vcrpy wants them.
    """

    recorded_from: str
    requests: list[Request]
    responses: list[Object]


@dataclass(frozen=True)
class CassetteFiles:
    """Loads and saves cassettes for vcrpy.

    Attributes:
        recorded_from: The first line of what is saved.
    """

    recorded_from: str

    def load_cassette(self, cassette_path: str, serializer: object) -> tuple[list[Request], list[Object]]:
        """Read a file. `serializer` is vcrpy's own, and not used."""
        del serializer
        path = Path(cassette_path)
        if not path.is_file():
            raise CassetteNotFoundError(path)
        cassette = from_text(path.read_text(encoding="utf-8"))
        return cassette.requests, cassette.responses

    def save_cassette(self, cassette_path: str, cassette_dict: Mapping[str, Any], serializer: object) -> None:
        """Write a file. `serializer` is vcrpy's own, and not used."""
        del serializer
        path = Path(cassette_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = to_text(self.recorded_from, cassette_dict["requests"], cassette_dict["responses"])
        path.write_text(text, encoding="utf-8", newline="\n")


def normalized(request: Request) -> Request:
    """The request as it is stored and compared: to OpenRouter, wherever it went, and without secrets."""
    if urlsplit(request.uri).hostname in {"127.0.0.1", "localhost"}:
        api = ORIGIN.removesuffix("/v1")
        _, root, path = re.split("(/v1|(?=/alpha/))", request.uri, maxsplit=1)
        request.uri = f"{api}{root}{path}"
    if request.body:
        request.body = _masked(request.body)
    return request


def same_attribution(sent: Request, recorded: Request) -> None:
    """Compare the headers that credit an app, as vcrpy's matchers do."""
    for name in ATTRIBUTION_HEADERS:
        assert sent.headers.get(name) == recorded.headers.get(name), name


VCR_SETTINGS: Object = {
    "match_on": ("method", "uri", "body", "attribution"),
    "decode_compressed_response": True,
    "before_record_request": normalized,
}


def to_text(recorded_from: str, requests: Iterable[Request], responses: Iterable[Object]) -> str:
    """Write a cassette."""
    interactions = [
        {"request": _request_fields(request), "response": _reply_fields(response)}
        for request, response in zip(requests, responses, strict=True)
    ]
    return _yaml({"recorded_from": recorded_from, "interactions": interactions})


def from_text(text: str) -> Cassette:
    """Read a cassette.

    Raises:
        ValueError: It does not say where it was recorded.
    """
    content = _from_yaml(text)
    if not content.get("recorded_from"):
        raise ValueError("The cassette does not say where it was recorded. Record it again with --record-mode=rewrite.")
    requests, responses = [], []
    for interaction in content["interactions"]:
        sent, reply = interaction["request"], interaction["response"]
        requests.append(Request(sent["method"], sent["uri"], _body(sent), sent["headers"]))
        responses.append(
            {
                "status": {"code": reply["status"], "message": _phrase(reply["status"])},
                "headers": {name: [value] for name, value in reply["headers"].items()},
                "body": {"string": _body(reply) or b""},
            }
        )
    return Cassette(content["recorded_from"], requests, responses)


def _request_fields(request: Request) -> Object:
    headers = dict(_kept(request.headers, REQUEST_HEADERS))
    if "user-agent" in headers:
        headers["user-agent"] = re.sub(r"/\S+", "", headers["user-agent"])  # versions change, cassettes need not
    fields = {"method": request.method, "uri": request.uri, "headers": headers}
    return fields | _readable(request.body or b"", headers.get("content-type", ""))


def _reply_fields(response: Object) -> Object:
    headers = dict(_kept(response["headers"], REPLY_HEADERS))
    body = _masked(response["body"].get("string") or b"")
    return {"status": response["status"]["code"], "headers": headers} | _readable(body, headers.get("content-type", ""))


def _kept(headers: Mapping[str, Any], names: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if names.fullmatch(name.lower()):
            yield name.lower(), value if isinstance(value, str) else ", ".join(value)


def _masked(body: bytes) -> bytes:
    text = body.decode("latin-1")  # which gives any bytes back; the patterns look for ASCII alone
    return _ACCOUNT.sub(r"\1[redacted]", _KEY.sub("[redacted]", text)).encode("latin-1")


def _readable(body: bytes, content_type: str) -> Object:
    """The most readable fields that give `body` back after a trip through YAML."""
    forms = (form for form in _forms(body, content_type) if _gives_back(form, body))
    return next(forms, {"base64": base64.b64encode(body).decode()})


def _forms(body: bytes, content_type: str) -> Iterator[Object]:
    if not body:
        yield {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return
    if "json" in content_type:
        try:
            value = json.loads(text)
        except ValueError:
            pass
        else:
            padding = text[: len(text) - len(text.lstrip())]
            yield {"padding": padding, "json": value} if padding else {"json": value}
    if "event-stream" in content_type:
        *complete, rest = text.split("\n\n")
        yield {"sse": complete} | ({"sse_rest": rest} if rest else {})
    yield {"text": text}


def _gives_back(form: Object, body: bytes) -> bool:
    """JSON has to come back with the same padding, keys in the same order and numbers of the same value."""
    try:
        restored = _body(_from_yaml(_yaml(form))) or b""
    except (yaml.YAMLError, UnicodeEncodeError):
        return False
    if restored == body or "json" not in form:
        return restored == body
    return _exact(restored) == _exact(body)


def _exact(body: bytes) -> tuple[bytes, Any, bytes]:
    value = json.loads(body, parse_float=Decimal, parse_constant=str, object_pairs_hook=tuple)
    inner = body.strip()
    before, _, after = body.partition(inner)
    return before, value, after


def _body(fields: Mapping[str, Any]) -> bytes | None:
    match fields:
        case {"json": value}:
            padding: str = fields.get("padding", "")
            return padding.encode() + compact_json(value)
        case {"sse": complete}:
            return "".join([*(f"{event}\n\n" for event in complete), fields.get("sse_rest", "")]).encode()
        case {"text": str(text)}:
            return text.encode()
        case {"base64": encoded}:
            return base64.b64decode(encoded)
    return None


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in {known.value for known in HTTPStatus} else ""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, vectors on one line, no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text.strip() else None)

    def represent_values(self, values: list[Any]) -> yaml.SequenceNode:
        is_vector = bool(values) and all(isinstance(value, float) for value in values)
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_vector)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(list, _Dumper.represent_values)
# libyaml's loader is ten times as fast, and reads what the dumper written in Python writes.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _yaml(value: Object) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf))


def _from_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader, under a name that ruff does not know)
