// SPDX-License-Identifier: Apache-2.0

// Package claimheader keeps the request headers that carry identity in one hand.
//
// An app behind the gate believes what a header such as X-Verified-Id-Subject says. So the gate must be the only one who can
// write it. This package has the four tools for that, in the order a request meets them:
//
//  1. [HopByHop] takes from the client the means to delete or add headers after the gate: Connection, trailers and upgrades to
//     another version of HTTP.
//  2. [Strip] deletes every header the client sent in our namespace, in every spelling an app might read as the same name.
//  3. [CheckName] and [CheckNames] refuse, when the config is loaded, names for which the first two could not hold.
//  4. [Encode] turns any text into a header value that arrives unchanged, and back.
//
// It knows neither sessions nor claims, and it does not decide which headers a request gets: the gate does.
package claimheader
