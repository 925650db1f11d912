"use strict";
// Judging by keys, on cards of images and on crops of segments. Buttons are plain forms and need none of this.
(() => {
  const keys = (window.pdKeys = window.pdKeys || {});
  const selector = ".crop[data-image], .card[data-image]";
  const sheet = () => document.getElementById("sheet");
  const items = () => [...document.querySelectorAll(selector)];
  const current = () => document.activeElement.closest(selector);

  const say = (text) => {
    let box = document.getElementById("said");
    if (!box) {
      box = document.createElement("p");
      box.id = "said";
      box.setAttribute("role", "status");
      document.body.append(box);
    }
    box.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => box.remove(), 6000);
  };

  const fieldsOf = (item) => {
    const node = sheet() && sheet().dataset.node;
    if (item.dataset.row === undefined) return { image: item.dataset.image };
    return { node, image: item.dataset.image, object: item.dataset.object, row: item.dataset.row };
  };

  const reload = async (item) => {
    if (!sheet()) return;
    const key = item && `.crop[data-image="${item.dataset.image}"][data-object="${item.dataset.object}"][data-row="${item.dataset.row}"]`;
    await window.htmx.ajax("GET", location.pathname + location.search, { target: "#sheet", select: "#sheet", swap: "outerHTML" });
    const again = key && document.querySelector(key);
    if (again) again.focus();
  };

  const post = async (fields, done, item) => {
    const answer = await fetch("/judge", { method: "POST", body: new URLSearchParams(fields) });
    if (!answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const reason = page.querySelector("[role=alert], main p");
      say(reason ? reason.textContent.trim() : `Not written: ${answer.status}`);
      return false;
    }
    say(done);
    await reload(item);
    return true;
  };

  keys.x = async () => {
    const item = current();
    if (!item) return say("Choose an image or a segment first: j and k");
    if (item.dataset.rejected !== undefined && item.dataset.rejected !== "") {
      await post({ kind: "undo", undoes: item.dataset.rejected }, "Kept after all", item);
      return;
    }
    if (await post({ kind: "reject", ...fieldsOf(item) }, "Rejected. u takes it back", item)) item.classList.add("rejected");
  };
  keys.t = async () => {
    const item = current();
    if (!item) return say("Choose an image or a segment first: j and k");
    const value = window.prompt("Tag");
    if (value && value.trim()) await post({ kind: "tag", value, ...fieldsOf(item) }, `Tagged: ${value}. u takes it back`, item);
  };
  keys.u = async () => {
    if (await post({ kind: "undo" }, "Your last judgement no longer holds", current()))
      document.querySelectorAll(".card.rejected").forEach((card) => card.classList.remove("rejected"));
  };

  const move = (step) => () => {
    const all = items(), at = all.indexOf(current());
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    if (next) next.focus();
  };
  // The gallery has keys of its own for its cards.
  if (document.querySelector(".crop")) {
    keys.j = keys.ArrowRight = move(1);
    keys.k = keys.ArrowLeft = move(-1);
  }
})();
