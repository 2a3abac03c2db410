// SPDX-License-Identifier: Apache-2.0

// What the pages do better with a script: listen instead of reloading, count down, press "Continue", write times in the
// visitor's own way. It makes no markup.
"use strict";
(() => {
	const busy = (form, is) => {
		form.dataset.sent = is ? "yes" : "";
		form.querySelector("button").setAttribute("aria-busy", is);
	};
	// Sending a form twice would start twice. Whoever comes back may send it again.
	document.addEventListener("submit", (event) => {
		if (event.target.dataset.sent) event.preventDefault();
		else busy(event.target, true);
	});
	addEventListener("pageshow", (event) => {
		if (event.persisted) for (const form of document.forms) busy(form, false);
	});

	document.querySelector("[data-send]")?.requestSubmit();
	for (const time of document.querySelectorAll("time")) {
		const options = { dateStyle: "medium", timeStyle: "short" };
		time.textContent = new Date(time.dateTime).toLocaleString(document.documentElement.lang, options);
	}

	const page = document.querySelector("[data-wait]");
	if (!page) return;
	const find = (what) => page.querySelector(what);
	const { self, events, status, left, lost } = page.dataset;
	const order = ["created", "retrieved", "verified"];
	const loaded = Date.now();
	let over = false;

	// A page of its own explains what is no progress. Not at once, so that two answers that disagree make no storm.
	const leave = () => {
		if (over) return;
		over = true;
		setTimeout(() => location.replace(self), Math.max(0, 3000 - Date.now() + loaded));
	};

	const apply = (state) => {
		const step = order.indexOf(state);
		if (step < 0) return leave();
		if (over || step <= order.indexOf(page.dataset.wait) && state !== "verified") return;
		page.dataset.wait = state;
		const { title, step: bars, text, live } = find("." + state).dataset;
		find("h1").textContent = document.title = title;
		find(".steps").dataset.step = bars;
		find(".steps span").textContent = text;
		find("[role=status]").textContent = live;
		for (const name of ["retrieved", "verified"]) find("." + name).hidden = name !== state;
		// The code has done its work, and nobody else shall scan it.
		const code = find(".created");
		if (code?.contains(document.activeElement)) find("h1").focus();
		code?.remove();
		if (state !== "verified") return;
		over = true;
		find(".aside")?.remove();
		find(".finish").requestSubmit();
	};
	if (page.dataset.wait === "verified") return apply("verified");

	let failures = 0, polling = false, timer;
	const ask = async () => {
		let pause = 2;
		try {
			const answer = await fetch(status, { cache: "no-store", redirect: "error" });
			if ([401, 403, 404, 410].includes(answer.status)) return leave();
			const { state, retry } = await answer.json();
			pause = Math.max(1, retry || pause);
			failures = 0;
			apply(state);
		} catch {
			if (++failures > 20) return void (find("[role=status]").textContent = lost);
			pause = Math.min(10, 2 * failures);
		}
		clearTimeout(timer);
		if (polling && !over) timer = setTimeout(ask, pause * 1000);
	};
	const poll = () => {
		polling = true;
		ask();
	};

	if (window.EventSource) {
		const source = new EventSource(events);
		let broken = 0;
		source.addEventListener("state", (event) => {
			broken = 0;
			apply(event.data);
			if (over) source.close();
		});
		source.onerror = () => {
			if (source.readyState !== EventSource.CLOSED && ++broken < 4) return;
			source.close();
			if (!over && !polling) poll();
		};
	} else poll();

	// After the wallet the browser wakes up with a dead connection.
	const wake = () => document.hidden || over || ask();
	document.addEventListener("visibilitychange", wake);
	addEventListener("pageshow", (event) => event.persisted && wake());

	const clock = find(".clock b");
	const tick = setInterval(() => {
		const seconds = Math.max(0, Math.round(left - (Date.now() - loaded) / 1000));
		if (clock) clock.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
		if (seconds > 0 && !over) return;
		clearInterval(tick);
		if (!over && !polling) poll();
	}, 1000);
})();
