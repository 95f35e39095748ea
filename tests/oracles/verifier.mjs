// A verifier of a published log, written from docs/ledger.md alone: no code of ours and nothing but Node.
//
//     node verifier.mjs vectors VECTORS RULES     every vector has its verdict; prints how many there are
//     node verifier.mjs log FOLDER VKEY RULES     replays the log in a folder; prints what it implies, as JSON
//
// RULES is docs/rules.md, for the tables of the state machines. It exits 1 with the reason when something does not hold.
import { createHash, createHmac, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

class Refused extends Error {}
const hold = (what, why) => { if (!what) throw new Refused(why); };
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const hex = (data) => Buffer.from(data).toString("hex");
const fields = (value, names) =>
  value !== null && typeof value === "object" && !Array.isArray(value) &&
  Object.keys(value).sort().join() === names.split(" ").sort().join();

function base64(text) {
  hold(typeof text === "string", "base64 is a text");
  const data = Buffer.from(text, "base64");
  hold(data.toString("base64") === text, "base64 in another spelling");
  return data;
}

// ---- section 2: the tree --------------------------------------------------------------------------------

const leafHash = (entry) => sha256(Buffer.from([0]), entry);
const node = (left, right) => sha256(Buffer.from([1]), left, right);

function root(hashes) {
  if (hashes.length === 0) return sha256();
  if (hashes.length === 1) return hashes[0];
  let k = 1;
  while (2 * k < hashes.length) k *= 2;
  return node(root(hashes.slice(0, k)), root(hashes.slice(k)));
}

function climb(fn, sn, hashes, left, right) {
  for (const hash of hashes) {
    hold(sn > 0, "too many hashes");
    if (fn % 2 === 1 || fn === sn) {
      left(hash);
      while (fn % 2 === 0 && fn > 0) { fn /= 2; sn = Math.floor(sn / 2); }
    } else right(hash);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  hold(sn === 0, "too few hashes");
}

function checkInclusion(index, size, leaf, hashes, top) {
  hold(index < size, "the index is not below the size");
  let r = leaf;
  climb(index, size - 1, hashes, (p) => { r = node(p, r); }, (p) => { r = node(r, p); });
  hold(r.equals(top), "the hashes lead to another root");
}

function checkConsistency(m, n, hashes, before, after) {
  hold(m <= n, "the tree shrinks");
  if (m === n) { hold(hashes.length === 0 && before.equals(after), "two roots of one size"); return; }
  if (m === 0) { hold(hashes.length === 0 && before.equals(sha256()), "the empty tree"); return; }
  const path = Number.isInteger(Math.log2(m)) ? [before, ...hashes] : [...hashes];
  let [fn, sn] = [m - 1, n - 1];
  while (fn % 2 === 1) { fn = (fn - 1) / 2; sn = Math.floor(sn / 2); }
  hold(path.length > 0, "no hash");
  let fr = path[0], sr = path[0];
  climb(fn, sn, path.slice(1), (c) => { fr = node(c, fr); sr = node(c, sr); }, (c) => { sr = node(sr, c); });
  hold(fr.equals(before) && sr.equals(after), "the tree was not extended");
}

// ---- section 3: keys and notes --------------------------------------------------------------------------

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const number = (data) => BigInt("0x" + hex(Buffer.from(data).reverse()));
const SMALL = new Set([
  0n, 1n, P - 1n,
  number(Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")),
  number(Buffer.from("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "hex")),
]);

function power(base, exponent) {
  let result = 1n;
  for (base %= P; exponent > 0n; exponent >>= 1n, base = (base * base) % P) {
    if (exponent & 1n) result = (result * base) % P;
  }
  return result;
}

function checkPoint(data) {
  const y = number(data) & ((1n << 255n) - 1n);
  hold(y < P && !SMALL.has(y), "y is not reduced, or of small order");
  return y;
}

function checkKey(data) {
  hold(data.length === 32, "a key has 32 bytes");
  const y = checkPoint(data);
  const d = ((P - 121665n) * power(121666n, P - 2n)) % P;
  const square = ((y * y - 1n + P) * power(d * y * y + 1n, P - 2n)) % P;
  hold(power(square, (P - 1n) / 2n) === 1n, "no point of the curve");
}

function checkSignature(key, signature, message) {
  hold(signature.length === 64, "a signature has 64 bytes");
  hold(number(signature.subarray(32)) < L, "S is not below L");
  checkPoint(signature.subarray(0, 32));
  const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(key).toString("base64url") };
  hold(verify(null, message, createPublicKey({ key: jwk, format: "jwk" }), signature), "it does not verify");
}

function verifierKey(text) {
  const [name, id, ...rest] = text.split("+");
  const data = base64(rest.join("+"));
  hold(name && !/[\s\p{C}]/u.test(name), "a key name");
  hold(hex(sha256(Buffer.from(`${name}\n`), data).subarray(0, 4)) === id, "the id is another");
  hold(data[0] === 1 || data[0] === 4, "a type that this verifier does not know");
  checkKey(data.subarray(1));
  return { text, name, id, type: data[0], key: data.subarray(1) };
}

function checkNoteSignature(known, text, data) {
  if (known.type === 1) return checkSignature(known.key, data, Buffer.from(text));
  hold(data.length === 72 && data[0] < 128, "a cosignature has 72 bytes");
  const message = `cosignature/v1\ntime ${data.readBigUInt64BE()}\n${text}`;
  return checkSignature(known.key, data.subarray(8), Buffer.from(message));
}

/** The text of a note, and which of the known keys signed it: at least one. */
function openNote(bytes, known) {
  hold(bytes.length <= 1_000_000, "too long");
  let whole;
  try { whole = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes); }
  catch { throw new Refused("not UTF-8"); }
  hold(!/[\x00-\x09\x0b-\x1f]/.test(whole), "a control character");
  const gap = whole.lastIndexOf("\n\n");
  hold(gap >= 0 && whole.endsWith("\n") && gap + 2 < whole.length, "text, empty line, signatures");
  const text = whole.slice(0, gap + 1);
  const lines = whole.slice(gap + 2, -1).split("\n");
  hold(lines.length <= 100, "too many signatures");
  const seen = new Set(), signed = [];
  for (const line of lines) {
    const found = /^\u2014 ([^\s+\p{C}]+) ([A-Za-z0-9+/=]+)$/u.exec(line);
    hold(found, "a signature line");
    const data = base64(found[2]);
    hold(data.length > 4, "a signature line");
    const id = hex(data.subarray(0, 4)), who = `${found[1]} ${id}`;
    hold(!seen.has(who), "two lines by one key");
    seen.add(who);
    const one = known.find((each) => each.name === found[1] && each.id === id);
    if (one) { checkNoteSignature(one, text, data.subarray(4)); signed.push(one); }
  }
  hold(signed.length > 0, "no known key signed");
  return { text, signed, lines };
}

function openCheckpoint(bytes, known) {
  const { text, signed, lines } = openNote(bytes, known);
  const [origin, digits, top, end, ...more] = text.split("\n");
  hold(end === "" && more.length === 0, "exactly three lines");
  hold(/^(0|[1-9][0-9]{0,18})$/.test(digits), "the size in one spelling");
  const size = Number(digits), hash = base64(top);
  hold(hash.length === 32 && (size > 0 || hash.equals(sha256())), "the root");
  const own = signed.filter((each) => each.type === 1);
  hold(own.length > 0 && own.every((each) => each.name === origin), "the origin is the key's name");
  return { origin, size, root: hash, signed, lines };
}

/** Section 7. */
function checkReceipt(bytes, entry, known) {
  const text = bytes.toString("utf-8"), gap = text.indexOf("\n\n");
  hold(gap >= 0, "an empty line");
  const [header, index, ...hashes] = text.slice(0, gap).split("\n");
  hold(header === "c2sp.org/tlog-proof@v1" && hashes.length <= 63, "the header");
  const found = /^index (0|[1-9][0-9]{0,15})$/.exec(index ?? "");
  hold(found, "the index line");
  const path = hashes.map(base64);
  hold(path.every((hash) => hash.length === 32), "hashes have 32 bytes");
  const head = openCheckpoint(bytes.subarray(Buffer.byteLength(text.slice(0, gap + 2))), known);
  checkInclusion(Number(found[1]), head.size, leafHash(entry), path, head.root);
}

// ---- section 4: an entry --------------------------------------------------------------------------------

function canonical(value, depth = 0) {
  hold(depth < 255, "nested too deeply");
  if (typeof value === "string") {
    hold(value.isWellFormed(), "a lone surrogate");
    return JSON.stringify(value);
  }
  if (typeof value === "number") {
    hold(Number.isSafeInteger(value), "a number that is not whole, or beyond 2^53 - 1");
    return String(value);
  }
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join()}]`;
  const keys = Object.keys(value).sort();
  hold(keys.every((key) => !/[\ud800-\udfff]/.test(key)), "a key beyond U+FFFF");
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key], depth + 1)}`).join()}}`;
}

function parse(bytes) {
  let value;
  try { value = JSON.parse(bytes.toString("utf-8")); } catch { throw new Refused("not JSON"); }
  hold(Buffer.from(canonical(value)).equals(bytes), "another spelling");
  return value;
}

const TYPE = "application/vnd.tanhui.ledger-entry.v1+json";
const NAMES = "type id by role mandate machine subject action before after".split(" ");
const isName = (text) => typeof text === "string" && /^[ -~]{1,200}$/.test(text);
const isDigest = (text) => typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
const whole = (value) => Number.isSafeInteger(value);

function plain(value) {
  if (typeof value === "string") return /^[ -~]*$/.test(value);
  if (Array.isArray(value)) return value.every(plain);
  if (value === null || typeof value !== "object") return true;
  return Object.entries(value).every(([key, item]) => plain(key) && plain(item));
}

function readEntry(bytes) {
  hold(bytes.length <= 65_535, "a leaf is too long");
  const leaf = parse(bytes);
  hold(fields(leaf, "at payload payloadType signatures"), "exactly four fields");
  hold(whole(leaf.at) && leaf.at >= 0, "the time");
  hold(leaf.payloadType === TYPE, "another payload type");
  const content = base64(leaf.payload);
  hold(content.length <= 32_768, "a payload is too long");
  hold(Array.isArray(leaf.signatures) && leaf.signatures.length > 0, "no signature");
  leaf.signatures.forEach((one, n) => {
    hold(fields(one, "keyid sig") && isDigest(one.keyid) && base64(one.sig).length === 64, "a signature");
    hold(n === 0 || leaf.signatures[n - 1].keyid < one.keyid, "signatures are not sorted");
  });
  const said = parse(content);
  hold(fields(said, `v reason_code facts commitments effects ${NAMES.join(" ")}`), "exactly fifteen fields");
  hold(said.v === 1 && NAMES.every((name) => isName(said[name])), "version or names");
  hold(said.reason_code === "" || isName(said.reason_code), "the reason");
  hold(/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(said.id), "the id");
  const object = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  hold(object(said.facts) && object(said.commitments) && plain(said.facts), "facts and commitments");
  hold(Object.entries(said.commitments).every(([name, one]) => isName(name) && isDigest(one)), "commitments");
  hold(Array.isArray(said.effects), "effects are a list");
  said.effects.forEach(checkEffect);
  const head = Buffer.from(`DSSEv1 ${TYPE.length} ${TYPE} ${content.length} `);
  return { at: leaf.at, said, signatures: leaf.signatures, message: Buffer.concat([head, content]) };
}

const listOf = (test) => (value) => Array.isArray(value) && value.every(test);
const POSTINGS = listOf((one) => fields(one, "account asset amount") && isName(one.account) && isName(one.asset) && whole(one.amount));
const MOVES = listOf((one) => fields(one, "block to") && isName(one.block) && isName(one.to));
const RANGE = (one) => whole(one.start) && whole(one.end) && one.start >= 1 && one.start <= one.end;
const EFFECTS = {
  "account.open": { account: isName, asset: isName, limit: (v) => ["none", "floor", "sink"].includes(v), numbered: (v) => typeof v === "boolean", owner: isName },
  "block.open": { block: isName, series: isName, batch: isName, start: whole, end: (v, one) => RANGE(one), asset: isName, account: isName, source: isName },
  "block.split": { block: isName, children: listOf((one) => fields(one, "block start end") && isName(one.block) && RANGE(one)) },
  "block.merge": { block: isName, parents: listOf(isName) },
  transfer: { transfer: isName, postings: POSTINGS, moves: MOVES },
  pending: { pending: isName, postings: POSTINGS, blocks: listOf(isName), lock: (v) => ["order", "option", "pledge", "retire", "freeze", "subscription"].includes(v), ref: isName, deadline: (v) => v === null || whole(v) },
  post: { pending: isName, postings: POSTINGS, moves: MOVES },
  void: { pending: isName },
  expire: { pending: isName },
  transition: { machine: isName, subject: isName, action: isName, before: isName, after: isName },
};

function checkEffect(effect) {
  const shape = Object.hasOwn(EFFECTS, effect?.type) ? EFFECTS[effect.type] : null;
  hold(shape, "an unknown effect");
  hold(fields(effect, `type ${Object.keys(shape).join(" ")}`), "an effect has exactly its fields");
  for (const [name, test] of Object.entries(shape)) hold(test(effect[name], effect), `${effect.type}: ${name}`);
}

// ---- section 6: the books -------------------------------------------------------------------------------

const MOST = BigInt(Number.MAX_SAFE_INTEGER);
const add = (map, key, amount) => map.set(key, (map.get(key) ?? 0n) + BigInt(amount));

class Books {
  accounts = new Map();
  blocks = new Map();
  gone = new Set();
  pendings = new Map();
  resolved = new Set();
  series = new Map();

  account(name) { hold(this.accounts.has(name), `account ${name} is not open`); return this.accounts.get(name); }
  block(name) { hold(this.blocks.has(name), `no live block ${name}`); return this.blocks.get(name); }

  apply(effects, at) {
    this.touched = new Set();
    for (const effect of effects) this[effect.type]?.(effect, at);
    for (const one of this.touched) {
      const { debits_posted: d, credits_posted: c, debits_pending: p, credits_pending: q } = one;
      hold([d, c, p, q].every((counter) => counter <= MOST), "a counter beyond 2^53 - 1");
      hold(one.limit === "none" || (c - d >= 0n && c - d - p >= 0n), `${one.account} is below its limit`);
    }
  }

  post1(account, amount) {
    if (amount > 0) account.credits_posted += BigInt(amount);
    else account.debits_posted -= BigInt(amount);
    this.touched.add(account);
  }

  reserve(account, amount, direction) {
    if (amount > 0) account.credits_pending += direction * BigInt(amount);
    else account.debits_pending -= direction * BigInt(amount);
    this.touched.add(account);
  }

  newBlock(block) {
    hold(!this.blocks.has(block.block) && !this.gone.has(block.block), `block ${block.block} exists`);
    this.blocks.set(block.block, block);
  }

  end(name) { this.blocks.delete(name); this.gone.add(name); }

  "account.open"({ type, ...account }) {
    hold(!this.accounts.has(account.account), "it is open already");
    const counters = { credits_pending: 0n, credits_posted: 0n, debits_pending: 0n, debits_posted: 0n };
    this.accounts.set(account.account, { ...account, ...counters });
  }

  "block.open"({ block, series, batch, start, end, asset, account, source }) {
    const to = this.account(account), from = this.account(source);
    hold(to.numbered && from.numbered && to.asset === asset && from.asset === asset, "other assets");
    hold(from.limit === "none" && to.limit !== "none", "not from an issuance account");
    hold(start === (this.series.get(series) ?? 0) + 1, "numbers do not run on");
    this.newBlock({ account, asset, batch, block, end, pending: null, series, start });
    this.series.set(series, end);
    this.post1(from, -(end - start + 1));
    this.post1(to, end - start + 1);
  }

  "block.split"({ block, children }) {
    const parent = this.block(block);
    hold(this.account(parent.account).limit !== "sink" && children.length >= 2, "it cannot be split");
    const parts = [...children].sort((one, two) => one.start - two.start);
    hold(parts[0].start === parent.start && parts.at(-1).end === parent.end, "no partition");
    hold(parts.every((part, n) => n === 0 || parts[n - 1].end + 1 === part.start), "no partition");
    for (const child of children) this.newBlock({ ...parent, ...child });
    this.end(block);
    if (parent.pending !== null) {
      const held = this.pendings.get(parent.pending);
      held.blocks = [...held.blocks.filter((name) => name !== block), ...children.map((child) => child.block)];
    }
  }

  "block.merge"({ block, parents }) {
    hold(parents.length >= 2 && new Set(parents).size === parents.length, "different parents");
    const parts = parents.map((name) => this.block(name)).sort((one, two) => one.start - two.start);
    const [first] = parts;
    hold(this.account(first.account).limit !== "sink", "a sink is final");
    parts.forEach((part, n) => {
      hold(part.pending === null, "it is reserved");
      hold(["series", "batch", "account"].every((name) => part[name] === first[name]), "of another batch");
      hold(n === 0 || parts[n - 1].end + 1 === part.start, "they do not adjoin");
    });
    this.newBlock({ ...first, block, end: parts.at(-1).end });
    parents.forEach((name) => this.end(name));
  }

  balanced(postings) {
    hold(postings.length >= 2 && postings.length <= 64, "2 to 64 postings");
    const sums = new Map();
    for (const { asset, amount } of postings) add(sums, asset, amount);
    hold([...sums.values()].every((sum) => sum === 0n), "postings do not sum to zero");
  }

  line({ account, asset, amount }) {
    const found = this.account(account);
    hold(found.asset === asset && amount !== 0, "another asset, or zero");
    hold(found.limit !== "sink" || amount > 0, "a sink is never debited");
    return found;
  }

  carry(postings, moves, lock) {
    this.balanced(postings);
    const moved = new Map();
    for (const { block, to } of moves) {
      const one = this.block(block), receiver = this.account(to);
      hold(this.account(one.account).limit !== "sink", "it is final");
      hold(one.pending === lock, "it is locked otherwise");
      hold(receiver.asset === one.asset && one.account !== to, "it cannot move there");
      add(moved, one.account, one.start - one.end - 1);
      add(moved, to, one.end - one.start + 1);
      one.account = to;
      one.pending = null;
    }
    for (const posting of postings) {
      const account = this.line(posting);
      if (account.numbered) add(moved, posting.account, -posting.amount);
      this.post1(account, posting.amount);
    }
    hold([...moved.values()].every((rest) => rest === 0n), "postings and moves do not agree");
  }

  transfer({ postings, moves }) { this.carry(postings, moves, null); }

  pending({ type, ...held }) {
    this.balanced(held.postings);
    hold(!this.pendings.has(held.pending) && !this.resolved.has(held.pending), "it exists already");
    const locked = new Map();
    for (const name of held.blocks) {
      const block = this.block(name);
      hold(block.pending === null, "it is reserved");
      add(locked, block.account, block.start - block.end - 1);
      block.pending = held.pending;
    }
    for (const posting of held.postings) {
      const account = this.line(posting);
      if (account.numbered && posting.amount < 0) add(locked, posting.account, -posting.amount);
      this.reserve(account, posting.amount, 1n);
    }
    hold([...locked.values()].every((rest) => rest === 0n), "postings and blocks do not agree");
    this.pendings.set(held.pending, held);
  }

  resolve(name) {
    const held = this.pendings.get(name);
    hold(held, `reservation ${name} is not open`);
    this.pendings.delete(name);
    this.resolved.add(name);
    for (const { account, amount } of held.postings) this.reserve(this.account(account), amount, -1n);
    return held;
  }

  post({ pending, postings, moves }, at) {
    const held = this.resolve(pending);
    hold(held.deadline === null || at < held.deadline, "the deadline has passed");
    hold(moves.every(({ block }) => held.blocks.includes(block)), "it does not hold the block");
    const left = new Map(), assets = new Set(held.postings.map(({ asset }) => asset));
    for (const one of held.postings) if (one.amount < 0) add(left, `${one.account}\n${one.asset}`, -one.amount);
    for (const one of postings) {
      if (one.amount < 0 && assets.has(one.asset)) add(left, `${one.account}\n${one.asset}`, one.amount);
    }
    hold([...left.values()].every((rest) => rest >= 0n), "more than was reserved");
    const going = new Set(moves.map(({ block }) => block));
    for (const name of held.blocks) if (!going.has(name)) this.block(name).pending = null;
    this.carry(postings, moves, pending);
  }

  void({ pending }) { for (const name of this.resolve(pending).blocks) this.block(name).pending = null; }

  expire({ pending }, at) {
    const { deadline, blocks } = this.resolve(pending);
    hold(deadline !== null && at >= deadline, "the deadline has not come");
    for (const name of blocks) this.block(name).pending = null;
  }

  state() {
    const sorted = (map) => [...map.keys()].sort().map((name) => map.get(name));
    const accounts = sorted(this.accounts).map((one) => Object.fromEntries(
      Object.entries(one).map(([key, value]) => [key, typeof value === "bigint" ? Number(value) : value])));
    const blocks = sorted(this.blocks), pendings = sorted(this.pendings);
    const text = canonical({ accounts, blocks, pendings });
    const counts = { accounts: accounts.length, blocks: blocks.length, pendings: pendings.length };
    return { text, facts: { ...counts, sha256: hex(sha256(Buffer.from(text))) } };
  }
}

// ---- sections 5 and 6: replay ---------------------------------------------------------------------------

const OWN = {
  genesis: ["log", "open"], "key.add": ["key", "add"], "key.rotate": ["key", "rotate"],
  "key.revoke": ["key", "revoke"], "log.key": ["log", "add_key", "end_key"], "log.next": ["log", "close"],
  state: ["log", "state"], annotation: ["entry", "annotate"], erase: ["record", "erase"],
};
const OWN_MACHINES = ["key", "log", "entry", "record"];
const NEVER_CAUSED = ["organisation", "person", "mandate"];

class Replay {
  books = new Books();
  keys = new Map();
  logKeys = [];
  states = new Map();
  ids = new Set();
  mandates = new Map(["root", "system"].map((own) => [own, { person: own, organisation: "registry", role: own }]));
  kinds = new Map();
  leaves = [];
  at = 0;
  origin = null;
  closed = false;

  constructor(machines) { this.machines = machines; }

  see(bytes) {
    const entry = readEntry(bytes), { said, at } = entry, index = this.leaves.length;
    hold(at >= this.at, "time falls");
    hold(!this.ids.has(said.id), "the id is in the log already");
    hold((said.type === "genesis") === (index === 0), "genesis is the first entry and no other");
    hold(!this.closed, "the log is closed");
    const own = OWN[said.type], caused = said.effects.filter((effect) => effect.type === "transition");
    hold(own || ["act", "correct"].includes(said.type), "an unknown type");
    hold(own ? own[0] === said.machine && own.includes(said.action, 1) : !OWN_MACHINES.includes(said.machine), "no step of this type");
    hold(said.type === "key.rotate" || !caused.some((step) => OWN_MACHINES.includes(step.machine)), "it causes a step of its own machines");
    const early = ["genesis", "key.rotate"].includes(said.type);
    if (early) this.register(said, index);
    const persons = entry.signatures.map(({ keyid, sig }) => {
      const key = this.keys.get(keyid);
      hold(key && key.ended === undefined, "the key is not registered, or was ended");
      checkSignature(key.bytes, base64(sig), entry.message);
      return key.person;
    });
    if (said.type in RULES) RULES[said.type](this, said, index, entry);
    const level = this.steps([said, ...caused], said, persons);
    this.books.apply(said.effects, at);
    this.ids.add(said.id);
    this.at = at;
    this.leaves.push({ hash: leafHash(bytes), commitments: said.commitments });
    return level;
  }

  register(said, index) {
    const { keys } = said.facts;
    hold(Array.isArray(keys) && keys.length > 0, "keys are missing");
    const old = this.keys.get(said.subject);
    for (const one of keys) {
      hold(fields(one, "public person custody suite") && isDigest(one.public) && isName(one.person), "a key");
      hold(["client", "webcrypto", "server"].includes(one.custody) && one.suite === "ed25519", "a key");
      const bytes = Buffer.from(one.public, "hex"), keyid = hex(sha256(bytes));
      checkKey(bytes);
      hold(!this.keys.has(keyid), "it is registered already");
      this.keys.set(keyid, { bytes, person: one.person });
      if (index === 0) this.states.set(`key\n${keyid}`, "active");
      if (said.type === "key.rotate") {
        hold(fields(said.facts, "keys") && keys.length === 1 && old?.person === one.person, "one new key of the same person");
        const wanted = { action: "succeed", after: "active", before: "none", machine: "key", subject: keyid, type: "transition" };
        hold(canonical(said.effects) === canonical([wanted]), "it makes the new key active and nothing else");
        said.rotated = keyid;
      }
    }
  }

  end(keyid, index) {
    const key = this.keys.get(keyid);
    hold(key && key.ended === undefined, "no such key in force");
    key.ended = index;
  }

  logKey(vkey, name) {
    hold(typeof vkey === "string", "a verifier key");
    const key = verifierKey(vkey);
    hold(key.name === name && key.type === 1, "no key of this log");
    return key;
  }

  inForce(size) { return this.logKeys.filter(({ added, ended }) => added < size && (ended === undefined || size <= ended)); }

  named(facts, index) {
    hold(fields(facts, "index leaf") && whole(facts.index) && facts.index >= 0 && facts.index < index, "an entry before");
    hold(hex(this.leaves[facts.index].hash) === facts.leaf, "another leaf hash");
  }

  /** Answers why the signers may not do this; null when they may. */
  steps(steps, said, persons) {
    let fault = null;
    const unless = (what, why) => { if (!what) fault ??= why; };
    steps.forEach(({ machine, subject, action, before, after }, n) => {
      const table = this.machines.get(machine), place = `${machine}\n${subject}`, known = this.states.get(place);
      hold(known === undefined || known === before, `${machine} ${subject} is ${known}, not ${before}`);
      this.states.set(place, after);
      const row = table?.rows.get(`${before} ${action}`);
      unless(row?.after === after, "no such step");
      unless(known !== undefined || before === table?.initial, "it does not begin there");
      unless(n === 0 || !NEVER_CAUSED.includes(machine), "it is an entry's own step");
      if (row) unless(n === 0 ? this.may(row, said, persons) : this.mayCause(row, persons), `${machine} ${action}: not by these`);
    });
    this.follow(said);
    return fault;
  }

  held(person) {
    const own = this.mandates.get(person);
    if (["root", "system"].includes(person)) return [own];
    return [...this.mandates.values()].filter((one) => one.person === person);
  }

  confirms(row, by, other) {
    return row.confirmers.includes(other.role) && (other.organisation === by.organisation) === (row.needs === "2P");
  }

  may(given, said, persons) {
    let row = given;
    if (said.type === "key.revoke") {
      const own = this.keys.get(said.subject).person === said.by;
      row = own ? { ...given, needs: "1P" } : { by: ["root", "registry_admin"], needs: "2P", confirmers: ["registry_admin"], alone: ["root"] };
    }
    const signers = said.type === "key.rotate" ? persons.slice(0, 1) : persons;
    const by = this.mandates.get(said.mandate);
    if (said.type === "key.add" && !this.states.has(`person\n${said.facts.keys[0].person}`)) return false;
    if (!by || by.person !== said.by || by.role !== said.role || !row.by.includes(by.role)) return false;
    const others = signers.filter((person) => person !== said.by);
    if (signers.length - others.length !== 1) return false;
    if (row.needs === "1P" || row.alone.includes(by.role)) return others.length === 0;
    return others.length === 1 && this.held(others[0]).some((other) => this.confirms(row, by, other));
  }

  mayCause(row, persons) {
    return persons.some((person) => this.held(person).some((by) => row.by.includes(by.role) &&
      (row.needs === "1P" || row.alone.includes(by.role) || persons.some((second) => second !== person &&
        this.held(second).some((other) => this.confirms(row, by, other))))));
  }

  follow({ machine, subject, before, facts }) {
    if (machine === "organisation") this.kinds.set(subject, facts.kind);
    if (machine !== "mandate") return;
    if (before !== "none") { this.mandates.delete(subject); return; }
    hold(!["root", "system"].includes(facts.role), "a role that nobody gives");
    hold(facts.role !== "individual" || this.kinds.get(facts.organisation) === "individual", "a role that nobody gives");
    this.mandates.set(subject, { person: facts.person, organisation: facts.organisation, role: facts.role });
  }
}

/** What each type asks beside its step. */
const RULES = {
  genesis(replay, said) {
    const { hash = "sha256", suite = "ed25519", vkey } = said.facts;
    hold(hash === "sha256" && suite === "ed25519", "an unknown hash or suite");
    replay.origin = said.subject;
    if (vkey !== undefined && vkey !== null) replay.logKeys.push({ ...replay.logKey(vkey, said.subject), added: 0 });
  },
  "key.add"(replay, said, index) {
    replay.register(said, index);
    const [one, ...more] = said.facts.keys;
    hold(more.length === 0 && hex(sha256(Buffer.from(one.public, "hex"))) === said.subject, "one key, under its id");
  },
  "key.rotate"(replay, said, index, { signatures }) {
    const wanted = [said.subject, said.rotated].sort().join();
    hold(signatures.map(({ keyid }) => keyid).join() === wanted, "by the old and the new key");
    replay.end(said.subject, index);
  },
  "key.revoke"(replay, said, index) {
    const { suspect_from: since } = said.facts;
    hold(fields(said.facts, "suspect_from"), "exactly suspect_from");
    hold(["lost", "compromised", "left", "superseded"].includes(said.reason_code), "a known reason");
    hold(since === null || (said.reason_code === "compromised" && whole(since) && since >= 0 && since <= index), "what is suspect");
    replay.end(said.subject, index);
  },
  "log.key"(replay, said, index) {
    hold(said.subject === replay.origin, "another log");
    const running = replay.logKeys.filter(({ ended }) => ended === undefined);
    if (said.action === "end_key") {
      const key = running.find(({ text }) => text === said.facts.vkey);
      hold(fields(said.facts, "vkey") && key && running.length > 1, "it cannot end");
      key.ended = index;
      return;
    }
    hold(fields(said.facts, "vkey endorsement"), "exactly vkey and endorsement");
    const key = replay.logKey(said.facts.vkey, replay.origin), data = base64(said.facts.endorsement);
    hold(!replay.logKeys.some(({ text }) => text === key.text), "the log has or had it");
    const by = replay.inForce(index).find(({ id }) => id === hex(data.subarray(0, 4)));
    hold(by, "no key in force endorses it");
    checkSignature(by.key, data.subarray(4), Buffer.from(`${replay.origin}/log-key\n${key.text}\n`));
    replay.logKeys.push({ ...key, added: index, endorser: by.text });
  },
  "log.next"(replay, said) {
    const { origin, vkey } = said.facts;
    hold(fields(said.facts, "origin vkey") && said.subject === replay.origin && origin !== replay.origin, "the successor");
    replay.logKey(vkey, origin);
    replay.closed = true;
  },
  state(replay, said, index) {
    hold(said.effects.length === 0, "it does nothing");
    hold(Object.keys(said.commitments).length === 0, "it commits to nothing");
    hold(canonical(said.facts) === canonical({ size: index, ...replay.books.state().facts }), "another state");
  },
  annotation(replay, said, index) {
    replay.named(said.facts, index);
    hold(said.effects.length === 0 && said.subject === String(said.facts.index), "its subject is the index");
  },
  correct(replay, said, index) { replay.named(said.facts.corrects, index); },
  erase(replay, said, index) {
    const { commitment, index: before } = said.facts;
    hold(fields(said.facts, "commitment index") && commitment === said.subject && isDigest(commitment), "the commitment");
    hold(said.effects.length === 0 && Object.keys(said.commitments).length === 0, "it does nothing");
    hold(whole(before) && before >= 0 && before < index, "an entry before");
    hold(Object.values(replay.leaves[before].commitments).includes(commitment), "the entry has no such commitment");
  },
};

/** The tables of rules.md. */
function readMachines(path) {
  const machines = new Map(), sections = readFileSync(path, "utf-8").split("\n### ").slice(1);
  const list = (text) => (text ?? "").split(",").map((one) => one.trim()).filter(Boolean);
  for (const section of sections) {
    const rows = new Map();
    for (const line of section.split("\n").filter((one) => one.startsWith("| "))) {
      const [from, act, to, by, signatures] = line.slice(2, -2).split(" | ");
      const found = /^(1P|2P|2O)(?: with ([^;]+))?(?:; 1P by (.+))?$/.exec(signatures ?? "");
      if (!found) continue;
      const alone = list(found[3]), roles = list(by);
      const confirmers = found[2] ? list(found[2]) : roles;
      rows.set(`${from} ${act}`, { after: to, by: roles, needs: found[1], confirmers, alone });
    }
    machines.set(section.split("\n")[0], { initial: /Begins at `(\w+)`/.exec(section)?.[1], rows });
  }
  return machines;
}

// ---- a published log ------------------------------------------------------------------------------------

function tilePath(level, n, width) {
  let path = String(n % 1000).padStart(3, "0");
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, "0")}/${path}`;
  }
  return `tile/${level}/${path}${width === 256 ? "" : `.p/${width}`}`;
}

