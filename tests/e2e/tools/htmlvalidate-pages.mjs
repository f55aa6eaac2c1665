// What html-validate asks of the pages: everything that it recommends for a document.
export default {
  root: true,
  extends: ["html-validate:recommended", "html-validate:document"],
  rules: {
    // A title that names the paper and the list may be longer than a search engine shows.
    "long-title": "off",
    // Several ticks of one question have one name.
    "form-dup-name": ["error", { shared: ["radio", "checkbox", "button", "submit", "reset"] }],
    // Style and script are our own: whoever could change them could change the page.
    "require-sri": ["error", { target: "crossorigin" }],
  },
};
