// SPDX-License-Identifier: Apache-2.0

// Package faultproxy is a TCP proxy for tests that makes a network go wrong in the ways in which networks do: slow, lossy,
// cut, silent, refusing. What it does by chance it does by a seed, so that a run can be repeated.
//
//	proxy, err := faultproxy.Listen("127.0.0.1:6379", seed)
//	…
//	proxy.Set(faultproxy.Fault{Latency: 2 * time.Second})
//	proxy.Set(faultproxy.Fault{}) // all is well again
//
// It knows nothing of what it carries and never changes a byte.
package faultproxy
