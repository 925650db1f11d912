"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const box = $("map");
  if (!box) return;
  const canvas = $("points"), pen = canvas.getContext("2d"), MARGIN = 14, RADIUS = 2.6;
  const { node, table, number } = box.dataset;
  let data = null, colours = {}, chosen = new Set(), path = [];

  const scale = () => canvas.width / canvas.clientWidth;
  const place = (i) => [
    MARGIN * scale() + data.x[i] * (canvas.width - 2 * MARGIN * scale()),
    MARGIN * scale() + (1 - data.y[i]) * (canvas.height - 2 * MARGIN * scale()),
  ];

  const draw = () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (!data) return;
    const ink = getComputedStyle(canvas).color;
    for (let i = 0; i < data.x.length; i++) {
      const [x, y] = place(i);
      pen.globalAlpha = chosen.size && !chosen.has(i) ? 0.2 : 0.8;
      pen.fillStyle = colours[data.groups[i]];
      pen.beginPath();
      pen.arc(x, y, RADIUS * scale() * (chosen.has(i) ? 1.5 : 1), 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (path.length > 1) {
      pen.strokeStyle = ink;
      pen.lineWidth = 1.5 * scale();
      pen.setLineDash([5 * scale(), 4 * scale()]);
      pen.beginPath();
      path.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.closePath();
      pen.stroke();
      pen.setLineDash([]);
    }
  };

  const fit = () => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    draw();
  };

  const isInside = ([x, y]) => {
    let inside = false;
    for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
      const [xi, yi] = path[i], [xj, yj] = path[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
    return inside;
  };

  const images = () => [...new Set([...chosen].map((i) => data.keys[i][0]))].sort((a, b) => a - b);

  const show = () => {
    $("chosen").hidden = !chosen.size;
    $("map-state").textContent = chosen.size
      ? `${chosen.size} of ${data.x.length} segments, in ${images().length} images`
      : `${data.x.length} segments`;
    if (!chosen.size) return;
    const rows = [...chosen].map((i) => data.keys[i]);
    const hasObjects = rows[0][1] >= 0;
    const keys = rows.map(([image, object, row]) => (hasObjects ? `(${image}, ${object}, ${row})` : `(${image}, ${row})`));
    $("sql").value = `node = '${node}' AND (image_id, ${hasObjects ? "object_id, " : ""}${number}) IN (${keys.join(", ")})`;
    const where = `image_id IN (${images().join(", ")})`;
    $("open").href = `/?${new URLSearchParams({ where })}`;
    // A condition of the gallery has at most 4,000 characters.
    $("open").hidden = where.length > 4000;
  };

  const nearest = (at) => {
    let best = -1, distance = (10 * scale()) ** 2;
    for (let i = 0; i < data.x.length; i++) {
      const [x, y] = place(i), d = (x - at[0]) ** 2 + (y - at[1]) ** 2;
      if (d < distance) [best, distance] = [i, d];
    }
    return best;
  };

  const preview = (i) => {
    const [image, object, row] = data.keys[i];
    const link = document.createElement("a");
    link.href = `/image/${image}?${new URLSearchParams({ node })}`;
    const picture = document.createElement("img");
    picture.width = picture.height = 120;
    picture.alt = `segment of image ${image}`;
    const own = table === "candidates" ? `/picture/${image}?side=160` : `/crop/${node}/${image}?${new URLSearchParams({ object: Math.max(object, 0), row, side: 240 })}`;
    picture.src = own;
    link.append(picture, `image ${image}`);
    $("preview").replaceChildren(link);
  };

  const at = (event) => [event.offsetX * scale(), event.offsetY * scale()];
  canvas.addEventListener("pointerdown", (event) => {
    if (!data) return;
    canvas.setPointerCapture(event.pointerId);
    path = [at(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!path.length) return;
    path.push(at(event));
    draw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!path.length) return;
    chosen = new Set();
    if (path.length < 5) {
      const i = nearest(at(event));
      if (i >= 0) { chosen.add(i); preview(i); }
    } else {
      for (let i = 0; i < data.x.length; i++) if (isInside(place(i))) chosen.add(i);
    }
    path = [];
    draw();
    show();
  });

  const post = async (fields) => {
    const answer = await fetch("/judge", { method: "POST", body: new URLSearchParams({ ...fields, images: images().join(",") }) });
    $("map-state").textContent = answer.ok ? `Written for ${images().length} images. The key u takes it back.` : `Not written: ${answer.status}`;
  };
  $("tag").addEventListener("click", () => {
    const value = window.prompt("Tag");
    if (value && value.trim()) post({ kind: "tag", value });
  });
  $("reject").addEventListener("click", () => {
    if (window.confirm(`Reject ${images().length} images?`)) post({ kind: "reject" });
  });

  const load = async () => {
    const answer = await fetch(box.dataset.points);
    if (!answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const reason = page.querySelector(".notice p, [role=alert]");
      $("map-state").textContent = reason ? reason.textContent.trim() : `There is no map: ${answer.status}`;
      return;
    }
    data = await answer.json();
    for (const [group, name, colour] of data.legend) {
      colours[group] = colour;
      if (data.legend.length > 40) continue;
      const line = document.createElement("li"), dot = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      dot.setAttribute("width", 12);
      dot.setAttribute("height", 12);
      const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      for (const [key, value] of Object.entries({ cx: 6, cy: 6, r: 5, fill: colour })) circle.setAttribute(key, value);
      dot.append(circle);
      line.append(dot, name || "no class");
      $("legend").append(line);
    }
    show();
    fit();
  };
  window.addEventListener("resize", fit);
  load();
})();
