// The live tail of a build log: asks for what comes after the byte it has, keeps at most 5,000 lines on the page.
"use strict";
(() => {
  const box = document.getElementById("log");
  if (!box || box.dataset.complete === "1") return;
  const state = document.getElementById("log-state");
  const decoder = new TextDecoder("utf-8", { fatal: false });
  let offset = Number(box.dataset.offset);
  let wait = 500;
  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 40;

  const add = (text) => {
    const follow = atEnd();
    let all = box.textContent + text.replace(/\r\n?/g, "\n").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "\ufffd");
    const lines = all.split("\n");
    if (lines.length > 5000) all = lines.slice(-5000).join("\n");
    box.textContent = all;
    if (follow) box.scrollTop = box.scrollHeight;
  };

  const step = async () => {
    try {
      const answer = await fetch(`${box.dataset.url}?offset=${offset}`, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.status);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      offset += bytes.length;
      if (bytes.length) add(decoder.decode(bytes, { stream: true }));
      if (answer.headers.get("x-log-complete") === "1") {
        state.textContent = "complete";
        return;
      }
      state.textContent = "live";
      wait = bytes.length ? 250 : Math.min(wait * 1.5, 2000);
    } catch {
      state.textContent = "the hub does not answer, trying again";
      wait = 5000;
    }
    setTimeout(step, wait);
  };
  box.scrollTop = box.scrollHeight;
  step();
})();
