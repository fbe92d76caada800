// Open WebUI: which models it lists, and what one of them answers. Arguments: URL, model, question, screenshot.
import { onPage } from "./browser.mjs";

const [url, model, question, screenshot] = process.argv.slice(2);

await onPage(url, screenshot, async (page) => {
  await page.getByRole("button", { name: "Okay, Let's Go!" }).click();
  await page.getByRole("button", { name: "Selected model" }).click();
  const option = page.getByRole("option", { name: `Select ${model} model`, exact: true });
  await option.waitFor();
  const models = await page.getByRole("option").allInnerTexts();
  await option.click();
  await page.locator("#chat-input").click();
  await page.keyboard.type(question);
  await page.keyboard.press("Enter");
  const answer = page.locator(".chat-assistant").last();
  await answer.getByText("Thank you for your message").waitFor();
  return { models, answer: (await answer.innerText()).trim() };
});
