// What HTML cannot do alone: live refresh, keys, dialogs, choosing rows, the chart's figures. No data is kept here.
"use strict";
(() => {
  const page = document.body;
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // The reader's own zone, so that the server can write times in it.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`passerelle_zone=${zone}`)) {
    document.cookie = `passerelle_zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  }

  // Live: one stream while the page is seen; each change asks the page's live part again.
  let stream = null;
  const busy = () =>
    document.hidden || document.querySelector("dialog[open], details.chip[open], details[data-key][open], [data-bulk] tbody input:checked");
  const offline = (is) => {
    const said = document.getElementById("offline");
    if (said) said.hidden = !is;
  };
  const listen = () => {
    if (stream || document.hidden || !page.hasAttribute("data-live")) return;
    stream = new EventSource("/events");
    stream.addEventListener("open", () => offline(false));
    stream.addEventListener("changed", () => {
      if (!busy()) page.dispatchEvent(new CustomEvent("live"));
    });
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) {
        stream = null;
        location.reload(); // the session is over, or the router asks to come back: the server says which
      } else {
        offline(true);
      }
    });
  };
  const silence = () => {
    if (stream) stream.close();
    stream = null;
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return silence();
    listen();
    if (!busy()) page.dispatchEvent(new CustomEvent("live"));
  });
  addEventListener("pagehide", silence);
  addEventListener("pageshow", listen);

  // Dialogs, and chips that close when one looks elsewhere.
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const opener = target.closest("[data-open]");
    if (opener) document.getElementById(opener.dataset.open)?.showModal();
    if (target.closest("[data-close]")) target.closest("dialog")?.close();
    if (target instanceof HTMLDialogElement) target.close(); // the backdrop
    for (const chip of all("details.chip[open]")) if (!chip.contains(target)) chip.open = false;
    const inPlace = target.closest("a[data-in-place]");
    if (inPlace) history.replaceState(null, "", inPlace.href); // what is shown has its address; the page stays
    if (target.closest("[data-none]")) {
      for (const box of all("input[type=checkbox]", target.closest("form"))) box.checked = false;
      count(target.closest("form"));
    }
  });

  // Choosing rows.
  const count = (form) => {
    const bar = form?.querySelector(".bulk");
    if (!bar) return;
    const chosen = all("tbody input:checked", form).length;
    bar.hidden = chosen === 0;
    const said = bar.querySelector("[data-count]");
    said.dataset.label ??= said.textContent;
    said.textContent = `${said.dataset.label} ${chosen}`;
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-bulk]");
    if (!form) return;
    if (event.target.matches("[data-all]")) {
      for (const box of all("tbody input[type=checkbox]", form)) box.checked = event.target.checked;
    }
    count(form);
  });

  // The chart: figures of the stretch under the pointer in place of the day's.
  document.addEventListener("pointerover", (event) => {
    const chart = event.target.closest?.(".chart");
    if (!chart) return;
    const readout = chart.querySelector("[data-readout]");
    const figures = all("[data-figure], .period", readout);
    for (const figure of figures) figure.dataset.day ??= figure.textContent;
    const hit = event.target.closest(".hit");
    for (const figure of figures) {
      const name = figure.dataset.figure ?? "period";
      figure.textContent = hit ? hit.dataset[name] : figure.dataset.day;
    }
  });

  // Side by side: what shares a number lights up; a click or Enter keeps it lit, arrows walk from row to row.
  const kin = (row) => {
    const numbers = row.dataset.l.split(" ");
    return all(".piece[data-l]", row.closest("[data-sides]")).filter((other) => {
      const theirs = other.dataset.l.split(" ");
      return numbers.some((number) => theirs.includes(number));
    });
  };
  const light = (row, pin) => {
    const sides = row.closest("[data-sides]");
    if (!pin && sides.querySelector(".pinned")) return;
    for (const other of all(".lit, .pinned", sides)) other.classList.remove("lit", "pinned");
    const lit = kin(row);
    for (const other of lit) other.classList.add("lit");
    if (pin) row.classList.add("pinned");
    const seen = new Set([row.closest(".side-scroll")]);
    for (const other of lit) {
      const pane = other.closest(".side-scroll");
      if (seen.has(pane)) continue;
      seen.add(pane);
      const [shown, at] = [pane.getBoundingClientRect(), other.getBoundingClientRect()];
      if (at.top < shown.top + 34 || at.bottom > shown.bottom) pane.scrollTop += at.top - shown.top - shown.height / 3;
    }
  };
  const piece = (event) => event.target.closest?.("[data-sides] .piece[data-l]");
  document.addEventListener("pointerover", (event) => piece(event) && event.pointerType === "mouse" && light(piece(event), false));
  document.addEventListener("focusin", (event) => piece(event) && light(piece(event), false));
  const pin = (row) => {
    const was = row.classList.contains("pinned");
    for (const other of all(".pinned")) other.classList.remove("pinned");
    light(row, !was);
  };
  document.addEventListener("click", (event) => piece(event) && pin(piece(event)));
  document.addEventListener("keydown", (event) => {
    const row = piece(event);
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = all(".piece[data-l]", row.closest(".side-scroll"));
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const across = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    let next = by && rows[rows.indexOf(row) + by];
    if (across) {
      const panes = all(".side-scroll", row.closest("[data-sides]"));
      const beside = kin(row).filter((other) => (panes.indexOf(other.closest(".side-scroll")) - panes.indexOf(row.closest(".side-scroll"))) * across > 0);
      next = across > 0 ? beside[0] : beside.at(-1);
    }
    if (event.key === "Enter" || event.key === " ") pin(row);
    else if (!by && !across) return;
    event.preventDefault();
    if (!next) return;
    for (const other of all(".pinned")) other.classList.remove("pinned");
    row.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  // Keys.
  const place = (key) => key.length === 1 && document.querySelector(`#menu [data-go="${CSS.escape(key)}"]`);
  // On a phone the menu is one row: what is open is in sight.
  const here = document.querySelector("#menu [aria-current]");
  if (here) here.closest("#menu").scrollLeft = here.offsetLeft - 40;
  let going = 0;
  const step = (by) => {
    const links = all(".rows td.what a");
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))];
    next.focus({ preventScroll: true });
    next.closest("tr").scrollIntoView({ block: "nearest" });
  };
  // A page's own keys: `data-key` opens what unfolds and stands on its button, stands on a button, or follows a link.
  const press = (key) => {
    const found = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!found) return false;
    if (found instanceof HTMLDetailsElement) {
      found.open = true;
      found.querySelector("[data-confirm]")?.focus();
    } else if ("focus" in found.dataset) {
      found.focus();
    } else {
      found.click();
    }
    return true;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !page.hasAttribute("data-live")) return;
    const typing = event.target.matches?.("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      for (const chip of all("details.chip[open], details[data-key][open]")) chip.open = false;
      return;
    }
    if (typing || document.querySelector("dialog[open]")) return;
    if (going && Date.now() - going < 1500 && place(event.key)) {
      event.preventDefault();
      location.href = place(event.key).href;
      return;
    }
    going = event.key === "g" ? Date.now() : 0;
    if (event.key === "/") {
      event.preventDefault();
      const field = document.querySelector("[data-search]");
      if (field) field.select(), field.focus();
      else location.href = "/messages#search";
    } else if (event.key === "?") {
      document.getElementById("keys")?.showModal();
    } else if (press(event.key.toLowerCase())) {
      event.preventDefault();
    } else if (event.key === "j") {
      step(1);
    } else if (event.key === "k") {
      step(-1);
    }
  });
  document.querySelector("#menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (location.hash === "#search") document.getElementById("search")?.focus();
  listen();
})();
