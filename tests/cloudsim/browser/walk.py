"""Walks the console in a real browser during an apply, a fault and a recovery.

Usage: walk.py SIMULATOR_FILE CHROMIUM PICTURES MODULE TERRAFORM. Looks at every page light and dark,
wide and narrow; stops at the first thing that a person would stumble over: an accessibility
violation of level AA, a page wider than its window, an error in the browser's own console, a page
that does not follow what happens. Keeps a picture of each look in PICTURES.
"""

import json
import subprocess
import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
NOWHERE = "/nowhere"
# Milliseconds; nothing here takes as long on a quiet machine.
LIMIT = 60_000


class Walk:
    """One browser, and what it has found."""

    def __init__(self, browser, card, pictures):
        self.browser, self.card, self.pictures = browser, card, pictures
        self.faults, self.looks = [], 0

    def page(self, scheme="light", width=1280):
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.set_default_timeout(LIMIT)
        page.on("console", lambda said: said.type == "error" and self.fault(page, said.text))
        page.on("pageerror", lambda error: self.fault(page, error))
        return page

    def fault(self, page, words):
        """What the browser itself complains of; that a page is not there is right for one of them."""
        if not page.url.endswith(NOWHERE):
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

    def every_page(self, moment):
        """Every page as every person may see it."""
        for scheme in ("light", "dark"):
            for width in (1280, 400):
                page = self.page(scheme, width)
                for name in ("", "/operations", "/requests", "/requests/1", "/settings", NOWHERE):
                    page.goto(self.card["console"] + name)
                    title = name.strip("/").replace("/", "-") or "overview"
                    self.look(page, f"{moment}-{title}-{scheme}-{width}")
                page.goto(self.card["console"])
                objects = page.locator(".block.cluster a.name")
                if objects.count():
                    objects.first.click()
                    expect(page.locator("h2#operations")).to_be_visible()
                    self.look(page, f"{moment}-object-{scheme}-{width}")
                page.context.close()

    def by_keyboard(self):
        """The first stop of Tab skips to the content; the next ones go through the pages."""
        page = self.page()
        page.goto(self.card["console"])
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        for _ in range(3):
            page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Operations", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page).to_have_url(self.card["console"] + "/operations")
        page.context.close()


def main(card_file, chromium, pictures, module, terraform):
    card = json.loads(Path(card_file).read_text("utf-8"))
    pictures = Path(pictures)
    expect.set_options(timeout=LIMIT)
    apply = [terraform, f"-chdir={module}", "apply", "-auto-approve", "-input=false", "-no-color"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        walk = Walk(browser, card, pictures)
        page = walk.page()
        page.goto(card["console"])
        expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
        walk.look(page, "empty-overview")
        walk.by_keyboard()

        # A person orders a fault by hand, and the page tells of it.
        page.goto(card["console"] + "/settings")
        page.get_by_label("Kind").select_option("operation-failed")
        page.get_by_label("Method").select_option("PUT")
        for kind, field in (("delay", "seconds"), ("lose_zone", "zone"), ("pending_pods", "cluster"), ("answer-html", "status")):
            page.get_by_label("Kind").select_option(kind)
            expect(page.locator(f".order [name={field}]")).to_be_visible()
        page.get_by_label("Kind").select_option("operation-failed")
        expect(page.locator(".order [name=retry_after]")).to_be_hidden()
        page.get_by_label("Path, * for anything").fill("*/managedClusters/*")
        page.get_by_role("button", name="Order").click()
        expect(page.get_by_role("cell", name="operation, end failed")).to_be_visible()
        walk.look(page, "fault-ordered")

        # An apply under way, seen live on a page that nobody touches.
        page.goto(card["console"])
        running = subprocess.Popen(apply, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        expect(page.locator(".block.cluster")).not_to_have_count(0)
        walk.look(page, "applying-overview")
        said, _ = running.communicate(timeout=600)
        expect(page.get_by_text("failed: ")).not_to_have_count(0)
        walk.look(page, "failed-overview")
        assert running.returncode != 0, f"the fault did not reach Terraform:\n{said}"

        # The recovery is the same apply again; what was wrong goes away.
        subprocess.run(apply, check=True, stdout=subprocess.DEVNULL, timeout=600)
        expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
        page.context.close()
        walk.every_page("recovered")
        browser.close()
    for fault in walk.faults:
        print(fault)
    print(f"{walk.looks} looks, {len(walk.faults)} faults; the pictures are in {pictures}")
    return 1 if walk.faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