function readWide(folder, level, n, width) {
  try { return [readFileSync(join(folder, tilePath(level, n, width))), width]; }
  catch { return [readFileSync(join(folder, tilePath(level, n, 256))), 256]; }
}

function readBundle(folder, n, width) {
  const [data, found] = readWide(folder, "entries", n, width), entries = [];
  let at = 0;
  while (at < data.length) {
    hold(at + 2 <= data.length, "a bundle breaks off");
    const end = at + 2 + data.readUInt16BE(at);
    hold(end <= data.length, "a bundle breaks off");
    entries.push(data.subarray(at + 2, end));
    at = end;
  }
  hold(entries.length === found, "a bundle of another width");
  return entries.slice(0, width);
}

function checkTiles(folder, row, level = 0) {
  for (let n = 0; n * 256 < row.length; n++) {
    const wanted = Buffer.concat(row.slice(n * 256, n * 256 + 256)), width = wanted.length / 32;
    const [data] = readWide(folder, level, n, width);
    hold(data.subarray(0, wanted.length).equals(wanted), tilePath(level, n, width));
  }
  const upper = [];
  for (let n = 0; (n + 1) * 256 <= row.length; n++) upper.push(root(row.slice(n * 256, n * 256 + 256)));
  if (upper.length) checkTiles(folder, upper, level + 1);
}

