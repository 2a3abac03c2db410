// SPDX-License-Identifier: Apache-2.0

// For single-page apps behind verified_id: verifiedId.fetch is fetch that, where the gate asks for a card, lets the person show
// it in a window of its own and then repeats the call. docs/single-page-apps.md tells more.
"use strict";
(() => {
	const base = "/.verified-id/";
	const texts = "TEXTS";
	const send = window.fetch.bind(window);
	const patience = 5000; // ms from one page of the window to the next
	/** @type {Promise<void> | undefined} the verification that goes on; calls share it */
	let running;

	/**
	 * The gate's problem, if the answer is one. It is believed from this origin only, and leads to the start page only.
	 * @param {Response} answer
	 * @returns {Promise<{start: string, reason: string} | undefined>}
	 */
	const problemOf = async (answer) => {
		const kind = answer.headers.get("Content-Type") || "";
		if (answer.status !== 401 || !kind.startsWith("application/problem+json") || new URL(answer.url).origin !== location.origin) return;
		const problem = await answer.clone().json().catch(() => ({}));
		if (String(problem?.type).startsWith("urn:caddy-verified-id:") && String(problem.start).startsWith(base + "start?")) return problem;
	};

	/** @returns {Promise<object | null>} who is signed in, what was shown and when; null: nobody */
	const session = async () => {
		const answer = await send(base + "session", { headers: { Accept: "application/json" }, cache: "no-store" });
		if (answer.status === 401) return null;
		if (!answer.ok) throw new Error("verified-id: the session cannot be read: status " + answer.status);
		return answer.json();
	};

	/** @param {string} start @returns {Promise<void>} rejects with an AbortError when the person gives up */
	const verify = (start) => new Promise((resolve, reject) => {
		const popup = crypto.randomUUID();
		const open = () => window.open(start + "&popup=" + popup, "_blank", "popup,width=480,height=760");
		const channel = new BroadcastChannel("verified-id");
		const { host, dialog, show } = build();
		const over = new AbortController();
		let gone, away, before;

		const end = (settle, value) => {
			clearTimeout(gone);
			over.abort();
			channel.close();
			removeEventListener("focus", look);
			dialog.close(); // gives the focus back
			host.remove();
			settle(value);
		};
		const giveUp = (why) => end(reject, new DOMException("verified-id: " + why, "AbortError"));
		channel.onmessage = ({ data }) => {
			if (data?.popup !== popup) return;
			clearTimeout(gone);
			if (data.state === "done") end(resolve);
			// Granted when no page of the window is left. At a partner that says nothing.
			if (data.state === "here") navigator.locks.request("verified-id-" + popup, { signal: over.signal }, () => {
				if (!away) gone = setTimeout(giveUp, patience, "the window was closed before a card was accepted");
			}).catch(() => {});
			away = data.state === "away";
		};
		// A phone may have put this page to sleep while the window said it was done.
		const shown = async () => JSON.stringify((await session())?.presentations.map((p) => p.verified_at));
		const look = () => before?.then(async (was) => await shown() !== was && end(resolve)).catch(() => {});
		addEventListener("focus", look);

		const opened = (window_) => {
			before ??= shown();
			show(!!window_);
		};
		host.addEventListener("open", () => {
			const window_ = open();
			if (window_) return opened(window_);
			// A browser without windows: go there, and come back to this page.
			location.assign(start + "&return_to=" + encodeURIComponent(location.pathname + location.search));
		});
		host.addEventListener("cancel", () => giveUp("the person has cancelled"));
		document.body.append(host);
		opened(open()); // without a click just before, the browser refuses, and the dialog asks for one
	});

	/** The dialog, in a tree of its own, so that the app's styles and ours leave each other alone. */
	const build = () => {
		const host = document.createElement("verified-id-dialog");
		const root = host.attachShadow({ mode: "open" });
		const sheet = new CSSStyleSheet();
		sheet.replaceSync(`:host{${"THEME"}}
			dialog{box-sizing:border-box;width:min(26rem,calc(100vw - 2rem));padding:1.5rem;border:1px solid #8886;border-radius:1rem;
				color-scheme:light dark;background:Canvas;color:CanvasText;font:1rem/1.5 system-ui,sans-serif;text-align:start}
			dialog::backdrop{background:#0009}
			h2{margin:0;font-size:1.25rem;line-height:1.25}
			p{margin:.75rem 0 1.25rem}
			div{display:flex;flex-wrap:wrap;gap:.625rem}
			button{flex:1 1 auto;min-height:3rem;padding:.5rem 1rem;border:1px solid #888;border-radius:.75rem;
				background:transparent;color:inherit;font:inherit;font-weight:600;cursor:pointer}
			.first{background:var(--accent);color:var(--on-accent)}
			:focus-visible{outline:3px solid CanvasText;outline-offset:3px}`);
		root.adoptedStyleSheets = [sheet];
		const add = (parent, name, id) => parent.appendChild(Object.assign(document.createElement(name), { id }));
		const dialog = add(root, "dialog", "dialog");
		const title = add(dialog, "h2", "title"), text = add(dialog, "p", "text"), row = add(dialog, "div", "");
		const first = add(row, "button", "open"), cancel = add(row, "button", "cancel");
		dialog.setAttribute("aria-labelledby", "title");
		dialog.setAttribute("aria-describedby", "text");
		cancel.textContent = texts.app_cancel;
		const tell = (what) => () => host.dispatchEvent(new Event(what));
		first.onclick = tell("open");
		cancel.onclick = tell("cancel");
		dialog.oncancel = (event) => { event.preventDefault(); tell("cancel")(); };
		const show = (waiting) => {
			first.className = waiting ? "" : "first";
			title.textContent = waiting ? texts.app_wait_title : texts.app_title;
			text.textContent = waiting ? texts.app_wait_text : texts.app_text;
			first.textContent = waiting ? texts.app_again : texts.app_open;
			if (!dialog.open) dialog.showModal();
		};
		return { host, dialog, show };
	};

	/**
	 * As window.fetch. The call is repeated after a verification, whatever its method: the gate's 401 means that the app never
	 * saw it. Not so where the app had answered with a redirect that led to the gate, unless the call only reads; and not
	 * where its body is a stream, which can be read once. Such a call gets the 401.
	 * @type {typeof window.fetch}
	 */
	const fetch = async (input, init) => {
		if (init?.body instanceof ReadableStream) return send(input, init);
		const request = new Request(input, init);
		for (let mine = false; ;) {
			const answer = await send(request.clone());
			const problem = mine ? undefined : await problemOf(answer);
			if (!problem || answer.redirected && !/^(GET|HEAD)$/.test(request.method)) return answer;
			mine = !running; // who waited for another call's verification may still need one of their own
			running ??= verify(problem.start).finally(() => { running = undefined; });
			await running;
		}
	};

	window.verifiedId = Object.freeze({ fetch, session });
})();
