// What pages with a YAML pane load beside console.js: CodeMirror takes over their `<textarea data-editor>`.
import "./editor/editor.css";
import { follow, takeOver } from "./editor/editor.js";

function all() {
  for (const area of document.querySelectorAll("textarea[data-editor]")) takeOver(area);
}

all();
// A finding on another page leads to its place here: `?line=10&column=27#yaml`. Not before the browser has looked for
// what the hash names, which takes the focus away.
const { line, column } = Object.fromEntries(new URLSearchParams(location.search));
if (line) window.addEventListener("load", () => follow({ hash: location.hash, dataset: { line, column } }));
document.addEventListener("htmx:after:swap", all);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#"]');
  if (link && follow(link)) event.preventDefault();
});
