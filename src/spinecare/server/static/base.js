// What every page has. Without this script every page works all the same.
"use strict";

(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // htmx sends the session's token, as the forms do in a field.
  const csrf = document.querySelector('meta[name="csrf"]').content;
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = csrf;
  });

  // Times come as UTC; people read them on their own clock.
  const clock = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
  const localise = (part) => {
    for (const time of part.querySelectorAll("time[data-local]")) {
      time.textContent = clock.format(new Date(time.dateTime));
      time.removeAttribute("data-local");
    }
  };
  localise(document);
  document.addEventListener("htmx:load", (event) => localise(event.detail.elt));

  // Where a button is gone with what it replaced, reading goes on in what came instead.
  document.addEventListener("htmx:afterSettle", (event) => {
    const { elt, target } = event.detail.requestConfig ?? {};
    if (elt?.tagName === "BUTTON" && target?.id) document.getElementById(target.id)?.focus({ preventScroll: true });
  });

  // Menus close by Escape, and when something else is chosen.
  const opened = () => document.querySelectorAll("details.menu[open]");
  document.addEventListener("click", (event) => {
    for (const menu of opened()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of opened()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
})();
