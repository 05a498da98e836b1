// `<button type="button" data-copy="#id" hidden>Copy</button>`: shown where something can be copied, copies the text of that
// element (or what is in it, for a field); `data-copy-text` copies that text.

const SAID_MS = 1500;

function reveal(root) {
  if (!navigator.clipboard) return; // a page that is neither HTTPS nor of this machine
  for (const button of root.querySelectorAll("button[data-copy], button[data-copy-text]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy], button[data-copy-text]");
  if (!button) return;
  const label = button.dataset.label ?? (button.dataset.label = button.textContent);
  try {
    await navigator.clipboard.writeText(textOf(button));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => (button.textContent = label), SAID_MS);
});

function textOf(button) {
  if (button.dataset.copyText !== undefined) return button.dataset.copyText;
  const source = document.querySelector(button.dataset.copy);
  return source === null ? "" : (source.value ?? source.textContent);
}

reveal(document);
document.addEventListener("htmx:after:swap", () => reveal(document));
