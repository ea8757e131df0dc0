// The scan page: sends what is scanned without leaving the page, and keeps it while there is no line.
//
// Every scan gets a name of its own before it is sent. Until an answer has come it stays in this browser, in order, and
// is sent again under the same name; the MES does nothing twice. After an objection the rest waits for a person, since
// what was scanned later was meant to come after what was refused.

const TIMEOUT_MS = 15_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 15_000;
const KEY = `mes-scans ${location.pathname}`;

let waiting = load();
let sending = false;
let paused = false;
let retryMs = RETRY_MIN_MS;
let timer = 0;

function load() {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? []; } catch { return []; }
}

function save() {
  try { localStorage.setItem(KEY, JSON.stringify(waiting)); } catch { /* full or forbidden: kept in memory alone */ }
}

function newId() {
  // crypto.randomUUID exists only where the page came over TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const field = () => document.getElementById("scan");

function focus() {
  const on = document.activeElement;
  if (!on || on === document.body || on.tagName === "MAIN" || !on.isConnected) field()?.focus();
}

// A plain scan is meant for what is on the bench when it is read, so that goes along then; a button says it itself.
function filled(item) {
  const form = new FormData();
  if (item.plain) {
    for (const input of document.querySelectorAll("#scanner input[type=hidden]")) form.set(input.name, input.value);
  }
  for (const [name, value] of item.fields) form.set(name, value);
  form.set("form_token", document.body.dataset.formToken);
  form.set("id", item.id);
  form.set("waited_ms", String(Math.max(0, Math.round(Date.now() - item.at))));
  return form;
}

async function send() {
  if (sending || paused || !waiting.length) return;
  sending = true;
  clearTimeout(timer);
  document.body.classList.add("is-sending");
  try {
    while (waiting.length && !paused) {
      const answer = await fetch(location.pathname, {
        method: "POST", body: filled(waiting[0]), signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (answer.status >= 500) throw new Error("The MES can't answer now.");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.redirected || answer.status === 401) return keep("Your login has ended.", "Log in", location.href);
      if (answer.status === 403) return keep("This page is too old, or you may not do this.", "Open it again", location.href);
      waiting.shift();
      save();
      retryMs = RETRY_MIN_MS;
      show(page);
    }
    tell();
  } catch (error) {
    keep(error.name === "TypeError" || error.name === "TimeoutError" ? "No line to the MES." : error.message);
    timer = setTimeout(send, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  } finally {
    sending = false;
    document.body.classList.remove("is-sending");
  }
}

function show(page) {
  const bench = page.getElementById("bench");
  if (!bench) {
    paused = waiting.length > 0;
    tell(page.querySelector("main")?.textContent.trim().replace(/\s+/g, " ") ?? "This was not understood.");
    return;
  }
  const typed = field()?.value ?? "";
  const openDetails = document.querySelector(".finish details")?.open;
  document.getElementById("bench").replaceWith(bench);
  document.title = page.title;
  if (field()) field().value = typed;
  if (openDetails && document.querySelector(".finish details")) document.querySelector(".finish details").open = true;
  history.replaceState(null, "", bench.dataset.here);
  paused = bench.dataset.tone === "bad" && waiting.length > 0;
  document.querySelector(".slot.is-next")?.scrollIntoView({ block: "nearest" });
  field()?.focus();
}

function keep(why, action, address) {
  tell(`${why} ${waiting.length} ${waiting.length === 1 ? "scan is" : "scans are"} kept in this browser and sent when it is back.`, action, address);
}

function tell(text = "", action, address) {
  const box = document.getElementById("offline");
  if (!box) return;
  box.replaceChildren();
  if (!text && paused) text = `${waiting.length} later ${waiting.length === 1 ? "scan waits" : "scans wait"}: first settle what was refused.`;
  box.hidden = !text;
  box.append(text);
  if (action) {
    const link = document.createElement("a");
    link.href = address;
    link.className = "button";
    link.textContent = action;
    box.append(" ", link);
  }
  if (paused) {
    box.append(" ", button("Go on with them", () => { paused = false; tell(); send(); }));
    box.append(" ", button("Discard them", () => { waiting = []; save(); paused = false; tell(); field()?.focus(); }));
  }
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-act]")) return;
  event.preventDefault();
  const plain = form.getAttribute("id") === "scanner"; // form.id is its field of that name
  const fields = [...new FormData(form, event.submitter)];
  const scanned = plain ? fields.filter(([name]) => name === "scan") : fields.filter(([name]) => name !== "id" && name !== "form_token");
  if (plain) field().value = "";
  if (!plain && sending) return; // a button pressed twice with a glove
  if (!plain && waiting.length) paused = false; // a mend goes before what waits
  const item = { id: newId(), plain, fields: scanned, at: Date.now() };
  if (plain) waiting.push(item); else waiting.unshift(item);
  save();
  send();
});

document.addEventListener("keydown", (event) => {
  if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) focus();
});
document.addEventListener("click", () => setTimeout(focus));
document.addEventListener("visibilitychange", focus);
addEventListener("pageshow", focus);
addEventListener("online", send);

focus();
if (waiting.length) send();
