// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Tenants, clients and DIDs of the cast that [New] uses when its [Config] names none. All names are reserved
// ones (RFC 2606), so that nothing here can be mistaken for, or sent to, a real organisation.
const (
	// DemoTenant is the directory of Contoso, which runs the gate and issues VerifiedEmployee.
	DemoTenant = "7c1f6a0e-52d3-4a8b-9f47-1d2c3b4a5e6f"
	// DemoTenantDomain is the name by which the token endpoint knows [DemoTenant] too.
	DemoTenantDomain = "contoso.example"
	// DemoClientID and DemoClientSecret are the application of Contoso, allowed to present, to issue and to search the Network.
	DemoClientID     = "2d9f0b6a-41c8-4e75-bb13-6f0a7d5c9e82"
	DemoClientSecret = "demo-secret-not-for-production"
	// DemoAuthority is the DID of Contoso: it asks for presentations and issues VerifiedEmployee.
	DemoAuthority = "did:web:verifiedid.contoso.example"

	// PartnerTenant is the directory of the identity-verification partner Fabrikam.
	PartnerTenant = "e0b4d9a2-8c35-4f61-a7d0-93f2b16c8e54"
	// PartnerTenantDomain is the name by which the token endpoint knows [PartnerTenant] too.
	PartnerTenantDomain = "fabrikam-idv.example"
	// PartnerClientID and PartnerClientSecret are the application of Fabrikam, allowed to issue only.
	PartnerClientID     = "8f3b5c1d-7e29-4a60-b4d8-0c9e1f2a3b47"
	PartnerClientSecret = "partner-secret-not-for-production"
	// PartnerAuthority is the DID that issues VerifiedIdentity.
	PartnerAuthority = "did:web:did.fabrikam-idv.example"

	// MalloryTenant is the directory of an organisation that issues cards nobody should accept.
	MalloryTenant = "bad0bad0-0bad-4bad-8bad-0bad0bad0bad"
	// MalloryTenantDomain is the name by which the token endpoint knows [MalloryTenant] too.
	MalloryTenantDomain = "mallory.example"
	// MalloryClientID and MalloryClientSecret are the application of Mallory, allowed what Contoso's is.
	MalloryClientID     = "5ca1ab1e-0000-4000-8000-00000badc0de"
	MalloryClientSecret = "mallory-secret-not-for-production"
	// MalloryAuthority issues a VerifiedEmployee of its own; its linked domain does not verify.
	MalloryAuthority = "did:web:did.mallory.example"
)

// App roles, as they stand in the claim "roles" of an access token: the Request Service's, and the one of the Network API.
const (
	RoleCreateAll      = "VerifiableCredential.Create.All"
	RolePresentRequest = "VerifiableCredential.Create.PresentRequest"
	RoleIssueRequest   = "VerifiableCredential.Create.IssueRequest"
	RoleNetworkRead    = "VerifiableCredential.Network.Read"
)

// Config says who takes part and where the emulator can be reached.
type Config struct {
	// PublicURL is the origin of the Request Service and the wallet, for example http://localhost:8090. Required.
	// Its host must be a loopback name or address unless AllowNonLoopback is set.
	PublicURL string
	// TokenURL is the https origin of the token endpoint, for example https://localhost:8091. Required.
	TokenURL string
	// AllowNonLoopback lets other machines in: hosts of PublicURL, TokenURL and callback URLs may then be any name but
	// Microsoft's, and requests may come from any address. Anybody who reaches the emulator can then use it, and its wallet
	// fetches what links tell it to. Real DIDs stay refused.
	AllowNonLoopback bool

	// Tenant is the directory (GUID) of clients and authorities that name none. Default: [DemoTenant].
	Tenant string
	// TenantDomain is another name of Tenant at the token endpoint. Default: [DemoTenantDomain].
	TenantDomain string
	// Clients are the applications that may get tokens. Default: one demo client for each default tenant.
	Clients []Client
	// Authorities are the DIDs with keys. Default: [DemoAuthority], [PartnerAuthority], [MalloryAuthority].
	Authorities []Authority
	// Contracts say which cards can be issued. Default: VerifiedEmployee of [DemoAuthority], VerifiedIdentity of
	// [PartnerAuthority] and VerifiedEmployee of [MalloryAuthority], each only if that authority exists.
	Contracts []Contract

	// TokenLifetime is how long an access token is valid. Default: 3599 s, as Entra does.
	TokenLifetime time.Duration
	// RequestLifetime is how long a request can be opened. Default: 300 s; the real service has no other value.
	RequestLifetime time.Duration

	// Now is the clock. Default: [time.Now].
	Now func() time.Time
	// Rand is the source of nonces, ids and the keys of authorities and holders. Keys for TLS and for access tokens always
	// come from the system. Default: [crypto/rand.Reader].
	Rand io.Reader
	// Logger hears of requests and callbacks, without claims and secrets. Default: nothing is logged.
	Logger *slog.Logger
	// HTTPClient carries callbacks and the wallet's own requests. Redirects are never followed, whatever it says.
	// Default: a client of its own with a limit of 10 s.
	HTTPClient *http.Client
}

