// SPDX-License-Identifier: Apache-2.0

// Command caddy is a Caddy with the gate, its store in Redis, and the emulator of Microsoft Entra Verified ID:
// for trying, developing and testing on one machine.
//
//	go run ./cmd/caddy run --config examples/demo/Caddyfile
//
// Production uses a Caddy built with xcaddy, which has the gate only.
package main

import (
	"fmt"
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-verified-id/caddy-verified-id"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/caddyemulator"
	_ "github.com/caddy-verified-id/caddy-verified-id/redisstore"
)

func main() {
	// Caddyfiles name the certificate as {env.VERIFIED_ID_EMULATOR_CA}. Commands that read no
	// config work without it.
	if err := caddyemulator.ExportCertificate(); err != nil {
		fmt.Fprintln(os.Stderr, "the emulator's token endpoint has no certificate:", err)
	}
	caddycmd.Main()
}
