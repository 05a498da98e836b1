// htmx and its server-sent events, with nothing that runs text as a script.
import htmx from "htmx.org/dist/htmx.esm.js";
import "htmx.org/dist/ext/hx-sse.js";

Object.assign(htmx.config, {
  // The page would be asked for again anyway: it is the server that knows what is true.
  history: false,
  // The sheet is in console.css, where light and dark are.
  includeIndicatorCSS: false,
  // A request that the server ends after ten seconds has no use for more.
  defaultTimeout: 15000,
  // What is typed meanwhile stays; what answers an older state of the form is not taken.
  defaultSwap: "innerMorph",
  // An error takes no page's place: trouble.js says it.
  noSwap: [204, 304, "4xx", "5xx"],
});

/** Stand in for Function: `hx-on`, `js:` values and filters in brackets are refused before CSP has to. */
class NoScripts {
  constructor() {
    throw new Error("this page runs no text as a script: hx-on, js: and [filters] are not used here");
  }
}

htmx.registerExtension("no-scripts", { init: (api) => api.initSecurity(null, NoScripts, NoScripts) });

export default htmx;
