// The preview follows what is ticked and typed. Without this script its button loads the page anew, and all the rest
// works as it is. The address is not sent along.
"use strict";

const form = document.getElementById("join");
const preview = document.getElementById("preview");

if (form && preview) {
  const button = form.querySelector("button[formaction]");
  let waiting;
  let asking;

  async function show() {
    asking?.abort();
    asking = new AbortController();
    const wanted = new URLSearchParams(new FormData(form));
    wanted.delete("email");
    try {
      const answer = await fetch(button.formAction, {
        method: "POST",
        body: wanted,
        headers: { "X-Fragment": "1" },
        signal: asking.signal,
      });
      if (!answer.ok) throw new Error(String(answer.status));
      preview.innerHTML = await answer.text();
    } catch (error) {
      if (error.name !== "AbortError") preview.textContent = preview.dataset.trouble;
    }
  }

  function later(milliseconds) {
    clearTimeout(waiting);
    waiting = setTimeout(show, milliseconds);
  }

  form.addEventListener("change", (event) => {
    if (event.target.name === "topic") later(0);
  });
  form.addEventListener("input", (event) => {
    if (event.target.name === "words") later(250);
  });
  button.addEventListener("click", (event) => {
    event.preventDefault();
    later(0);
  });
}
