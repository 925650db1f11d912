"use strict";
// What every page shares: keys, and how masks lie over photographs. No page needs it to show what it has.
(() => {
  const $ = (id) => document.getElementById(id);
  const page = document.documentElement;

  // Keys. A page adds its own: pdKeys["x"] = (event) => …
  window.pdKeys = { "?": () => $("help").showModal() };
  const isTyping = (target) => target.closest("input:not([type=range]):not([type=checkbox]), textarea, select");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && isTyping(event.target)) return event.target.blur();
    if (isTyping(event.target)) return;
    if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    const act = window.pdKeys[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });

  // Opacity and outlines change what is there; nothing is loaded again.
  const opacity = $("opacity"), outlines = $("outlines"), cards = $("cards");
  const show = () => {
    if (opacity) page.style.setProperty("--opacity", opacity.value / 100);
    if (outlines && cards) cards.classList.toggle("bare", !outlines.checked);
    document.dispatchEvent(new Event("pd:shown"));
  };
  if (opacity) opacity.addEventListener("input", show);
  if (outlines) {
    outlines.addEventListener("change", show);
    window.pdKeys.o = () => outlines.click();
  }
  show();
})();
