"use strict";
// The life of an image: pictures are enlarged with OpenSeadragon, and keys go to the images beside it.
(() => {
  const $ = (id) => document.getElementById(id);
  const dialog = $("zoom"), opacity = $("opacity"), outlines = $("outlines"), image = dialog.dataset.image, side = 2048;
  let viewer = null, masks = [];

  // OpenSeadragon adds a style of its own, which the page's policy refuses, unless it finds an element of this name.
  const mark = document.createElementNS("pd", "style");
  mark.setAttribute("data-openseadragon-mobile-css", "");
  document.head.append(mark);

  const apply = () => masks.forEach(([item, isOutline]) =>
    item.setOpacity(isOutline ? Number(outlines.checked) : opacity.value / 100));
  const add = (node, style) => {
    const url = `/overlay/${encodeURIComponent(node)}/${image}?side=${side}&style=${style}`;
    viewer.addTiledImage({
      tileSource: { type: "image", url, buildPyramid: false }, x: 0, y: 0, width: 1,
      success: ({ item }) => { masks.push([item, style === "outlines"]); apply(); },
    });
  };
  const open = (button) => {
    $("zoom-title").textContent = button.dataset.title;
    dialog.showModal();
    masks = [];
    viewer = OpenSeadragon({
      element: $("canvas"), drawer: "canvas", showNavigationControl: false, maxZoomPixelRatio: 16, imageSmoothingEnabled: true,
      visibilityRatio: .4, gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true }, animationTime: .3,
      tileSources: { type: "image", url: `/picture/${image}?side=${side}`, buildPyramid: false },
    });
    if (button.dataset.node && button.querySelector(".areas")) {
      viewer.addOnceHandler("open", () => { add(button.dataset.node, "areas"); add(button.dataset.node, "outlines"); });
    }
  };
  const acts = {
    in: () => viewer.viewport.zoomBy(1.6), out: () => viewer.viewport.zoomBy(1 / 1.6),
    home: () => viewer.viewport.goHome(), close: () => dialog.close(),
  };

  document.addEventListener("click", (event) => {
    const zoom = event.target.closest(".zoom"), act = event.target.closest("[data-zoom]");
    if (zoom) open(zoom);
    if (act) acts[act.dataset.zoom]();
  });
  dialog.addEventListener("close", () => { viewer?.destroy(); viewer = null; masks = []; });
  document.addEventListener("pd:shown", apply);

  const go = (id) => () => { const link = $(id); if (link) location.assign(link.href); };
  Object.assign(window.pdKeys, {
    j: go("after"), k: go("before"), ArrowRight: go("after"), ArrowLeft: go("before"),
    z: () => open(document.querySelector(".zoom")), g: () => location.assign("/"),
  });
})();
