// LibreChat's model layer: one streamed turn with a tool. Arguments: the model, the question.
import { load } from "./packages.mjs";

const { Providers, Run } = await load("@librechat/agents");
const { HumanMessage } = await load("@langchain/core/messages");
const { tool } = await load("@langchain/core/tools");
const { z } = await load("zod");

const [model, question] = process.argv.slice(2);
const getWeather = tool(async ({ city }) => `Rain in ${city}.`, {
  name: "get_weather",
  description: "Tell the weather in a city.",
  schema: z.object({ city: z.string() }),
});
const llmConfig = {
  provider: Providers.OPENAI,
  model,
  apiKey: process.env.OPENAI_API_KEY,
  streaming: true,
  maxRetries: 0,
  configuration: { baseURL: process.env.OPENAI_BASE_URL },
};
const run = await Run.create({
  runId: "run",
  returnContent: true,
  customHandlers: {},
  graphConfig: { type: "standard", llmConfig, tools: [getWeather] },
});
const config = { configurable: { thread_id: "thread" }, streamMode: "values", version: "v2" };
const parts = await run.processStream({ messages: [new HumanMessage(question)] }, config);
console.log(JSON.stringify({ text: parts.findLast((part) => part.type === "text").text }));
