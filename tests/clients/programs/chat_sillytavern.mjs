// SillyTavern: connects to a base URL, and asks. Arguments: URL, base URL, model, question, screenshot; KEY is the key.
import { onPage } from "./browser.mjs";

const [url, baseUrl, model, question, screenshot] = process.argv.slice(2);

await onPage(url, screenshot, async (page) => {
  await page.locator("dialog[open] .popup-button-ok").click();
  await page.locator("dialog[open]").waitFor({ state: "detached" });
  await page.locator("#API-status-top").click();
  await page.locator("#main_api").selectOption("openai");
  await page.locator("#chat_completion_source").selectOption("custom");
  await page.locator("#custom_api_url_text").fill(baseUrl);
  await page.locator("#api_key_custom").fill(process.env.KEY);
  await page.locator("#api_button_openai").click();
  const options = page.locator("#model_custom_select option");
  await options.filter({ hasText: model }).first().waitFor({ state: "attached" });
  const models = await options.evaluateAll((found) => found.map((option) => option.value).filter(Boolean));
  await page.locator("#model_custom_select").selectOption(model);
  await page.locator("#API-status-top").click();
  await page.locator("#send_textarea").fill(question);
  await page.locator("#send_but").click();
  const answer = page.locator('.mes[is_user="false"] .mes_text').last();
  await answer.getByText("Thank you for your message").waitFor();
  return { models, answer: (await answer.innerText()).trim() };
});