function verifyLog(folder, vkey, rules) {
  const note = readFileSync(join(folder, "checkpoint"));
  const size = Number(note.toString("utf-8").split("\n")[1]), replay = new Replay(readMachines(rules));
  for (let n = 0; n * 256 < size; n++) {
    for (const bytes of readBundle(folder, n, Math.min(256, size - n * 256))) {
      const fault = replay.see(bytes);
      hold(fault === null, `entry ${replay.leaves.length - 1}: ${fault}`);
    }
  }
  const keys = replay.inForce(size);
  const known = new Set([vkey]);
  for (const { text, endorser } of replay.logKeys) if (known.has(endorser)) known.add(text);
  const head = openCheckpoint(note, keys);
  hold(head.signed.length === keys.length && head.origin === replay.origin, "a key in force did not sign");
  hold(replay.logKeys.some(({ text }) => text === vkey), "the log never had the given key");
  hold(keys.some(({ text }) => known.has(text)), "the given key vouches for none of those that signed");
  const hashes = replay.leaves.map(({ hash }) => hash);
  hold(head.size === size && root(hashes).equals(head.root), "another root than the signed one");
  checkTiles(folder, hashes);
  return { size, root: hex(head.root), ...replay.books.state().facts };
}

// ---- the vectors ----------------------------------------------------------------------------------------

