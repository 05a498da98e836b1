// Completion: what the server knows of fields, events, properties and secrets (`data-complete="/api/v1/complete"`).
import { acceptCompletion, autocompletion } from "@codemirror/autocomplete";
import { Prec } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { post } from "./ask.js";

const WORD = /[\w.$-]*$/;
/** The server's kinds, as those that CodeMirror has a sign for. */
const KINDS = {
  field: "property",
  event: "enum",
  path: "variable",
  filter: "function",
  label: "class",
  operator: "keyword",
  secret: "constant",
  value: "text",
};

/** Return the extension for one pane. It opens by itself: few would look for a key. */
export function completion(area) {
  const source = async (context) => {
    const at = context.state.doc.lineAt(context.pos);
    const before = at.text.slice(0, context.pos - at.from);
    const word = WORD.exec(before)[0];
    if (!context.explicit && word === "" && !/[{:|\s"'-]$/.test(before)) return null;
    const answer = await post(area.dataset.complete, {
      file: area.dataset.file,
      text: context.state.doc.toString(),
      line: at.number,
      column: [...before].length + 1,
    });
    const found = Array.isArray(answer) ? answer : answer?.completions;
    if (context.aborted || !found?.length) return null;
    return { from: context.pos - word.length, options: found.map(option), validFor: /^[\w.$-]*$/ };
  };
  return [
    autocompletion({ override: [source], activateOnTypingDelay: 150, icons: false, maxRenderedOptions: 50 }),
    Prec.highest(keymap.of([{ key: "Tab", run: acceptCompletion }])),
  ];
}

function option({ label, insert, kind, detail }) {
  return { label, apply: insert ?? label, type: KINDS[kind] ?? "text", detail: detail ?? "" };
}
