// Keeps a page live: asks whether anything changed, and then exchanges what the server drew anew.
"use strict";

const live = document.getElementById("live");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A person who types or marks text must not lose it.
function busy() {
  const field = document.activeElement;
  const typing = field && field.matches("main input, main select") && document.hasFocus();
  return typing || !document.getSelection().isCollapsed;
}

function exchange(fresh, selector) {
  const old = document.querySelector(selector);
  const now = fresh.querySelector(selector);
  if (!old || !now) return;
  const open = [...old.querySelectorAll("details[open]")].map((one) => one.id);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const href = focused?.getAttribute("href");
  old.replaceWith(now);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (href) now.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
}

async function redraw() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const selector of ["nav", "#clock", "#main"]) exchange(fresh, selector);
  document.body.dataset.version = fresh.body.dataset.version;
}

async function watch() {
  for (;;) {
    try {
      const seen = encodeURIComponent(document.body.dataset.version);
      const answer = await fetch(`/console/changes?seen=${seen}`);
      const { changed } = await answer.json();
      if (live.textContent) live.textContent = "";
      if (changed && !busy() && !document.hidden) await redraw();
      if (changed) await pause(400);
    } catch {
      live.textContent = "The simulated cloud does not answer; this page shows how it was.";
      await pause(2000);
    }
  }
}

watch();
