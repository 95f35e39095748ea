// A second opinion on the log's signatures, by Node's own crypto: reads lines of JSON from standard input, each
// {"envelope": DSSE, "keys": {keyid: hex of the raw Ed25519 key}}, and prints how many signatures it accepted.
// It exits 1 at the first that it does not accept.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

function pae(type, payload) {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

function keyOf(hex, keyid) {
  const raw = Buffer.from(hex, "hex");
  if (createHash("sha256").update(raw).digest("hex") !== keyid) throw new Error(`not the key ${keyid}`);
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
}

let accepted = 0;
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const { envelope, keys } = JSON.parse(line);
  const message = pae(envelope.payloadType, Buffer.from(envelope.payload, "base64"));
  for (const { keyid, sig } of envelope.signatures) {
    if (!verify(null, message, keyOf(keys[keyid], keyid), Buffer.from(sig, "base64"))) {
      console.error(`the signature of ${keyid} does not verify`);
      process.exit(1);
    }
    accepted += 1;
  }
}
console.log(accepted);
