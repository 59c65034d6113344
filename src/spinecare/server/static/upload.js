// Makes the upload form nicer: dropping files, listing them, saying early what is too large.
// Without this script the form is an ordinary one and works all the same.
"use strict";

(() => {
  const form = document.querySelector("form.upload");
  const input = document.getElementById("file");
  const chosen = document.getElementById("chosen");
  const error = document.getElementById("form-error");
  const status = document.getElementById("status");
  const text = document.getElementById("submit-text");
  const button = form.querySelector("button");
  const limit = {
    file: Number(form.dataset.maxFile),
    all: Number(form.dataset.maxAll),
    files: Number(form.dataset.maxFiles),
  };
  document.documentElement.classList.add("js");

  const size = (bytes) =>
    bytes < 1024 * 1024 ? `${Math.max(1, Math.round(bytes / 1024))} kB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;

  const complaint = (files) => {
    const mb = (bytes) => `${Math.round(bytes / 1024 / 1024)} MB`;
    if (files.length > limit.files) return `At most ${limit.files} files at a time.`;
    const large = files.find((f) => f.size > limit.file);
    if (large) return `${large.name} has ${size(large.size)}; at most ${mb(limit.file)} are taken.`;
    const sum = files.reduce((total, f) => total + f.size, 0);
    if (sum > limit.all) return `Together the files have ${size(sum)}; at most ${mb(limit.all)} are taken at a time.`;
    return "";
  };

  const show = () => {
    const files = Array.from(input.files);
    chosen.replaceChildren(
      ...files.map((f) => {
        const item = document.createElement("li");
        const name = document.createElement("span");
        const bytes = document.createElement("span");
        name.textContent = f.name;
        bytes.textContent = size(f.size);
        item.append(name, bytes);
        return item;
      }),
    );
    chosen.hidden = files.length === 0;
    const sentence = complaint(files);
    error.textContent = sentence;
    error.hidden = sentence === "";
    input.setCustomValidity(sentence);
    text.textContent = files.length > 1 ? `Assess ${files.length} scans` : "Assess";
  };

  input.addEventListener("change", show);

  let depth = 0;
  const over = (on) => form.classList.toggle("over", on);
  document.addEventListener("dragenter", () => over(++depth > 0));
  document.addEventListener("dragleave", () => over(--depth > 0));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    if (event.dataTransfer.files.length === 0) return;
    input.files = event.dataTransfer.files;
    show();
    button.focus();
  });

  form.addEventListener("submit", () => {
    form.classList.add("busy");
    button.setAttribute("aria-disabled", "true");
    status.textContent = "Reading the scan…";
  });
  // A page that comes back from the browser's history is not busy any more.
  window.addEventListener("pageshow", () => {
    form.classList.remove("busy");
    button.removeAttribute("aria-disabled");
    status.textContent = "";
    show();
  });
})();
