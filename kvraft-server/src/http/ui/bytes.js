// Bytes: how keys and values of any bytes are shown, typed, and sent. What is shown is never
// markup: it goes into the page as text alone, and what could mislead an eye is escaped.

const utf8 = new TextEncoder();
const strictly = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Control characters, marks that turn the direction of text, what is not seen or not assigned. */
const MISLEADING = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}\\]|(?! )\p{Zs}/gu;
const NAMED = new Map([["\\", "\\\\"], ["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

function hexOf(byte) {
  return byte.toString(16).padStart(2, "0");
}

/** The text that bytes are in UTF-8, or null. */
function textOf(bytes) {
  try {
    return strictly.decode(bytes);
  } catch {
    return null;
  }
}

function escapedText(text) {
  return text.replace(
    MISLEADING,
    (found) => NAMED.get(found) ?? `\\u{${found.codePointAt(0).toString(16)}}`,
  );
}

/** Bytes as one line that says exactly which they are; `most` bytes of them at most. */
function shown(bytes, most = Infinity) {
  if (bytes.length > most) {
    return `${shown(bytes.subarray(0, most))} … (${size(bytes.length)})`;
  }
  const whole = textOf(bytes);
  if (whole !== null) return escapedText(whole);
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at];
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const one = textOf(bytes.subarray(at, at + length));
    text += one === null ? `\\x${hexOf(lead)}` : escapedText(one);
    at += one === null ? 1 : length;
  }
  return text;
}

/** The bytes that a line stands for, as `shown` writes it. Throws an Error in words. */
function typed(line) {
  const parts = [];
  let plain = "";
  const escape = /\\(?:x([0-9a-f]{2})|u\{([0-9a-f]{1,6})\}|([\\nrt]))/giy;
  for (let at = 0; at < line.length; ) {
    if (line[at] !== "\\") {
      plain += line[at++];
      continue;
    }
    escape.lastIndex = at;
    const found = escape.exec(line);
    if (!found || (found[2] && parseInt(found[2], 16) > 0x10ffff)) {
      throw new Error("After a backslash comes \\, n, r, t, xff or u{20ac}.");
    }
    at = escape.lastIndex;
    if (found[1]) {
      parts.push(utf8.encode(plain), Uint8Array.of(parseInt(found[1], 16)));
      plain = "";
    } else if (found[2]) {
      plain += String.fromCodePoint(parseInt(found[2], 16));
    } else {
      plain += { "\\": "\\", n: "\n", r: "\r", t: "\t" }[found[3].toLowerCase()];
    }
  }
  return joined([...parts, utf8.encode(plain)]);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function same(a, b) {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Bytes as they stand in a path or a query: each one that is not a letter or a digit is escaped. */
function inUrl(bytes) {
  let text = "";
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    text += /[A-Za-z0-9_-]/.test(char) ? char : `%${hexOf(byte)}`;
  }
  return text;
}

/** What a document of the interface has under `name` or `name_base64`. */
function bytesIn(document, name) {
  if (typeof document === "string") return utf8.encode(document);
  const text = document[name];
  return text === undefined ? fromBase64(document[`${name}_base64`]) : utf8.encode(text);
}

function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** How a value is written in the editor, and read from it. */
const FORMS = {
  text: {
    // A text field changes the ends of lines and cannot hold what is not text.
    fits: (bytes) => !/[\0-\x08\x0b-\x1f\x7f]/.test(textOf(bytes) ?? "\0"),
    write: (bytes) => textOf(bytes),
    read: (text) => utf8.encode(text),
  },
  hex: {
    fits: () => true,
    write: (bytes) => {
      const lines = [];
      for (let at = 0; at < bytes.length; at += 16) {
        lines.push(Array.from(bytes.subarray(at, at + 16), hexOf).join(" "));
      }
      return lines.join("\n");
    },
    read: (text) => {
      const digits = text.replace(/\s+/g, "");
      if (!/^([0-9a-f]{2})*$/i.test(digits)) {
        throw new Error("This is not hex: two digits from 0 to f for each byte.");
      }
      return Uint8Array.from(digits.match(/../g) ?? [], (two) => parseInt(two, 16));
    },
  },
  base64: {
    fits: () => true,
    write: (bytes) => toBase64(bytes).replace(/.{76}/g, "$&\n"),
    read: (text) => {
      try {
        return fromBase64(text.replace(/\s+/g, ""));
      } catch {
        throw new Error("This is not base64.");
      }
    },
  },
};

const numbers = new Intl.NumberFormat("en");
const rough = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

function count(number) {
  return numbers.format(number);
}

/** A number of bytes, in the largest unit that leaves at least 1. */
function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? count(bytes) : rough.format(bytes)} ${units[unit]}`;
}

/** A span of time. */
function span(seconds) {
  if (seconds < 1) return `${rough.format(seconds * 1000)} ms`;
  if (seconds < 90) return `${rough.format(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${rough.format(seconds / 3600)} h`;
}

function clock(date) {
  return date.toLocaleTimeString("en-GB");
}
