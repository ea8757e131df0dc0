// Keeps a page as the server last pictured it. The server says something every second; when it does not, we say so.
"use strict";
(() => {
  const STALE_MS = 3000;
  const { stream, version } = document.body.dataset;
  const main = document.getElementById("main");
  const banner = document.getElementById("stale");
  let dataAt = document.body.dataset.at; // of when our data is, by the server's clock
  let aheadMs = Date.parse(dataAt) - Date.now(); // the server's clock minus ours
  let heard = performance.now();
  let source = null;

  const clock = (moment) => mesLocal.local(moment, "%H:%M:%S");

  function beat(at) {
    heard = performance.now();
    dataAt = at;
    aheadMs = Date.parse(at) - Date.now();
  }

  // What somebody opened or closed stays so, what they typed stays written, and what has the focus keeps it.
  function replace(element, html) {
    const unfolded = [...element.querySelectorAll("details[id]")].map((one) => [one.id, one.open]);
    const written = [...element.querySelectorAll("input[id], textarea[id]")].map((one) => [one.id, one.value, "local" in one.dataset]);
    const chosen = [...element.querySelectorAll("select[id]")].map((one) => [one.id, one.value]);
    const focus = element.contains(document.activeElement) ? document.activeElement : null;
    const caret = focus?.selectionStart;
    const holder = document.createElement("template");
    holder.innerHTML = html;
    if (element === main) main.replaceChildren(holder.content);
    else element.replaceWith(holder.content);
    for (const [id, open] of unfolded) document.getElementById(id)?.toggleAttribute("open", open);
    for (const [id, value, isLocal] of [...written, ...chosen]) {
      const one = document.getElementById(id);
      if (!one) continue;
      one.value = value;
      if (isLocal) { delete one.dataset.moment; one.dataset.local = ""; } // it is on their clock already
    }
    for (const one of document.querySelectorAll("input[name=form_token]")) one.value = document.body.dataset.formToken ?? "";
    const again = focus?.id && document.getElementById(focus.id);
    if (again) { again.focus({ preventScroll: true }); if (caret != null) again.setSelectionRange?.(caret, caret); }
  }

  function show(told) {
    if (told.whole !== undefined) replace(main, told.whole);
    for (const [id, html] of Object.entries(told.parts ?? {})) {
      const element = document.getElementById(id);
      if (element) replace(element, html);
    }
    beat(told.at);
    ages();
    document.dispatchEvent(new CustomEvent("mes:shown", { detail: told }));
  }

  function open() {
    if (source || document.hidden) return;
    source = new EventSource(stream);
    source.addEventListener("picture", (message) => show(JSON.parse(message.data)));
    source.addEventListener("beat", (message) => beat(JSON.parse(message.data).at));
    source.addEventListener("version", (message) => { if (JSON.parse(message.data) !== version) location.reload(); });
    source.addEventListener("ended", () => location.reload()); // the login ended: the page asks for a new one
    source.addEventListener("error", () => {
      if (source?.readyState !== EventSource.CLOSED) return; // it comes back by itself
      close();
      setTimeout(again, 1000);
    });
  }

  function close() {
    source?.close();
    source = null;
  }

  // The stream was refused, not just broken: the login may be over, or the server is only half there.
  async function again() {
    try {
      const answer = await fetch(location.href, { redirect: "manual" });
      if (answer.type === "opaqueredirect") return location.reload();
    } catch { /* the server is away */ }
    open();
  }

  function shortly(ms) {
    const minutes = Math.floor(ms / 60000);
    if (minutes < 1) return "<1 min";
    if (minutes < 60) return `${minutes} min`;
    if (minutes < 60 * 48) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
    return `${Math.floor(minutes / 1440)} d`;
  }

  // Ages are counted here, so that nothing needs to be sent because time passes.
  function ages() {
    const now = Date.now() + aheadMs;
    for (const one of document.querySelectorAll("time[data-age]")) {
      const text = shortly(Math.max(0, now - Date.parse(one.dateTime)));
      if (one.textContent !== text) one.textContent = text;
    }
  }

  function tick() {
    const stale = !document.hidden && performance.now() - heard > STALE_MS;
    if (stale) document.getElementById("stale-text").textContent = `Nothing was heard from the server. This is how it was at ${clock(dataAt)} (${mesLocal.zone}).`;
    banner.hidden = !stale;
    document.documentElement.toggleAttribute("data-stale", stale);
    document.getElementById("live-text").textContent = stale ? "not live" : `live ${clock(Date.now() + aheadMs)} ${mesLocal.zone}`;
    ages();
  }

  // Browsers allow six streams to a host: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else { heard = performance.now(); open(); }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  setInterval(tick, 1000);
  open();
  ages();
})();
