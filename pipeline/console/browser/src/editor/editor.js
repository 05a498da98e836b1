// One YAML pane. The textarea stays the form's field: the editor writes each change into it, and takes what the
// server puts there.
import { closeCompletion, completionStatus } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { Annotation, EditorState } from "@codemirror/state";
import {
  EditorView,
  drawSelection,
  highlightActiveLine,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { completion } from "./completion.js";
import { findings, placed } from "./findings.js";

const ofServer = Annotation.define();
const taken = new WeakMap();

/** Put an editor in the place of a textarea, or give the editor that has it what the server wrote there. */
export function takeOver(area) {
  const editor = taken.get(area);
  if (editor) return editor.refresh();
  taken.set(area, new Editor(area));
}

/** Follow a link to a textarea that an editor has taken over, which is hidden; return whether it is one. */
export function follow(link) {
  const editor = taken.get(document.getElementById(link.hash.slice(1)));
  editor?.go(Number(link.dataset.line), Number(link.dataset.column));
  return editor !== undefined;
}

class Editor {
  constructor(area) {
    this.area = area;
    const nonce = document.querySelector('meta[name="csp-nonce"]')?.content ?? "";
    const isReadOnly = area.readOnly || area.disabled;
    this.lint = findings(area);
    this.view = new EditorView({
      doc: area.value,
      extensions: [
        nonce ? EditorView.cspNonce.of(nonce) : [],
        lineNumbers(),
        highlightSpecialChars(),
        history(),
        drawSelection(),
        EditorState.readOnly.of(isReadOnly),
        EditorView.editable.of(!isReadOnly),
        indentOnInput(),
        indentUnit.of("  "),
        EditorState.tabSize.of(2),
        bracketMatching(),
        highlightActiveLine(),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of(names(area)),
        yaml(),
        syntaxHighlighting(classHighlighter),
        this.lint.extension,
        area.dataset.complete ? completion(area) : [],
        // Tab goes to the next field: who writes with the keyboard alone must get out of here again.
        keymap.of([{ key: "Escape", run: escape }, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        EditorView.domEventHandlers({ beforeinput: replaced }),
        EditorView.updateListener.of((update) => this.changed(update)),
      ],
    });
    this.place = document.getElementById(area.dataset.editor) ?? area.parentElement;
    this.show();
    for (const label of area.labels) label.addEventListener("click", () => this.view.focus());
    this.hide();
    this.lint.refresh(this.view); // what the page was opened with
    // A field that asks for the focus, for an error in it, gets it.
    if (document.activeElement === area || area.autofocus) this.view.focus();
  }

  /** Go to a line and column, from 1; without them to where the cursor was. */
  go(line, column) {
    const { doc, selection } = this.view.state;
    const at = line ? placed({ line, column }, doc).from : selection.main.head;
    this.view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    this.view.focus();
  }

  /** Put the editor on the page, where it is not: a swap may have taken it away. */
  show() {
    if (this.view.dom.isConnected) return;
    if (this.place.isConnected && this.place !== this.area.parentElement) this.place.append(this.view.dom);
    else this.area.after(this.view.dom);
  }

  /** Leave the name to the editor alone: a swap gives it back to the textarea. */
  hide() {
    for (const label of [...this.area.labels]) label.removeAttribute("for");
    this.area.hidden = true;
  }

  /** Take over what the server has written into the textarea, with the cursor where it was. */
  refresh() {
    this.show();
    this.hide();
    const change = difference(this.view.state.doc.toString(), this.area.value);
    if (change) this.view.dispatch({ changes: change, annotations: ofServer.of(true) });
    this.lint.refresh(this.view);
  }

  changed(update) {
    if (!update.docChanged) return;
    if (update.transactions.every((one) => one.annotation(ofServer))) return;
    this.area.value = update.state.doc.toString();
    // htmx and the question before leaving hear of it as of any other field.
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/** Return the one part in which two texts differ, as a change; null where they are equal. */
function difference(before, after) {
  const text = after.replaceAll("\r\n", "\n");
  if (before === text) return null;
  const most = Math.min(before.length, text.length);
  let start = 0;
  while (start < most && before[start] === text[start]) start++;
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === text[text.length - 1 - end]) end++;
  return { from: start, to: before.length - end, insert: text.slice(start, text.length - end) };
}

/** Return what makes the editor a field: it is reached by Tab, and has the textarea's names for a screen reader. */
function names(area) {
  const found = { tabindex: "0" };
  for (const name of ["aria-label", "aria-labelledby", "aria-describedby", "aria-invalid"]) {
    if (area.hasAttribute(name)) found[name] = area.getAttribute(name);
  }
  const text = [...area.labels].map((label) => label.textContent.trim()).join(" ");
  if (!found["aria-label"] && !found["aria-labelledby"]) found["aria-label"] = text || "YAML";
  if (area.required) found["aria-required"] = "true";
  return found;
}

/** Leave the list of completions, or else the editor. */
function escape(view) {
  if (completionStatus(view.state) !== null) return closeCompletion(view);
  return false;
}

/** Put a text in the place of a selection ourselves: Chromium would make elements with a style of their own of it. */
function replaced(event, view) {
  const isText = event.inputType === "insertText" || event.inputType === "insertReplacementText";
  if (!isText || event.isComposing || event.data === null || view.state.readOnly) return false;
  // Asked of the page: the editor hears of a selection a moment later than it is made.
  const selected = document.getSelection();
  const range = event.getTargetRanges()[0] ?? (selected?.rangeCount ? selected.getRangeAt(0) : null);
  if (!range || !view.contentDOM.contains(range.startContainer)) return false;
  const from = view.posAtDOM(range.startContainer, range.startOffset);
  const to = view.posAtDOM(range.endContainer, range.endOffset);
  if (from === to && !event.data.includes("\n")) return false;
  event.preventDefault();
  const changes = { from, to, insert: view.state.toText(event.data) };
  const selection = { anchor: from + changes.insert.length };
  view.dispatch({ changes, selection, userEvent: "input.type", scrollIntoView: true });
  return true;
}
