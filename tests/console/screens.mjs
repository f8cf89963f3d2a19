// SPDX-License-Identifier: Apache-2.0
// Pictures of every page of the console, to be looked at by a person: desktop and phone, light and dark.
//
//     HUB_URL=https://127.0.0.1:8443 TOKEN=... node tests/console/screens.mjs FOLDER
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(new URL("../../console/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const { HUB_URL, TOKEN } = process.env;
const out = process.argv[2];
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const PAGES = ["Home", "Live", "Models", "Label", "Devices"];
const SETTLE = 1500; // a picture, an event and a tick of the plot; nothing is asserted

/** The whole page in one picture, as if the window were as high as it, so that a menu at the bottom stays there. */
async function shoot(page, name) {
    await page.waitForTimeout(SETTLE);
    const { width, height } = page.viewportSize();
    const whole = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width, height: Math.max(height, whole) });
    await page.screenshot({ path: join(out, `${name}.png`) });
    await page.setViewportSize({ width, height });
}

async function shootReportAndQuestion(page, name) {
    const report = page.locator("section[data-model] summary").first();
    if (await report.count()) {
        await report.click();
        await shoot(page, `${name}-report`);
        await page.getByRole("button", { name: /^Deploy/ }).last().click();
        await shoot(page, `${name}-deploy`);
        await page.getByRole("button", { name: "Cancel" }).click();
    }
}

async function pages(context, name) {
    const page = await context.newPage();
    await page.goto(HUB_URL);
    await page.getByLabel("Admin token").waitFor();
    await shoot(page, `${name}-login`);
    await page.getByLabel("Admin token").fill(TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Home" }).waitFor();
    for (const title of PAGES) {
        await page.getByRole("link", { name: title }).first().click();
        await page.getByRole("heading", { name: title, level: 1 }).waitFor();
        await shoot(page, `${name}-${title.toLowerCase()}`);
        if (title === "Models") {
            await shootReportAndQuestion(page, name);
        }
    }
    const device = page.locator("tr[data-device] a").first();
    if (await device.count()) {
        await device.click();
        await page.locator("section", { hasText: "Log" }).getByRole("button").first().click();
        await shoot(page, `${name}-device`);
    }
}

mkdirSync(out, { recursive: true });
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu"] });
for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ["light", "dark"]) {
        const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport, colorScheme });
        await pages(context, `${size}-${colorScheme}`);
        await context.close();
    }
}
await browser.close();
