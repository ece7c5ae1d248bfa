// The overview: who leads, who is behind or silent, what is wrong, in words and figures.

/** A member that was heard of so long ago misses several heartbeats. */
const SILENT_MS = 3000;
/** A node that is so many entries behind is not ready for requests. */
const FAR_BEHIND = 10_000;

/** Leaders, newest first, as they were seen from this page. */
const leaders = [];

/** What is wrong, worst first: { kind: "bad" or "warn", words }. */
function alarmsOf(status, members) {
  const found = [];
  const add = (kind, words) => found.push({ kind, words });
  if (status.failure) add("bad", `Stopped: ${status.failure.detail}. Its log says more.`);
  if (status.divergence) {
    add("bad", `Divergence: ${status.divergence}. “kvraft-server refill” has this node fetch its state anew.`);
  }
  if (!status.leaderID) {
    add("bad", "No leader: writes wait, and reads of anything but a node’s own copy. A majority of the voters has to be up.");
  } else if (!status.ready) {
    add("warn", "Not ready: this node recovers, or has not heard of the leader lately.");
  }
  if (status.diskFull) add("bad", "Full: only deletes are let in until there is room again.");
  for (const { name, health } of members) {
    // Without a number that counts up: it would be read aloud again and again.
    if (health.kind === "bad") add("warn", `${name} is silent. ${spare(members)}`);
    if (health.kind === "warn") add("warn", `${name} is ${health.words}.`);
  }
  return found;
}

/** How many voters may be lost from here on. */
function spare(members) {
  const voters = members.filter((member) => member.voter);
  const silent = voters.filter(({ health }) => health.kind === "bad").length;
  const left = Math.floor((voters.length - 1) / 2) - silent;
  return left > 0 ? `Of the other voters, ${left} may be lost too.` : "No other voter may be lost.";
}

/** The members with what this node knows of the health of each. */
function membersOf(status) {
  return status.members.map((member) => {
    const self = member.name === status.name;
    const leads = member.name === status.leaderID;
    let lag = null;
    if (self) lag = Math.max(0, status.committed - status.applied);
    else if (member.matched !== null) lag = Math.max(0, status.lastLog - member.matched);
    const role = leads ? "leader" : member.voter ? "voter" : "learner";
    return { ...member, silentMs: undefined, link: undefined, trip: tripOf(member), self, role, lag, health: healthOf(status, member, self, lag) };
  });
}

/** How long a packet to a member and back takes, in two digits so that it does not jump about. */
function tripOf({ link }) {
  return link ? span(Number((link.roundTripMicros / 1e6).toPrecision(2))) : "–";
}

/** What is known of a member; of the others, only the leader knows anything. */
function healthOf(status, member, self, lag) {
  const is = (kind, words) => ({ kind, words });
  if (self && !status.ready) return is("warn", "not ready");
  if (self) return lag > FAR_BEHIND ? is("warn", "far behind") : is("good", "answers");
  if (!status.isLead) return is("unknown", member.name === status.leaderID ? "leads" : "not known here");
  if (member.silentMs === null) return is("bad", "silent since this leader began");
  if (member.silentMs > SILENT_MS) return is("bad", `silent for ${span(Math.round(member.silentMs / 1000))}`);
  if (lag === null || lag > FAR_BEHIND) return is("warn", "far behind, catching up");
  return is("good", lag > 0 ? "follows" : "up to date");
}

/** Remembers who leads. */
function noteLeader(status) {
  const last = leaders[0];
  if (last && last.leader === status.leaderID && last.term === status.term) return;
  // A candidate that counts up its term is the same lack of a leader.
  if (last && !last.leader && !status.leaderID) last.term = status.term;
  else leaders.unshift({ time: clock(new Date()), leader: status.leaderID, term: status.term });
  leaders.length = Math.min(leaders.length, 100);
  if (last) announce(status.leaderID ? `${status.leaderID} leads now.` : "There is no leader.");
}

function drawLeaders() {
  redraw(at("leaders"), leaders, () =>
    leaders.map(({ time, leader, term }) =>
      element("li", {}, element("time", {}, time), element("span", {}, leader ? shownName(leader) : "no leader"), element("span", { class: "term" }, `term ${count(term)}`)),
    ),
  );
}

function shownName(name) {
  return escapedText(name);
}

function drawMembers(status, members) {
  const body = at("members").tBodies[0];
  redraw(body, members.map(({ name }) => name), () => members.map(emptyRow));
  members.forEach((member, place) => fillRow(body.rows[place], member));
  const leader = status.members.find((member) => member.name === status.leaderID);
  const link = leader && pageOf(leader, `the page of ${shownName(leader.name)}`);
  const note = at("members-note");
  redraw(note, [status.isLead, leader?.name, leader?.http], () => {
    if (status.isLead || !leader) return [];
    if (!link) return ["The leader alone knows how far each member is; it advertises no HTTP address."];
    return ["The leader alone knows how far each member is: see ", link, "."];
  });
}

