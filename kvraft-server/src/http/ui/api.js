// The way to the node that served this page: the token, requests, and trying again.

const TOKEN = "kvraft-token";
const REQUEST_PATIENCE = 10_000;
/** A write that has no answer is sent again for so long, under one id: it is applied once. */
const WRITE_PATIENCE = 20_000;

/** A request without success: `status` is 0 if nothing answered at all. */
class Failure extends Error {
  constructor(status, words, revision = null) {
    super(words);
    this.status = status;
    this.revision = revision;
  }

  /** Whether the same request may succeed a little later. */
  get passes() {
    return [0, 429, 503, 504].includes(this.status);
  }
}

const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (text) => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN),
};

function sleep(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Sends one request and gives the answer once its head has come, or throws a Failure. */
async function ask(method, path, { headers = {}, body, signal, patience = REQUEST_PATIENCE } = {}) {
  const secret = token.get();
  // The time is for the head alone: what follows may be long, or a watch.
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patience);
  let answer;
  try {
    answer = await fetch(path, {
      method,
      body,
      headers: secret ? { ...headers, Authorization: `Bearer ${secret}` } : headers,
      signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
      cache: "no-store",
      redirect: "manual",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, "This node does not answer.");
  } finally {
    clearTimeout(timer);
  }
  if (answer.type === "opaqueredirect") {
    throw new Failure(307, "This node sends such requests to the leader: use the page of the leader, or read this node’s own copy.");
  }
  if (answer.ok || answer.status === 304) return answer;
  throw await failure(answer);
}

async function failure(answer) {
  try {
    const problem = await answer.json();
    const words = `${problem.title}: ${problem.detail}`;
    if (answer.status === 401) needToken(token.get() ? problem.detail : null);
    return new Failure(answer.status, words, problem.revision ?? null);
  } catch {
    return new Failure(answer.status, `The node answered ${answer.status}.`);
  }
}

/** Sends a write until it has an answer. One id goes with all attempts, so it is done once. */
async function write(method, path, { headers = {}, body } = {}) {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), hexOf).join("");
  const end = performance.now() + WRITE_PATIENCE;
  for (let pause = 200; ; pause = Math.min(pause * 2, 2000)) {
    try {
      return await ask(method, path, { headers: { ...headers, "Idempotency-Key": id }, body });
    } catch (error) {
      if (!error.passes || performance.now() + pause > end) throw error;
      await sleep(pause);
    }
  }
}
