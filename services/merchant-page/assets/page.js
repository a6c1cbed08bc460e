// Keeps a page live: asks for the same address again, and exchanges what it shows if that changed.
"use strict";

const PERIOD_MS = 5000;
// How long to wait while the page is away, and how long at most if it asks for it.
const PAUSE_MS_MAX = 60000;
const ASKED_MS_MAX = 3600000;
const ANSWER_MS_MAX = 20000;

const live = document.getElementById("live");
const main = document.getElementById("main");
const address = new URL(location.href);
// No browser asks for an address that has a name and a password in it.
address.username = address.password = address.hash = "";
let shown = main.innerHTML;
let since = new Date();
let patience = PERIOD_MS;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Somebody who looks at another tab needs nothing.
const seen = () => new Promise((done) => {
  if (!document.hidden) return done();
  document.addEventListener("visibilitychange", () => done(), { once: true });
});

// Said aloud once, not with every look.
function tell(words, state) {
  if (live.textContent !== words) live.textContent = words;
  live.dataset.state = state;
}

function stale(reason) {
  const clock = since.toISOString().slice(11, 19);
  tell(`Not live since ${clock} UTC: ${reason}`, "stale");
}

// How many milliseconds to leave it alone: longer each time, and no shorter than it asks for.
function away(askedMs) {
  const wait = Math.max(patience, Math.min(askedMs, ASKED_MS_MAX));
  patience = Math.min(2 * patience, PAUSE_MS_MAX);
  return wait;
}

function lackOf(page) {
  return page.querySelector(".lack")?.textContent.trim() || "there is no answer.";
}

// What somebody marks must not go away under their hands.
function isMarked() {
  const marked = document.getSelection();
  return !marked.isCollapsed && main.contains(marked.anchorNode);
}

function exchange(fresh) {
  const focused = main.contains(document.activeElement) ? document.activeElement : null;
  const name = ["href", "aria-label"].find((one) => focused?.hasAttribute(one));
  const mark = name && `[${name}="${CSS.escape(focused.getAttribute(name))}"]`;
  const scrolled = [...main.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  main.replaceChildren(...fresh.childNodes);
  [...main.querySelectorAll(".scroll")].forEach((one, at) => { one.scrollLeft = scrolled[at] ?? 0; });
  if (focused) ((mark && main.querySelector(mark)) || main).focus({ preventScroll: true });
}

// How many milliseconds to wait before the next look; nothing if there is none.
async function look() {
  const options = { cache: "no-store", headers: { accept: "text/html" }, signal: AbortSignal.timeout(ANSWER_MS_MAX) };
  const answer = await fetch(address, options);
  if (answer.status === 401) {
    stale("the API key is not taken any more. Load the page again to sign in.");
    return undefined;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (!fresh) throw new Error("no page");
  if (fresh.hasAttribute("data-away")) {
    // What was shown last stays: it is old, and better than nothing.
    stale(lackOf(fresh));
    const seconds = Number(answer.headers.get("retry-after")) || 0;
    return away(seconds * 1000);
  }
  since = new Date();
  patience = PERIOD_MS;
  tell("Live", "live");
  if (fresh.innerHTML !== shown && !isMarked()) {
    shown = fresh.innerHTML;
    document.title = page.title;
    exchange(fresh);
  }
  return PERIOD_MS;
}

async function watch() {
  if (main.hasAttribute("data-away")) stale(lackOf(main));
  else tell("Live", "live");
  for (let wait = PERIOD_MS; wait; ) {
    await pause(wait);
    await seen();
    try {
      wait = await look();
    } catch {
      stale("this page's server does not answer.");
      wait = away(0);
    }
  }
}

watch();
