// SPDX-License-Identifier: Apache-2.0

// Package returnpath decides where a visitor may be sent.
//
// The gate notes where a visitor was going, and sends them there when they have presented their credential. A gate that can
// be made to note another site's address is an open redirect: a phisher's link that begins with a name people trust. So only
// a path of our own site ever gets into a Location header, and [Check] decides what one is. What does not pass becomes "/",
// without an error page: the visitor loses their place and nothing else.
//
// [Own] keeps the gate from sending visitors round in circles, or out again, by way of its own endpoints.
//
// There is no list of other sites that are allowed too. If there ever is, it holds whole origins and is compared byte for
// byte (TM-085).
package returnpath
