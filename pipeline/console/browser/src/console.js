// What every page loads. Pages work without it: it saves reloads, asks before something is lost, copies.
import "./htmx.js";
import "./confirm.js";
import "./copy.js";
import "./live.js";
import "./trouble.js";
import "./typing.js";
import "./unsaved.js";
