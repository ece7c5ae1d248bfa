// The keys: found by prefix, read, and changed only at the revision that was looked at.

const PAGE = 200;
/** A larger value is not shown: it can be downloaded. */
const LARGE = 1 << 20;
/** How often the open key is compared with the map. */
const COMPARE_EVERY = 4000;
const SIDE = 4096;

/** The list: what was searched, and where its next page begins. */
let found = { prefix: new Uint8Array(), cursor: null, keys: [] };
/** What is open: `entry` is null for a key that has no value yet. */
const open = { key: null, entry: null, form: "text", written: "", large: null, newer: null };
/** The value of somebody else that stands beside one's own; null if it was deleted. */
let theirs = null;

function readOptions() {
  return at("own-copy").checked ? "&consistency=local" : "";
}

async function search(event) {
  event?.preventDefault();
  try {
    found = { prefix: typed(at("prefix").value), cursor: null, keys: [] };
    await more();
  } catch (error) {
    say(at("found"), error.message);
  }
}

async function more() {
  const searched = found;
  const focus = searched.keys.length;
  const from = searched.cursor ? `&cursor=${searched.cursor}` : "";
  const path = `/keys?prefix=${inUrl(searched.prefix)}&limit=${PAGE}${from}${readOptions()}`;
  const page = await (await ask("GET", path)).json();
  // Another search was begun meanwhile, or the same page was asked for twice.
  if (searched !== found || searched.keys.length !== focus) return;
  searched.keys.push(...page.keys.map((key) => bytesIn(key, "key")));
  searched.cursor = page.cursor;
  drawList(focus);
}

function drawList(focus = 0) {
  const number = found.keys.length;
  const words = number === 1 ? "1 key" : `${count(number)} keys`;
  const rest = found.cursor ? `the first ${words}` : number ? words : "no key";
  const which = found.prefix.length ? ` with the prefix ${shown(found.prefix, 60)}` : "";
  say(at("found"), `${rest[0].toUpperCase()}${rest.slice(1)}${which}`);
  const items = found.keys.map((key, place) => {
    const is = open.key && same(key, open.key);
    const button = element("button", { type: "button", "aria-current": is ? "true" : null, tabindex: "-1", click: () => openKey(key) }, shown(key, 300) || "–");
    button.place = place;
    return element("li", {}, button);
  });
  at("key-list").replaceChildren(...items);
  at("more").hidden = !found.cursor;
  buttons()[Math.min(focus, number - 1)]?.setAttribute("tabindex", "0");
  if (focus) buttons()[focus]?.focus();
}

function buttons() {
  return at("key-list").querySelectorAll("button");
}

/** The arrows move among the keys; Tab goes past all of them. */
function moveInList(event) {
  const all = [...buttons()];
  const here = all.indexOf(document.activeElement);
  const steps = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 };
  const next = all[steps[event.key]];
  if (here < 0 || !next) return;
  event.preventDefault();
  all[here].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

