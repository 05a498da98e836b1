// `<form data-typed>`: 300 ms after the last key the form is sent, by its element with `hx-trigger="typed"`, and the server's
// answer comes into its place. Never two at a time, and an answer that was overtaken by another key is dropped.

const PAUSE_MS = 300;
const known = new WeakMap();

function of(form) {
  if (!known.has(form)) known.set(form, { timer: 0, busy: 0, keys: 0, sent: 0, again: false });
  return known.get(form);
}

function formOf(element) {
  return element?.closest?.("form[data-typed]") ?? null;
}

function typed(event) {
  const form = formOf(event.target);
  if (!form || !event.target.name) return;
  const state = of(form);
  state.keys += 1;
  later(form, state);
}

function later(form, state) {
  clearTimeout(state.timer);
  state.timer = setTimeout(() => send(form, state), PAUSE_MS);
}

function send(form, state) {
  if (state.busy) state.again = true;
  else form.querySelector("[hx-trigger=typed]")?.dispatchEvent(new Event("typed"));
}

document.addEventListener("input", typed);
document.addEventListener("change", typed);

document.addEventListener("htmx:before:request", (event) => {
  const form = formOf(event.detail.ctx.sourceElement);
  if (!form) return;
  const state = of(form);
  clearTimeout(state.timer); // what is sent holds it all
  state.busy += 1;
  state.sent = state.keys;
});

document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  const form = formOf(ctx.sourceElement);
  // A button's answer is taken all the same: it has a row that nothing else would bring.
  if (form && ctx.sourceElement.matches("[hx-trigger=typed]") && of(form).keys !== of(form).sent) event.preventDefault();
});

document.addEventListener("htmx:finally:request", (event) => {
  const form = formOf(event.detail.ctx.sourceElement);
  if (!form) return;
  const state = of(form);
  state.busy = Math.max(0, state.busy - 1);
  if (state.again || state.keys !== state.sent) {
    state.again = false;
    later(form, state);
  }
});

// The answer sets what is chosen as attributes, which a field that a person has touched does not follow.
document.addEventListener("htmx:after:swap", () => {
  for (const form of document.querySelectorAll("form[data-typed]")) {
    for (const select of form.querySelectorAll("select")) {
      const chosen = select.querySelector("option[selected]");
      if (chosen && select !== document.activeElement) select.value = chosen.value;
    }
    for (const box of form.querySelectorAll("input[type=checkbox]")) {
      if (box !== document.activeElement) box.checked = box.hasAttribute("checked");
    }
  }
});
