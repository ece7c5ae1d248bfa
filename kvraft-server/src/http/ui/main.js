// The beginning: which view is shown, the token, and a look at the node every two seconds.

const LOOK_EVERY = 2000;
const VIEWS = ["overview", "keys", "watch"];

/** What the node said last, and since when it is silent. */
const node = { last: null, silentSince: null, waitsForToken: false, looked: () => {} };
const charts = new Charts(at("charts"));

function showView() {
  const wanted = location.hash.slice(1);
  const view = VIEWS.includes(wanted) ? wanted : "overview";
  for (const name of VIEWS) at(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "keys" && found.keys.length === 0 && node.last) search();
}

/** The node wants a token, or another one; nothing is asked until there is one. */
function needToken(refused) {
  const wasOpen = at("token").open;
  node.waitsForToken = true;
  say(at("token-words"), refused ?? "This server asks for a token. It stays in this tab and goes nowhere but to this server.");
  pill("warn", "needs a token");
  if (!wasOpen) openToken();
}

function openToken() {
  at("token-input").value = "";
  at("token-forget").hidden = !token.get();
  at("token").showModal();
  at("token-input").focus();
}

function useToken(event) {
  event.preventDefault();
  const text = at("token-input").value.trim();
  if (text) token.set(text);
  endToken();
}

function endToken() {
  at("token-input").value = "";
  at("token").close();
  node.waitsForToken = false;
  node.looked();
}

async function look() {
  try {
    const [status, metrics] = await Promise.all([ask("GET", "/status"), ask("GET", "/metrics")]);
    const said = await status.json();
    const sample = new Sample(await metrics.text());
    const first = node.last === null;
    if (node.silentSince) announce(`${said.name} answers again.`);
    node.last = said;
    node.silentSince = null;
    drawStatus(said);
    drawStorage(said, sample);
    charts.add(sample);
    if (first) showView();
  } catch (error) {
    if (error.status === 401) return;
    if (!node.silentSince) announce("The node does not answer.");
    node.silentSince ??= new Date();
    charts.miss();
    drawSilence({ words: error.status ? ` (${error.message})` : "", since: node.silentSince, last: node.last });
  }
}

async function lookForEver() {
  for (;;) {
    if (!node.waitsForToken) await look();
    // A token that was given is tried at once.
    await Promise.race([sleep(LOOK_EVERY), new Promise((done) => (node.looked = done))]);
  }
}

function start() {
  startKeys();
  startWatch();
  window.addEventListener("hashchange", showView);
  at("skip").addEventListener("click", (event) => {
    event.preventDefault();
    at("main").focus();
  });
  at("token-button").addEventListener("click", openToken);
  at("token-form").addEventListener("submit", useToken);
  at("token-cancel").addEventListener("click", () => at("token").close());
  at("token-forget").addEventListener("click", () => {
    token.forget();
    endToken();
  });
  at("confirm-form").addEventListener("submit", (event) => {
    event.preventDefault();
    at("confirm").close("yes");
  });
  at("confirm-cancel").addEventListener("click", () => at("confirm").close(""));
  showView();
  lookForEver();
}

start();