function emptyRow() {
  const cells = ["", "", "", "number", "extra number", "extra code", "extra"];
  return element("tr", {}, ...cells.map((name) => element("td", { class: name || null })));
}

/** Fills the cells one by one, so that a link keeps the focus while figures change. */
function fillRow({ cells }, { name, http, self, role, lag, health, address, trip }) {
  say(cells[0], self ? `${shownName(name)} (this one)` : shownName(name));
  say(cells[1], role);
  redraw(cells[2], health, () => [element("span", { class: "state", "data-state": health.kind }, health.words)]);
  say(cells[3], lag === null ? "–" : count(lag));
  say(cells[4], trip);
  say(cells[5], shownName(address));
  redraw(cells[6], [self, http], () => [self ? "here" : (pageOf({ http }, "open") ?? "–")]);
}

/** Everything that a status says. */
function drawStatus(status) {
  const members = membersOf(status);
  const alarms = alarmsOf(status, members);
  noteLeader(status);
  at("overview").classList.remove("old");
  drawAlarms(alarms);
  drawMembers(status, members);
  drawLeaders();
  say(at("whoami"), `${shownName(status.name)} · ${status.role}`);
  say(at("health"), sentence(status, members, alarms));
  const worst = alarms.find(({ kind }) => kind === "bad") ?? alarms[0];
  pill(worst ? worst.kind : "good", worst ? (status.leaderID ? "needs a look" : "no leader") : "healthy");
  facts(at("figures"), [
    ["Leader", status.leaderID ? shownName(status.leaderID) : "none"],
    ["Term", count(status.term)],
    ["Revision", count(status.revision)],
    ["Keys", count(status.keys)],
    ["Keys and values", size(status.bytes)],
    ["Version", status.version],
  ]);
  document.title = `${worst ? "! " : ""}${shownName(status.name)} · kvraft`;
}

function sentence(status, members, alarms) {
  if (alarms.length) return `${alarms.length === 1 ? "One thing needs" : `${alarms.length} things need`} a look.`;
  const leader = shownName(status.leaderID);
  if (!status.isLead) return `This node is well: it follows ${leader}.`;
  const voters = members.filter((member) => member.voter).length;
  const lead = `All is well: ${leader} leads ${voters === 1 ? "one voter" : `${voters} voters`}`;
  return members.every(({ lag }) => lag === 0) ? `${lead}, and everyone is up to date.` : `${lead}, and all follow.`;
}

function drawAlarms(alarms) {
  redraw(at("alarms"), alarms, () =>
    alarms.map(({ kind, words, links = [] }) =>
      element("p", { class: "alarm", "data-kind": kind }, escapedText(words), ...links),
    ),
  );
}

function pill(state, words) {
  at("pill").dataset.state = state;
  say(at("pill"), words);
}

/** The node does not answer: says so, and where the others are. */
function drawSilence({ words, since, last }) {
  const others = (last?.members ?? []).filter((member) => member.name !== last.name);
  const known = others.map((member) => pageOf(member, shownName(`${member.name} ${member.http}`)) ?? shownName(`${member.name} at ${member.address} (QUIC)`));
  const text = `${last ? shownName(last.name) : "This node"} has not answered since ${clock(since)}${words}. This page goes on as soon as it does.`;
  redraw(at("alarms"), [text, others], () => [
    element("p", { class: "alarm", "data-kind": "bad" }, text, ...(known.length ? [" Other members: ", ...known.flatMap((one) => [one, " "])] : [])),
  ]);
  pill("bad", "silent");
  say(at("health"), last ? "What stands below is what it said last." : "Nothing is known yet.");
  at("overview").classList.add("old");
  document.title = "! silent · kvraft";
}

function drawStorage(status, sample) {
  const bytes = (name) => (sample.get(name) === null ? "–" : size(sample.get(name)));
  const number = (name) => (sample.get(name) === null ? "–" : count(sample.get(name)));
  facts(at("storage"), [
    ["Taken of the disk", bytes("kvraft_disk_bytes")],
    ["State file", bytes("kvraft_state_bytes")],
    ["Applied, not yet in it", bytes("kvraft_buffer_bytes")],
    ["Log entries held", count(status.lastLog - status.firstLog + 1)],
    ["Committed, not yet applied", count(Math.max(0, status.committed - status.applied))],
    ["Changes held for watches", bytes("kvraft_history_bytes")],
    ["Watches on this node", number("kvraft_watchers")],
    ["Leases", number("kvraft_leases")],
    ["Locks held", number("kvraft_locks_held")],
    ["Idempotency keys", number("kvraft_request_ids")],
    ["Cluster", status.clusterID || "–"],
    ["Node", status.nodeID],
    ["Format level", String(status.formatLevel)],
  ]);
  const changes = sample.get("kvraft_leader_changes_total");
  const since = changes === null ? "" : ` This node has seen ${changes === 1 ? "one leader begin" : `${count(changes)} leaders begin`} since it was started.`;
  say(at("leaders-note"), `Seen while this page is open.${since}`);
}
