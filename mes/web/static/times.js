// Moments on the clock of whoever looks. The server writes them in UTC, which stays on the pointer.
"use strict";
(() => {
  const two = (number) => String(number).padStart(2, "0");
  const PARTS = {
    Y: (at) => at.getFullYear(), m: (at) => two(at.getMonth() + 1), d: (at) => two(at.getDate()),
    H: (at) => two(at.getHours()), M: (at) => two(at.getMinutes()), S: (at) => two(at.getSeconds()),
    L: (at) => String(at.getMilliseconds()).padStart(3, "0"),
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
  const local = (moment, form) => form.replace(/%([YmdHMSL])/g, (_, letter) => PARTS[letter](new Date(moment)));

  function say(inside) {
    // `data-said` has text around the moment, which stands in it as {}.
    for (const one of inside.querySelectorAll("[data-form]")) {
      const text = local(one.dataset.at ?? one.getAttribute("datetime"), one.dataset.form);
      one.textContent = (one.dataset.said ?? "{}").replaceAll("{}", text);
    }
    for (const one of inside.querySelectorAll("[data-zone]")) one.textContent = zone;
    for (const one of inside.querySelectorAll("input[data-moment]")) read(one);
  }

  // A moment that somebody types is on their clock, too; the address has it in UTC, so that it means the same to all.
  function read(input) {
    const at = new Date(/[zZ]|[+-]\d\d:?\d\d$/.test(input.value) ? input.value : `${input.value}Z`);
    if (input.value && !Number.isNaN(at.getTime())) input.value = local(at, "%Y-%m-%dT%H:%M:%S").replace(/:00$/, "");
    delete input.dataset.moment;
    input.dataset.local = "";
  }

  addEventListener("submit", (event) => {
    // Pressed twice is meant once; what is sent is read from the form before the button goes.
    if (event.target.hasAttribute("data-once")) setTimeout(() => { for (const one of event.target.querySelectorAll("button")) one.disabled = true; });
    for (const input of event.target.querySelectorAll("input[data-local]")) {
      const at = new Date(input.value.trim().replace(" ", "T"));
      if (input.value && !Number.isNaN(at.getTime())) input.value = at.toISOString().replace(/(:00)?\.000Z$/, "Z");
    }
  });

  const seen = new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]);
    const places = added.filter((node) => node.nodeType === Node.ELEMENT_NODE && node.isConnected).map((node) => node.parentNode);
    for (const place of new Set(places)) say(place);
  });
  say(document);
  seen.observe(document.body, { childList: true, subtree: true });
  globalThis.mesLocal = { zone, local };
})();
