// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

// checkCommand is `caddy verified-id check`: what the gates of a config would decide about one request.
func checkCommand() *cobra.Command {
	var q checkQuestion
	var config configFlags
	var expect string
	cmd := &cobra.Command{
		Use:   "check --site <url> [--path <path>] [--claims <file>] [--config <file>]",
		Short: "Say what the gates would decide about a request, and which rule decided",
		Long: `Loads a config as far as its gates go, without listening, without calling anybody and without its secrets, sends one
request through its routes and says of each gate on the way what it decided and why, and which headers the app would get ({subject} and {session_id} are other ones than in production).

The claims file describes what the visitor has presented, one object or a list of them:

  {
    "credential": "employee",
    "issuer":     "did:web:verifiedid.contoso.com",
    "claims":     {"displayName": "Ana", "mail": "ana@contoso.com"},
    "face_score": 92,
    "verified":   "10m",
    "issued":     "2026-01-31T00:00:00Z"
  }

verified is how long ago; issuer is the credential's first one unless given; expires, revoked, linked_domain and
cross_device may be given too. Without a file the visitor has no session.

Handlers other than gates and routing are left out: proxies are not asked, and another login (basic_auth, forward_auth)
counts as passed. Say with --set what it would have established: --set http.auth.user.id=ana@contoso.com

With --expect pass or --expect refuse the exit code is 1 when the outcome is the other one.`,
		Example: `  caddy verified-id check --site https://payroll.contoso.com --path /pay --claims ana.json --expect pass`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			switch expect {
			case "", "pass", "refuse":
			default:
				return fmt.Errorf("--expect %s: write pass or refuse", expect)
			}
			content, err := config.load()
			if err != nil {
				return err
			}
			passes, err := check(cmd.OutOrStdout(), content, &q)
			if err != nil {
				return err
			}
			if outcome := outcomeWord(passes); expect != "" && expect != outcome {
				return fmt.Errorf("expected %s, and the outcome is %s", expect, outcome)
			}
			return nil
		},
	}
	config.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.site, "site", "", "Address of the site, such as https://payroll.contoso.com")
	flags.StringVar(&q.path, "path", "/", "Path, and query, of the request")
	flags.StringVar(&q.method, "method", "GET", "Method of the request")
	flags.StringArrayVar(&q.headers, "header", nil, "Header of the request, as 'Name: value'; can be repeated")
	flags.StringVar(&q.client, "client-ip", "203.0.113.7", "Address of the visitor")
	flags.StringArrayVar(&q.set, "set", nil, "Placeholder that a handler before the gate would set, as name=value; can be repeated")
	flags.StringVar(&q.claims, "claims", "", "JSON file with what the visitor has presented")
	flags.StringVar(&expect, "expect", "", "Fail unless the outcome is this: pass or refuse")
	if err := cmd.MarkFlagRequired("site"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func outcomeWord(passes bool) string {
	if passes {
		return "pass"
	}
	return "refuse"
}

// check answers the question about a config, and says whether the request would reach what stands behind the gates.
func check(out io.Writer, config []byte, q *checkQuestion) (passes bool, err error) {
	presented, err := readPresented(q.claims)
	if err != nil {
		return false, err
	}
	request, err := q.request()
	if err != nil {
		return false, err
	}
	plan, err := planCheck(config, q.set, portOf(request))
	if err != nil {
		return false, err
	}
	defer plan.close()
	fmt.Fprintln(out, q.method, request.URL)
	for _, name := range slices.Sorted(maps.Keys(plan.unknown)) {
		fmt.Fprintln(out, "NOTE:", plan.unknown[name])
	}
	return plan.run(out, request, presented)
}
