#!/bin/sh
# Open WebUI on Liquid's models, with `lfm gateway` behind it; Ctrl-C ends both. Without OPENROUTER_API_KEY a model on
# this machine answers. They need an environment each, and LFM and OPEN_WEBUI name their commands:
#
#   pip install "lfm-adapter[local]"
#   pip install open-webui
set -eu

# Open WebUI remembers the address and the key of its first start, and so both stay the same.
GATEWAY_PORT=${GATEWAY_PORT:-4000}
KEY_FILE=${KEY_FILE:-$HOME/.open-webui-gateway-key}
[ -s "$KEY_FILE" ] || (umask 077 && echo "sk-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" > "$KEY_FILE")
LFM_GATEWAY_KEY=$(cat "$KEY_FILE")
export LFM_GATEWAY_KEY

"${LFM:-lfm}" gateway --port "$GATEWAY_PORT" &
gateway=$!
trap 'kill "$gateway" 2> /dev/null; wait "$gateway" || true' EXIT

OPENAI_API_BASE_URL="http://127.0.0.1:$GATEWAY_PORT/v1" OPENAI_API_KEY="$LFM_GATEWAY_KEY" ENABLE_OLLAMA_API=false \
    "${OPEN_WEBUI:-open-webui}" serve --host 127.0.0.1 --port "${PORT:-8080}"
