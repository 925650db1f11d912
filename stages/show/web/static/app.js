"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const isTyping = (target) => target.closest("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]");

  // Keys that a page adds: window.pdKeys["x"] = (event) => …
  window.pdKeys = window.pdKeys || {};
  window.pdKeys["?"] = () => $("help").showModal();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") document.activeElement.blur();
    if (isTyping(event.target)) return;
    const act = window.pdKeys[event.key];
    if (act) { event.preventDefault(); act(event); }
  });
})();
