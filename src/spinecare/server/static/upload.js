// Sends each chosen file by itself, three at a time, shows how far each is, and then what became of it.
// Files, folders and ZIPs can be dropped. Without this script the form is an ordinary one and works all the same.
"use strict";

(() => {
  const form = document.querySelector("form.upload");
  if (!form) return;
  const by = (id) => document.getElementById(id);
  const AT_ONCE = 3;
  const TRIES = 4;
  const ASK_MS = 1200;
  const ASK_AT_MOST = 100;
  const limit = {
    file: Number(form.dataset.maxFile),
    archive: Number(form.dataset.maxArchive),
    files: Number(form.dataset.maxFiles),
  };
  const csrf = form.elements.csrf.value;
  const input = by("file");
  const folder = by("folder");
  let jobs = []; // {file, line, state: chosen|sending|sent|done|failed, keys: []}
  let leftOut = 0;
  let sending = false;

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const size = (bytes) =>
    bytes < 1048576 ? `${Math.max(1, Math.round(bytes / 1024))} kB` : `${(bytes / 1048576).toFixed(1)} MB`;
  const isZip = (file) => /\.zip$/i.test(file.name);
  const most = (file) => (isZip(file) ? limit.archive : limit.file);
  const noScan = (name) => /^(\.|Thumbs\.db$|desktop\.ini$|DICOMDIR$)/i.test(name);
  const many = (n, one, more) => `${n} ${n === 1 ? one : more}`;
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // --- choosing

  const complaint = () => {
    if (jobs.length > limit.files) return `At most ${limit.files} files at a time; you chose ${jobs.length}.`;
    const large = jobs.find((job) => job.file.size > most(job.file));
    if (large) return `${large.file.name} has ${size(large.file.size)}; at most ${Math.round(most(large.file) / 1048576)} MB are taken.`;
    return "";
  };

  const show = () => {
    const sentence = complaint();
    by("form-error").textContent = sentence;
    by("form-error").hidden = sentence === "";
    by("sending").hidden = jobs.length === 0;
    by("sending-title").textContent = `${many(jobs.length, "file", "files")}, ${size(jobs.reduce((sum, job) => sum + job.file.size, 0))}`;
    by("left-out").textContent = `${many(leftOut, "file that is no scan was", "files that are no scans were")} left out (hidden files, DICOMDIR).`;
    by("left-out").hidden = leftOut === 0;
    by("submit-text").textContent = jobs.length > 1 ? `Assess ${jobs.length} files` : "Assess";
    // The files live in `jobs` now, so that choosing again adds to them.
    input.required = jobs.length === 0;
    input.setCustomValidity("");
  };

  const draw = (job) => {
    const line = make("li");
    const remove = make("button", "quiet small remove js-remove", "✕");
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${job.file.name}`);
    remove.addEventListener("click", () => {
      const next = line.nextElementSibling ?? line.previousElementSibling;
      jobs = jobs.filter((other) => other !== job);
      line.remove();
      show();
      (next?.querySelector("button") ?? input).focus();
    });
    line.append(make("span", "clip name", job.file.name), make("span", "size", size(job.file.size)), remove);
    job.line = line;
    return line;
  };

  const add = (files, fromFolder) => {
    if (sending) return;
    const known = new Set(jobs.map((job) => `${job.file.name}/${job.file.size}/${job.file.lastModified}`));
    const lines = document.createDocumentFragment();
    for (const file of files) {
      if (fromFolder && noScan(file.name)) {
        leftOut += 1;
        continue;
      }
      const mark = `${file.name}/${file.size}/${file.lastModified}`;
      // In a folder, files of the same name and size in two places are two files.
      if (!fromFolder && known.has(mark)) continue;
      known.add(mark);
      const job = { file, state: "chosen", keys: [] };
      jobs.push(job);
      lines.append(draw(job));
    }
    by("files").append(lines);
    show();
  };

  input.addEventListener("change", () => {
    add(Array.from(input.files), false);
    input.value = "";
  });
  by("choose-folder").addEventListener("click", () => folder.click());
  folder.addEventListener("change", () => {
    add(Array.from(folder.files), true);
    folder.value = "";
  });
  by("clear").addEventListener("click", () => {
    jobs = [];
    leftOut = 0;
    by("files").replaceChildren();
    show();
    input.focus();
  });

  // --- dropping

  const inside = async (entry) => {
    if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
    const reader = entry.createReader();
    const files = [];
    for (;;) {
      // Chromium gives at most a hundred at a time.
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) return files;
      for (const one of some) files.push(...(await inside(one)));
      if (files.length > 2 * limit.files) return files;
    }
  };

  const carriesFiles = (event) => Array.from(event.dataTransfer?.types ?? []).includes("Files");
  let depth = 0;
  const over = (on) => form.classList.toggle("over", on && !sending);
  document.addEventListener("dragenter", (event) => carriesFiles(event) && over(++depth > 0));
  document.addEventListener("dragleave", (event) => carriesFiles(event) && over(--depth > 0));
  document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    // Both must be taken before the first await: the browser empties them afterwards.
    const loose = Array.from(event.dataTransfer.files);
    const entries = Array.from(event.dataTransfer.items ?? []).map((item) => item.webkitGetAsEntry?.());
    if (!entries.some((entry) => entry?.isDirectory)) add(loose, false);
    else
      for (const entry of entries.filter(Boolean)) {
        try {
          add(await inside(entry), entry.isDirectory);
        } catch {
          by("form-error").textContent = `${entry.name} could not be read. Try choosing it instead.`;
          by("form-error").hidden = false;
        }
      }
    by("submit").focus();
  });

  // --- sending

  // {status, body}: status 0 when there was no answer, -1 when another page answered (a sign-in).
  const post = (address, data, onProgress) =>
    new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("POST", address);
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("X-CSRF-Token", csrf);
      if (onProgress) request.upload.addEventListener("progress", onProgress);
      request.addEventListener("loadend", () => {
        let body = null;
        try {
          body = JSON.parse(request.responseText);
        } catch {
          // Not for a program: said below by its status.
        }
        const after = Number(request.getResponseHeader("Retry-After")) || 0;
        done({ status: request.status === 200 && body === null ? -1 : request.status, body, after });
      });
      request.send(data);
    });

  // Sending the same bytes twice gives the same assessment, so that trying again is safe.
  const persist = async (address, data, onProgress) => {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await post(address, data, onProgress);
      const passing = answer.status === 0 || answer.status === 429 || answer.status >= 500;
      if (!passing || attempt === TRIES) return answer;
      await pause(Math.max(answer.after * 1000, 1000 * 2 ** (attempt - 1)));
    }
  };

  const sentence = ({ status, body }) => {
    if (status === -1 || status === 401) return "You are signed out. Sign in, and send it again.";
    if (body?.detail) return `${body.detail} ${body.hint ?? ""}`.trim();
    if (status === 0) return "The connection broke. Check it, and send it again.";
    if (status === 413) return "The file is too large.";
    return "It could not be sent. Send it again.";
  };

  const badge = (words, tone) => make("span", `badge tone-${tone}`, words);
  const end = (job, ...parts) => job.line.replaceChildren(make("span", "clip name", job.file.name), ...parts);

  const fail = (job, words) => {
    job.state = "failed";
    end(job, badge("Not sent", "problem"), make("span", "why", words));
  };

  const sendOne = async (job, batch) => {
    job.state = "sending";
    const bar = make("progress");
    bar.max = 100;
    bar.value = 0;
    bar.setAttribute("aria-label", `Sending ${job.file.name}`);
    end(job, bar);
    const data = new FormData(form);
    data.delete("file");
    if (batch) data.set("batch", batch);
    data.set("file", job.file, job.file.name);
    const answer = await persist("/assessments", data, (event) => {
      if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
    });
    if (answer.status !== 200 || !Array.isArray(answer.body)) return fail(job, sentence(answer));
    job.keys = answer.body.map((one) => one.key);
    job.said = new Map();
    job.state = "sent";
    tell(job, answer.body);
  };

  // --- what became of it

  const ended = (one) => one.state === "done" || one.state === "failed";

  const tell = (job, found) => {
    for (const one of found) job.said.set(one.key, one);
    const all = Array.from(job.said.values());
    if (job.keys.every((key) => job.said.has(key) && ended(job.said.get(key)))) job.state = "done";
    if (all.length === 1) {
      const link = make("a", "", "Open");
      link.href = all[0].url;
      link.setAttribute("aria-label", `Open the assessment of ${job.file.name}`);
      end(job, badge(all[0].words, all[0].tone), link);
    } else {
      const done = all.filter(ended).length;
      end(job, badge(`${done} of ${many(all.length, "scan", "scans")} done`, done === all.length ? "no" : "wait"));
    }
  };

  const ask = async () => {
    for (;;) {
      const owner = new Map();
      for (const job of jobs)
        if (job.state === "sent")
          for (const key of job.keys) if (!ended(job.said.get(key))) owner.set(key, job);
      if (owner.size === 0) {
        if (!jobs.some((job) => job.state === "sending" || job.state === "chosen")) return;
      } else {
        try {
          const keys = Array.from(owner.keys()).slice(0, ASK_AT_MOST);
          const answer = await fetch(`/assessments/states?keys=${keys.join(",")}`, { headers: { Accept: "application/json" } });
          if (answer.ok) for (const one of await answer.json()) if (owner.has(one.key)) tell(owner.get(one.key), [one]);
        } catch {
          // Asked again in a moment.
        }
        summarise();
      }
      await pause(ASK_MS);
    }
  };

  const summarise = () => {
    const scans = jobs.flatMap((job) => (job.said ? Array.from(job.said.values()) : []));
    const failed = jobs.filter((job) => job.state === "failed").length;
    const toSend = jobs.filter((job) => job.state === "chosen" || job.state === "sending").length;
    const counts = new Map();
    for (const one of scans) if (ended(one)) counts.set(one.words, (counts.get(one.words) ?? 0) + 1);
    const answers = Array.from(counts, ([words, n]) => `${words}: ${n}`).join(", ");
    const parts = [`${scans.filter(ended).length} of ${many(scans.length, "scan", "scans")} assessed`];
    if (toSend > 0) parts.push(`${many(toSend, "file", "files")} still to send`);
    if (failed > 0) parts.push(`${failed} not sent`);
    const words = `${parts.join(", ")}. ${answers}${answers ? "." : ""}`.trim();
    if (by("status").textContent !== words) by("status").textContent = words;
  };

  const work = async (batch) => {
    const waiting = jobs.filter((job) => job.state === "chosen");
    const lane = async () => {
      for (let job = waiting.shift(); job; job = waiting.shift()) {
        await sendOne(job, batch);
        summarise();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  };

  let batchKey = null;
  const run = async () => {
    sending = true;
    form.classList.add("busy");
    by("submit").disabled = true;
    by("submit-text").textContent = jobs.length > 1 ? "Sending…" : "Reading the scan…";
    by("after").hidden = true;
    if (batchKey === null && (jobs.length > 1 || isZip(jobs[0].file))) {
      const answer = await persist("/batches", new FormData());
      if (answer.status !== 200 || !answer.body?.key) return stop(sentence(answer));
      batchKey = answer.body.key;
      by("to-list").href = `/worklist?batch=${batchKey}`;
    }
    const asking = jobs.length > 1 || batchKey ? ask() : null;
    await work(batchKey);
    const only = jobs.length === 1 ? jobs[0] : null;
    if (only?.state === "failed" && !batchKey) return stop(by("files").querySelector(".why").textContent);
    if (only && only.keys.length === 1) return window.location.assign(only.said.get(only.keys[0]).url);
    form.classList.replace("busy", "sent");
    by("after").hidden = false;
    by("again").hidden = !jobs.some((job) => job.state === "failed");
    summarise();
    await asking;
    summarise();
  };

  // Back to choosing, with nothing lost.
  const stop = (words) => {
    sending = false;
    form.classList.remove("busy", "sent");
    by("submit").disabled = false;
    by("status").textContent = "";
    by("files").replaceChildren(...jobs.map((job) => Object.assign(job, { state: "chosen" })).map(draw));
    show();
    by("form-error").textContent = words;
    by("form-error").hidden = false;
  };

  by("again").addEventListener("click", () => {
    for (const job of jobs) if (job.state === "failed") job.state = "chosen";
    form.classList.replace("sent", "busy");
    run();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sending) return;
    const words = jobs.length === 0 ? "Choose a scan first." : complaint();
    if (words) {
      by("form-error").textContent = words;
      by("form-error").hidden = false;
      return;
    }
    if (form.reportValidity()) run();
  });

  window.addEventListener("beforeunload", (event) => {
    if (jobs.some((job) => job.state === "sending") && jobs.length > 1) event.preventDefault();
  });
  // A page that comes back from the browser's history starts anew.
  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
})();
