// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// Misbehaviour makes a wallet do what a broken or hostile one would. The zero value behaves.
type Misbehaviour string

// Things a wallet can do wrong. The service refuses each of them.
const (
	// WrongAudience addresses the answer to another verifier.
	WrongAudience Misbehaviour = "wrong audience"
	// ForeignNonce answers with a nonce of its own, as a replay from another request would.
	ForeignNonce Misbehaviour = "foreign nonce"
	// SplitNonce has different nonces in id_token and vp_token.
	SplitNonce Misbehaviour = "split nonce"
	// StaleAnswer was signed an hour before the request was made.
	StaleAnswer Misbehaviour = "stale answer"
	// ExpiredAnswer has run out.
	ExpiredAnswer Misbehaviour = "expired answer"
	// OtherHolder presents the cards in the name of another holder, who really signs.
	OtherHolder Misbehaviour = "other holder"
	// OtherKey signs with a key that is not the holder's.
	OtherKey Misbehaviour = "other key"
	// UnknownKeyID names a key that the holder's DID does not have.
	UnknownKeyID Misbehaviour = "unknown key id"
	// DERSignature encodes signatures as ASN.1, as the wallets of 2020 did.
	DERSignature Misbehaviour = "DER signature"
	// AlgNone claims that no signature is needed.
	AlgNone Misbehaviour = "alg none"
	// TamperedCard changes a claim of a card after it was signed.
	TamperedCard Misbehaviour = "tampered card"
	// NoCards presents nothing.
	NoCards Misbehaviour = "no cards"
	// WrongIssuer has an id_token that is not self-issued.
	WrongIssuer Misbehaviour = "wrong issuer"
	// OmitFaceCheck leaves the Face Check out.
	OmitFaceCheck Misbehaviour = "omit Face Check"
)

// Misbehaviours lists them all.
func Misbehaviours() []Misbehaviour {
	return []Misbehaviour{
		WrongAudience, ForeignNonce, SplitNonce, StaleAnswer, ExpiredAnswer, OtherHolder, OtherKey, UnknownKeyID,
		DERSignature, AlgNone, TamperedCard, NoCards, WrongIssuer, OmitFaceCheck,
	}
}

// plan is how an answer will be signed.
type plan struct {
	rand             *random
	key              privateKey
	did, kid         string
	audience, issuer string
	idNonce, vpNonce string
	issued           time.Time
	idExpires        time.Time
	vpExpires        time.Time
	android          bool
	misbehave        Misbehaviour
}

// plan starts from what a good wallet does and changes what misbehave is about.
func (o *Offer) plan(misbehave Misbehaviour) *plan {
	w := o.wallet
	idLife, vpLife := w.lifetimes()
	now := w.e.Now()
	p := &plan{
		rand: w.e.rand, key: w.key, did: w.did, kid: w.kid, audience: o.object.ClientID, issuer: selfIssued,
		idNonce: o.object.Nonce, vpNonce: o.object.Nonce, issued: now, idExpires: now.Add(idLife), vpExpires: now.Add(vpLife),
		android: w.cfg.Platform != IOS, misbehave: misbehave,
	}
	switch misbehave {
	case WrongAudience:
		p.audience = "did:web:another-verifier.example"
	case ForeignNonce:
		p.idNonce = p.rand.nonce()
		p.vpNonce = p.idNonce
	case SplitNonce:
		p.vpNonce = p.rand.nonce()
	case StaleAnswer:
		p.issued = now.Add(-time.Hour)
	case ExpiredAnswer:
		p.idExpires, p.vpExpires = now.Add(-2*skew), now.Add(-2*skew)
	case OtherHolder:
		if other, err := w.e.NewWallet(WalletConfig{}); err == nil {
			p.key, p.did, p.kid = other.key, other.did, other.kid
		}
	case OtherKey:
		alg := P256K
		if w.key.k1 == nil {
			alg = P256
		}
		p.key = newPrivateKey(alg, p.rand)
	case UnknownKeyID:
		p.kid = p.did + "#unknown"
	case WrongIssuer:
		p.issuer = "https://self-issued.example/v2"
	default: // the others change cards, signatures or the set of presentations
	}
	return p
}

// spoilCards changes the cards if that is the misbehaviour.
func (p *plan) spoilCards(tokens []string) []string {
	switch p.misbehave {
	case NoCards:
		return []string{}
	case TamperedCard:
		out := make([]string, len(tokens))
		for i, token := range tokens {
			out[i] = tamper(token)
		}
		return out
	default:
		return tokens
	}
}

// tamper changes the payload and keeps the signature.
func tamper(token string) string {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return token
	}
	changed := strings.Replace(string(payload), `"credentialSubject":{`, `"credentialSubject":{"tampered":"yes",`, 1)
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(changed))
	return strings.Join(parts, ".")
}

func (p *plan) signVP(credentials []string) (string, error) {
	t := vpToken{
		Iss: p.did, Aud: p.audience, Nonce: p.vpNonce, Purpose: "verify",
		Iat: p.issued.Unix(), Nbf: p.issued.Unix(), Exp: p.vpExpires.Unix(),
		VP: presentationBody{Context: []string{contextCredentials}, Type: []string{typePresentation}, Credentials: credentials},
	}
	if !p.android {
		t.JTI = p.rand.uuid()
	}
	return p.sign(t)
}

func (p *plan) signID(presented any) (string, error) {
	raw, err := rawJSON(presented)
	if err != nil {
		return "", err
	}
	t := idToken{
		Sub: p.did, Aud: p.audience, Iss: p.issuer, Nonce: p.idNonce, Iat: p.issued.Unix(), Exp: p.idExpires.Unix(), Presented: raw,
	}
	if !p.android {
		t.JTI = p.rand.uuid()
	}
	return p.sign(t)
}

// sign signs a token of the answer and spoils the signature if that is the misbehaviour.
func (p *plan) sign(payload any) (string, error) {
	token, err := signToken(p.key, p.kid, payload)
	if err != nil {
		return "", err
	}
	cut := strings.LastIndexByte(token, '.')
	switch p.misbehave {
	case DERSignature:
		raw, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
		if err != nil {
			return "", err
		}
		return token[:cut+1] + base64.RawURLEncoding.EncodeToString(derSignature(raw)), nil
	case AlgNone:
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + p.kid + `","typ":"JWT"}`))
		return header + token[strings.IndexByte(token, '.'):cut] + ".", nil
	default:
		return token, nil
	}
}

// derSignature writes r and s as ASN.1. The encoding does not depend on the curve.
func derSignature(raw []byte) []byte {
	var r, s secp256k1.ModNScalar
	r.SetByteSlice(raw[:32])
	s.SetByteSlice(raw[32:])
	return k1ecdsa.NewSignature(&r, &s).Serialize()
}
