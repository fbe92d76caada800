"""DSPy: a typed question, and what it cost."""

import json
import sys

import dspy

import lfm_adapter.litellm

lfm_adapter.litellm.register()
lm = dspy.LM(sys.argv[1], cache=False)
dspy.configure(lm=lm)
prediction = dspy.Predict("question -> answer: int")(question="What is 6 times 7?")
print(json.dumps({"answer": prediction.answer, "cost": lm.history[-1]["cost"]}))
