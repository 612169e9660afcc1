"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (name, text = "", className = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const percent = (share) => (100 * share).toFixed(2) + " %";
  let data = {};

  // Colours: as the system has them, light, dark; kept where the browser lets a page keep something.
  const THEMES = ["auto", "light", "dark"];
  const showTheme = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = find("#theme");
    button.textContent = "colours: " + theme;
    button.setAttribute("aria-label", "Colours: " + (theme === "auto" ? "as the system has them" : theme));
  };
  const kept = () => { try { return localStorage.getItem("signet-theme"); } catch { return null; } };
  let theme = THEMES.includes(kept()) ? kept() : "auto";
  showTheme(theme);
  find("#theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try { localStorage.setItem("signet-theme", theme); } catch { /* a page from a file may not keep anything */ }
    showTheme(theme);
  });

  // Values of curves at the pointer, or step by step with the arrow keys.
  const chart = (figure) => {
    const readings = JSON.parse(figure.dataset.readings);
    const svg = find("svg", figure), output = find("output", figure);
    const [left, top, right, bottom] = readings.area, [low, high] = readings.x_range;
    const cursor = document.createElementNS(SVG, "line");
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", top);
    cursor.setAttribute("y2", bottom);
    const place = (x) => left + (x - low) / (high - low) * (right - left);
    let at = -1;
    const show = (index) => {
      at = Math.max(0, Math.min(readings.x.length - 1, index));
      const x = place(readings.x[at]);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      svg.append(cursor);
      const values = readings.series.map(({ name, y }) => `${name} ${y[at] === null || y[at] === undefined ? "–" : Number(y[at].toPrecision(5))}`);
      output.textContent = `${readings.axis} ${readings.x[at]}: ${values.join(", ")}`;
    };
    figure.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      const value = low + (x - left) / (right - left) * (high - low);
      let nearest = 0;
      readings.x.forEach((other, index) => { if (Math.abs(other - value) < Math.abs(readings.x[nearest] - value)) nearest = index; });
      show(nearest);
    });
    figure.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: readings.x.length - 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      show(moves[event.key]);
    });
  };

  // An image of a verdict: [name, is, taken for, probability of what it is, confidence, number of its picture].
  const tile = ([name, is, taken, truth, confidence, image]) => {
    const item = make("li", "", "tile");
    if (image >= 0) {
      const shown = make("img");
      shown.src = data.images[image];
      shown.alt = name;
      item.append(shown);
    }
    const sure = confidence === null ? "" : ` with ${percent(confidence)}`;
    item.append(make("p", is === taken ? `${data.classes[is]}${sure}` : `is ${data.classes[is]}, taken for ${data.classes[taken]}${sure}`));
    item.append(make("p", name, "name"));
    return item;
  };
  const open = (title, verdicts) => {
    const SHOWN = 300, dialog = find("#images");
    find("h2", dialog).textContent = title;
    find("ul", dialog).replaceChildren(...verdicts.slice(0, SHOWN).map(tile));
    if (verdicts.length > SHOWN) find("ul", dialog).append(make("li", `and ${verdicts.length - SHOWN} more`));
    dialog.showModal();
  };
  const openCell = (is, taken) => {
    const own = data.verdicts.filter((verdict) => verdict[1] === is && verdict[2] === taken);
    open(`${data.classes[is]} taken for ${data.classes[taken]}: ${own.length} listed`, own);
  };
  find("#images .close").addEventListener("click", () => find("#images").close());

  // What another threshold between two classes would give: counts for each hundredth, of all images.
  const threshold = () => {
    const cut = Number(find("#cut").value), counts = data.thresholds;
    find("#cut-value").textContent = cut.toFixed(2);
    const [positives, negatives] = counts[0], [tp, fp] = counts[Math.round(100 * cut)];
    const fn = positives - tp, tn = negatives - fp;
    const share = (a, b) => b === 0 ? "undefined" : percent(a / b);
    const said =
      `accuracy ${share(tp + tn, tp + tn + fp + fn)}, precision ${share(tp, tp + fp)}, recall ${share(tp, tp + fn)}, ` +
      `F1 ${share(2 * tp, 2 * tp + fp + fn)}; ${tp} found, ${fn} missed, ${fp} wrongly taken, ${tn} rightly left`;
    const place = find("#at-threshold");
    if (place.textContent !== said) place.textContent = said; // it is read out
  };

  // The images of one course.
  const course = (button) => {
    all("[data-course]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    const own = data.history[button.dataset.course], count = Number(button.dataset.count);
    const items = own.map(([name, is, last, right, epochs]) => {
      const item = make("li");
      const shown = [...last].map((mark) => mark === "1" ? "■" : "□").join("");
      const marks = make("span", (epochs > last.length ? "…" : "") + shown, "marks");
      marks.setAttribute("aria-label", `recognised in ${right} of ${epochs} epochs`);
      marks.setAttribute("role", "img");
      item.append(marks, ` ${is}, ${name}`);
      return item;
    });
    if (count > own.length) items.push(make("li", `and ${count - own.length} more in samples.jsonl`));
    find("#courses-images").replaceChildren(...items);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.is) openCell(Number(button.dataset.is), Number(button.dataset.taken));
    if (button?.dataset.course) course(button);
  });
  document.addEventListener("input", (event) => { if (event.target.id === "cut") threshold(); });

  // What has to be done again when the report is another.
  const begin = () => {
    data = JSON.parse(find("#data").textContent);
    all("[data-readings]").forEach(chart);
    if (find("#cut")) threshold();
  };
  begin();

  // A training that goes on: each event says that there is something new.
  if ("live" in document.body.dataset) {
    const status = find("#live"), events = new EventSource("events");
    const inReport = (selector) => all(selector, find("#report"));
    let loading = Promise.resolve(), waiting = false;
    // One after the other; what comes while one is waiting is seen by that one.
    const load = () => {
      if (!waiting) {
        waiting = true;
        loading = loading.then(() => { waiting = false; return fetchReport(); }).catch(() => { status.textContent = "not connected"; });
      }
      return loading;
    };
    const fetchReport = async () => {
      const answer = await fetch("page"), text = await answer.text();
      if (!answer.ok) { status.textContent = text; return; } // the run is being removed, for instance
      const page = new DOMParser().parseFromString(text, "text/html");
      const chosen = { cut: find("#cut")?.value, course: find("[data-course][aria-pressed=true]")?.dataset.course };
      const focused = inReport("a, button, input, summary, [tabindex]").indexOf(document.activeElement);
      const opened = inReport("details").map((details) => details.open);
      find("#report").replaceChildren(...find("#report", page).childNodes);
      document.title = page.title;
      begin();
      inReport("details").forEach((details, index) => { details.open = opened[index] ?? details.open; });
      inReport("a, button, input, summary, [tabindex]")[focused]?.focus({ preventScroll: true });
      if (chosen.cut && find("#cut")) { find("#cut").value = chosen.cut; threshold(); }
      const pressed = all("[data-course]").find((button) => button.dataset.course === chosen.course);
      if (pressed) course(pressed);
    };
    events.addEventListener("open", () => { status.textContent = "live"; });
    events.addEventListener("changed", load);
    events.addEventListener("ended", async () => {
      events.close();
      await load();
      status.textContent = "ended";
      fetch("seen", { method: "POST" }).catch(() => {});
    });
    events.addEventListener("error", () => { if (status.textContent !== "ended") status.textContent = "not connected"; });
  }
})();
