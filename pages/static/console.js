// What the pages do besides being read: live rows, the sheet that asks before something is done, keys. Without it they work as plain pages.
"use strict";
(() => {
  const $ = (s, of = document) => of.querySelector(s);
  const all = (s, of = document) => [...of.querySelectorAll(s)];
  const store = (key, value) => {
    try { // private windows may refuse it
      if (value === undefined) return localStorage.getItem(key);
      localStorage.setItem(key, value);
    } catch { return null; }
  };
  const body = document.body;

  // ---- The sheet, notes, and what htmx brought.
  const sheet = $("#sheet");
  let opener = null;
  document.addEventListener("htmx:afterSwap", (e) => {
    if (sheet && e.detail.target.id === "sheet-body" && !sheet.open && e.detail.target.childElementCount) {
      opener = document.activeElement;
      sheet.showModal();
      ($("[data-first]", sheet) ?? $("input:not([type=hidden]), select, button", sheet))?.focus();
    }
    if (e.detail.target.id === "toasts") sheet?.close();
  });
  sheet?.addEventListener("close", () => { $("#sheet-body").replaceChildren(); if (opener?.isConnected) opener.focus(); });
  const note = (text) => {
    const t = document.createElement("div"), p = document.createElement("p");
    t.className = "toast bad";
    p.textContent = text;
    t.append(p);
    $("#toasts")?.prepend(t);
    setTimeout(() => t.remove(), 10000);
  };
  // A note whose button was used has had its time, and no more than some are on the page.
  document.addEventListener("htmx:afterRequest", (e) => {
    if (e.detail.successful) e.detail.elt.closest(".toast")?.remove();
    all("#toasts .toast").slice(4).forEach((t) => t.remove());
  });
  document.addEventListener("htmx:sendError", () => note(body.dataset.failed));
  // An answer that says what is wrong replaces what was asked for; one about signing in is a page of its own.
  document.addEventListener("htmx:beforeSwap", (e) => {
    const x = e.detail.xhr;
    if (x.status === 401 || (x.responseURL && new URL(x.responseURL).pathname.startsWith("/signin"))) { e.detail.shouldSwap = false; location.reload(); }
  });
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-opens], [data-closes]");
    if (!b) return;
    if (b.dataset.opens) $("#" + b.dataset.opens)?.showModal();
    else if (b.dataset.closes === "toast") b.closest(".toast").remove();
    else if (sheet?.open) { e.preventDefault(); sheet.close(); } else b.closest(".problem")?.remove();
  });
  // A form with data-auto is sent when something in it is chosen.
  document.addEventListener("change", (e) => { if (e.target.form?.dataset.auto !== undefined && e.target.type !== "text") e.target.form.requestSubmit(); });
  // Of a form that is sent by GET, what is empty is left out of the address.
  document.addEventListener("submit", (e) => {
    if (e.target.method !== "get") return;
    const blank = all("input, select", e.target).filter((f) => f.value === "" && !f.disabled);
    blank.forEach((f) => { f.disabled = true; });
    setTimeout(() => blank.forEach((f) => { f.disabled = false; }));
  });

  // ---- Keys. They can be switched off, for who speaks to the machine.
  const keysOn = $("#keys-on");
  if (keysOn) {
    keysOn.checked = store("keys") !== "off";
    keysOn.addEventListener("change", () => store("keys", keysOn.checked ? "on" : "off"));
  }
  let went = 0;
  const rows = () => all("[data-row]").filter((r) => r.offsetParent);
  let hereAt = -1; // where the row is that keys are about, when it is brought anew
  const move = (by) => {
    const list = rows(), at = list.findIndex((r) => r.classList.contains("here"));
    const next = list[Math.min(list.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    if (!next) return;
    list[at]?.classList.remove("here");
    next.classList.add("here");
    hereAt = list.indexOf(next);
    next.scrollIntoView({ block: "nearest" });
    $("a", next)?.focus({ preventScroll: true });
  };
  // A table that was brought anew has the row at the same place, which is the next one where the row that was decided is gone.
  document.addEventListener("htmx:afterSettle", () => {
    if (hereAt < 0 || $(".here[data-row]") || $("dialog[open]")) return;
    const list = rows();
    if (list.length) { list[Math.min(hereAt, list.length - 1)].classList.add("here"); move(0); }
  });
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || $("dialog[open]")) return;
    if (e.target.closest("input, select, textarea, [contenteditable]")) { if (e.key === "Escape") e.target.blur(); return; }
    if (keysOn && !keysOn.checked && e.key !== "?") return;
    if (Date.now() - went < 1500) {
      went = 0;
      const go = all("#keys tr").find((r) => all("kbd", r)[0]?.textContent === "g" && all("kbd", r)[1]?.textContent === e.key);
      const link = go && all("nav a")[all("#keys tr").indexOf(go)];
      if (link) { e.preventDefault(); link.click(); }
      return;
    }
    const here = $(".here[data-row]");
    switch (e.key) {
      case "g": went = Date.now(); break;
      case "?": $("#keys")?.showModal(); break;
      case "/": { const f = $("[data-search]"); if (f) { f.closest("details")?.setAttribute("open", ""); f.focus(); f.select?.(); } break; }
      case "j": move(1); break;
      case "k": move(-1); break;
      default: {
        const key = `[data-key="${CSS.escape(e.key)}"]`;
        const b = (here && $(key, here)) ?? all(key).find((k) => !k.closest("[data-row]")) ?? (e.key === "p" ? $("[data-pause]") : null);
        if (!b) return;
        b.click();
      }
    }
    e.preventDefault();
  });

  // ---- What is shown is brought up to date: the elements with data-refresh are taken from the page as it is now.
  let refreshing = null, again = false;
  const came = []; // rows of the live stream while a page is on its way that may not have them yet
  const refresh = async (everything) => {
    if (document.hidden) return;
    if (refreshing) { again ||= everything; return refreshing; }
    refreshing = bringUp(everything);
    await refreshing;
    refreshing = null;
    if (again) { again = false; await refresh(true); }
  };
  const bringUp = async (everything) => {
    came.length = 0;
    const whole = everything || $("[data-refresh=often]");
    try {
      const r = await fetch(whole ? location.href : "/state", { headers: { "Ringfence-Refresh": "1" } });
      if (r.redirected && new URL(r.url).pathname !== (whole ? location.pathname : "/state")) { location.reload(); return; }
      if (!r.ok) return;
      const page = new DOMParser().parseFromString(await r.text(), "text/html");
      for (const old of all(everything ? "#state, [data-refresh]" : "#state, [data-refresh=often]")) {
        const now = page.getElementById(old.id);
        if (!now || now.innerHTML === old.innerHTML || old.contains(document.activeElement) && old.id !== "state") continue;
        old.className = now.className;
        old.replaceChildren(...document.importNode(now, true).childNodes);
        window.htmx?.process(old);
      }
      came.splice(0).forEach((row) => put(row));
    } catch { /* the next time */ }
  };
  if ($("#state")) setInterval(() => refresh(false), 15000);
  let put = () => {}; // a row of the live stream into its table

  // ---- Live calls: one stream a browser, however many tabs. The tab that holds the lock has the stream, and tells the others; a tab that is
  // hidden lets go of both. Each says which filter it shows, and the stream says for which filters a row is.
  const table = $("[data-rows]");
  if (!body.dataset.live || !table) return;
  const filter = table.dataset.filter, most = Number(table.dataset.rows);
  const me = Math.random().toString(36).slice(2);
  let calm = 0, source = null, wants = new Map(), last = $("tr[data-row]", table)?.dataset.row ?? "", opened = "", held = null, paused = false, missed = 0;
  let joined = false, mine = last; // whether nothing is missed from here on; the newest call of the page as it was made
  const says = $("[data-live-note]"), pauseButton = $("[data-pause]");
  const say = (text) => { if (says) says.textContent = text ?? ""; };
  const channel = "BroadcastChannel" in window && navigator.locks ? new BroadcastChannel("ringfence-live") : null;

  put = (row) => {
    if (row.filters && !row.filters.includes(filter)) return;
    if (paused) { missed++; pauseButton.dataset.missed = missed; return; }
    if (refreshing) came.push(row);
    const t = document.createElement("template");
    t.innerHTML = row.html;
    const tr = t.content.firstElementChild;
    if (!tr) return;
    const old = document.getElementById(tr.id);
    if (old) old.replaceWith(tr);
    else {
      tr.classList.add("fresh");
      table.prepend(tr);
      const list = table.children;
      while (list.length > most && !list[list.length - 1].contains(document.activeElement)) list[list.length - 1].remove();
    }
    all("[data-none]").forEach((n) => { n.hidden = true; });
    window.htmx?.process(tr);
  };
  // What came while a page was on its way was for others. Once the stream is open for what the page shows, it is made anew, unless the stream began with
  // the page's newest call.
  const join = (filters) => {
    if (joined || !filters.includes(filter)) return;
    joined = true;
    if (paused) missed++; // which brings the page up to date when it goes on
    else refresh(true);
  };
  const hear = (m) => {
    if (m.lost) { joined = false; mine = ""; }
    if (m.row) { if (m.row.id > last) last = m.row.id; put(m.row); }
    else if (m.open) join(m.open);
    else if (m.over) {
      say(body.dataset.over.replace("{0}", m.over));
      clearTimeout(calm);
      calm = setTimeout(() => { if (!paused) refresh(true).then(() => say("")); }, 3000); // when the storm is over, all are there
    }
    else if (m.say !== undefined) say(m.say);
  };
  const tell = (m) => { hear(m); channel?.postMessage(m); };

  const close = () => { source?.close(); source = null; opened = ""; };
  const open = () => {
    const filters = [...new Set(channel ? [filter, ...[...wants.values()].map((w) => w.filter)] : [filter])].slice(0, 8).sort();
    const wanted = JSON.stringify(filters);
    if (source && wanted === opened) return;
    close();
    opened = wanted;
    const q = new URLSearchParams(filters.map((f) => ["f", f]));
    if (last) q.set("after", last);
    source = new EventSource(body.dataset.live + "?" + q);
    const named = (m) => ({ ...m, filters: m.for.map((i) => filters[i]) });
    if (last && last === mine) joined = true;
    source.addEventListener("open", () => { tell({ say: "" }); tell({ open: filters }); });
    source.addEventListener("row", (e) => tell({ row: named(JSON.parse(e.data)) }));
    source.addEventListener("over", (e) => tell({ over: e.data }));
    source.addEventListener("gone", () => { close(); location.reload(); });
    source.addEventListener("slow", () => { close(); tell({ say: body.dataset.slow, lost: true }); setTimeout(open, 3000); });
    source.addEventListener("error", () => {
      tell({ say: body.dataset.lost, lost: true });
      if (source?.readyState === EventSource.CLOSED) { close(); setTimeout(() => { if (!document.hidden && (held || !channel)) open(); }, 5000); }
    });
  };
  let soon = 0;
  const openSoon = () => { clearTimeout(soon); soon = setTimeout(open, 50); };
  const want = () => channel?.postMessage({ want: filter, tab: me });
  channel?.addEventListener("message", ({ data: m }) => {
    if (m.ask) { if (!document.hidden) want(); }
    else if (m.want !== undefined) {
      if (!held) return;
      wants.set(m.tab, { filter: m.want, at: Date.now() });
      if (source?.readyState === EventSource.OPEN && JSON.parse(opened).includes(m.want)) channel.postMessage({ open: [m.want] });
      else openSoon();
    }
    else if (m.leave) { if (wants.delete(m.leave) && held) openSoon(); }
    else if (!document.hidden) hear(m);
  });
  const lead = () => {
    const waits = new AbortController();
    held = null;
    navigator.locks.request("ringfence-live", { signal: waits.signal }, () => new Promise((release) => {
      held = release;
      wants.clear();
      channel.postMessage({ ask: true });
      openSoon();
    })).catch(() => {});
    return waits;
  };
  let waits = null;
  const show = () => {
    if (!channel) { open(); return; }
    waits = lead();
    want();
  };
  const hide = () => {
    close();
    joined = false;
    mine = "";
    clearTimeout(soon);
    if (!channel) return;
    channel.postMessage({ leave: me });
    held?.();
    held = null;
    waits?.abort();
  };
  setInterval(() => {
    if (document.hidden) return;
    want();
    for (const [tab, w] of wants) if (Date.now() - w.at > 45000) { wants.delete(tab); openSoon(); }
  }, 15000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hide();
    else { show(); if (paused) refresh(false); }
  });
  window.addEventListener("pagehide", hide);
  window.addEventListener("pageshow", (e) => { if (e.persisted) show(); });
  pauseButton?.addEventListener("click", () => {
    paused = !paused;
    pauseButton.setAttribute("aria-pressed", paused);
    pauseButton.textContent = paused ? pauseButton.dataset.go : pauseButton.dataset.hold;
    delete pauseButton.dataset.missed;
    if (!paused) { if (missed) refresh(true); missed = 0; }
  });
  if (!document.hidden) show();
})();
