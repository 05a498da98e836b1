// `data-confirm="What will happen"` on a submit button: asked in a dialog of the page, with the button's own word.
// The server asks too, on a page of its own, where this does not run.

let answered = null;

document.addEventListener("submit", ask, true);

/** Hold up a submit until the person has said yes. */
function ask(event) {
  const button = event.submitter;
  if (!button?.dataset.confirm) return;
  if (answered === button) {
    answered = null;
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  const form = event.target;
  open(button.dataset.confirm, button.textContent.trim()).then((yes) => {
    if (!yes) {
      button.focus();
      return;
    }
    answered = button;
    form.requestSubmit(button);
  });
}

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm) return;
  event.preventDefault();
  const word = ctx.sourceElement.textContent.trim();
  open(ctx.confirm, word).then((yes) => (yes ? issueRequest() : dropRequest()));
});

/** Show the question and return whether it was answered with yes. */
function open(question, word) {
  const dialog = document.createElement("dialog");
  dialog.className = "confirm";
  const text = document.createElement("p");
  text.id = "confirm-question";
  text.textContent = question;
  dialog.setAttribute("aria-labelledby", text.id);
  const form = document.createElement("form");
  form.method = "dialog";
  form.append(choice("Cancel", "", "plain"), choice(word || "Go on", "yes", "primary"));
  dialog.append(text, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

function choice(label, value, name) {
  const button = document.createElement("button");
  button.type = "submit";
  button.value = value;
  button.className = name;
  button.textContent = label;
  return button;
}
