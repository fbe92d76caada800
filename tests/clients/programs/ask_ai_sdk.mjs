// The AI SDK with OpenRouter's provider: one turn with a tool, whole and streamed. Arguments: the model, the question.
import { load } from "./packages.mjs";

const { createOpenRouter } = await load("@openrouter/ai-sdk-provider");
const { generateText, stepCountIs, streamText, tool } = await load("ai");
const { z } = await load("zod");

const [model, prompt] = process.argv.slice(2);
const openrouter = createOpenRouter({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const get_weather = tool({
  description: "Tell the weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Rain in ${city}.`,
});
const call = { model: openrouter.chat(model), prompt, tools: { get_weather }, stopWhen: stepCountIs(3), maxRetries: 0 };

const whole = await generateText(call);
let streamed = "";
for await (const piece of streamText(call).textStream) streamed += piece;
console.log(JSON.stringify({ whole: whole.text, streamed, cost: whole.providerMetadata.openrouter.usage.cost }));
