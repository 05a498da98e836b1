// What a script asked for and did not get is said above the page, which stays as it is: nothing typed is lost. The next
// answer that is good takes the words away.

const LOGGED_OUT = "You are logged out. What you typed stays here: log in in another tab, then continue.";
const SILENT = "The console does not answer. This page stays as it is; it is tried again.";

function tell(words) {
  const said = document.querySelector(".said");
  if (!said) return;
  let notice = document.getElementById("trouble");
  if (!notice) {
    notice = document.createElement("p");
    notice.id = "trouble";
    notice.className = "notice bad floating";
    said.append(notice);
  }
  if (notice.textContent !== words) notice.textContent = words;
}

function isWell() {
  document.getElementById("trouble")?.remove();
}

document.addEventListener("htmx:response:error", (event) => {
  const { ctx } = event.detail;
  const isPlain = ctx.response.headers.get("content-type")?.startsWith("text/plain");
  tell((isPlain && ctx.text.trim()) || `The console answers ${ctx.response.status}. This page stays as it is.`);
});
document.addEventListener("htmx:error", (event) => {
  const { ctx } = event.detail;
  if (ctx && !ctx.response) tell(SILENT);
});
document.addEventListener("htmx:sse:error", (event) => tell(event.detail?.status === 401 ? LOGGED_OUT : SILENT));
document.addEventListener("htmx:sse:after:connection", isWell);
document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail?.ctx?.response?.status < 400) isWell();
});
