// What pages with a YAML pane load beside console.js: CodeMirror takes over their `<textarea data-editor>`.
import "./editor/editor.css";
import { follow, takeOver } from "./editor/editor.js";

function all() {
  for (const area of document.querySelectorAll("textarea[data-editor]")) takeOver(area);
}

all();
document.addEventListener("htmx:after:swap", all);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#"]');
  if (link && follow(link)) event.preventDefault();
});
