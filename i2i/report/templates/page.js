"use strict";

// Shows a chart's values at the step chosen by pointer, finger or arrow keys.
function readOut(figure) {
  const chart = JSON.parse(figure.dataset.chart);
  const plot = figure.querySelector(".plot"), cursor = plot.querySelector(".cursor"), tip = plot.querySelector(".tip");
  const places = [...new Set(chart.series.flatMap((series) => series.at))].sort((a, b) => a - b);
  const [left, right] = chart.ends;
  let shown = places.length - 1;

  const nearest = (values, place) =>
    values.reduce((best, value, i) => (Math.abs(value - place) < Math.abs(values[best] - place) ? i : best), 0);

  function show(index) {
    shown = Math.max(0, Math.min(places.length - 1, index));
    const place = places[shown], share = right > left ? (place - left) / (right - left) : 0.5;
    const values = chart.series.map((series) => `${series.name} ${series.values[nearest(series.at, place)]}`);
    tip.textContent = [`${chart.axis} ${Math.round(place)}`, ...values].join("\n");
    cursor.hidden = tip.hidden = false;
    cursor.style.left = `${100 * share}%`;
    const room = plot.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(room, share * plot.clientWidth - tip.offsetWidth / 2))}px`;
  }

  function follow(event) {
    const box = plot.getBoundingClientRect();
    show(nearest(places, left + ((event.clientX - box.left) / box.width) * (right - left)));
  }

  const hide = () => { cursor.hidden = tip.hidden = true; };
  plot.addEventListener("pointerdown", follow);
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  plot.addEventListener("focus", () => show(shown));
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (move) { show(shown + move); event.preventDefault(); }
  });
}

// Shows the translations of the step chosen by the slider.
function project(film) {
  const slider = film.querySelector("input"), name = film.querySelector("output");
  const frames = JSON.parse(document.getElementById("frames").textContent);

  function show() {
    const [title, strips] = frames[slider.value];
    name.textContent = title;
    for (const gallery of film.querySelectorAll(".gallery")) {
      const strip = strips[gallery.dataset.group];
      gallery.style.setProperty("--frame", strip ? `url(${strip})` : "none");
    }
  }

  slider.addEventListener("input", show);
  show();
}

// Shows what was selected large: an image with those of the other rows in its column, or a picture by itself.
function enlarge(selected) {
  const dialog = document.body.appendChild(document.createElement("dialog"));
  dialog.append(selected.matches("img") ? selected.cloneNode() : column(selected));
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

function column(cell) {
  const place = [...cell.parentElement.children].indexOf(cell), large = document.createElement("div");
  large.className = "large";
  for (const cells of cell.closest(".sheet").querySelectorAll(".cells")) {
    const one = cells.children[place];
    if (!one) continue;
    const figure = large.appendChild(document.createElement("figure")), copy = one.cloneNode();
    for (const name of ["--strip", "--of", "--last"]) copy.style.setProperty(name, getComputedStyle(one).getPropertyValue(name));
    copy.removeAttribute("tabindex");
    figure.append(copy, Object.assign(document.createElement("figcaption"), { textContent: cells.previousElementSibling.textContent }));
  }
  return large;
}

document.querySelectorAll(".gallery .cell, main img").forEach((one) => {
  one.tabIndex = 0;
  one.addEventListener("click", () => enlarge(one));
  one.addEventListener("keydown", (event) => { if (event.key === "Enter") enlarge(one); });
});
document.querySelectorAll("figure.chart").forEach(readOut);
document.querySelectorAll("#film").forEach(project);
