// A headless Chromium for the pages of chat apps. CHROMIUM names the browser.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.NODE_CLIENTS}/`)("playwright-core");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// Opens `url`, lets `use(page)` work, leaves a screenshot of how it ended, and prints what `use` returns as JSON.
export async function onPage(url, screenshot, use) {
  const profile = mkdtempSync(join(tmpdir(), "chat-app-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM,
    headless: true,
    args: FLAGS,
    viewport: { width: 1280, height: 800 },
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(120_000);
    try {
      await page.goto(url);
      console.log(JSON.stringify(await use(page)));
    } finally {
      await page.screenshot({ path: screenshot });
    }
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
