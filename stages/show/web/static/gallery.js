"use strict";
// The gallery: its address says what it shows, layers change in place, and keys move from image to image.
(() => {
  const $ = (id) => document.getElementById(id);
  const form = $("controls"), cards = $("cards"), node = $("node"), opacity = $("opacity"), outlines = $("outlines");
  const usual = { where: "", sort: "image_id", order: "asc", opacity: "50", outlines: "1" };

  const rename = (query, values) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === usual[name]) query.delete(name); else query.set(name, value);
    }
    return query;
  };
  const state = () => ({ node: node.value, opacity: opacity.value, outlines: outlines.checked ? "1" : "0" });
  const remember = () => {
    const query = rename(new URLSearchParams(location.search), state());
    history.replaceState(null, "", "/?" + query);
    for (const link of document.querySelectorAll(".examples a, a.more")) {
      link.search = "?" + rename(new URLSearchParams(link.search), state());
    }
  };

  const loadLayer = (root) => {
    for (const image of root.querySelectorAll(".areas, .outlines")) {
      const src = image.getAttribute("src"), wanted = "/overlay/" + encodeURIComponent(node.value) + "/";
      const changed = src.replace(/^\/overlay\/[^/]*\//, () => wanted);
      if (changed !== src) image.setAttribute("src", changed);
    }
  };

  form.addEventListener("change", (event) => {
    if (event.target === node && cards.dataset.summary === "0") { loadLayer(cards); remember(); }
    else if (event.target === opacity || event.target === outlines) {
      $("outlines-value").value = outlines.checked ? "1" : "0";
      remember();
    } else if (event.target.matches("select")) form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    // What is as usual does not have to stand in the address.
    for (const field of form.elements) if (field.name in usual && field.value.trim() === usual[field.name]) field.disabled = true;
  });
  addEventListener("pageshow", () => { for (const field of form.elements) field.disabled = false; });
  document.addEventListener("htmx:afterSettle", () => loadLayer(cards));

  const move = (step) => () => {
    const all = [...cards.querySelectorAll(".card")], at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? 0 : Math.min(Math.max(at + step(all), 0), all.length - 1)];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
    if (all.indexOf(next) === all.length - 1) cards.querySelector(".more")?.scrollIntoView({ block: "nearest" });
  };
  const columns = (all) => all.findIndex((card) => card.offsetTop > all[0].offsetTop);
  const inCards = (act) => () => document.activeElement.closest("#cards") ? act() : false;
  const byRow = (sign) => inCards(move((all) => sign * Math.max(1, columns(all))));
  const switchLayer = (step) => () => {
    const count = node.options.length;
    if (!count) return;
    node.selectedIndex = (node.selectedIndex + step + count) % count;
    node.dispatchEvent(new Event("change", { bubbles: true }));
  };
  Object.assign(window.pdKeys, {
    j: move(() => 1), k: move(() => -1), ArrowRight: move(() => 1), ArrowLeft: move(() => -1),
    ArrowDown: byRow(1), ArrowUp: byRow(-1),
    "/": () => $("where").select(), l: switchLayer(1), L: switchLayer(-1),
  });
})();
