// The watch: changes as they come, read from the stream by hand, since an EventSource sends no token.

/** So many changes are shown, and so many wait while it is paused; older ones go. */
const MOST_SHOWN = 400;
/** An event beyond this is passed over, as text in memory. */
const MOST_TEXT = 4 << 20;
const PREVIEW = 160;

const watching = { stop: null, paused: false, waiting: [], passed: 0, told: 0, last: null, drawing: false };

function toggleWatch(event) {
  event.preventDefault();
  if (watching.stop) return endWatch("Not watching.");
  try {
    const prefix = typed(at("watch-prefix").value);
    watching.stop = new AbortController();
    Object.assign(watching, { last: null, told: 0, passed: 0, waiting: [] });
    setPaused(false);
    at("watch-pause").disabled = false;
    say(at("watch-start"), "Stop");
    follow(prefix, watching.stop.signal);
  } catch (error) {
    say(at("watch-state"), error.message);
  }
}

function endWatch(words) {
  watching.stop?.abort();
  watching.stop = null;
  setPaused(false);
  at("watch-pause").disabled = true;
  say(at("watch-start"), "Start");
  say(at("watch-state"), words);
}

/** Watches, and goes on from the last revision whenever the stream breaks off. */
async function follow(prefix, signal) {
  for (let pause = 500; !signal.aborted; pause = Math.min(pause * 2, 5000)) {
    try {
      const from = watching.last === null ? "" : `&from=${watching.last + 1}`;
      const answer = await ask("GET", `/watch?prefix=${inUrl(prefix)}${from}`, { signal });
      pause = 250;
      watchSays("Watching");
      for await (const { event, data } of events(answer.body)) tell(event, data);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 410) missed();
      else if (error.status !== undefined && !error.passes) return endWatch(error.message);
    }
    if (!signal.aborted) watchSays("Interrupted, trying again");
    await sleep(pause);
  }
}

function missed() {
  watching.last = null;
  push({ kind: "gap", words: "Changes were missed: they are not held any more. From here on it is complete again." });
}

/** The events of a stream, one after the other. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let over = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      if (!over) yield parsed(text.slice(0, end));
      else yield { event: "passed", data: null };
      over = false;
    }
    if (text.length > MOST_TEXT) {
      over = true;
      // The end may have come by half.
      text = text.slice(-1);
    }
  }
}

function parsed(text) {
  const fields = { event: "", data: "" };
  for (const line of text.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name in fields) fields[name] = value;
  }
  return { event: fields.event, data: fields.data ? JSON.parse(fields.data) : null };
}

function tell(event, data) {
  if (event === "passed") push({ kind: "gap", words: "A change is too large to be shown here." });
  if (event === "error") {
    if (data.status === 410) return missed();
    throw new Failure(data.status, data.detail);
  }
  if (event !== "changes") return;
  watching.last = data.revision;
  for (const change of data.changes) {
    const value = change.deleted ? null : bytesIn(change, "body");
    push({
      kind: change.deleted ? "deleted" : change.created === change.revision ? "created" : "changed",
      revision: data.revision,
      time: clock(new Date()),
      key: shown(bytesIn(change, "key"), PREVIEW),
      value: value ? shown(value, PREVIEW) : "",
    });
  }
}

function push(change) {
  watching.told += 1;
  watching.waiting.push(change);
  if (watching.waiting.length > MOST_SHOWN) {
    watching.waiting.shift();
    watching.passed += 1;
  }
  if (!watching.drawing) {
    watching.drawing = true;
    // Many changes a second are drawn a few times a second.
    setTimeout(drawChanges, 150);
  }
}

function drawChanges() {
  watching.drawing = false;
  watchSays("Watching");
  if (watching.paused) return;
  const body = at("changes").tBodies[0];
  body.prepend(...watching.waiting.reverse().map(changeRow));
  watching.waiting = [];
  while (body.rows.length > MOST_SHOWN) body.lastElementChild.remove();
}

function changeRow({ kind, revision, time, key, value, words }) {
  if (kind === "gap") return element("tr", { class: "gap" }, element("td", { colspan: 5 }, words));
  return element(
    "tr",
    {},
    element("td", { class: "number" }, count(revision)),
    element("td", { class: "extra" }, time),
    element("td", { class: kind === "deleted" ? "gone" : "" }, kind),
    element("td", { class: "code" }, key),
    element("td", { class: "code" }, value),
  );
}

function watchSays(state) {
  if (!watching.stop) return;
  const told = watching.told === 1 ? "1 change" : `${count(watching.told)} changes`;
  const held = watching.paused ? `; paused, ${count(watching.waiting.length)} wait` : "";
  const gone = watching.passed ? `, ${count(watching.passed)} older ones were not shown` : "";
  say(at("watch-state"), `${state}: ${told}${held}${gone}.`);
}

function setPaused(paused) {
  watching.paused = paused;
  at("watch-pause").setAttribute("aria-pressed", String(paused));
  say(at("watch-pause"), paused ? "Go on" : "Pause");
}

function startWatch() {
  at("watch-form").addEventListener("submit", toggleWatch);
  at("watch-pause").addEventListener("click", () => {
    setPaused(!watching.paused);
    drawChanges();
  });
  at("watch-clear").addEventListener("click", () => at("changes").tBodies[0].replaceChildren());
}
