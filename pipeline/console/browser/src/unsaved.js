// `<form data-unsaved>`: leaving the page asks while something typed was not saved. `data-unsaved="typed"`: the server
// has sent back what was typed, so it is unsaved from the beginning.

const begun = new WeakMap();
let leaving = false;

/** Return what a form would send; two equal texts mean that nothing was changed. */
function content(form) {
  // New lines have one form here: the editor and the field that it stands for write them differently.
  const values = [...new FormData(form)].map(([name, value]) => [name, String(value).replaceAll("\r\n", "\n")]);
  return JSON.stringify(values);
}

function forms() {
  return document.querySelectorAll("form[data-unsaved]");
}

function isUnsaved(form) {
  return form.dataset.unsaved === "typed" || (begun.has(form) && begun.get(form) !== content(form));
}

function remember() {
  for (const form of forms()) if (!begun.has(form)) begun.set(form, content(form));
}

document.addEventListener("submit", (event) => {
  // Sent by htmx the page stays.
  if (!event.defaultPrevented) leaving = true;
});
window.addEventListener("pageshow", () => (leaving = false));
window.addEventListener("beforeunload", (event) => {
  if (!leaving && [...forms()].some(isUnsaved)) event.preventDefault();
});

remember();
document.addEventListener("htmx:after:swap", remember);
