// Charts: what /metrics counts, as rates and latencies over the last minutes, in small lines.

const SAMPLES = 150;
/** A picture is as wide as so many, until there are more. */
const FEWEST = 30;
const DURATION = "kvraft_http_request_duration_seconds";
const FLUSH = "kvraft_log_flush_duration_seconds_bucket";
/** What clients do; what this page itself asks all the time is left out. */
const OF_CLIENTS = /^\/(key|txn|leases|locks|watch)/;
/** These wait because they are asked to. */
const WAITING = /^\/(watch|locks)/;

/** The text format of Prometheus as a list of { name, labels, value }. */
function series(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!parts) continue;
    const labels = {};
    for (const [, name, value] of (parts[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, char) => (char === "n" ? "\n" : char));
    }
    found.push({ name: parts[1], labels, value: Number(parts[3]) });
  }
  return found;
}

/** What one look at the metrics found. */
class Sample {
  constructor(text) {
    this.time = performance.now() / 1000;
    this.plain = new Map();
    this.requests = { reads: histogram(), writes: histogram(), failed: 0 };
    this.flushes = histogram();
    for (const one of series(text)) {
      if (one.name.startsWith(DURATION)) this.add(one);
      else if (one.name === FLUSH) this.flushes.buckets.set(one.labels.le, one.value);
      else if (Object.keys(one.labels).length === 0) this.plain.set(one.name, one.value);
    }
  }

  add({ name, labels, value }) {
    if (!OF_CLIENTS.test(labels.route)) return;
    if (name.endsWith("_count") && (labels.status >= 500 || labels.status === "429")) {
      this.requests.failed += value;
    }
    const of = this.requests[labels.method === "GET" ? "reads" : "writes"];
    if (name.endsWith("_count")) of.count += value;
    if (name.endsWith("_bucket") && !WAITING.test(labels.route)) {
      of.buckets.set(labels.le, (of.buckets.get(labels.le) ?? 0) + value);
    }
  }

  get(name) {
    return this.plain.get(name) ?? null;
  }
}

function histogram() {
  return { count: 0, buckets: new Map() };
}

/** Seconds below which the part `share` of the requests between two samples was answered. */
function quantile(share, before, after) {
  const bounds = [...after.buckets.keys()].sort((a, b) => bound(a) - bound(b));
  const below = bounds.map((le) => after.buckets.get(le) - (before.buckets.get(le) ?? 0));
  const all = below.at(-1) ?? 0;
  if (all <= 0) return null;
  const place = below.findIndex((number) => number >= share * all);
  const from = place === 0 ? 0 : bound(bounds[place - 1]);
  const to = bound(bounds[place]);
  if (to === Infinity) return from;
  const less = place === 0 ? 0 : below[place - 1];
  return from + (to - from) * ((share * all - less) / (below[place] - less));
}

function bound(le) {
  return le === "+Inf" ? Infinity : Number(le);
}

function rate(before, after, value) {
  const grown = value(after) - value(before);
  return grown < 0 ? null : grown / (after.time - before.time);
}

function perSecond(number) {
  return `${rough.format(number)} /s`;
}

const counted = (name) => (before, after) => rate(before, after, (sample) => sample.get(name) ?? 0);
const now = (name) => (_, after) => after.get(name);
const latency = (kind, share) => (before, after) =>
  quantile(share, before.requests[kind], after.requests[kind]);
const flush = (share) => (before, after) => quantile(share, before.flushes, after.flushes);

