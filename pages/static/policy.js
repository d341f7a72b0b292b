// The editor of the policy: its line numbers grow with it, and what is wrong is marked at its line. Without it the numbers are those of the text as it came.
"use strict";
(() => {
  const text = document.querySelector("[data-editor]"), gutter = document.querySelector("[data-gutter]");
  if (!text || !gutter) return;
  const number = () => {
    const want = text.value.split("\n").length + 1;
    text.rows = want + 1;
    while (gutter.childElementCount > want) gutter.lastElementChild.remove();
    while (gutter.childElementCount < want) {
      const s = document.createElement("span");
      s.textContent = gutter.childElementCount + 1;
      gutter.append(s);
    }
  };
  const mark = () => {
    for (const s of gutter.children) s.className = "";
    for (const f of document.querySelectorAll("#policy-faults [data-line]")) {
      const s = gutter.children[f.dataset.line - 1];
      if (s && s.className !== "bad") s.className = f.dataset.level;
    }
  };
  text.addEventListener("input", number);
  document.addEventListener("htmx:afterSettle", mark);
  document.addEventListener("click", (e) => {
    const f = e.target.closest("#policy-faults [data-line]");
    if (!f) return;
    e.preventDefault();
    const lines = text.value.split("\n"), at = Number(f.dataset.line) - 1;
    const begin = lines.slice(0, at).join("\n").length + (at > 0 ? 1 : 0);
    text.focus();
    text.setSelectionRange(begin, begin + (lines[at] ?? "").length);
    gutter.children[at]?.scrollIntoView({ block: "center" });
  });
  // What was typed and not put in force is not lost by a wrong click.
  const asItCame = text.value;
  let sent = false;
  text.form.addEventListener("submit", () => { sent = true; });
  window.addEventListener("beforeunload", (e) => { if (!sent && text.value !== asItCame) e.preventDefault(); });
  number();
  mark();
})();
