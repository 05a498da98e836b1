// Findings of `check` as marks in the text: those that the page shows beside the pane (`data-findings="#id"`, elements
// with data-severity), or those that the server answers with after each change (`data-check="/api/v1/check"`).
import { forceLinting, linter, lintGutter, setDiagnostics } from "@codemirror/lint";
import { post } from "./ask.js";

const DELAY_MS = 300;

/** Return the extension, and how the marks are made anew after the page has changed. */
export function findings(area) {
  if (area.dataset.findings) {
    const mark = (view) => view.dispatch(setDiagnostics(view.state, ofPage(area.dataset.findings, view.state.doc)));
    return { extension: [linter(null), lintGutter()], refresh: mark };
  }
  if (!area.dataset.check) return { extension: [], refresh: () => {} };
  const ask = async (view) => {
    const answer = await post(area.dataset.check, { file: area.dataset.file, text: view.state.doc.toString() });
    const found = answer?.findings ?? [];
    return found.filter((one) => isHere(one, area)).map((one) => placed(one, view.state.doc));
  };
  return { extension: [linter(ask, { delay: DELAY_MS }), lintGutter()], refresh: forceLinting };
}

function isHere(finding, area) {
  return !finding.file || !area.dataset.file || finding.file === area.dataset.file;
}

function ofPage(selector, doc) {
  return [...document.querySelectorAll(`${selector} [data-severity]`)].map((element) => {
    const { line, column, length, severity } = element.dataset;
    const message = element.dataset.message ?? element.textContent.trim();
    return placed({ line: Number(line), column: Number(column), length: Number(length), severity, message }, doc);
  });
}

/** Return a finding as a mark. Lines and columns count from 1, columns in characters; line 0 is the whole file. */
export function placed(finding, doc) {
  const line = doc.line(Math.min(Math.max(1, finding.line || 1), doc.lines));
  const from = line.from + units(line.text, (finding.column || 1) - 1);
  const rest = doc.sliceString(from, line.to);
  const length = finding.length > 1 ? units(rest, finding.length) : /^[\w.-]+|^\S+/.exec(rest)?.[0].length ?? 0;
  const message = finding.hint ? `${finding.message}\n${finding.hint}` : finding.message;
  return {
    from: Math.min(from, line.to),
    to: Math.min(from + length, line.to),
    severity: finding.severity === "warning" ? "warning" : "error",
    source: finding.code,
    message,
  };
}

/** Return how many units of a text its first characters take: those outside the basic plane take two. */
function units(text, characters) {
  return [...text].slice(0, characters).join("").length;
}
