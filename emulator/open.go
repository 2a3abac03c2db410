// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

const maxFetched = 10 << 20

// Open fetches the request behind a deep link, which tells the relying party that it was opened, and checks it as
// the real wallet does: signature by a key of client_id, protocol values, lifetime, algorithms, definitions. Links
// may be openid-vc://…?request_uri=, openid://vc?request_uri= or carry the signed request itself in request=.
//
// It fails with [ErrBadLink], [ErrExpired], [ErrNetwork] or [ErrBadRequest].
func (w *Wallet) Open(ctx context.Context, link string) (*Offer, error) {
	token, err := w.fetchRequest(ctx, link)
	if err != nil {
		return nil, err
	}
	parsed, err := parseToken(strings.TrimSpace(token))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	var object requestObject
	if err := parsed.claims(&object); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if parsed.did() != object.ClientID {
		return nil, fmt.Errorf("%w: signed with a key of another DID than client_id", ErrBadRequest)
	}
	document, err := w.resolve(ctx, object.ClientID)
	if err != nil {
		return nil, err
	}
	key, err := document.key(parsed.kid, authentication)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err := parsed.verify(key); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	definitions, err := checkObject(&object, w.e.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	origin, verified := linkedDomain(document, func(host string) ([]byte, error) {
		return w.get(ctx, w.e.cfg.PublicURL+"/domains/"+url.PathEscape(host)+"/.well-known/did-configuration.json", nil)
	}, w.e.Now())
	o := &Offer{
		Kind: Presentation, VerifierName: object.Registration.ClientName, Purpose: object.Registration.ClientPurpose,
		VerifierDID: object.ClientID, Domain: origin, DomainVerified: verified, Expires: time.Unix(object.Exp, 0),
		wallet: w, object: object, definitions: definitions,
	}
	if object.Prompt == "create" {
		o.Kind = Issuance
		return o, o.readCardOffer(ctx)
	}
	o.readWanted()
	return o, nil
}

// fetchRequest returns the signed request behind a link.
func (w *Wallet) fetchRequest(ctx context.Context, link string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(link))
	if err != nil || u.Scheme != "openid-vc" && (u.Scheme != "openid" || u.Host != "vc") {
		return "", fmt.Errorf("%w: it does not begin with openid-vc://", ErrBadLink)
	}
	query := u.Query()
	if token := query.Get("request"); token != "" {
		return token, nil
	}
	target, err := absoluteURL(query.Get("request_uri"))
	if err != nil {
		return "", fmt.Errorf("%w: no request_uri", ErrBadLink)
	}
	if !w.e.cfg.AllowNonLoopback && !isLoopback(target.Hostname()) {
		return "", fmt.Errorf("%w: request_uri leaves this machine", ErrBadLink)
	}
	body, err := w.get(ctx, target.String(), http.Header{
		"Prefer":       {"JWT-interop-profile-0.0.1"},
		"Content-Type": {"text/plain"},
	})
	return string(body), err
}

// get fetches a document with what the real wallet sends along.
func (w *Wallet) get(ctx context.Context, target string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	maps.Copy(req.Header, header)
	status, body, _, err := w.do(req)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, ErrExpired
	case status != http.StatusOK:
		return nil, fmt.Errorf("%w: the answer was %d", ErrNetwork, status)
	}
	return body, nil
}

// do sends a request of the wallet and reads the whole answer.
func (w *Wallet) do(req *http.Request) (status int, body []byte, header http.Header, err error) {
	req.Header.Set("ms-cv", w.e.rand.correlationVector())
	req.Header.Set("User-Agent", "VerifiedIDEmulator/1.0")
	req.Header.Set("X-Ms-Entra-Verifiedid-Wallet-Library", "Emulator/1.0")
	resp, err := w.e.client.Do(req)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or an error says so
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxFetched))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	return resp.StatusCode, body, resp.Header, nil
}

// resolve asks the resolver of the service, as the real wallet does for every DID.
func (w *Wallet) resolve(ctx context.Context, did string) (didDocument, error) {
	body, err := w.get(ctx, w.e.cfg.PublicURL+"/v1.0/identifiers/"+url.PathEscape(did), nil)
	if errors.Is(err, ErrExpired) {
		return didDocument{}, fmt.Errorf("%w: the DID of the verifier is unknown", ErrBadRequest)
	}
	if err != nil {
		return didDocument{}, err
	}
	var answer didResolution
	if err := jsonv2.Unmarshal(body, &answer); err != nil {
		return didDocument{}, fmt.Errorf("%w: unreadable DID document", ErrBadRequest)
	}
	if answer.DIDDocument.ID != did {
		return didDocument{}, fmt.Errorf("%w: DID document of another DID", ErrBadRequest)
	}
	return answer.DIDDocument, nil
}

// checkObject holds the checks of the wallet library, in its order.
func checkObject(object *requestObject, now time.Time) ([]presentationDefinition, error) {
	algs := object.Registration.VPFormats
	switch {
	case object.ResponseType != "id_token" || object.ResponseMode != "post" || object.Scope != "openid":
		return nil, errors.New("response_type, response_mode or scope is not id_token, post, openid")
	case !slices.Contains(object.Registration.SubjectTypes, "did:ion"):
		return nil, errors.New("subject_syntax_types_supported does not contain did:ion")
	case !slices.Contains(algs.JWTVP.Alg, "ES256K") || !slices.Contains(algs.JWTVC.Alg, "ES256K"):
		return nil, errors.New("vp_formats do not contain ES256K")
	case object.State == "" || object.Nonce == "":
		return nil, errors.New("state or nonce is missing")
	case object.Exp == 0 || now.After(time.Unix(object.Exp, 0).Add(skew)):
		return nil, errors.New("it has expired")
	}
	if _, err := absoluteURL(object.RedirectURI); err != nil {
		return nil, errors.New("redirect_uri is missing or no URL")
	}
	var wanted []wantedPresentation
	if object.Claims.VPToken.Kind() == '[' {
		if err := jsonv2.Unmarshal(object.Claims.VPToken, &wanted); err != nil {
			return nil, errors.New("unreadable presentation definitions")
		}
	} else {
		wanted = make([]wantedPresentation, 1)
		if err := jsonv2.Unmarshal(object.Claims.VPToken, &wanted[0]); err != nil {
			return nil, errors.New("unreadable presentation definition")
		}
	}
	definitions := make([]presentationDefinition, len(wanted))
	for i, one := range wanted {
		if len(one.Definition.InputDescriptors) == 0 {
			return nil, errors.New("a presentation definition has no input descriptor")
		}
		definitions[i] = one.Definition
	}
	return definitions, nil
}
