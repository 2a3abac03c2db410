// SPDX-License-Identifier: Apache-2.0

// For pages in a window that an app has opened: says to the app's page, over a channel that only this origin has, that the
// window is there, goes to a partner, or is done. Nothing else; whoever hears it still has to ask the gate.
"use strict";
(() => {
	const { popup } = document.body.dataset;
	const channel = new BroadcastChannel("verified-id");
	const say = (state) => channel.postMessage({ popup, state });
	if (document.querySelector("[data-done]")) {
		say("done");
		setTimeout(close, 500); // whoever reads the page in time sees why
		return;
	}
	// As long as this page lives it holds its share of a lock; the app's page gets the whole when there is no window any more,
	// whatever ended it. At a partner nobody of ours is there to hold it.
	navigator.locks.request("verified-id-" + popup, { mode: "shared" }, () => {
		say(document.querySelector("[data-away]") ? "away" : "here");
		return new Promise(() => {});
	});
})();
