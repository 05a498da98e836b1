// The page Live: so many rows and no more, and a pause in which rows pass by and are counted.

const stream = document.querySelector("[data-live]");
if (stream) begin(stream);

function begin(live) {
  const rows = document.getElementById("live-rows");
  const empty = document.getElementById("live-empty");
  const pause = document.getElementById("live-pause");
  const clear = document.getElementById("live-clear");
  const most = Number(live.dataset.most);
  let passed = null; // how many rows passed by in a pause; null: there is none

  pause.hidden = clear.hidden = false;
  tidy();

  live.addEventListener("htmx:sse:before:message", (event) => {
    if (passed === null) return;
    event.preventDefault();
    passed += event.detail.message.data.split("<li ").length - 1;
    pause.textContent = passed ? `Go on (${passed.toLocaleString("en")} passed by)` : "Go on";
  });
  live.addEventListener("htmx:sse:after:message", tidy);
  pause.addEventListener("click", () => {
    passed = passed === null ? 0 : null;
    pause.textContent = passed === null ? "Pause" : "Go on";
    pause.setAttribute("aria-pressed", String(passed !== null));
  });
  clear.addEventListener("click", () => {
    rows.replaceChildren();
    tidy();
  });

  function tidy() {
    while (rows.children.length > most) rows.lastElementChild.remove();
    empty.hidden = rows.children.length > 0;
  }
}