function verdict(check) {
  try { return check() ?? null; } catch (fault) {
    if (fault instanceof Refused) return fault;
    throw fault;
  }
}

function checkVectors(path, rules) {
  const told = JSON.parse(readFileSync(path, "utf-8")), machines = readMachines(rules);
  const entries = told.entries.map(({ leaf }) => Buffer.from(leaf));
  const keys = Object.fromEntries(Object.entries(told.vkeys).map(([name, vkey]) => [name, verifierKey(vkey)]));
  let checked = 0;
  const same = (one, two, what) => { checked += 1; hold(one === two, `${what}: ${one}, not ${two}`); };
  const replay = new Replay(machines), roots = [sha256()];
  told.entries.forEach(({ index, leaf_hash, root: top, payload }) => {
    const state = told.states.find((one) => one.index === index);
    if (state) {
      same(replay.books.state().text, state.text, `state ${index}`);
      same(replay.books.state().facts.sha256, state.sha256, `state ${index}`);
    }
    same(replay.see(entries[index]), null, `entry ${index}`);
    same(hex(leafHash(entries[index])), leaf_hash, `leaf ${index}`);
    same(base64(JSON.parse(entries[index]).payload).toString(), payload, `payload ${index}`);
    roots.push(root(replay.leaves.map(({ hash }) => hash)));
    same(hex(roots.at(-1)), top, `root ${index + 1}`);
  });
  for (const { n, path: wanted } of told.paths) same(tilePath(0, n, 256), wanted, "path");
  for (const file of told.files) same(hex(sha256(Buffer.from(file.hex, "hex"))), file.sha256, file.path);
  for (const { size, note } of told.checkpoints) {
    const head = openCheckpoint(Buffer.from(note), replay.inForce(size));
    same(head.signed.length, replay.inForce(size).length, `keys at ${size}`);
    same(hex(head.root), hex(roots[size]), `checkpoint ${size}`);
  }
  same(openCheckpoint(Buffer.from(told.cosigned.note), [keys.log, keys.witness]).signed.length, 2, "cosigned");
  for (const { index, size, hashes } of told.inclusion) {
    checkInclusion(index, size, leafHash(entries[index]), hashes.map(base64), roots[size]);
    checked += 1;
  }
  for (const { old, new: size, hashes } of told.consistency) {
    checkConsistency(old, size, hashes.map(base64), roots[old], roots[size]);
    checked += 1;
  }
  const { key, record, text, commitment } = told.commitment;
  same(canonical(record), text, "record");
  same(createHmac("sha256", Buffer.from(key, "hex")).update(text).digest("hex"), commitment, "commitment");
  for (const { text: spelled, canonical: good } of told.canonical) {
    same(verdict(() => { parse(Buffer.from(spelled)); }) === null, good, `canonical ${spelled}`);
  }
  for (const { name, after, leaf, verdict: wanted, level } of told.leaves) {
    const before = new Replay(machines);
    for (const bytes of entries.slice(0, after)) before.see(bytes);
    const found = verdict(() => before.see(Buffer.from(leaf)));
    const said = found === null ? "accept" : found instanceof Refused ? "refuse replay" : "refuse authority";
    same(said, wanted === "accept" ? wanted : `${wanted} ${level}`, name);
  }
  for (const { name, note, verdict: wanted } of told.notes) {
    same(verdict(() => { openCheckpoint(Buffer.from(note), [keys.log]); }) === null, wanted === "accept", name);
  }
  for (const { name, entry, receipt, verdict: wanted } of told.receipts) {
    const known = [keys.log, keys.witness];
    same(verdict(() => checkReceipt(Buffer.from(receipt), entries[entry], known)) === null, wanted === "accept", name);
  }
  return { checked };
}

const [what, ...args] = process.argv.slice(2);
try {
  console.log(JSON.stringify(what === "vectors" ? checkVectors(...args) : verifyLog(...args)));
} catch (fault) {
  console.error(fault instanceof Refused ? fault.message : fault);
  process.exit(1);
}