/** Marks the open key in the list. */
function markOpen() {
  for (const button of buttons()) {
    const is = open.key && same(found.keys[button.place], open.key);
    if (is) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function dirty() {
  if (at("editor").hidden || open.large !== null) return false;
  return at("value").value !== open.written || (open.key === null && at("key").value !== "");
}

async function mayLeave() {
  if (!dirty()) return true;
  return sure("Leave your changes?", open.key ? shown(open.key, 300) : "a new key", "They are not saved.", "Leave them");
}

/** Reads an entry: { entry } or { large: its bytes } or { entry: null } if there is none. */
async function read(key, condition = {}) {
  const stop = new AbortController();
  let answer;
  try {
    answer = await ask("GET", `/key/${inUrl(key)}?${readOptions().slice(1)}`, { signal: stop.signal, ...condition });
  } catch (error) {
    if (error.status === 404) return { entry: null };
    throw error;
  }
  const revision = Number(answer.headers.get("etag")?.replace(/"/g, ""));
  if (answer.status === 304) return { same: true };
  const length = Number(answer.headers.get("content-length") ?? 0);
  if (length > LARGE) {
    stop.abort();
    return { entry: { revision, created: null, value: new Uint8Array() }, large: length };
  }
  const document = await answer.json();
  return { entry: { ...document, value: bytesIn(document, "body") } };
}

async function openKey(key) {
  if (!(await mayLeave())) return;
  at("entry-error").textContent = "";
  try {
    const { entry, large = null } = await read(key);
    showEntry(key, entry, large);
    at("entry-title").focus();
    if (entry?.lease) await showLease(entry.lease);
  } catch (error) {
    say(at("entry-note"), error.message);
    at("entry-note").hidden = false;
  }
}

/** Fills the editor with an entry, or for a key that has none. */
function showEntry(key, entry, large = null) {
  Object.assign(open, { key, entry, large, newer: null });
  at("editor").hidden = false;
  at("conflict").hidden = true;
  at("key-field").hidden = key !== null;
  at("key").value = "";
  at("entry-title").className = key ? "code" : "";
  say(at("entry-title"), key ? shown(key, 1000) || "(empty)" : "New key");
  at("entry-error").textContent = "";
  const value = entry?.value ?? new Uint8Array();
  setForm(FORMS.text.fits(value) ? "text" : "hex", value);
  const note = large === null ? (key && !entry ? "This key has no value any more. Saving makes it again." : "") : "The value is too large to be edited here. It can be downloaded.";
  say(at("entry-note"), note);
  at("entry-note").hidden = !note;
  for (const id of ["value", "save", "ttl"]) at(id).disabled = large !== null;
  for (const id of ["download", "delete"]) at(id).hidden = !entry;
  at("reload").hidden = key === null;
  at("keep-lease").hidden = !entry?.lease;
  at("ttl").value = "";
  at("editor").elements.life.value = entry?.lease ? "lease" : "forever";
  drawFacts(null);
  markOpen();
}

function drawFacts(left) {
  const { entry, large } = open;
  if (!entry) return at("entry-facts").replaceChildren();
  const pairs = [["Revision", count(entry.revision)]];
  if (entry.created) pairs.push(["Created at revision", count(entry.created)]);
  pairs.push(["Size", large === null ? size(entry.value.length) : `about ${size(large)}`]);
  if (entry.lease) pairs.push(["Lease", left === null ? entry.lease : `${entry.lease}, ${span(left)} left`]);
  facts(at("entry-facts"), pairs);
}

async function showLease(id) {
  try {
    const lease = await (await ask("GET", `/leases/${id}?${readOptions().slice(1)}`)).json();
    drawFacts(lease.remaining_ms / 1000);
  } catch (error) {
    // Its end is told as that of the key.
    if (error.status !== 404) throw error;
  }
}

/** Shows the value in a form, with what it is in that form. */
function setForm(form, value) {
  open.form = form;
  at("editor").elements.form.value = form;
  at("editor").elements.form[0].disabled = !FORMS.text.fits(value);
  at("value").value = FORMS[form].write(value);
  // A field may change what it is given: only what it gives back counts as unchanged.
  open.written = at("value").value;
}

function changeForm(event) {
  const changed = at("value").value !== open.written;
  try {
    const value = edited();
    setForm(event.target.value, value);
    if (changed) open.written = null;
    at("entry-error").textContent = "";
  } catch (error) {
    at("editor").elements.form.value = open.form;
    say(at("entry-error"), error.message);
  }
}

/** The bytes that the editor stands for. */
function edited() {
  return FORMS[open.form].read(at("value").value);
}

/** What limits the life of the key, as a query. */
function life() {
  const chosen = at("editor").elements.life.value;
  if (chosen === "lease") return `?lease=${open.entry.lease}`;
  if (chosen !== "ttl") return "";
  const ttl = at("ttl").value.trim();
  if (!ttl) throw new Error("Say how long the key stays, such as 30s, 10m or 2h.");
  return `?ttl=${encodeURIComponent(ttl)}`;
}

async function save(event) {
  event.preventDefault();
  at("entry-error").textContent = "";
  try {
    const key = open.key ?? typed(at("key").value);
    if (key.length === 0) throw new Error("Say what the key is.");
    await put(key, edited(), open.entry);
  } catch (error) {
    say(at("entry-error"), error.message);
  }
}

/** Puts a value if the key is still as it was looked at; else shows both. */
async function put(key, value, looked) {
  const headers = looked ? { "If-Match": `"${looked.revision}"` } : { "If-None-Match": "*" };
  const path = `/key/${inUrl(key)}${life()}`;
  busy(true);
  try {
    await write("PUT", path, { headers, body: value });
  } catch (error) {
    if (error.status !== 412) throw error;
    return await showConflict(key, value);
  } finally {
    busy(false);
  }
  const isNew = !looked;
  const { entry, large = null } = await read(key);
  showEntry(key, entry, large);
  announce(`Saved at revision ${entry?.revision ?? "that is gone already"}.`);
  at("entry-title").focus();
  if (entry?.lease) await showLease(entry.lease);
  if (isNew) await search();
}

function busy(is) {
  at("save").disabled = is;
  at("save").textContent = is ? "Saving …" : "Save";
}

async function showConflict(key, mine) {
  ({ entry: theirs } = await read(key));
  open.key = key;
  at("key-field").hidden = true;
  say(at("conflict-words"), theirs
    ? `The key is at revision ${count(theirs.revision)} by now${open.entry ? `, not at ${count(open.entry.revision)}` : ": it exists"}. Nothing was saved.`
    : "The key was deleted. Nothing was saved.");
  say(at("mine"), shown(mine, SIDE));
  say(at("theirs"), theirs ? shown(theirs.value, SIDE) : "(deleted)");
  at("conflict").hidden = false;
  at("conflict-title").focus();
}

async function endConflict(choice) {
  try {
    if (choice === "theirs") showEntry(open.key, theirs);
    if (choice === "mine") await put(open.key, edited(), theirs);
    if (choice === "edit") {
      open.entry = theirs;
      drawFacts(null);
    }
    at("conflict").hidden = choice !== "mine" || at("conflict").hidden;
    at("value").focus();
  } catch (error) {
    say(at("entry-error"), error.message);
  }
}

async function remove() {
  const { key, entry } = open;
  if (!(await sure("Delete this key?", shown(key, 300), "It goes away on every member. There is no way back but a backup.", "Delete"))) return;
  at("entry-error").textContent = "";
  try {
    await write("DELETE", `/key/${inUrl(key)}`, { headers: { "If-Match": `"${entry.revision}"` } });
    closeEntry(`${shown(key, 300)} is deleted.`);
    await search();
  } catch (error) {
    const words = error.status === 412 ? `Somebody changed it: it is at revision ${error.revision} by now. Read it again first; nothing was deleted.` : error.message;
    say(at("entry-error"), words);
  }
}

function closeEntry(words) {
  Object.assign(open, { key: null, entry: null, large: null });
  at("editor").hidden = true;
  at("entry-title").className = "";
  say(at("entry-title"), "No key is open");
  say(at("entry-note"), words);
  at("entry-note").hidden = false;
  at("entry-title").focus();
  announce(words);
}

async function newKey() {
  if (!(await mayLeave())) return;
  showEntry(null, null);
  at("key").value = at("prefix").value;
  at("key").focus();
}

async function download() {
  try {
    const answer = await ask("GET", `/key/${inUrl(open.key)}?raw${readOptions()}`);
    const href = URL.createObjectURL(await answer.blob());
    const name = shown(open.key, 80).replace(/[^\w.-]+/g, "_") || "value";
    element("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  } catch (error) {
    say(at("entry-error"), error.message);
  }
}

/** Says so if somebody changes the open key, and leaves what is being edited alone. */
async function compare() {
  const { key, entry } = open;
  if (!key || !entry || at("editor").hidden || document.hidden || !at("conflict").hidden) return;
  const headers = { "If-None-Match": `"${open.newer ?? entry.revision}"` };
  const answer = await read(key, { headers });
  if (answer.same || open.key !== key || open.entry !== entry) return;
  if (answer.entry && answer.entry.revision <= entry.revision) return;
  open.newer = answer.entry?.revision ?? null;
  const words = answer.entry ? `Somebody changed it: it is at revision ${count(answer.entry.revision)} by now.` : "Somebody deleted it.";
  say(at("entry-note"), `${words} Read it again to see.`);
  at("entry-note").hidden = false;
  announce(words);
}

function startKeys() {
  at("search").addEventListener("submit", search);
  at("own-copy").addEventListener("change", search);
  at("more").addEventListener("click", () => more().catch((error) => say(at("found"), error.message)));
  at("key-list").addEventListener("keydown", moveInList);
  at("new-key").addEventListener("click", newKey);
  at("editor").addEventListener("submit", save);
  for (const radio of at("editor").elements.form) radio.addEventListener("change", changeForm);
  at("ttl").addEventListener("input", () => (at("editor").elements.life.value = "ttl"));
  at("reload").addEventListener("click", () => openKey(open.key));
  at("download").addEventListener("click", download);
  at("delete").addEventListener("click", remove);
  at("take-theirs").addEventListener("click", () => endConflict("theirs"));
  at("put-mine").addEventListener("click", () => endConflict("mine"));
  at("keep-editing").addEventListener("click", () => endConflict("edit"));
  window.addEventListener("beforeunload", (event) => dirty() && event.preventDefault());
  // A comparison that fails is made again, and the overview says that the node is silent.
  setInterval(() => compare().catch(() => {}), COMPARE_EVERY);
}
