// Refreshes the overview in place. Everything works without it: the page then reloads itself.
"use strict";

const EVERY = 10_000;

async function refresh() {
  if (document.hidden) return;
  let page;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    // The time on the page says how old it is; a mark makes that plain.
    document.body.classList.add("stale");
    return;
  }
  const fresh = page.getElementById("live");
  const live = document.getElementById("live");
  if (!fresh || !live) return;
  const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
  live.replaceWith(fresh);
  document.body.classList.remove("stale");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
