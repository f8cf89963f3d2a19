// SPDX-License-Identifier: Apache-2.0
// The console in a real browser against a real hub: sign in, see the devices live, label ten pictures, deploy a version
// and see it arrive. Run after `npm ci` in console/:
//
//     HUB_URL=https://127.0.0.1:8443 TOKEN=... node --test tests/console/console.test.mjs
//
// journey.py starts such a hub and runs this as the CTest `console/journey`.
// The hub must have at least DEVICES (3) devices online that send frames, 12 unlabelled samples, and a model of which a
// version is not deployed (MODEL names it; else the first model, its newest version).
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

const require = createRequire(new URL("../../console/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const { HUB_URL, TOKEN, MODEL } = process.env;
const WANTED = Number(process.env.DEVICES ?? 3);
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"];
const skip = HUB_URL && TOKEN ? false : "HUB_URL and TOKEN are not set";
const DEADLINE = 60_000;

let browser;
let page;
const complaints = []; // console errors and requests that leave the hub

async function open(options) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
    const made = await context.newPage();
    made.setDefaultTimeout(DEADLINE);
    made.on("request", (request) => {
        if (!request.url().startsWith(HUB_URL)) {
            complaints.push(`request to ${request.url()}`);
        }
    });
    made.on("pageerror", (error) => complaints.push(`page error: ${error.message}`));
    made.on("console", (message) => {
        // The browser itself reports a 401 (the question whether one is signed in) and a 404 (a device without a picture).
        if (message.type() === "error" && !/status of (401|404)/.test(message.text())) {
            complaints.push(`console: ${message.text()}`);
        }
    });
    return made;
}

async function signIn(where) {
    await where.goto(HUB_URL);
    await where.getByLabel("Admin token").fill(TOKEN);
    await where.getByRole("button", { name: "Sign in" }).click();
    await where.getByRole("heading", { name: "Home" }).waitFor();
}

async function goTo(where, name) {
    await where.getByRole("link", { name, exact: false }).first().click();
    await where.getByRole("heading", { name, level: 1 }).waitFor();
}

/** Wait until text, asked again and again, fulfils wanted. */
async function until(what, ask, wanted) {
    const end = Date.now() + DEADLINE;
    for (;;) {
        const got = await ask();
        if (wanted(got)) {
            return got;
        }
        assert.ok(Date.now() < end, `${what}: still ${JSON.stringify(got)}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

before(async () => {
    if (!skip) {
        const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
        browser = await chromium.launch({ executablePath, args: FLAGS });
        page = await open({ viewport: { width: 1280, height: 900 } });
    }
});

after(async () => {
    await browser?.close();
});

test("a wrong token is refused in words, the right one signs in", { skip }, async () => {
    await page.goto(HUB_URL);
    await page.getByLabel("Admin token").fill("not-the-token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /not known/);
    await signIn(page);
    const sentence = page.locator("[data-role=sentence]");
    await until("sentence", () => sentence.innerText(), (text) => text.length > 10);
});

test("the token is not readable from a cookie and the policy is strict", { skip }, async () => {
    const cookies = await page.context().cookies();
    assert.ok(cookies.length > 0, "a session cookie is set");
    assert.ok(cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"));
    const answer = await page.request.get(HUB_URL);
    assert.match(answer.headers()["content-security-policy"] ?? "", /default-src 'self'/);
});

test("every device shows its picture, what it sees, and how fast", { skip }, async () => {
    await goTo(page, "Live");
    const tiles = page.locator("section[data-device]");
    await until("tiles", () => tiles.count(), (n) => n >= WANTED);
    for (let i = 0; i < WANTED; i++) {
        const tile = tiles.nth(i);
        await until(
            "picture is drawn",
            () => tile.locator("img.picture").evaluateAll((all) => all.map((img) => img.naturalWidth)),
            (widths) => widths.length === 1 && widths[0] > 0,
        );
        await until("label", () => tile.locator("[data-role=top1]").innerText(), (text) => text !== "-");
        await until("score", () => tile.locator("[data-role=score]").innerText(), (text) => /\d %/.test(text));
        await until("rate", () => tile.locator("[data-role=rate]").innerText(), (text) => Number(text) > 0);
        assert.equal(await tile.locator(".plot canvas").count(), 1);
    }
});

test("ten pictures are labelled with ten keys, and undo takes one back", { skip }, async () => {
    await goTo(page, "Label");
    const done = page.locator("[data-role=done]");
    const shown = page.locator("img.picture[data-sample]");
    const labelled = new Set();
    for (let i = 0; i < 10; i++) {
        const id = await shown.getAttribute("data-sample");
        assert.ok(!labelled.has(id), "a labelled picture does not come again");
        labelled.add(id);
        await page.keyboard.press(String(i));
        await until("count", () => done.innerText(), (text) => Number(text) === i + 1);
    }
    const last = [...labelled].at(-1);
    await page.keyboard.press("z");
    await until("back", () => shown.getAttribute("data-sample"), (id) => id === last);
    assert.equal(Number(await done.innerText()), 9);
    await page.locator("button[data-label]").first().click();
    await until("count", () => done.innerText(), (text) => Number(text) === 10);
    const list = await page.request.get(`${HUB_URL}/api/v1/samples?state=labelled&limit=1000`);
    const stored = new Set((await list.json()).items.map((sample) => sample.id));
    assert.ok([...labelled].every((id) => stored.has(id)), "the hub stores all ten");
});

test("a version is deployed and arrives on every device", { skip }, async () => {
    await goTo(page, "Models");
    const card = MODEL ? page.locator(`section[data-model="${MODEL}"]`) : page.locator("section[data-model]").first();
    const row = card.locator("tr[data-version]").first();
    const name = await card.getAttribute("data-model");
    const version = await row.getAttribute("data-version");
    await row.getByRole("button", { name: /Deploy/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: /Deploy to/ }).click();
    await dialog.waitFor({ state: "detached" });
    const rollout = page.locator("tr[data-deployment]", { hasText: `${name} v${version}` }).first();
    await until(
        "roll-out",
        () => rollout.locator("[data-role=done]").innerText(),
        (text) => new RegExp(`^(\\d+) of \\1$`).test(text.trim()) && Number.parseInt(text, 10) >= WANTED,
    );
    await goTo(page, "Live");
    const running = page.locator("section[data-device] [data-role=model]");
    await until(
        "new version on the tiles",
        () => running.allInnerTexts(),
        (texts) => texts.length >= WANTED && texts.every((text) => text === `${name} v${version}`),
    );
});

test("a device's page shows generation and log", { skip }, async () => {
    await goTo(page, "Devices");
    await page.locator("tr[data-device] a").first().click();
    const generation = page.locator("[data-role=generation]");
    await until("generation", () => generation.innerText(), (text) => Number.parseInt(text, 10) > 0);
    await page.locator("section", { hasText: "Log" }).getByRole("button").first().click();
    await page.locator("[data-role=log]").waitFor();
});

test("every page works at phone width in the dark, and from the keyboard", { skip }, async () => {
    const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark" });
    await signIn(phone);
    for (const name of ["Home", "Live", "Models", "Label", "Devices"]) {
        await goTo(phone, name);
        const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name} is ${wide} pixels wider than the phone`);
    }
    const back = await phone.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(back, "rgb(18, 22, 21)");
    await phone.keyboard.press("Tab");
    assert.notEqual(await phone.evaluate(() => document.activeElement?.tagName), "BODY");
    await phone.context().close();
});

test("signing out ends the session, and nothing was complained about", { skip }, async () => {
    await page.getByRole("button", { name: "Sign out" }).first().click();
    await page.getByLabel("Admin token").waitFor();
    const answer = await page.request.get(`${HUB_URL}/api/v1/summary`);
    assert.equal(answer.status(), 401);
    assert.deepEqual(complaints, []);
});
