// The live tail of a build log: asks for what comes after the byte it has. Of a long log the page keeps the last part
// only (KEPT characters, in pieces, so that adding a line costs the same however long the log is); the links above it
// lead to the rest.
"use strict";
(() => {
  const KEPT = 1024 * 1024;
  const box = document.getElementById("log");
  if (!box) return;
  const state = document.getElementById("log-state");
  const range = document.getElementById("log-range");
  let start = Number(box.dataset.start);
  let offset = Number(box.dataset.offset);
  if (state) box.scrollTop = box.scrollHeight;
  if (box.dataset.complete === "1") return;

  const pieces = box.firstChild ? [{ node: box.firstChild, bytes: offset - start }] : [];
  let kept = box.textContent.length;
  let decoder = new TextDecoder("utf-8", { fatal: false });
  let wait = 500;
  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 40;

  // As logs.py: colours go, and what a page should not show.
  const clean = (text) => text.replace(/\r\n?/g, "\n").replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, "")
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

  const drop = () => {
    const piece = pieces.shift();
    start += piece.bytes;
    kept -= piece.node.length;
    piece.node.remove();
  };

  const add = (bytes) => {
    const follow = atEnd();
    const node = document.createTextNode(clean(decoder.decode(bytes, { stream: true })));
    box.append(node);
    pieces.push({ node, bytes: bytes.length });
    kept += node.length;
    while (kept > KEPT && pieces.length > 1) drop();
    if (follow) box.scrollTop = box.scrollHeight;
  };

  const restart = (at) => { // more came than one answer holds: what is between is not fetched
    while (pieces.length) drop();
    start = offset = at;
    decoder = new TextDecoder("utf-8", { fatal: false });
  };

  const step = async () => {
    if (document.hidden) { // nobody looks: ask when somebody does
      document.addEventListener("visibilitychange", step, { once: true });
      return;
    }
    try {
      const answer = await fetch(`${box.dataset.url}?offset=${offset}`, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.status);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const at = Number(answer.headers.get("x-log-offset"));
      if (at > offset) restart(at);
      offset = at + bytes.length;
      if (bytes.length) add(bytes);
      if (range) range.textContent = `bytes ${start} to ${offset}`;
      if (answer.headers.get("x-log-complete") === "1") {
        state.textContent = "complete";
        return;
      }
      state.textContent = "live";
      wait = bytes.length ? 300 : Math.min(wait * 1.5, 2000);
    } catch {
      state.textContent = "the hub does not answer, trying again";
      wait = 5000;
    }
    setTimeout(step, wait);
  };
  step();
})();
