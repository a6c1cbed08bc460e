"""Walks the merchant's page in a real browser, while payments are made.

Usage: walk.py CARD CHROMIUM PICTURES. Looks at every page light and dark, wide and narrow; stops at the
first thing that a person would stumble over: an accessibility violation of level AA, a page wider than
its window, an error in the browser's own console, a page that does not follow what happens or does not
say that it cannot. Keeps a picture of each look in PICTURES.
"""

import json
import sys
import urllib.request
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
NOWHERE = "/nowhere"
# Milliseconds; nothing here takes as long on a quiet machine.
LIMIT = 30_000
# A page that was away looks again after a minute at the latest.
BACK_LIMIT = 60_000 + LIMIT


class Shop:
    """Where payments are made."""

    def __init__(self, card):
        self.api, self.key, self.paid = card["api_url"], card["api_key"], 0

    def pay(self, reference, token="tok_approve", **more):
        """A payment; gives its id."""
        self.paid += 1
        body = {"amount": {"amount": 1250, "currency": "EUR"}, "payment_method": token, "reference": reference}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json",
                   "Idempotency-Key": f"walk-{self.paid}", "Prefer": "wait=20"}
        request = urllib.request.Request(f"{self.api}/v1/payments", json.dumps(body | more).encode(), headers)
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.load(answer)["id"]


class Walk:
    """One browser, and what it has found."""

    def __init__(self, browser, url, key, pictures):
        self.browser, self.url, self.pictures = browser, url, pictures
        self.credentials = {"username": "merchant", "password": key}
        self.faults, self.looks, self.is_cut = [], 0, False

    def page(self, scheme="light", width=1280, **more):
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                           http_credentials=self.credentials, **more)
        page = context.new_page()
        page.set_default_timeout(LIMIT)
        page.on("console", lambda said: said.type == "error" and self.fault(page, said.text))
        page.on("pageerror", lambda error: self.fault(page, error))
        return page

    def fault(self, page, words):
        """What the browser itself complains of; that nothing is there is right for some."""
        if not (self.is_cut or page.url.endswith(NOWHERE)):
            self.faults.append(f"{page.url}: {words}")

    def look(self, page, title):
        """Keeps a picture and notes what is wrong with the page."""
        self.looks += 1
        page.screenshot(path=self.pictures / f"{title}.png", full_page=True)
        width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if width > window:
            self.faults.append(f"{title}: {width} pixels wide in a window of {window}")
        for broken in Axe().run(page, options=RULES).response["violations"]:
            nodes = "; ".join(node["html"][:120] for node in broken["nodes"][:3])
            self.faults.append(f"{title}: {broken['id']} ({broken['help']}): {nodes}")

    def every_page(self, payments):
        """Every page as every person may see it."""
        places = {"payments": "/payments", "ledger": "/ledger", "webhooks": "/webhooks", "lost": NOWHERE}
        places |= {name: f"/payments/{payment}" for name, payment in payments.items()}
        for scheme in ("light", "dark"):
            for width in (1280, 360):
                page = self.page(scheme, width)
                for name, place in places.items():
                    page.goto(self.url + place)
                    self.look(page, f"{name}-{scheme}-{width}")
                page.context.close()

    def by_keyboard(self):
        """The first stop of Tab skips to the content; the next ones go through the pages."""
        page = self.page()
        page.goto(self.url + "/payments")
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        for _ in range(3):
            page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Ledger", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page).to_have_url(self.url + "/ledger")
        page.context.close()

    def live(self, shop):
        """A page that nobody touches follows, keeps what is focused, and says when it cannot follow."""
        page = self.page()
        page.goto(self.url + "/payments")
        expect(page.locator("#live")).to_have_text("Live")
        first = page.locator("tbody a").first
        address = first.get_attribute("href")
        first.focus()
        shop.pay("seen without a reload")
        expect(page.get_by_role("cell", name="seen without a reload")).to_be_visible()
        expect(page.locator(f"tbody a[href='{address}']")).to_be_focused()
        self.is_cut = True
        page.context.set_offline(True)
        expect(page.locator("#live")).to_contain_text("Not live since")
        expect(page.get_by_role("cell", name="seen without a reload")).to_be_visible()
        self.look(page, "not-live")
        page.context.set_offline(False)
        expect(page.locator("#live")).to_have_text("Live", timeout=BACK_LIMIT)
        self.is_cut = False
        page.context.close()

    def without_script(self):
        """What is there is read without any script."""
        page = self.page(java_script_enabled=False)
        page.goto(self.url + "/payments")
        expect(page.get_by_role("cell", name="seen without a reload")).to_be_visible()
        page.context.close()


def main(card_file, chromium, pictures):
    card = json.loads(Path(card_file).read_text("utf-8"))
    expect.set_options(timeout=LIMIT)
    shop = Shop(card)
    payments = {
        "declined": shop.pay("order 8", "tok_decline"),
        "asked": shop.pay("order 9", "tok_action"),
        "reserved": shop.pay("order 10", capture="manual"),
        "disputed": shop.pay("a reference as long as a merchant may want it, " * 2, "tok_dispute"),
        "hostile": shop.pay("<script>alert(1)</script>"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        url = f"http://127.0.0.1:{card['ports']['page']}"
        walk = Walk(browser, url, card["page_key"], Path(pictures))
        # The dispute is heard of a little later.
        page = walk.page()
        page.goto(f"{url}/payments/{payments['disputed']}")
        expect(page.get_by_role("heading", name="Disputes")).to_be_visible()
        page.context.close()
        walk.by_keyboard()
        walk.live(shop)
        walk.without_script()
        walk.every_page(payments)
        browser.close()
    for fault in walk.faults:
        print(fault)
    print(f"{walk.looks} looks, {len(walk.faults)} faults; the pictures are in {pictures}")
    return 1 if walk.faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
