// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// signingKeyPEM is a key that can sign kickstart tokens, the same for the whole run.
func signingKeyPEM(t testing.TB) []byte {
	t.Helper()
	return keyPEM(t, soundKey)
}

// weakKeyPEM is one that was sound once.
func weakKeyPEM(t testing.TB) []byte {
	t.Helper()
	return keyPEM(t, weakKey)
}

func ellipticKeyPEM(t testing.TB) []byte {
	t.Helper()
	return keyPEM(t, func() (any, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
}

var (
	soundKey = sync.OnceValues(func() (any, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	newerKey = sync.OnceValues(func() (any, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	weakKey  = sync.OnceValues(func() (any, error) { return rsa.GenerateKey(rand.Reader, 1024) }) //nolint:gosec // that is the point
)

func keyPEM(t testing.TB, generate func() (any, error)) []byte {
	t.Helper()
	key, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Another user of the machine reads the key that signs our links, or the one that logs in at Entra, and is us from then on.
// A key file that they could read, or replace, is refused. TM-147.
func TestKeyFileOpenToOthersIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("Windows has no such modes; every mode loads")
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte("a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, loads := range map[os.FileMode]bool{
		0o400: true, 0o600: true, 0o700: true, 0o440: false, 0o640: false, 0o740: false,
		0o604: false, 0o644: false, 0o660: false, 0o620: false, 0o602: false, 0o601: false, 0o610: false, 0o666: false, 0o777: false,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for _, groupReads := range []bool{false, true} {
			content, err := readKeyFile(path, groupReads)
			want := loads || runtime.GOOS == "windows" || groupReads && mode&0o037 == 0
			if want != (err == nil) || (want && string(content) != "a key") {
				t.Errorf("readKeyFile with mode %04o, group may read: %v = %q, %v; loads: want %v", mode, groupReads, content, err, want)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%s has mode %04o", path, mode)) || err != nil && !strings.Contains(err.Error(), "chmod 600 "+path) {
				t.Errorf("mode %04o: %q does not say which file, its mode and what to do", mode, err)
			}
		}
	}
}
