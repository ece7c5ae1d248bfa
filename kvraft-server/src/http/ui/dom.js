// The elements of the page: found by id, made without markup, changed only when they differ.

function at(id) {
  return document.getElementById(id);
}

/** Makes an element. Children are elements or text, never markup; functions are listeners. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Replaces the children only if `state` is another one than last time: what has the focus, or is
    being read aloud, stays. */
function redraw(target, state, draw) {
  const text = JSON.stringify(state);
  if (target.drawn === text) return;
  target.drawn = text;
  target.replaceChildren(...draw());
}

/** Pairs of a name and what it is. */
function facts(target, pairs) {
  redraw(target, pairs, () =>
    pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

/** Says something to those who hear the page. */
function announce(words) {
  say(at("announce"), words);
}

/** A link to the page of another member, if its address is one of the web. */
function pageOf(member, words) {
  if (!/^https?:\/\//i.test(member.http)) return null;
  const href = `${member.http.replace(/\/+$/, "")}/ui`;
  return element("a", { href, rel: "noopener noreferrer" }, words);
}

/** Asks whether something is to be done that cannot be undone. */
function sure(title, what, words, action) {
  const dialog = at("confirm");
  say(at("confirm-title"), title);
  say(at("confirm-key"), what);
  say(at("confirm-words"), words);
  say(at("confirm-do"), action);
  dialog.returnValue = "";
  dialog.showModal();
  at("confirm-cancel").focus();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}