/** Each chart has one line or two; what has no value at a time is a gap. */
const CHARTS = [
  {
    title: "Requests of clients",
    unit: perSecond,
    lines: [
      ["reads", (before, after) => rate(before, after, (sample) => sample.requests.reads.count)],
      ["writes", (before, after) => rate(before, after, (sample) => sample.requests.writes.count)],
    ],
  },
  {
    title: "Latency of reads",
    unit: span,
    lines: [["p50", latency("reads", 0.5)], ["p99", latency("reads", 0.99)]],
  },
  {
    title: "Latency of writes",
    unit: span,
    lines: [["p50", latency("writes", 0.5)], ["p99", latency("writes", 0.99)]],
  },
  {
    title: "Requests that failed",
    unit: perSecond,
    lines: [["", (before, after) => rate(before, after, (sample) => sample.requests.failed)]],
  },
  { title: "Log entries written", unit: perSecond, lines: [["", counted("kvraft_log_entries_total")]] },
  { title: "Flushes of the log", unit: span, lines: [["p50", flush(0.5)], ["p99", flush(0.99)]] },
  { title: "Applied, not yet in the state file", unit: size, lines: [["", now("kvraft_buffer_bytes")]] },
  { title: "Taken of the disk", unit: size, lines: [["", now("kvraft_disk_bytes")]] },
];

/** What is counted since the page was opened, and its pictures. */
class Charts {
  constructor(target) {
    this.last = null;
    this.charts = CHARTS.map((chart) => new Chart(target, chart));
  }

  add(sample) {
    // A node that began anew counts from 0: its first look is a beginning.
    const begins = !this.last || sample.get("kvraft_log_entries_total") < this.last.get("kvraft_log_entries_total");
    for (const chart of this.charts) chart.add(begins ? null : this.last, sample);
    this.last = sample;
  }

  /** Nothing was heard: every line has a gap. */
  miss() {
    this.last = null;
    for (const chart of this.charts) chart.push(chart.lines.map(() => null));
  }
}

class Chart {
  constructor(target, { title, unit, lines }) {
    this.title = title;
    this.unit = unit;
    this.lines = lines.map(([name, value]) => ({ name, value, points: [] }));
    this.now = element("span", { class: "now" });
    this.range = element("div", { class: "range" }, "waiting for a second look");
    this.picture = svg("svg", { viewBox: "0 0 149 40", preserveAspectRatio: "none", role: "img" });
    const caption = element("figcaption", {}, element("span", { class: "title" }, title), this.now);
    target.append(element("figure", { class: "card chart" }, caption, this.picture, this.range));
  }

  add(before, after) {
    this.push(this.lines.map((line) => (before ? line.value(before, after) : null)));
  }

  push(values) {
    this.lines.forEach((line, place) => {
      line.points.push(values[place]);
      if (line.points.length > SAMPLES) line.points.shift();
    });
    this.draw(values);
  }

  draw(values) {
    const words = this.lines.map(({ name }, place) => {
      const value = values[place] === null ? "–" : this.unit(values[place]);
      return name ? `${name} ${value}` : value;
    });
    redraw(this.now, words, () => words.map((word, place) => element("span", { class: this.lines[place].name ? `line-${place}` : null }, word)));
    const known = this.lines.flatMap(({ points }) => points.filter((point) => point !== null));
    const highest = known.length ? Math.max(...known) : null;
    const top = highest === null ? "nothing yet" : `at most ${this.unit(highest)}`;
    say(this.range, top);
    this.picture.setAttribute("aria-label", `${this.title}: now ${words.join(", ")}; ${top}`);
    this.picture.replaceChildren(...this.lines.flatMap((line, place) => pieces(line.points, highest, place)));
  }
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** The points of a line, newest to the right, one piece between two gaps. */
function pieces(points, highest, place) {
  const drawn = [];
  const wide = Math.max(FEWEST, points.length);
  let piece = [];
  points.forEach((point, index) => {
    if (point !== null) {
      const x = ((wide - points.length + index) / (wide - 1)) * 149;
      piece.push(`${x.toFixed(1)},${(38 - 36 * (highest > 0 ? point / highest : 0)).toFixed(1)}`);
    }
    if (piece.length && (point === null || index === points.length - 1)) {
      // A single point is a dot of a line.
      if (piece.length === 1) piece.push(piece[0].replace(/^[^,]+/, (x) => Number(x) + 0.7));
      drawn.push(svg("polyline", { points: piece.join(" "), class: place ? "second" : "first" }));
      piece = [];
    }
  });
  return drawn;
}