// KeyAlg names the curve of an authority's signing key.
type KeyAlg string

// Signing keys an authority can have. The zero value of [KeyAlg] means [P256].
const (
	// P256 signs with ES256, as authorities made since February 2024 do.
	P256 KeyAlg = "P-256"
	// P256K signs with ES256K (secp256k1), as older authorities do.
	P256K KeyAlg = "secp256k1"
)

// Client is an application registered in a tenant. It may have several ways to prove itself at once.
type Client struct {
	// ID is the application (client) id. Required.
	ID string
	// Tenant is the directory of the application. Default: Config.Tenant.
	Tenant string
	// Secret is the client secret; empty means that no secret is accepted.
	Secret string
	// SecretExpires is when the secret stops working. Zero: never.
	SecretExpires time.Time
	// CertificatePEM holds the certificate whose key may sign client assertions.
	CertificatePEM []byte
	// Federated lists the foreign tokens accepted as client assertions (workload identity federation).
	Federated []FederatedIdentity
	// Roles are the app roles granted. Nil: [RoleCreateAll] and [RoleNetworkRead]. Empty but not nil: none at all.
	Roles []string
}

// FederatedIdentity is a trust in the tokens of another issuer, for example a Kubernetes cluster.
type FederatedIdentity struct {
	// Issuer and Subject must equal the claims "iss" and "sub" of the token. Required.
	Issuer, Subject string
	// Audience must be among the claims "aud". Default: api://AzureADTokenExchange.
	Audience string
	// PublicKeyPEM is the key that signs those tokens (RS256 or ES256). The emulator fetches no key from anywhere.
	PublicKeyPEM []byte
}

// Authority is an organisation's DID with its signing key.
type Authority struct {
	// DID is a did:web of a reserved host name, for example did:web:verifiedid.contoso.example. Required.
	DID string
	// Name is the organisation's name as people read it.
	Name string
	// Tenant is the directory that owns the authority. Default: Config.Tenant.
	Tenant string
	// LinkedDomain is the https origin linked to the DID. Default: the host of the DID.
	LinkedDomain string
	// DomainVerified says whether did-configuration.json at LinkedDomain really names the DID. If not, wallets
	// warn, validateLinkedDomain refuses cards of this issuer, and the Network API does not know it.
	DomainVerified bool
	// KeyAlg is the kind of signing key. Default: [P256].
	KeyAlg KeyAlg
	// NoFaceCheck answers Face Check requests with the error of an authority whose add-on is not enabled.
	NoFaceCheck bool
}

// Contract says what one kind of card contains and how it looks.
type Contract struct {
	// ID is the contract's GUID, a part of its manifest URL. Default: derived from Issuer and Type.
	ID string
	// Type is the credential type, for example VerifiedEmployee. Required.
	Type string
	// Issuer is the DID of the authority that issues. Required.
	Issuer string
	// Claims are the claims a card holds, in the order in which a wallet shows them.
	Claims []ClaimRule
	// PhotoClaim is the output claim that holds the photo for Face Check. Empty: the card has none.
	PhotoClaim string
	// Display is how a wallet shows the card.
	Display Display
	// Validity is how long a card is valid. Default: 180 days.
	Validity time.Duration
	// AllowValidityOverride lets createIssuanceRequest set expirationDate.
	AllowValidityOverride bool
	// ClaimInjectionOnly is true for cards like VerifiedEmployee, whose claims can only be given by the caller when
	// the manifest URL ends in ?manifestType=claimInjection.
	ClaimInjectionOnly bool
}

// ClaimRule maps one claim of createIssuanceRequest to one claim of the card.
type ClaimRule struct {
	// Name is the input claim. Required.
	Name string
	// Output is the claim in the card. Default: Name.
	Output string
	// Label is what the wallet writes beside the value. Default: Output.
	Label string
	// Type is the display type, "String" (default) or "image/jpg;base64url".
	Type string
	// Required makes an issuance request without this claim fail.
	Required bool
	// Indexed marks the one claim by which a card can be found for revocation.
	Indexed bool
}

// Display is the look of a card.
type Display struct {
	Title, IssuedBy, Description string
	// BackgroundColor and TextColor are CSS hex colours, for example #123456.
	BackgroundColor, TextColor string
	// LogoURL and LogoDescription may be empty.
	LogoURL, LogoDescription string
	// ConsentTitle and ConsentInstructions stand on the page that asks whether to add the card.
	ConsentTitle, ConsentInstructions string
	// Locale is a language tag. Default: en-US.
	Locale string
}
