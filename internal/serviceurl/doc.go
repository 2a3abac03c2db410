// SPDX-License-Identifier: Apache-2.0

// Package serviceurl judges the configured addresses of the services that access tokens go to.
//
// Such an address is https. On this machine, where the emulator runs, it may be http if the operator permits it. [Parse] decides so
// for all clients alike; it resolves no name and connects to nobody.
package serviceurl
