"""How to set up clients for the gateway, in one line each. `docs/clients.md` has the details."""

from __future__ import annotations

from urllib.parse import urlsplit

_CODEX = (
    "codex -m {model} -c model_provider=lfm -c 'model_providers.lfm="
    '{{name="LFM",base_url="{base_url}",env_key="OPENAI_API_KEY",wire_api="responses"}}\''
)
_IN_A_FORM = 'provider "{provider}", base URL {base_url}, the key, model {model}'

# With `$OPENAI_API_KEY` instead of the key, because people copy these lines into notes and issues.
_SETUPS = {
    "OpenAI SDK": 'OpenAI().chat.completions.create(model="{model}", messages=[...])',
    "aider": "aider --model openai/{model}",
    "mini-swe-agent": "MSWEA_COST_TRACKING=ignore_errors mini -m openai/{model}",
    "Codex": _CODEX,
    "Claude Code": "ANTHROPIC_BASE_URL={root} ANTHROPIC_AUTH_TOKEN=$OPENAI_API_KEY claude --model {model}",
    "Open WebUI": "OPENAI_API_BASE_URL={base_url} ENABLE_OLLAMA_API=false open-webui serve",
    "opencode": "opencode.json: a provider of npm @ai-sdk/openai-compatible, baseURL {base_url}, the key as apiKey",
    "Cline, Roo Code": _IN_A_FORM.replace("{provider}", "OpenAI Compatible"),
    "Continue": "config.yaml: provider openai, model {model}, apiBase {base_url}, the key as apiKey",
    "LibreChat": "librechat.yaml: endpoints.custom with baseURL {base_url}, the key as apiKey, models.fetch true",
    "SillyTavern": 'Chat Completion, source "Custom (OpenAI-compatible)", {base_url}, the key, model {model}',
    "Mantella": "lfm gateway --open; LLM Service {base_url}, model {model}",
    "CHIM": "a connector openaijson with URL {base_url}/chat/completions, the key, model {model}",
}


def client_setups(base_url: str, model: str) -> dict[str, str]:
    """Return the setup of each client, by the client's name.

    Args:
        base_url: The gateway's address, with `/v1`.
        model: The model to use.
    """
    address = urlsplit(base_url)
    root = f"{address.scheme}://{address.netloc}"
    return {client: line.format(base_url=base_url, root=root, model=model) for client, line in _SETUPS.items()}
