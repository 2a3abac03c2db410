// SPDX-License-Identifier: Apache-2.0

"use strict";
const find = (id) => document.getElementById(id);
const say = (text) => { find("said").textContent = text; };

/** Calls the API; where a card is asked for, the person is, and the call is repeated. */
const call = async (path, init) => {
	say("…");
	const answer = await verifiedId.fetch(path, init);
	if (!answer.ok) throw new Error(path + " answered " + answer.status);
	return answer.json();
};

/** Runs what a button does, and says what went wrong in words of this app. */
const onClick = (id, action) => find(id).addEventListener("click", () => action().catch((error) => {
	say(error.name === "AbortError" ? "Not without your card. Nothing was done." : "That did not work: " + error.message);
}));

onClick("payslips", async () => {
	// Two calls at once open one window.
	const [me, payslips] = await Promise.all([call("/api/me"), call("/api/payslips")]);
	find("name").textContent = ", " + me.name;
	find("list").hidden = false;
	find("list").tBodies[0].replaceChildren(...payslips.map(({ month, net }) => {
		const row = document.createElement("tr");
		for (const text of [month, net]) row.insertCell().textContent = text;
		return row;
	}));
	say("Here they are.");
});

onClick("account", async () => {
	const { account } = await call("/api/account", { method: "POST", body: JSON.stringify({ account: "GB00 DEMO 0000 0000 0000 02" }) });
	say("Your salary goes to " + account + ".");
});

// Who is signed in already is greeted at once.
verifiedId.session().then((who) => { document.body.dataset.session = who ? "yes" : "no"; });
