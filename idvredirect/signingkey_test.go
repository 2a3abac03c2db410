// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

func TestParseSigningKey(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curveDER, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	legacy := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte("ciphertext"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
	})
	both := bytes.Join([][]byte{pkcs1(private), pkcs1(rsaKeys()[1])}, []byte("\n"))

	for _, test := range []struct {
		name string
		pem  []byte
		want string // a part of the error; empty: none
	}{
		{"pkcs1", pkcs1(private), ""},
		{"pkcs8", pkcs8(t, private), ""},
		{"text around", []byte("my key\n" + string(pkcs8(t, private)) + "\nend"), ""},
		{"empty", nil, "no PEM block"},
		{"der", x509.MarshalPKCS1PrivateKey(private), "no PEM block"},
		{"two keys", both, "more than one"},
		{"too small", pkcs1(smallKey()), "1024 bits is too small, 2048 is the least"},
		{"too large", pkcs1(hugeKey()), "8676 bits is too large, 8192 is the most"},
		{"elliptic curve", pkcs8(t, curve), "elliptic-curve"},
		{"elliptic curve sec1", block("EC PRIVATE KEY", curveDER), "elliptic-curve"},
		{"ed25519", pkcs8(t, edwards), "Ed25519"},
		{"public", block("PUBLIC KEY", public), "a public key"},
		{"public pkcs1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&private.PublicKey)), "a public key"},
		{"certificate", block("CERTIFICATE", []byte{1}), "a certificate"},
		{"openssh", block("OPENSSH PRIVATE KEY", []byte{1}), "OpenSSH"},
		{"other block", block("DH PARAMETERS", []byte{1}), "something else"},
		{"encrypted pkcs8", block("ENCRYPTED PRIVATE KEY", []byte{1}), "openssl pkey"},
		{"encrypted pkcs1", legacy, "openssl pkey"},
		{"damaged pkcs1", block("RSA PRIVATE KEY", []byte("garbage-canary")), "no readable PKCS#1"},
		{"damaged pkcs8", block("PRIVATE KEY", []byte("garbage-canary")), "no readable PKCS#8"},
		{"pkcs8 called pkcs1", bytes.ReplaceAll(pkcs8(t, private), []byte("PRIVATE"), []byte("RSA PRIVATE")), "no readable PKCS#1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, err := idvredirect.ParseSigningKey(test.pem)
			if test.want == "" {
				if err != nil {
					t.Fatalf("ParseSigningKey = %v", err)
				}
				if !rsaPublic(key).Equal(&private.PublicKey) {
					t.Error("the key read is another one")
				}
				return
			}
			if !errors.Is(err, idvredirect.ErrSigningKey) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("ParseSigningKey = %v, want ErrSigningKey with %q", err, test.want)
			}
			if !strings.Contains(err.Error(), "openssl") && test.name != "two keys" {
				t.Errorf("%q does not say how to make a key", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("%q repeats the input", err)
			}
		})
	}
}

// hugeKey has the Mersenne primes 2^4253-1 and 2^4423-1, which need no search. The modulus has 8,676 bits.
func hugeKey() *rsa.PrivateKey {
	one := big.NewInt(1)
	p := new(big.Int).Sub(new(big.Int).Lsh(one, 4253), one)
	q := new(big.Int).Sub(new(big.Int).Lsh(one, 4423), one)
	key := &rsa.PrivateKey{Primes: []*big.Int{p, q}}
	key.N, key.E = new(big.Int).Mul(p, q), 65537
	totient := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key.D = new(big.Int).ModInverse(big.NewInt(int64(key.E)), totient)
	return key
}

func TestPEMRoundTrip(t *testing.T) {
	t.Parallel()
	key := signingKey(0)
	text, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := idvredirect.ParseSigningKey(text)
	if err != nil {
		t.Fatalf("ParseSigningKey(PEM()) = %v", err)
	}
	if again.KeyID() != key.KeyID() {
		t.Errorf("KeyID() = %q, want %q", again.KeyID(), key.KeyID())
	}
}

func TestGenerateSigningKey(t *testing.T) {
	t.Parallel()
	key, err := idvredirect.GenerateSigningKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if bits := rsaPublic(key).N.BitLen(); bits != 3072 {
		t.Errorf("the key has %d bits, want 3072", bits)
	}
}

// TM-141: a developer prints a struct that has a key in it, or logs it, and the private key is in the log of every node.
func TestPrintedSigningKeyIsRedacted(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	key := signingKey(0)
	set, err := idvredirect.NewKeySet(fixtureTime, key)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{
		private.D.String(), private.D.Text(16), strings.ToUpper(private.D.Text(16)), private.Primes[0].String(),
		private.Primes[0].Text(16), private.Primes[1].String(), "PRIVATE KEY",
	}
	holder := struct {
		Key   *idvredirect.SigningKey
		Value idvredirect.SigningKey
		Set   *idvredirect.KeySet
		inner *idvredirect.SigningKey
	}{key, *key, set, key}

	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%e", "%t"} {
		for _, value := range []any{key, *key, set, holder, &holder, []any{key, set}} {
			fmt.Fprintf(&printed, verb+"\n", value)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Info("keys", "key", key, "value", *key, "set", set)
	}
	fmt.Fprintln(&printed, key.String(), key.GoString(), set.String())
	encoded, err := json.Marshal([]any{key, *key})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(encoded)

	for _, secret := range secrets {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("the output holds the private number %.8s…", secret)
		}
	}
	if !strings.Contains(printed.String(), "[signing key redacted]") || !strings.Contains(printed.String(), "[key set redacted]") {
		t.Error("the output does not say that something is redacted")
	}
}
